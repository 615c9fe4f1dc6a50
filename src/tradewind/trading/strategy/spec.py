"""What a strategy without a model is, and the decorator that makes one of a function.

A strategy is a causal fold over the bars of one symbol, like a feature: `advance(state, bars, features)` gives the new
state and a direction a bar. Batch is one chunk from the begin state, live is chunks of one bar.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadParameters
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.packing import Arrays, chunk_arrays, chunk_from

Floats = NDArray[np.float64]
Segments = NDArray[np.int32]
# (bars, features by name, bars a day) to -1, 0 or 1 a bar.
Features = Mapping[str, Floats]
Rule = Callable[[Chunk, Features, float], Floats]


@dataclass(frozen=True)
class Strategy:
    """One named rule.

    Attributes:
        name: as it stands on the leaderboard.
        meaning: one line in words.
        rule: (bars, features by name, bars a day) to the direction on each bar; it may look `lookback` bars back.
        lookback: bars before the current one that it reads, given bars a day.
        features: names of the features that it reads.
        is_sized: whether volatility sets its size; else a direction of 1 is the whole account.
        family: baseline or strategy.
    """

    name: str
    meaning: str
    rule: Rule
    lookback: Callable[[float], int]
    features: tuple[str, ...] = ()
    is_sized: bool = True
    family: str = "strategy"

    def __call__(
        self, close: Floats, segment: Segments, bars_per_day: float, features: Mapping[str, Floats] | None = None
    ) -> Floats:
        """The direction on each bar of a history that is known by its closes alone (and features, if it reads any)."""
        return self.direction(closes_only(close, segment), bars_per_day, features)

    def direction(self, bars: Chunk, bars_per_day: float, features: Mapping[str, Floats] | None = None) -> Floats:
        """The direction on each bar of a history.

        Args:
            bars: of one symbol.
            bars_per_day: of the universe.
            features: one array a name, one value a bar.

        Raises:
            BadParameters: a feature that it reads is not given.
        """
        return self.advance({}, bars, bars_per_day, features)[1]

    def advance(
        self, state: Arrays, bars: Chunk, bars_per_day: float, features: Mapping[str, Floats] | None = None
    ) -> tuple[Arrays, Floats]:
        """The direction on the bars that follow those after which the state was `state`.

        Args:
            state: {} before the first bar.
            bars: of one symbol.
            bars_per_day: of the universe.
            features: one array a name, one value a bar.

        Returns:
            The state after the last bar, and -1, 0 or 1 a bar.

        Raises:
            BadParameters: a feature that it reads is not given.
        """
        given = features or {}
        missing = [name for name in self.features if name not in given]
        if missing:
            raise BadParameters(f"strategy {self.name} reads features that are not given: {', '.join(missing)}")
        joined = bars.after(chunk_from(state, "bars"))
        read = {name: given[name] for name in self.features}
        if state:
            read = {name: np.concatenate((state[f"feature:{name}"], values)) for name, values in read.items()}
        sides = np.asarray(self.rule(joined, read, bars_per_day), dtype=np.float64)[len(joined) - len(bars) :]
        lookback = self.lookback(bars_per_day)
        if not lookback:
            return {}, sides
        first = max(len(joined) - lookback, 0)
        moved = chunk_arrays(joined.tail(lookback), "bars")
        return moved | {f"feature:{name}": values[first:].copy() for name, values in read.items()}, sides


def strategy(
    *, lookback: Any = 0, features: tuple[str, ...] = (), is_sized: bool = True, family: str = "strategy"
) -> Callable[[Rule], Strategy]:
    """Make a strategy of a function `f(bars, features, bars_per_day)` that gives -1, 0 or 1 a bar.

    Its name and the first line of its docstring name and explain it.

    Parameters of the function, by their names:
        bars: one symbol's bars, as arrays of shape (bars,).
        features: by name the values of the features that it reads, float32, shape (bars,).
        bars_per_day: how many bars a day has.

    Args:
        lookback: bars before the current one that it reads, or a function of bars a day.
        features: names of the features that it reads, from the catalogue of features.
        is_sized: whether volatility sets its size.
        family: where it stands on the leaderboard: strategy, or baseline.

    Raises:
        BadParameters: no docstring.
    """

    def decorate(rule: Rule) -> Strategy:
        meaning = (inspect.getdoc(rule) or "").partition("\n")[0]
        if not meaning:
            raise BadParameters(f"strategy {rule.__name__} needs a docstring that says what it does")
        reach = lookback if callable(lookback) else lambda _: int(lookback)
        return Strategy(rule.__name__, meaning, rule, reach, features, is_sized, family)

    return decorate


def closes_only(close: Floats, segment: Segments) -> Chunk:
    """Bars of which the closes and segments are known and nothing else."""
    nothing, times = np.full(len(close), np.nan), np.arange(len(close), dtype=np.int64)
    unknown = Chunk(
        times, times, segment, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing,
        nothing, {},
    )  # fmt: skip
    return replace(unknown, close=close)


def sign_of_change(bars: Chunk, lag: int) -> Floats:
    """-1, 0 or 1: where the close went over the last `lag` bars; 0 where that crosses a gap or is not known."""
    close, segment, out = bars.close, bars.segment, np.zeros(len(bars))
    if lag < len(bars):
        is_whole = segment[lag:] == segment[:-lag]
        out[lag:] = np.where(is_whole, np.sign(close[lag:] - close[:-lag]), 0.0)
    return out
