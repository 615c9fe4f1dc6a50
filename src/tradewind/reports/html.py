"""The report as one self-contained page: no network, readable on a phone, printable."""

from typing import Any

from tradewind.reports import (
    agents,
    anatomy,
    boards,
    classification,
    honesty,
    masthead,
    performance,
    sequence,
    sequence_rows,
    tear_sheet,
    text,
)
from tradewind.reports.page import div, render, table
from tradewind.reports.palette import SHOWN_SYMBOLS, style
from tradewind.reports.performance import label
from tradewind.reports.quality_page import score_rows
from tradewind.reports.tables import ReportTables

BESIDE_TWO_TABLES = 500  # pixels
DRIFTED = 1.05  # of the equity


def render_html(tables: ReportTables) -> str:
    """The page: the head, a tear sheet for everybody, and what stands behind it, folded, for those who check."""
    chosen = tables.verdict["strategy"]
    content = {
        **_head(tables),
        "tear": _tear_sheet(tables, chosen),
        **_performance(tables, chosen),
        **_trades(tables, chosen),
        **_worlds(tables, chosen),
        **_luck(tables, chosen),
        **_classifiers(tables),
        **(_networks(tables) if len(tables.epochs) else {"networks": []}),
        **(_agents(tables) if len(tables.behaviour) else {"agents": []}),
        **_data(tables),
    }
    return render("report.html.j2", **content)


def _head(tables: ReportTables) -> dict[str, Any]:
    verdict = tables.verdict
    return {
        "title": masthead.title(tables),
        "is_simulated": masthead.is_simulated(tables),
        "about": masthead.facts(tables),
        "verdict": verdict,
        "headline": text.HEADLINE[verdict["verdict"]],
        "how_chosen": text.how_chosen(verdict),
        "chosen": label(verdict["strategy"]),
        "facts": _facts(tables),
        "breakers": text.what_would_break_it(verdict),
        "changers": text.what_would_change_it(verdict, tables.significance, text.bars_per_day(tables.settings)),
        "selection": tables.selection,
        "evidence": div(honesty.evidence_figure(_judged(tables), tables.selection["expected_largest_sharpe"])),
        "scorecard": table(text.scorecard_rows(tables.scorecard)),
    }


def _tear_sheet(tables: ReportTables, chosen: str) -> dict[str, Any]:
    """The whole tested time, the holdout shaded in the charts and part of the tables."""
    returns, trades = tables.portfolio_returns, tables.trades[chosen]
    shown = tear_sheet.shown_strategies(tables.leaderboard, chosen)
    calendar = text.calendar_of(tables.settings)
    daily = anatomy.daily_table(returns[returns["strategy"].isin(shown)], calendar)
    return {
        "equity": div(performance.equity_figure(returns[returns["strategy"].isin(shown)], chosen, calendar)),
        "drawdown": div(performance.drawdown_figure(returns, chosen, height=BESIDE_TWO_TABLES)),
        "drawdowns": table(tear_sheet.drawdown_rows(daily[chosen])),
        "monthly": div(anatomy.monthly_figure(daily[chosen])),
        "distribution": div(tear_sheet.distribution_figure(daily[chosen])),
        "risk": table(tear_sheet.risk_rows(daily, shown)),
        "exposure": div(anatomy.exposure_figure(returns, chosen)),
        "best": table(tear_sheet.extreme_rows(trades, best=True)),
        "worst": table(tear_sheet.extreme_rows(trades, best=False)),
        "price": div(tear_sheet.price_figure(tables.closes, trades)),
        "shown_trades": tear_sheet.SHOWN_TRADES,
        "shown_symbols": SHOWN_SYMBOLS,
        "symbols": len(tables.closes),
    }


def _performance(tables: ReportTables, chosen: str) -> dict[str, Any]:
    present, calendar = set(tables.leaderboard["strategy"]), text.calendar_of(tables.settings)
    compared = [name for name in dict.fromkeys([chosen, "buy_and_hold", "oracle"]) if name in present]
    return {
        "intervals": div(performance.interval_figure(tables.leaderboard, tables.holdout_leaderboard)),
        "equity_of_all": div(performance.equity_figure(tables.portfolio_returns, chosen, calendar)),
        "rolling": div(
            anatomy.rolling_figure(
                anatomy.daily_table(tables.portfolio_returns, calendar), chosen, calendar.days_per_year
            )
        ),
        "board": table(boards.board_rows(tables.leaderboard)),
        "more_board": table(boards.more_board_rows(tables.leaderboard)),
        "holdout_board": table(boards.board_rows(tables.holdout_leaderboard)),
        **{
            f"by_{by}": table(boards.breakdown_rows(tables.breakdown, by, compared))
            for by in ("fold", "symbol", "year")
        },
        "in_regime": table(boards.breakdown_rows(tables.breakdown, "regime", compared) if _has_regimes(tables) else []),
        "holding_exposure": _holding_exposure(tables),
    }


