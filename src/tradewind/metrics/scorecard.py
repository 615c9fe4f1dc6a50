"""The criteria that research plans set, each with its interval, and what meets them without skill."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.resampling import draw_totals
from tradewind.metrics.studentised import mean_interval
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
State = Literal["met", "not met", "not shown"]
Share = Annotated[float, Field(gt=0, lt=1)]


class ScorecardRules(Parameters):
    """What is usually asked (`params:evaluation.scorecard`). Nothing is tuned for it, and the verdict does not use it.

    `wealth_over_holding` 1.2 asks for a final wealth that beats buying and holding by 20 %; `inference_ms` and
    `training_hours` are measured by `kedro scorecard`, since times differ from run to run.
    """

    accuracy: Share = 0.55
    directional_accuracy: Share = 0.52
    sharpe: float = 1.0
    win_rate: Share = 0.55
    max_drawdown: Share = 0.15
    wealth_over_holding: Annotated[float, Field(gt=0)] = 1.2
    seeds: Annotated[int, Field(ge=2)] = 5
    seed_deviation: Annotated[float, Field(gt=0)] = 0.5
    inference_ms: Annotated[float, Field(gt=0)] = 10.0
    training_hours: Annotated[float, Field(gt=0)] = 2.0
    regime_accuracy: Share = 0.65
    ensemble_return: Annotated[float, Field(gt=0)] = 0.9
    ensemble_sharpe: Annotated[float, Field(gt=0)] = 0.9


@dataclass(frozen=True)
class Measured:
    """A value with its 90 % interval; NaN bounds where none can be given."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def row(
    criterion: str, unit: str, target: float, measured: Measured, trivial: tuple[str, float], by_chance: float,
    at_most: bool = False, limit: float = float("nan"),
) -> dict[str, Any]:  # fmt: skip
    """One criterion. `trivial` is a rule without skill and what it scores; `by_chance` the same positions at random
    times, or what luck alone is expected to show.

    Args:
        criterion: its name.
        unit: of the target and the measured value.
        target: what is asked.
        measured: the measured value with its interval.
        trivial: a rule without skill, and its value.
        by_chance: the value of the same positions at random times, or what luck alone is expected to show.
        at_most: whether the target is an upper limit.
        limit: what perfect knowledge has, where that is known.
    """
    return {
        "criterion": criterion, "unit": unit, "target": target, "at_most": at_most, "value": measured.value,
        "low": measured.low, "high": measured.high, "state": state(measured, target, at_most),
        "trivial_rule": trivial[0],
        "trivial_value": trivial[1], "by_chance": by_chance,
        "limit": limit,
    }  # fmt: skip


def state(measured: Measured, target: float, at_most: bool = False) -> State:
    """Met or not met where the whole interval lies on one side of the target; not shown where it holds it, or where
    there is no interval.

    Args:
        measured: the measured value with its interval.
        target: what is asked.
        at_most: whether the target is an upper limit.
    """
    low, high = (-measured.high, -measured.low) if at_most else (measured.low, measured.high)
    target = -target if at_most else target
    if math.isnan(low) or math.isnan(high):
        return "not shown"
    return "met" if low >= target else "not met" if high < target else "not shown"


def share_by_day(hits: NDArray[np.bool_], day: NDArray[np.int64], rules: StatisticsRules, seed: int) -> Measured:
    """A share of rows, with an interval from resampled days: rows of one day, and of days beside it, stand together.

    Args:
        hits: shape (rows,).
        day: shape (rows,), the number of the row's day.
        rules: of the resampling.
        seed: of the resampling.
    """
    if not len(hits):
        return Measured(float("nan"))
    _, place = np.unique(day, return_inverse=True)
    totals = np.column_stack([np.bincount(place, weights=hits), np.bincount(place)]).astype(np.float64)
    resampled = _totals(totals, rules, seed)
    low, high = _bounds(resampled[:, 0] / resampled[:, 1], rules)
    return Measured(float(hits.mean()), low, high)


def wealth_ratio(daily: Floats, other: Floats, rules: StatisticsRules, seed: int) -> Measured:
    """Final wealth over that of `other` on the same days, with the studentised interval of the mean difference of
    daily log growth.

    Args:
        daily: shape (days,), net returns.
        other: shape (days,), net returns of the other strategy on the same days.
        rules: of the resampling.
        seed: of the resampling.
    """
    growth = np.log1p(np.maximum(daily, -0.999999)) - np.log1p(np.maximum(other, -0.999999))
    rng = np.random.default_rng(seed)
    low, high = mean_interval(growth, rng, rules.confidence, rules.n_resamples, rules.block_days)
    final, lowest, highest = np.exp([growth.sum(), low * len(growth), high * len(growth)]).tolist()
    return Measured(final, lowest, highest)


def spread_over_seeds(sharpe: Floats, wanted: int) -> Measured:
    """Deviation of the Sharpe ratio over seeds, with its chi-square interval; none for fewer seeds than wanted."""
    from scipy.stats import chi2

    n = len(sharpe)
    if n < 2:
        return Measured(float("nan"))
    deviation = float(sharpe.std(ddof=1))
    if n < wanted:
        return Measured(deviation)
    low, high = (deviation * math.sqrt((n - 1) / chi2.ppf(p, n - 1)) for p in (0.95, 0.05))
    return Measured(deviation, low, high)


def _totals(values: Floats, rules: StatisticsRules, seed: int) -> Floats:
    return draw_totals(values, rules.mean_block_days, rules.n_resamples, np.random.default_rng(seed))


def _bounds(values: Floats, rules: StatisticsRules) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - rules.confidence) / 2, (1 + rules.confidence) / 2])
    return float(low), float(high)


def of_board(board: pd.DataFrame, strategy: str, measure: str) -> Measured:
    """A measure of the leaderboard with its interval.

    Args:
        board: a leaderboard.
        strategy: its row.
        measure: its column.
    """
    measures: Mapping[str, Any] = board.set_index("strategy").loc[strategy].to_dict()
    return Measured(float(measures[measure]), float(measures[f"{measure}_low"]), float(measures[f"{measure}_high"]))
