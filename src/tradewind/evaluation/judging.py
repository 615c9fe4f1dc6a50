"""Portfolio returns to leaderboards, and to the verdict."""

from typing import Any

import pandas as pd

from tradewind.market.calendars import AROUND_THE_CLOCK, Calendar
from tradewind.metrics.ranking import StatisticsRules, leaderboard
from tradewind.metrics.verdict import Selection, VerdictRules, judge
from tradewind.trading.strategy import baselines


def rank_strategies(
    portfolio_returns: pd.DataFrame, statistics: StatisticsRules, seed: int, calendar: Calendar = AROUND_THE_CLOCK
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The leaderboard over the walk-forward folds, and the same over the holdout.

    Args:
        portfolio_returns: net returns of all strategies, with the role of their fold.
        statistics: of the resampling behind the intervals.
        seed: of the resampling.
        calendar: of the market.
    """
    families = {name: baselines.family(name) for name in portfolio_returns["strategy"].unique()}
    walk_forward = portfolio_returns[portfolio_returns["role"] == "walk_forward"]
    holdout = portfolio_returns[portfolio_returns["role"] == "holdout"]
    return (
        leaderboard(walk_forward, families, statistics, seed, calendar),
        leaderboard(holdout, families, statistics, seed, calendar),
    )


def judge_strategies(
    board: pd.DataFrame,
    holdout_board: pd.DataFrame,
    cost_sensitivity: pd.DataFrame,
    significance: pd.DataFrame,
    selection: dict[str, Any],
    rules: VerdictRules,
) -> dict[str, Any]:
    """The verdict on the named strategy, or on the best model.

    Args:
        board: the leaderboard of the walk-forward folds.
        holdout_board: that of the holdout.
        cost_sensitivity: the strategies at other costs.
        significance: by strategy what its result is worth.
        selection: what choosing did.
        rules: the limits.
    """
    overfitting = selection["overfitting"]
    chosen = Selection(
        significance, selection["trials"], selection["effective_trials"], overfitting["loss"] if overfitting else None,
        selection["days_per_year"],
    )  # fmt: skip
    return judge(board, holdout_board, cost_sensitivity, chosen, rules)
