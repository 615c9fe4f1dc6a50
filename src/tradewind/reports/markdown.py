"""The report as Markdown: the page's words and tables, for terminals, reviews and diffs."""

import json
from collections.abc import Iterable

from tradewind.reports import agents, anatomy, boards, masthead, sequence_rows, text
from tradewind.reports.performance import label
from tradewind.reports.quality_page import score_rows
from tradewind.reports.tables import ReportTables


def render_markdown(tables: ReportTables) -> str:
    """The twin of the page, without its charts."""
    verdict, chosen = tables.verdict, tables.verdict["strategy"]
    present = set(tables.leaderboard["strategy"])
    compared = [name for name in dict.fromkeys([chosen, "buy_and_hold", "oracle"]) if name in present]
    marks = {True: "yes", False: "no"}
    reasons = [f"- {marks[met]}: {reason}" for met, reason in zip(verdict["passed"], verdict["reasons"], strict=True)]
    parts = [
        f"# {verdict['verdict'].upper()}: {text.HEADLINE[verdict['verdict']]}",
        f"{'**SIMULATED MARKET.** ' if masthead.is_simulated(tables) else ''}{masthead.title(tables)}\n\n"
        + "\n".join(f"- {name}: {value}" for name, value in masthead.facts(tables)),
        f"Judged: **{label(chosen)}**, {text.how_chosen(verdict)}",
        f"- Sharpe ratio net of costs: **{text.number(verdict['sharpe'])}**, 90 % interval "
        f"{text.interval(verdict['sharpe_low'], verdict['sharpe_high'])}\n"
        f"- probability of an edge, folds and holdout: **{text.percent(verdict['probability_of_edge'])}**\n"
        f"- holdout Sharpe ratio: **{text.number(verdict['holdout_sharpe'])}**, 90 % interval "
        f"{text.interval(verdict['holdout_sharpe_low'], verdict['holdout_sharpe_high'])}"
        + (
            f"\n- share of the oracle's Sharpe ratio: **{text.percent(verdict['oracle_share'], 0)}**"
            if verdict.get("oracle_share") is not None
            else ""
        ),
        "## Why\n\n" + "\n".join(reasons),
        "## What would break it\n\n" + "\n".join(f"- {line}" for line in text.what_would_break_it(verdict)),
        "## What would change the verdict\n\n"
        + "\n".join(
            f"- {line}"
            for line in [
                *text.what_would_change_it(verdict, tables.significance, text.bars_per_day(tables.settings)),
                "Looks at the holdout of this market with different results, this one included: "
                f"{tables.selection['holdout_looks']}.",
            ]
        ),
        "## Scorecard\n\nThe verdict does not use it; the last columns say what it takes without skill.\n\n"
        + table(text.scorecard_rows(tables.scorecard)),
        "## Leaderboard, walk-forward folds\n\n" + table(boards.board_rows(tables.leaderboard)),
        "## Other measures, walk-forward folds\n\n" + table(boards.more_board_rows(tables.leaderboard)),
        "## Leaderboard, holdout\n\n" + table(boards.board_rows(tables.holdout_leaderboard)),
        *(
            f"## By {by}\n\n" + table(boards.breakdown_rows(tables.breakdown, by, compared))
            for by in ("fold", "symbol", "year")
        ),
        "## Cost sensitivity\n\nSharpe ratio at multiples of the assumed costs.\n\n"
        + table(boards.cost_rows(tables.cost_sensitivity)),
        "## Costs a side\n\n" + table(text.side_cost_rows(tables.robustness, list(tables.leaderboard["strategy"]))),
        "## Trades\n\n" + table(text.trade_rows(anatomy.trade_rows(tables.trades[chosen]))),
        "## Luck, selection and overfitting\n\n"
        + _selection_sentence(tables)
        + "\n\n"
        + table(text.significance_rows(tables.significance)),
        "## The best model against benchmarks\n\n" + table(text.superiority_rows(tables.selection)),
        "## Forecasts compared\n\n" + table(boards.comparison_rows(tables.forecast_comparison)),
        "## Without one year or symbol\n\n" + table(text.left_out_rows(tables.robustness, chosen)),
        "## From other seeds\n\n" + table(text.seed_rows(tables.seed_spread)),
        "## The linear model along combinatorial paths\n\n" + table(text.path_rows(tables.combinatorial_paths)),
        "## Worse worlds\n\n" + table(text.world_rows(tables.robustness, chosen)),
        "## Days on which markets broke\n\n" + table(text.stress_rows(tables.robustness, chosen)),
        "## Models of the run\n\n" + table(text.coverage_rows(tables.model_coverage)),
        "## Classification quality, walk-forward folds\n\n"
        + table(boards.metric_rows(tables.fold_metrics, "walk_forward")),
        "## Classification quality, holdout\n\n" + table(boards.metric_rows(tables.fold_metrics, "holdout")),
        *(_networks(tables) if len(tables.epochs) else []),
        *(_agents(tables) if len(tables.behaviour) else []),
        "## Features that matter most\n\n" + table(text.feature_rows(tables)),
        "## Labels\n\n" + table(text.label_rows(tables.label_quality)),
        "## Labels by fold\n\n" + table(text.stability_rows(tables.label_stability)),
        "## Data quality\n\n" + table(score_rows(tables.data_quality)),
        "## Folds\n\n" + table(text.fold_rows(tables.folds)),
        "## Settings\n\n```json\n" + json.dumps(tables.settings, indent=1) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _networks(tables: ReportTables) -> list[str]:
    """Models over windows of bars."""
    return [
        "## Distributions by horizon\n\n" + table(sequence_rows.horizon_rows(tables.horizon_metrics)),
        "## One horizon traded alone\n\n" + table(sequence_rows.horizon_trading_rows(tables.horizon_trading)),
        "## Training of the networks\n\n" + table(sequence_rows.training_rows(tables.epochs, tables.health)),
        "## Alarms of the networks\n\n" + table(sequence_rows.alarm_rows(tables.alarms)),
    ]


def _agents(tables: ReportTables) -> list[str]:
    """Agents that act in the account."""
    return [
        "## Agents, seed by seed\n\n" + table(agents.agent_rows(tables.agent_scores)),
        "## What the agents did\n\n" + table(agents.behaviour_rows(tables.behaviour)),
        "## How agents answer\n\n" + table(agents.response_rows(tables.responses)),
        "## How agents failed\n\n" + table(agents.failure_rows(tables.failures)),
    ]


def table(rows: Iterable[dict[str, str]]) -> str:
    """A Markdown table; a sentence where there is nothing in it."""
    listed = list(rows)
    if not listed:
        return "There is nothing to show: the table is empty."
    head = list(listed[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_escape(value) for value in row.values()) + " |" for row in listed]
    return "\n".join(lines)


def _escape(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


def _selection_sentence(tables: ReportTables) -> str:
    found = tables.selection["overfitting"]
    overfitting = (
        f"The best model of one half of the history loses money in the other in {text.percent(found['loss'])} of the "
        f"halvings, and falls below the middle of the models in {text.percent(found['probability'])}."
        if found
        else "There are too few models or days to halve the history."
    )
    return (
        f"{tables.selection['trials']} trials on this market, worth "
        f"{text.number(tables.selection['effective_trials'], 1)} independent ones; the best of so many without an edge "
        f"would show a Sharpe ratio of {text.number(tables.selection['expected_largest_sharpe'])}. {overfitting}"
    )
