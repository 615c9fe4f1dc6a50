"""The report as one self-contained page: no network, readable on a phone, printable."""

from collections.abc import Iterable
from typing import Any

from tradewind.reports import agents, anatomy, classification, honesty, performance, sequence, sequence_rows, text
from tradewind.reports.palette import style
from tradewind.reports.performance import label
from tradewind.reports.quality_page import score_rows
from tradewind.reports.tables import ReportTables


def render_html(tables: ReportTables) -> str:
    """The page. Every table and chart comes from `tables`; all text from the data is escaped by the template."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("tradewind.reports"), autoescape=True, trim_blocks=True)
    return environment.get_template("report.html.j2").render(**_content(tables))


def _content(tables: ReportTables) -> dict[str, Any]:
    from plotly.offline import get_plotlyjs

    verdict, chosen = tables.verdict, tables.verdict["strategy"]
    models = list(dict.fromkeys(tables.fold_metrics["model"]))
    compared = [
        name
        for name in dict.fromkeys([chosen, "buy_and_hold", "oracle"])
        if name in set(tables.leaderboard["strategy"])
    ]
    returns = tables.portfolio_returns
    walk_forward = returns[returns["role"] == "walk_forward"]
    daily = anatomy.daily_table(returns)
    trades = tables.trades[chosen]
    robustness = tables.robustness
    return {
        "monthly": _div(anatomy.monthly_figure(daily[chosen])),
        "rolling": _div(anatomy.rolling_figure(daily, chosen)),
        "exposure": _div(anatomy.exposure_figure(returns, chosen)),
        "excursions": _div(anatomy.excursion_figure(trades)) if len(trades) else "",
        "trades": _table(text.trade_rows(anatomy.trade_rows(trades))),
        "exits": _table(text.exit_rows(trades)),
        "market": text.market_sentence(anatomy.market_share(anatomy.daily_table(walk_forward), chosen)),
        "by_hour": _div(anatomy.hour_figure(robustness["conditions"], chosen)),
        "by_regime": _table(text.condition_rows(robustness, chosen, "regime")),
        "groups": _table(text.group_rows(tables)),
        "side_costs": _table(text.side_cost_rows(robustness, list(tables.leaderboard["strategy"]))),
        "delays": _div(honesty.delay_figure(robustness, chosen)),
        "capacity": _div(honesty.capacity_figure(robustness, chosen)),
        "worlds": _table(text.world_rows(robustness, chosen)),
        "stress": _table(text.stress_rows(robustness, chosen)),
        "left_out": _table(text.left_out_rows(robustness, chosen)),
        "significance": _table(text.significance_rows(tables.significance)),
        "superiority": _table(text.superiority_rows(tables.selection)),
        "comparison": _table(text.comparison_rows(tables.forecast_comparison)),
        "overfitting": _div(honesty.overfitting_figure(tables.selection)) if tables.selection["overfitting"] else "",
        "plateau": _div(honesty.plateau_figure(tables.parameter_plateau, chosen)),
        "selection": tables.selection,
        "seeds": _table(text.seed_rows(tables.seed_spread)),
        "paths": _table(text.path_rows(tables.combinatorial_paths)),
        "horizons": _table(sequence_rows.horizon_rows(tables.horizon_metrics)),
        "horizon_trading": _table(sequence_rows.horizon_trading_rows(tables.horizon_trading)),
        "training": _table(sequence_rows.training_rows(tables.epochs, tables.health)),
        "alarms": _table(sequence_rows.alarm_rows(tables.alarms)),
        "by_horizon": _div(sequence.horizon_figure(tables.horizon_metrics)),
        "networks": [
            {
                "name": label(str(model)),
                "coverage": _div(sequence.coverage_figure(_of(tables.horizon_metrics, model))),
                "attention": _div(sequence.attention_figure(_of(tables.attention, model))),
                "gradients": _div(sequence.training_figure(_of(tables.epochs, model))),
                "landscape": _div(sequence.landscape_figure(_of(tables.health, model))),
            }
            for model in dict.fromkeys(tables.epochs["model"])
        ],
        "agent_scores": _table(agents.agent_rows(tables.agent_scores)),
        "agent_profile": _div(agents.profile_figure(tables.agent_profile)),
        "behaviour": _table(agents.behaviour_rows(tables.behaviour)),
        "responses": _table(agents.response_rows(tables.responses)),
        "failures": _table(agents.failure_rows(tables.failures)),
        "agents": [
            {
                "name": label(str(agent)),
                "actions": _div(agents.action_figure(part)),
                "training": _div(agents.training_figure(_with(tables.training_log, "strategy", agent))),
            }
            for agent, part in tables.action_map.groupby("strategy", sort=False)
        ],
        "plotly_js": get_plotlyjs(),
        "verdict": verdict,
        "headline": text.HEADLINE[verdict["verdict"]],
        "chosen": label(chosen),
        "breakers": text.what_would_break_it(verdict),
        "changers": text.what_would_change_it(verdict, tables.significance, text.bars_per_day(tables.settings)),
        "evidence": _div(honesty.evidence_figure(_judged(tables), tables.selection["expected_largest_sharpe"])),
        "scorecard": _table(text.scorecard_rows(tables.scorecard)),
        "facts": _facts(tables),
        "figures": {
            "intervals": _div(performance.interval_figure(tables.leaderboard, tables.holdout_leaderboard)),
            "equity": _div(performance.equity_figure(returns, chosen)),
            "drawdown": _div(performance.drawdown_figure(returns, chosen)),
            "costs": _div(performance.cost_figure(tables.cost_sensitivity, chosen)),
            "gaps": _div(style(tables.gaps_figure, height=160 + 34 * len(tables.data_quality))),
        },
        "models": [
            {
                "name": label(model),
                "confusion": _div(classification.confusion_matrix_figure(_of(tables.confusion, model))),
                "reliability": _div(classification.reliability_figure(_of(tables.reliability, model))),
                "importance": _div(classification.importance_figure(_of(tables.importance, model))),
            }
            for model in models
        ],
        "board": _table(text.board_rows(tables.leaderboard)),
        "holdout_board": _table(text.board_rows(tables.holdout_leaderboard)),
        "by_fold": _table(text.breakdown_rows(tables.breakdown, "fold", compared)),
        "by_symbol": _table(text.breakdown_rows(tables.breakdown, "symbol", compared)),
        "by_year": _table(text.breakdown_rows(tables.breakdown, "year", compared)),
        "coverage": _table(text.coverage_rows(tables.model_coverage)),
        "metrics": _table(text.metric_rows(tables.fold_metrics)),
        "quality": _table(score_rows(tables.data_quality)),
        "labels": _table(text.label_rows(tables.label_quality)),
        "stability": _table(text.stability_rows(tables.label_stability)),
        "features": _table(text.feature_rows(tables)),
        "n_features": len(tables.feature_dictionary),
        "folds": _table(text.fold_rows(tables.folds)),
        "settings": tables.settings,
    }


def _judged(tables: ReportTables) -> dict[str, Any]:
    """The judged model's row of the significance table."""
    return dict(tables.significance.set_index("strategy").loc[tables.verdict["strategy"]])


