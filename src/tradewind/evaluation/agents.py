"""Agents seed by seed: what their trainings come to, fold by fold."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from tradewind.evaluation.accounts import portfolio_returns
from tradewind.evaluation.positions import by_strategy
from tradewind.evaluation.roles import walk_forward_only
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import MEASURES, measure
from tradewind.metrics.seeds import interquartile_mean, performance_profile, stratified_interval

HOLDING = "buy_and_hold"
POINTS = 60  # of a performance profile
SCORES = [
    "strategy", "seeds", "folds", "iqm", "iqm_low", "iqm_high", "lowest", "highest", "above_zero", "above_holding",
]  # fmt: skip


def score_agents(
    market: TradedMarket,
    folds: pd.DataFrame,
    returns: pd.DataFrame,
    seed_positions: Sequence[pd.DataFrame],
    statistics: StatisticsRules,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the trainings of each agent come to, over the walk-forward folds; each is an account, with all costs.

    Args:
        market: what is traded.
        folds: the fold table.
        returns: the portfolio returns, of which buying and holding is compared with.
        seed_positions: strategy, seed, symbol, timestamp, target, of one or more agents each.
        statistics: how intervals are made.
        seed: of the resampling.

    Returns:
        Per agent the interquartile mean of the Sharpe ratios of all seeds and folds with its interval, the lowest and
        highest, and the shares above zero and above buying and holding in the same fold; and the performance profile
        (strategy, threshold, share): how many of them lie above each Sharpe ratio. No rows in a run without agents.
    """
    holding = _by_fold(returns[(returns["strategy"] == HOLDING) & (returns["role"] == "walk_forward")])
    rows, profiles = [], []
    for strategy, positions in by_strategy(seed_positions).items():
        scores = _seed_scores(positions, market, folds)
        values = scores.to_numpy(dtype=np.float64)
        rng = np.random.default_rng(seed)
        # One seed resampled is itself: it has no interval.
        low = high = float("nan")
        if len(values) > 1:
            low, high = stratified_interval(values, statistics.n_resamples, statistics.confidence, rng)
        above_holding = float((values > holding.reindex(scores.columns).to_numpy()[None]).mean())
        rows.append(
            (strategy, *values.shape, interquartile_mean(values), low, high, float(values.min()), float(values.max()),
             float((values > 0).mean()), above_holding)
        )  # fmt: skip
        thresholds = np.linspace(min(values.min(), 0.0) - 0.5, max(values.max(), 0.0) + 0.5, POINTS)
        share = performance_profile(values, thresholds)
        profiles.append(pd.DataFrame({"strategy": strategy, "threshold": thresholds, "share": share}))
    nothing = pd.DataFrame(columns=["strategy", "threshold", "share"]).astype({"threshold": "float64"})
    profile = pd.concat(profiles or [nothing], ignore_index=True).astype({"strategy": "str", "share": "float64"})
    kinds = {"strategy": "str", "seeds": "int64", "folds": "int64"}
    return pd.DataFrame(rows, columns=SCORES).astype(dict.fromkeys(SCORES, "float64") | kinds), profile


def _seed_scores(positions: pd.DataFrame, market: TradedMarket, folds: pd.DataFrame) -> pd.DataFrame:
    """The Sharpe ratio of each seed (rows) in each fold (columns)."""
    by_seed = {str(seed): walk_forward_only(part, folds) for seed, part in positions.groupby("seed", sort=False)}
    account = portfolio_returns({seed: partial(_itself, part) for seed, part in by_seed.items()}, market, folds)
    return pd.DataFrame({seed: _by_fold(part) for seed, part in account.groupby("strategy", sort=False)}).T


def _itself(table: pd.DataFrame) -> pd.DataFrame:
    return table


def _by_fold(account: pd.DataFrame) -> pd.Series:
    """The Sharpe ratio of each fold; 0 where nothing was held."""
    place = MEASURES.index("sharpe")
    by_name = {
        fold: measure(daily_returns(part["timestamp"], part["net"].to_numpy()))[place]
        for fold, part in account.groupby("fold")
    }
    return pd.Series(by_name, dtype="float64").fillna(0.0)
