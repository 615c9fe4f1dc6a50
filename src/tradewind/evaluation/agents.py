"""Agents seed by seed: what their trainings come to, fold by fold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tradewind.evaluation.accounts import portfolio_returns
from tradewind.evaluation.roles import walk_forward_only
from tradewind.evaluation.traded_market import TradedMarket
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import MEASURES, measure
from tradewind.metrics.seeds import interquartile_mean, performance_profile, stratified_interval

HOLDING = "buy_and_hold"
POINTS = 60  # of a performance profile
SCORES = {
    "strategy": "str", "seeds": "int64", "folds": "int64", "iqm": "float64", "iqm_low": "float64",
    "iqm_high": "float64", "lowest": "float64", "highest": "float64", "above_zero": "float64",
    "above_holding": "float64",
}  # fmt: skip
PROFILE = {"strategy": "str", "threshold": "float64", "share": "float64"}


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
        seed_positions: one table an agent, its strategies named `AGENT seed SEED`.
        statistics: how intervals are made.
        seed: of the resampling.

    Returns:
        Per agent the interquartile mean of the Sharpe ratios of all seeds and folds with its interval, the lowest and
        highest, and the shares above zero and above buying and holding in the same fold; and the performance profile
        (agent, threshold, share): how many of them lie above each Sharpe ratio.
    """
    holding = _by_fold(returns[(returns["strategy"] == HOLDING) & (returns["role"] == "walk_forward")])
    rows, profiles = [], []
    for table in seed_positions:
        named = {str(name): part for name, part in table.groupby("strategy", sort=False)}
        lazily = {name: lambda part=part: walk_forward_only(part, folds) for name, part in named.items()}
        account = portfolio_returns(lazily, market, folds)
        scores = pd.DataFrame({name: _by_fold(part) for name, part in account.groupby("strategy", sort=False)}).T
        values = scores.to_numpy(dtype=np.float64)
        rng = np.random.default_rng(seed)
        # One seed resampled is itself: it has no interval.
        low = high = float("nan")
        if len(values) > 1:
            low, high = stratified_interval(values, statistics.n_resamples, statistics.confidence, rng)
        strategy = next(iter(named)).partition(" seed ")[0]
        rows.append(
            {
                "strategy": strategy, "seeds": values.shape[0], "folds": values.shape[1],
                "iqm": interquartile_mean(values), "iqm_low": low, "iqm_high": high, "lowest": float(values.min()),
                "highest": float(values.max()), "above_zero": float((values > 0).mean()),
                "above_holding": float((values > holding.reindex(scores.columns).to_numpy()[None]).mean()),
            }
        )  # fmt: skip
        thresholds = np.linspace(min(values.min(), 0.0) - 0.5, max(values.max(), 0.0) + 0.5, POINTS)
        share = performance_profile(values, thresholds)
        profiles.append(pd.DataFrame({"strategy": strategy, "threshold": thresholds, "share": share}))
    return _table(rows, SCORES), _table(pd.concat(profiles).to_dict("list") if profiles else [], PROFILE)


def _table(rows: Any, columns: Mapping[str, str]) -> pd.DataFrame:
    """The rows with their types; none in a run without agents."""
    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))


def _by_fold(account: pd.DataFrame) -> pd.Series:
    """The Sharpe ratio of each fold; 0 where nothing was held."""
    place = MEASURES.index("sharpe")
    found = {
        fold: measure(daily_returns(part["timestamp"], part["net"].to_numpy()))[place]
        for fold, part in account.groupby("fold")
    }
    return pd.Series(found, dtype="float64").fillna(0.0)