def _facts(tables: ReportTables) -> list[tuple[str, str, str]]:
    """The figures at the top: name, value, what it means."""
    verdict = tables.verdict
    facts = [
        (
            "Sharpe ratio, net",
            text.number(verdict["sharpe"]),
            f"90 % interval {text.interval(verdict['sharpe_low'], verdict['sharpe_high'])}",
        ),
        ("Probability of luck", text.percent(verdict["probability_of_luck"]), "without an edge, this good or better"),
        (
            "Deflated Sharpe",
            text.percent(verdict["deflated_sharpe"]),
            f"probability of an edge after {verdict['trials']} trials",
        ),
        (
            "Holdout Sharpe ratio",
            text.number(verdict["holdout_sharpe"]),
            f"90 % interval {text.interval(verdict['holdout_sharpe_low'], verdict['holdout_sharpe_high'])}",
        ),
    ]
    if verdict.get("oracle_share") is not None:
        facts.append(("Share of the oracle", text.percent(verdict["oracle_share"], 0), "of the planted edge's Sharpe"))
    else:
        multiple = verdict.get("break_even_cost_multiple")
        shown = f"{text.number(multiple, 1)} x" if multiple is not None else "beyond all tried"
        facts.append(("Break-even costs", shown, "multiple of the assumed costs"))
    return facts


def _of(table: Any, model: Any) -> Any:
    return _with(table, "model", model)


def _with(table: Any, column: str, value: Any) -> Any:
    return table[table[column] == value]


def _div(figure: Any) -> str:
    """The figure as a fragment; the library is in the page once."""
    fragment: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True}
    )
    return fragment


def _table(rows: Iterable[dict[str, str]]) -> dict[str, Any]:
    listed = list(rows)
    return {"head": list(listed[0]) if listed else [], "rows": [list(row.values()) for row in listed]}
