"""The scorecard's lines on ensembles and regimes: beside the best single model, and beside what came."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradewind.evaluation.roles import is_tested
from tradewind.evaluation.traded_market import Floats, Partitions, TradedMarket
from tradewind.learning.ensemble import ENSEMBLES, EQUAL_WEIGHT
from tradewind.learning.regimes.base import Bars
from tradewind.learning.regimes.baselines import PersistenceModel, regimes_ahead
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.metrics import scorecard
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.resampling import draw_totals
from tradewind.metrics.scorecard import Measured, ScorecardRules
from tradewind.trading.strategy import baselines

HOLDING = "buy_and_hold"


def ensemble_criteria(
    judged: str, board: pd.DataFrame, daily: Mapping[str, Floats], statistics: StatisticsRules, rules: ScorecardRules,
    seed: int,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Return and Sharpe ratio of the ensemble as shares of the best single model's, chosen afterwards.

    The ensemble is the judged strategy where that is one, else the equal-weight mean.

    The limit is what perfect knowledge has; by chance is what the judged strategy's positions at random times have.

    Args:
        judged: the strategy that the verdict is about.
        board: the leaderboard of the walk-forward folds.
        daily: net returns a day by strategy, on the same days.
        statistics: how intervals are made.
        rules: the targets.
        seed: of the resampling.

    Yields:
        Two lines; none where there is no ensemble or no single model.
    """
    singles = board[board["family"] == "model"].sort_values("sharpe", ascending=False)
    ensemble = judged if judged in ENSEMBLES else EQUAL_WEIGHT
    if ensemble not in daily or singles.empty:
        return
    best = str(singles["strategy"].iloc[0])
    for name, share in (("return", _growth_share), ("Sharpe ratio", _sharpe_share)):
        drawn = draw_totals(
            _moments(daily[ensemble], daily[best]), statistics.mean_block_days, statistics.n_resamples,
            np.random.default_rng(seed),
        )  # fmt: skip
        references = {
            other: float(share(_moments(daily[other], daily[best]).sum(axis=0)))
            for other in (HOLDING, baselines.RANDOM, baselines.ORACLE)
            if other in daily
        }
        nothing = float("nan")
        yield scorecard.row(
            f"ensemble's {name} over that of {best}, the best model", "ratio",
            rules.ensemble_return if name == "return" else rules.ensemble_sharpe,
            _measured(share(_moments(daily[ensemble], daily[best]).sum(axis=0)), share(drawn), statistics),
            (HOLDING, references.get(HOLDING, nothing)), references.get(baselines.RANDOM, nothing),
            limit=references.get(baselines.ORACLE, nothing),
        )  # fmt: skip


def _moments(one: Floats, other: Floats) -> Floats:
    """Log growth, return and its square of both, day by day, and ones."""
    columns = [part for daily in (one, other) for part in (np.log1p(np.maximum(daily, -0.999999)), daily, daily**2)]
    return np.column_stack([*columns, np.ones(len(one))])


def _growth_share(totals: Floats) -> Any:
    growth, best = totals[..., 0], totals[..., 3]
    return np.where(best > 0, np.expm1(growth) / np.where(best > 0, np.expm1(best), 1.0), np.nan)


def _sharpe_share(totals: Floats) -> Any:
    days = totals[..., 6]
    sharpes = []
    for first in (1, 4):
        mean, square = totals[..., first] / days, totals[..., first + 1] / days
        sharpes.append(mean / np.sqrt(np.maximum(square - mean**2, 1e-18)))
    return np.where(sharpes[1] > 0, sharpes[0] / np.where(sharpes[1] > 0, sharpes[1], 1.0), np.nan)


def _measured(value: Any, drawn: Floats, rules: StatisticsRules) -> Measured:
    """No interval where the best model may as well have lost: a share of that is no number."""
    tail = (1 - rules.confidence) / 2
    if np.isnan(drawn).mean() > tail:
        return Measured(float(value))
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Measured(float(value), float(low), float(high))


def regime_criterion(
    market: TradedMarket, regimes: Partitions, tested: pd.DataFrame, statistics: StatisticsRules, rules: ScorecardRules,
    seed: int,
) -> dict[str, Any] | None:  # fmt: skip
    """How often the likeliest of three regimes is the one that the next stretch turned out to be; a bar of which the
    model says that it does not know counts as missed.

    What a stretch turned out to be is observed, by thresholds of what lay before the first test window. The limit is
    not known where the states are not: docs/results.md has it for markets whose states are.

    Args:
        market: the histories of all symbols.
        regimes: by partition a function that loads its regimes.
        tested: the walk-forward folds.
        statistics: how intervals are made.
        rules: the target.
        seed: of the resampling.

    Returns:
        None where the regimes stage was never run, or too few bars lie before the folds.
    """
    right, announced, came, day = [], [], [], []
    for symbol, (bars, _) in market.histories.items():
        before = int((bars["timestamp"] < tested["test_start"].min()).sum())
        judge = RegimePlan(model="persistence").unfitted(seed)
        assert isinstance(judge, PersistenceModel)
        partition = market.universe.partition(symbol)
        if partition not in regimes or before < judge.rules.least_bars:
            return None
        history = Bars.of_table(bars)
        ahead = regimes_ahead(judge.fit(history.rows(0, before)), history)
        table = bars[["timestamp"]].merge(regimes[partition](), on="timestamp", how="left")
        columns = [f"p_{name}" for name in ("trending", "ranging", "volatile", "unknown")]
        likeliest = table[columns].fillna({"p_unknown": 1.0}).fillna(0.0).to_numpy().argmax(axis=1)
        inside = is_tested(bars, tested) & (ahead >= 0)
        right.append((likeliest == ahead)[inside])
        came.append(ahead[inside])
        announced.append(likeliest[inside])
        closes = bars["timestamp"][inside].dt.tz_localize(None).to_numpy("datetime64[D]")
        day.append(closes.astype(np.int64))
    hits, what, all_announced = np.concatenate(right), np.concatenate(came), np.concatenate(announced)
    if not len(hits):
        return None
    shares = np.bincount(what, minlength=4) / len(what)
    chance = float(shares @ (np.bincount(all_announced, minlength=4) / len(all_announced)))
    return scorecard.row(
        "regime of the next bars, accuracy", "share", rules.regime_accuracy,
        scorecard.share_by_day(hits, np.concatenate(day), statistics, seed),
        ("always the most frequent regime", float(shares.max())), chance,
    )  # fmt: skip


def with_regimes(
    criteria: pd.DataFrame, market: TradedMarket, regimes: Partitions, folds: pd.DataFrame,
    statistics: StatisticsRules, rules: ScorecardRules, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """The scorecard with the line on regimes, as `regime_criterion` has it; without where it has none.

    Args:
        criteria: the other lines.
        market: the histories of all symbols.
        regimes: by partition a function that loads its regimes.
        folds: the fold table.
        statistics: how intervals are made.
        rules: the target.
        seed: of the resampling.
    """
    tested = folds[folds["role"] == "walk_forward"]
    line = regime_criterion(market, regimes, tested, statistics, rules, seed)
    if line is None:
        return criteria
    return pd.concat([criteria, pd.DataFrame([line]).astype(criteria.dtypes.to_dict())], ignore_index=True)
