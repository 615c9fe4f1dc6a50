"""Rules that need no model: what a model must beat to have learned anything."""

from types import ModuleType

import numpy as np

from tradewind.learning.ensemble import ENSEMBLES, FAMILY
from tradewind.learning.features.bars import Chunk
from tradewind.trading.strategy import own
from tradewind.trading.strategy.names import MATCHED as MATCHED
from tradewind.trading.strategy.names import ORACLE as ORACLE
from tradewind.trading.strategy.names import RANDOM as RANDOM
from tradewind.trading.strategy.spec import Features, Floats, Strategy, sign_of_change, strategy

MOMENTUM_DAYS, REVERSION_DAYS = 7.0, 1.0


def _bars(days: float, bars_per_day: float, least: int = 1) -> int:
    return max(round(days * bars_per_day), least)


@strategy(is_sized=False, family="baseline")
def buy_and_hold(bars: Chunk, features: Features, bars_per_day: float) -> Floats:
    """Always long."""
    return np.ones(len(bars))


@strategy(lookback=lambda bars_per_day: _bars(MOMENTUM_DAYS, bars_per_day), family="baseline")
def time_series_momentum(bars: Chunk, features: Features, bars_per_day: float) -> Floats:
    """The sign of the last week's return (Moskowitz, Ooi and Pedersen 2012)."""
    return sign_of_change(bars, _bars(MOMENTUM_DAYS, bars_per_day))


@strategy(lookback=lambda bars_per_day: _bars(REVERSION_DAYS, bars_per_day, 2), family="baseline")
def mean_reversion(bars: Chunk, features: Features, bars_per_day: float) -> Floats:
    """Against the last day's return (Lehmann 1990), or that of two bars: against one is `last_bar_reversal`."""
    return -sign_of_change(bars, _bars(REVERSION_DAYS, bars_per_day, 2))


@strategy(lookback=1, family="baseline")
def last_bar_reversal(bars: Chunk, features: Features, bars_per_day: float) -> Floats:
    """Against the last bar: right more often than not on most markets, and eaten by costs."""
    return -sign_of_change(bars, 1)


def strategies_of(room: ModuleType) -> dict[str, Strategy]:
    """The decorated functions of a file by name, in the order they are written."""
    return {value.name: value for value in vars(room).values() if isinstance(value, Strategy)}


# Every strategy without a model; those of `own` are found by themselves.
DIRECTIONS: dict[str, Strategy] = {
    one.name: one for one in (buy_and_hold, time_series_momentum, mean_reversion, last_bar_reversal)
} | strategies_of(own)


def family(name: str) -> str:
    """model, ensemble (of the run's models), strategy (a rule of one's own), baseline or oracle."""
    if name == ORACLE:
        return "oracle"
    if name in ENSEMBLES:
        return FAMILY
    if name in DIRECTIONS:
        return DIRECTIONS[name].family
    return "baseline" if name in (RANDOM, MATCHED) else "model"


def at_random_times(target: Floats, rng: np.random.Generator) -> Floats:
    """The same positions, turned around the clock of the history by a random amount: equal turnover, exposure and
    holding times, at times that mean nothing."""
    if len(target) < 10:
        return target.copy()
    return np.roll(target, int(rng.integers(len(target) // 10, len(target) - len(target) // 10)))
