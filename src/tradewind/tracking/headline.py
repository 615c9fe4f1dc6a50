"""The dozen numbers that stand on a run in MLflow; everything else is in its tables.

MLflow draws a section a group (`edge/`, `forecast/`, `trading/`), sorted by name, and lists metrics on a run's page
as they came: the verdict's come first in both.
"""

import math
from collections.abc import Mapping
from typing import Any

MOST_METRICS = 12
ALL_SHARES = "class shares"  # whose rows in the comparison of forecasts are all rows of the model compared

OF_THE_VERDICT = {
    "edge/probability": "probability_of_edge",
    "edge/probability_of_loss": "probability_of_loss",
    "edge/sharpe": "sharpe",
    "edge/sharpe_detectable": "detectable_sharpe",
    "edge/sharpe_high": "sharpe_high",
    "edge/sharpe_holdout": "holdout_sharpe",
    "edge/sharpe_low": "sharpe_low",
}
OF_THE_FORECASTS = {"forecast/log_loss": "loss"}
OF_THE_LEADERBOARD = {
    "trading/cost_per_year": "cost_per_year",
    "trading/max_drawdown": "max_drawdown",
    "trading/total_return": "total_return",
    "trading/turnover_per_year": "turnover_per_year",
}
SOURCES = ("verdict", "leaderboard", "forecast_comparison")


def headline(known: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the judged strategy, net of costs, over the walk-forward folds; none before there is a verdict.

    Args:
        known: the verdict, the leaderboard and the comparison of forecasts, by the names in `SOURCES`, as far as they
            are there yet.

    Returns:
        Values by metric, at most `MOST_METRICS`. What does not exist is left out: an agent has no log loss, a strategy
        that is named beforehand no probability of loss.
    """
    if "verdict" not in known:
        return {}
    verdict = known["verdict"]
    found = {metric: verdict.get(key) for metric, key in OF_THE_VERDICT.items()}
    if "leaderboard" in known:
        board = known["leaderboard"]
        found |= _of_one(board[board["strategy"] == verdict["strategy"]], OF_THE_LEADERBOARD)
    if "forecast_comparison" in known:
        pairs = known["forecast_comparison"]
        own = pairs[(pairs["model"] == verdict["strategy"]) & (pairs["against"] == ALL_SHARES)]
        found |= _of_one(own, OF_THE_FORECASTS)
    return {metric: float(value) for metric, value in found.items() if value is not None and math.isfinite(value)}


def _of_one(rows: Any, columns: Mapping[str, str]) -> dict[str, Any]:
    return {metric: rows[column].iloc[0] for metric, column in columns.items() if column in rows and len(rows)}