def _trades(tables: ReportTables, chosen: str) -> dict[str, Any]:
    trades, robustness, returns = tables.trades[chosen], tables.robustness, tables.portfolio_returns
    calendar = text.calendar_of(tables.settings)
    walk_forward = anatomy.daily_table(returns[returns["role"] == "walk_forward"], calendar)
    return {
        "excursions": div(anatomy.excursion_figure(trades)) if len(trades) else "",
        "trades": table(text.trade_rows(anatomy.trade_rows(trades))),
        "exits": table(text.exit_rows(trades)),
        "market": text.market_sentence(anatomy.market_share(walk_forward, chosen, calendar.days_per_year)),
        "by_hour": _hours(robustness["conditions"], chosen),
        "by_regime": table(text.condition_rows(robustness, chosen, "regime")),
        "groups": table(text.group_rows(tables)),
    }


def _worlds(tables: ReportTables, chosen: str) -> dict[str, Any]:
    robustness = tables.robustness
    return {
        "costs": div(performance.cost_figure(tables.cost_sensitivity, chosen)),
        "side_costs": table(text.side_cost_rows(robustness, list(tables.leaderboard["strategy"]))),
        "delays": div(honesty.delay_figure(robustness, chosen)),
        "capacity": div(honesty.capacity_figure(robustness, chosen)),
        "worlds": table(text.world_rows(robustness, chosen)),
        "stress": table([] if masthead.is_simulated(tables) else text.stress_rows(robustness, chosen)),
        "left_out": table(text.left_out_rows(robustness, chosen)),
    }


def _luck(tables: ReportTables, chosen: str) -> dict[str, Any]:
    return {
        "significance": table(text.significance_rows(tables.significance)),
        "superiority": table(text.superiority_rows(tables.selection)),
        "comparison": table(boards.comparison_rows(tables.forecast_comparison)),
        "overfitting": div(honesty.overfitting_figure(tables.selection)) if tables.selection["overfitting"] else "",
        "plateau": div(honesty.plateau_figure(tables.parameter_plateau, chosen)),
        "seeds": table(text.seed_rows(tables.seed_spread)),
        "paths": table(text.path_rows(tables.combinatorial_paths)),
    }


def _classifiers(tables: ReportTables) -> dict[str, Any]:
    return {
        "coverage": table(text.coverage_rows(tables.model_coverage)),
        "metrics": table(boards.metric_rows(tables.fold_metrics, "walk_forward")),
        "holdout_metrics": table(boards.metric_rows(tables.fold_metrics, "holdout")),
        "models": [
            {
                "name": label(model),
                "confusion": div(classification.confusion_matrix_figure(_of(tables.confusion, model))),
                "reliability": div(classification.reliability_figure(_of(tables.reliability, model))),
                "importance": div(classification.importance_figure(_of(tables.importance, model))),
            }
            for model in dict.fromkeys(tables.fold_metrics["model"])
        ],
    }


def _networks(tables: ReportTables) -> dict[str, Any]:
    """Models over windows of bars."""
    return {
        "horizons": table(sequence_rows.horizon_rows(tables.horizon_metrics)),
        "horizon_trading": table(sequence_rows.horizon_trading_rows(tables.horizon_trading)),
        "training": table(sequence_rows.training_rows(tables.epochs, tables.health)),
        "alarms": table(sequence_rows.alarm_rows(tables.alarms)),
        "by_horizon": div(sequence.horizon_figure(tables.horizon_metrics)),
        "networks": [
            {
                "name": label(str(model)),
                "coverage": div(sequence.coverage_figure(_of(tables.horizon_metrics, model))),
                "attention": div(looks) if looks else "",
                "gradients": div(sequence.training_figure(_of(tables.epochs, model))),
                "landscape": div(sequence.landscape_figure(_of(tables.health, model))),
            }
            for model in dict.fromkeys(tables.epochs["model"])
            for looks in (sequence.attention_figure(_of(tables.attention, model)),)
        ],
    }


