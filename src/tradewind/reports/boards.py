"""Strategies and models side by side, a row each, as text."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tradewind.metrics import risk
from tradewind.reports.performance import label
from tradewind.reports.text import interval, number, percent, probability

# How a measure of each unit is written (`metrics.risk.Measure.unit`).
WRITTEN = {"share": percent, "ratio": number}
FIRST = ("annual_return", "max_drawdown")  # beside the Sharpe ratio; the others stand in a table of their own
ROLES = {"walk_forward": "walk-forward", "holdout": "holdout"}
METRIC = {
    "accuracy": "accuracy",
    "log_loss": "log loss (low)",
    "brier": "Brier (low)",
    "macro_f1": "macro F1",
    "ece": "calibration error (low)",
}
SIGNIFICANT = 0.1  # p-value below which one forecast is called better than another
BETTER, WORSE = "▲", "▼"


def board_rows(board: pd.DataFrame) -> Iterator[dict[str, str]]:
    """What a leaderboard says first, one dictionary a strategy."""
    measures = {one.name: one for one in risk.DESCRIBED}
    for row in board.to_dict("records"):
        yield {
            "strategy": label(row["strategy"]),
            "kind": row["family"],
            "Sharpe": number(row["sharpe"]),
            "90 % interval": interval(row["sharpe_low"], row["sharpe_high"]),
            "P(Sharpe > 0)": probability(row["probabilistic_sharpe"] if row["exposure"] else None),
            **{measures[name].title: WRITTEN[measures[name].unit](row[name]) for name in FIRST},
            "turnover a year": number(row["turnover_per_year"], 0),
            "costs a year": percent(row["cost_per_year"]),
            "exposure": percent(row["exposure"], 0),
            "trades": number(row["trades"], 0),
        }


def more_board_rows(board: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The other measures of a leaderboard."""
    others = [one for one in risk.DESCRIBED if one.name not in (*FIRST, "sharpe")]
    for row in board.to_dict("records"):
        yield {"strategy": label(row["strategy"])} | {one.title: WRITTEN[one.unit](row[one.name]) for one in others}


def metric_rows(metrics: pd.DataFrame, role: str) -> Iterator[dict[str, str]]:
    """The classification metrics over all folds of a role, a row a model; last the two rules without a model."""
    totals = metrics[(metrics["fold"] == -1) & (metrics["role"] == role)]
    for model, part in totals.groupby("model", sort=False):
        by_metric = part.set_index("metric")["value"]
        yield {"model": label(str(model))} | _metrics(by_metric)
    if len(totals):
        # Every model is judged on the same rows: the rules' scores are the same in each of them.
        first = totals[totals["model"] == totals["model"].iloc[0]].set_index("metric")
        yield {"model": "class shares (no model)"} | _metrics(first["majority_baseline"])
        yield {"model": "last sign (no model)"} | _metrics(first["previous_sign_baseline"])


def _metrics(values: pd.Series) -> dict[str, str]:
    return {title: number(values.get(name), 3) for name, title in METRIC.items()}


def breakdown_rows(breakdown: pd.DataFrame, by: str, strategies: list[str]) -> Iterator[dict[str, str]]:
    """Sharpe ratio and total return by fold, symbol or year, for the strategies asked for; the holdout comes last.

    Args:
        breakdown: Sharpe ratio and return by part.
        by: the kind of part: fold, symbol, year or regime.
        strategies: those asked for, in this order.
    """
    part = breakdown[(breakdown["by"] == by) & breakdown["strategy"].isin(strategies)]
    for role, name in ROLES.items():
        for group, rows in part[part["role"] == role].groupby("group", sort=False):
            by_strategy = rows.set_index("strategy")
            row = {by: str(group), "part": name}
            for strategy in strategies:
                is_ranked = strategy in by_strategy.index
                result = by_strategy.loc[strategy] if is_ranked else {"sharpe": None, "total_return": None}
                row[f"{label(strategy)}: Sharpe"] = number(result["sharpe"])
                row[f"{label(strategy)}: return"] = percent(result["total_return"])
            yield row


def comparison_rows(comparison: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Diebold-Mariano tests as a matrix: is the row's forecast better (+) than the column's, and how surely."""
    tests: dict[tuple[str, str], tuple[float, float]] = {}
    losses: dict[str, float] = {}
    for row in comparison.to_dict("records"):
        tests[row["model"], row["against"]] = (-row["statistic"], row["p_value"])
        tests.setdefault((row["against"], row["model"]), (row["statistic"], row["p_value"]))
        losses[row["model"]] = row["loss"]
        losses.setdefault(row["against"], row["other_loss"])
    order = sorted(losses, key=lambda name: losses[name])
    for name in order:
        yield {"log loss of": label(name), "loss": number(losses[name], 4)} | {
            f"{label(other)}": _compared(tests.get((name, other))) for other in order
        }


def _compared(test: tuple[float, float] | None) -> str:
    if test is None:
        return ""
    statistic, p_value = test
    if p_value >= SIGNIFICANT:
        return f"{statistic:+.1f}"
    return f"{statistic:+.1f} {BETTER if statistic > 0 else WORSE}"


def cost_rows(cost_sensitivity: pd.DataFrame) -> Iterator[dict[str, str]]:
    """The Sharpe ratio of each strategy at multiples of the assumed costs."""
    for strategy, part in cost_sensitivity.groupby("strategy", sort=False):
        ordered: list[dict[str, Any]] = part.sort_values("cost_multiple").to_dict("records")
        yield {"strategy": label(str(strategy))} | {
            f"{row['cost_multiple']:g} x": number(row["sharpe"]) for row in ordered
        }
