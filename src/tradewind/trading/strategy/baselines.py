"""Rules that need no model: what a model must beat to have learned anything."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Segments = NDArray[np.int32]
MOMENTUM_DAYS, REVERSION_DAYS = 7.0, 1.0


def buy_and_hold(close: Floats, segment: Segments, bars_per_day: float) -> Floats:
    """Always long."""
    return np.ones(len(close))


def time_series_momentum(close: Floats, segment: Segments, bars_per_day: float) -> Floats:
    """The sign of the last week's return (Moskowitz, Ooi and Pedersen 2012)."""
    return _sign_of_change(close, segment, max(round(MOMENTUM_DAYS * bars_per_day), 1))


def mean_reversion(close: Floats, segment: Segments, bars_per_day: float) -> Floats:
    """Against the last day's return (Lehmann 1990)."""
    return -_sign_of_change(close, segment, max(round(REVERSION_DAYS * bars_per_day), 1))


def last_bar_reversal(close: Floats, segment: Segments, bars_per_day: float) -> Floats:
    """Against the last bar: right more often than not on most markets, and eaten by costs."""
    return -_sign_of_change(close, segment, 1)


DIRECTIONS: dict[str, Callable[[Floats, Segments, float], Floats]] = {
    "buy_and_hold": buy_and_hold,
    "time_series_momentum": time_series_momentum,
    "mean_reversion": mean_reversion,
    "last_bar_reversal": last_bar_reversal,
}
RANDOM = "random_same_turnover"
MATCHED = "holding_same_exposure"
ORACLE = "oracle"


def family(strategy: str) -> str:
    """model, baseline or oracle."""
    if strategy == ORACLE:
        return "oracle"
    return "baseline" if strategy in DIRECTIONS or strategy in (RANDOM, MATCHED) else "model"


def at_random_times(target: Floats, rng: np.random.Generator) -> Floats:
    """The same positions, turned around the clock of the history by a random amount: equal turnover, exposure and
    holding times, at times that mean nothing."""
    if len(target) < 10:
        return target.copy()
    return np.roll(target, int(rng.integers(len(target) // 10, len(target) - len(target) // 10)))


def _sign_of_change(close: Floats, segment: Segments, lag: int) -> Floats:
    out = np.zeros(len(close))
    if lag < len(close):
        is_whole = segment[lag:] == segment[:-lag]
        out[lag:] = np.where(is_whole, np.sign(close[lag:] - close[:-lag]), 0.0)
    return out
