"""Tier 5: the time of the close, UTC, as points on circles so that midnight is near 23:00."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tradewind.features.spec import Chunk, Feature, Floats, windowed

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday of the epoch


def _feature(name: str, formula: str, compute: Callable[[NDArray[np.int64]], Floats], unit: str) -> Feature:
    def read(bars: Chunk) -> Floats:
        return compute(bars.timestamp)

    return Feature(
        name=name, tier=5, family="calendar", formula=formula, lookback=0, unit=unit, source="definition",
        step=windowed(read, 0),
    )  # fmt: skip


def _share_of_day(timestamp: NDArray[np.int64]) -> Floats:
    return np.asarray(timestamp % DAY_MS / DAY_MS, dtype=np.float64)


def _share_of_week(timestamp: NDArray[np.int64]) -> Floats:
    return np.asarray((timestamp - MONDAY_MS) % (7 * DAY_MS) / (7 * DAY_MS), dtype=np.float64)


FEATURES = (
    _feature("hour_sin", "sin(2 pi * share of the day)", lambda t: np.sin(2 * np.pi * _share_of_day(t)), "-1 to 1"),
    _feature("hour_cos", "cos(2 pi * share of the day)", lambda t: np.cos(2 * np.pi * _share_of_day(t)), "-1 to 1"),
    _feature("week_sin", "sin(2 pi * share of the week)", lambda t: np.sin(2 * np.pi * _share_of_week(t)), "-1 to 1"),
    _feature("week_cos", "cos(2 pi * share of the week)", lambda t: np.cos(2 * np.pi * _share_of_week(t)), "-1 to 1"),
    _feature(
        "is_weekend", "1 on Saturday and Sunday", lambda t: np.where(_share_of_week(t) >= 5 / 7, 1.0, 0.0), "0 or 1"
    ),
)
