"""How much the hour of the week moves prices, learnt on a past."""

import numpy as np
from numpy.typing import NDArray

from tradewind.learning.features.bars import MONDAY_MS, WEEK_MS

Floats = NDArray[np.float64]
HOUR_MS = 3_600_000
ROUNDS = 8
CAP = 6.0  # a move counts at most as so many typical ones: a single jump makes no season


def slots_of(timestamp: NDArray[np.int64]) -> NDArray[np.int64]:
    """The hour of the week, from Monday, in which each bar lies; `timestamp` is its close in UTC milliseconds."""
    return (timestamp - 1 - MONDAY_MS) % WEEK_MS // HOUR_MS


def fit_season(timestamp: NDArray[np.int64], moves: Floats) -> Floats:
    """Mean absolute return of each hour of the week (168,), as an hour of the day times a day of the week.

    Neighbouring hours are averaged (1/4, 1/2, 1/4). An hour or day that has no bars has the mean of all.

    Args:
        timestamp: closes of the bars, UTC milliseconds.
        moves: log returns, NaN where there is none.
    """
    is_finite = ~np.isnan(moves)
    size, slot = np.abs(moves[is_finite]), slots_of(timestamp[is_finite])
    overall = float(size.mean())
    size = np.minimum(size, CAP * overall)
    overall = float(size.mean())
    hour, day = slot % 24, slot // 24
    by_hour, by_day = np.ones(24), np.ones(7)
    for _ in range(ROUNDS):
        by_hour = _ratios(size / by_day[day], hour, 24, overall)
        by_day = _ratios(size / by_hour[hour], day, 7, overall)
    if len(np.unique(hour)) == 24:
        by_hour = (np.roll(by_hour, 1) + 2 * by_hour + np.roll(by_hour, -1)) / 4
    return np.asarray(overall * np.outer(by_day, by_hour).ravel())


def _ratios(size: Floats, place: NDArray[np.int64], count: int, overall: float) -> Floats:
    totals, bars = np.bincount(place, size, minlength=count), np.bincount(place, minlength=count)
    ratio = np.where(bars > 0, totals / np.maximum(bars, 1) / overall, 1.0)
    return np.asarray(np.maximum(ratio, 0.05))