def _agents(tables: ReportTables) -> dict[str, Any]:
    """Agents that act in the account."""
    return {
        "agent_scores": table(agents.agent_rows(tables.agent_scores)),
        "agent_profile": div(agents.profile_figure(tables.agent_profile)),
        "behaviour": table(agents.behaviour_rows(tables.behaviour)),
        "responses": table(agents.response_rows(tables.responses)),
        "failures": table(agents.failure_rows(tables.failures)),
        "agents": [
            {
                "name": label(str(agent)),
                "actions": div(agents.action_figure(part)),
                "training": div(agents.training_figure(_with(tables.training_log, "strategy", agent))),
            }
            for agent, part in tables.action_map.groupby("strategy", sort=False)
        ],
    }


def _data(tables: ReportTables) -> dict[str, Any]:
    return {
        "quality": table(score_rows(tables.data_quality)),
        "gaps": div(style(tables.gaps_figure, height=160 + 34 * len(tables.data_quality))),
        "labels": table(text.label_rows(tables.label_quality)),
        "stability": table(text.stability_rows(tables.label_stability)),
        "features": table(text.feature_rows(tables)),
        "n_features": len(tables.feature_dictionary),
        "folds": table(text.fold_rows(tables.folds)),
        "settings": tables.settings,
    }


def _has_regimes(tables: ReportTables) -> bool:
    """Whether a regime was ever told from another: one group of all bars says nothing that is not said above."""
    groups = tables.breakdown.loc[tables.breakdown["by"] == "regime", "group"]
    return bool((groups != "unknown").any())


def _holding_exposure(tables: ReportTables) -> str:
    """The mean exposure of buying and holding where funding has raised it past its beginning, else nothing."""
    exposure = tables.leaderboard.set_index("strategy")["exposure"].get("buy_and_hold", 1.0)
    return text.percent(exposure, 0) if exposure > DRIFTED else ""


def _judged(tables: ReportTables) -> dict[str, Any]:
    """The judged model's row of the significance table."""
    return dict(tables.significance.set_index("strategy").loc[tables.verdict["strategy"]])


def _facts(tables: ReportTables) -> list[tuple[str, str, str]]:
    """The figures at the top: name, value, what it means."""
    verdict = tables.verdict
    judged = tables.leaderboard.set_index("strategy").loc[verdict["strategy"]]
    facts = [
        (
            "Sharpe ratio, net",
            text.number(verdict["sharpe"]),
            f"90 % interval {text.interval(verdict['sharpe_low'], verdict['sharpe_high'])}",
        ),
        (
            "Probability of an edge",
            text.probability(verdict["probability_of_edge"]),
            f"folds and holdout, after {text.number(verdict['effective_trials'], 1)} effective trials",
        ),
        (
            "Could be seen",
            text.number(verdict["detectable_sharpe"]),
            "true Sharpe ratio that these days miss half the time",
        ),
        (
            "A year, net",
            text.percent(judged["annual_return"], 0),
            f"with a drawdown of {text.percent(judged['max_drawdown'], 0)}",
        ),
        (
            "Holdout Sharpe ratio",
            text.number(verdict["holdout_sharpe"]),
            f"90 % interval {text.interval(verdict['holdout_sharpe_low'], verdict['holdout_sharpe_high'])}",
        ),
    ]
    if verdict.get("oracle_share") is not None:
        oracle = tables.leaderboard.set_index("strategy")["sharpe"].get("oracle")
        meaning = f"of the Sharpe ratio of {text.number(oracle)} that knowing the signal gives"
        facts.append(("Share of the oracle", text.percent(verdict["oracle_share"], 0), meaning))
    else:
        multiple = verdict.get("break_even_cost_multiple")
        tried = float(tables.cost_sensitivity["cost_multiple"].max())
        shown = f"{text.number(multiple, 1)} x" if multiple is not None else f"> {tried:g} x"
        meaning = "multiple of the assumed costs" + ("" if multiple is not None else "; no more was tried")
        facts.append(("Break-even costs", shown, meaning))
    return facts


def _hours(conditions: Any, chosen: str) -> str:
    """The figure of the hours; none where all bars close at one, as those of sessions do."""
    hours = _with(_with(conditions, "strategy", chosen), "by", "hour")
    return div(anatomy.hour_figure(conditions, chosen)) if len(hours) > 1 else ""


def _of(rows: Any, model: Any) -> Any:
    return _with(rows, "model", model)


def _with(rows: Any, column: str, value: Any) -> Any:
    return rows[rows[column] == value]
