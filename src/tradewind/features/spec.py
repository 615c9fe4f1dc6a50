"""What a feature is: a causal fold over bars, the same in batch and live.

A feature is `advance(state, chunk) -> (state, values)`. Batch is one chunk, live is chunks of one bar, and cutting the
history anywhere while carrying the state changes nothing: the laws hold every feature to that.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewind.market.resample import bar_anchor_ms
from tradewind.market.timeframes import bar_duration_ms

Floats = NDArray[np.float64]
State = Any  # belongs to the feature that made it; None before the first bar
Step = Callable[[State, "Chunk"], tuple[State, Floats]]


@dataclass(frozen=True)
class Chunk:
    """Consecutive bars of one symbol as contiguous columns of equal length, oldest first.

    `timestamp` (the close) and `open_time` are UTC milliseconds. `reference_close` is the reference symbol's close at
    the same timestamp, `market_return` the universe's mean one-bar log return (NaN where absent). `side` holds side
    series as last known at `timestamp`.
    """

    timestamp: NDArray[np.int64]
    open_time: NDArray[np.int64]
    segment: NDArray[np.int32]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    reference_close: Floats
    market_return: Floats
    side: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.timestamp)

    def rows(self, start: int, stop: int) -> "Chunk":
        """The bars from `start` up to `stop`."""
        columns = {name: getattr(self, name)[start:stop] for name in _COLUMNS}
        return Chunk(**columns, side={name: values[start:stop] for name, values in self.side.items()})

    def tail(self, count: int) -> "Chunk":
        """The last `count` bars, or all if there are fewer."""
        return self.rows(max(len(self) - count, 0), len(self))

    def after(self, earlier: "Chunk | None") -> "Chunk":
        """`earlier` and these bars as one chunk."""
        if earlier is None or not len(earlier):
            return self
        columns = {name: np.concatenate([getattr(earlier, name), getattr(self, name)]) for name in _COLUMNS}
        side = {name: np.concatenate([earlier.side[name], values]) for name, values in self.side.items()}
        return Chunk(**columns, side=side)

    def by_segment(self) -> Iterator["Chunk"]:
        """One chunk a segment, in order; none where there are no bars."""
        edges = np.flatnonzero(np.diff(self.segment)) + 1
        bounds = [0, *edges.tolist(), len(self)]
        return (self.rows(start, stop) for start, stop in itertools.pairwise(bounds) if start < stop)


_COLUMNS = tuple(field.name for field in fields(Chunk) if field.name != "side")


@dataclass(frozen=True)
class Feature:
    """One named feature and everything there is to know of it.

    Attributes:
        name: `WHAT_PARAM[_TIMEFRAME]`.
        tier: 1 price, 2 trend, 3 volatility and volume, 4 slower timeframes and cross-asset, 5 side data and calendar.
        formula: in words and symbols, for the dictionary.
        lookback: bars before the current one that its value depends on; recursive features state the number beyond
            which the past weighs less than 1e-6.
        step: the fold within one segment; a new segment starts from None.
        needs: the side series it reads, if any.
    """

    name: str
    tier: int
    family: str
    formula: str
    lookback: int
    unit: str
    source: str
    step: Step
    needs: str | None = None

    def __str__(self) -> str:
        return self.name

    def advance(self, state: State, chunk: Chunk) -> tuple[State, Floats]:
        """The new state, and one float64 value a bar: NaN until its segment has bars enough to compute it from."""
        segment, inner = (None, None) if state is None else state
        values = []
        for part in chunk.by_segment():
            if segment != part.segment[0]:
                segment, inner = int(part.segment[0]), None
            inner, new = self.step(inner, part)
            values.append(new)
        return (segment, inner), np.concatenate(values) if values else np.empty(0)


def windowed(compute: Callable[[Chunk], Floats], lookback: int) -> Step:
    """A step from a function of a window: the state is the last `lookback` bars."""

    def step(state: State, chunk: Chunk) -> tuple[State, Floats]:
        joined = chunk.after(state)
        values = compute(joined)
        return joined.tail(lookback) if lookback else None, values[len(joined) - len(chunk) :]

    return step


def recursive(kernel: Callable[[Chunk, Floats], Floats], size: int, warmup: int) -> Step:
    """A step from a kernel that reads and overwrites a state of `size` numbers, zero at first.

    The last bar is carried along so that the kernel can see the previous close; values are NaN for the first
    `warmup` bars.
    """

    def step(state: State, chunk: Chunk) -> tuple[State, Floats]:
        numbers, previous, seen = (np.zeros(size), None, 0) if state is None else state
        numbers = numbers.copy()
        joined = chunk.after(previous)
        values = kernel(joined, numbers)[len(joined) - len(chunk) :].copy()
        values[: max(warmup - seen, 0)] = np.nan
        return (numbers, joined.tail(1), seen + len(chunk)), values

    return step


def on_timeframe(feature: Feature, timeframe: str, base_ms: int) -> Feature:
    """The same feature on slower bars; a slower bar is visible from the base bar at which it has closed.

    A slower bar is made of the base bars whose open lies in it. It has closed when the base bar that ends with it has,
    or, if that one is missing, when a later base bar has.
    """
    slow_ms = bar_duration_ms(timeframe)
    step = feature.step

    def slow_step(state: State, chunk: Chunk) -> tuple[State, Floats]:
        unfinished, inner, last = (None, None, np.nan) if state is None else state
        joined = chunk.after(unfinished)
        carried = len(joined) - len(chunk)
        slow, closed_at, n_used = _close_slow_bars(joined, slow_ms)
        inner, slow_values = step(inner, slow) if len(slow) else (inner, np.empty(0))
        # Index of the newest slow bar closed at each row; -1 before the first of this call.
        newest = np.searchsorted(closed_at, np.arange(carried, len(joined)), side="right") - 1
        values = np.where(newest >= 0, np.append(slow_values, np.nan)[newest], last)
        last = slow_values[-1] if len(slow_values) else last
        return (joined.rows(n_used, len(joined)), inner, last), values

    bars = slow_ms // base_ms
    return replace(
        feature,
        name=f"{feature.name}_{timeframe}",
        tier=4,
        formula=f"{feature.formula}; on {timeframe} bars, once closed",
        lookback=(feature.lookback + 2) * bars,
        step=slow_step,
    )


def _close_slow_bars(bars: Chunk, slow_ms: int) -> tuple[Chunk, NDArray[np.int64], int]:
    """The closed slower bars, the row at which each has closed, and how many rows they used up."""
    anchor_ms = bar_anchor_ms(slow_ms)
    group = (bars.open_time - anchor_ms) // slow_ms
    starts = np.append(0, np.flatnonzero(np.diff(group)) + 1)
    ends = np.append(starts[1:], len(bars))
    on_time = bars.timestamp[ends - 1] == (group[ends - 1] + 1) * slow_ms + anchor_ms
    closed_at = np.where(on_time, ends - 1, ends)
    n_closed = int(np.sum(closed_at < len(bars)))
    starts, ends, closed_at = starts[:n_closed], ends[:n_closed], closed_at[:n_closed]
    if not n_closed:
        return bars.rows(0, 0), closed_at, 0
    last = ends - 1
    used = int(ends[-1])
    slow = Chunk(
        timestamp=(group[last] + 1) * slow_ms + anchor_ms,
        open_time=group[last] * slow_ms + anchor_ms,
        segment=bars.segment[last],
        open=bars.open[starts],
        high=np.maximum.reduceat(bars.high[:used], starts),
        low=np.minimum.reduceat(bars.low[:used], starts),
        close=bars.close[last],
        volume=np.add.reduceat(bars.volume[:used], starts),
        reference_close=bars.reference_close[last],
        market_return=np.add.reduceat(bars.market_return[:used], starts),
        side={name: values[last] for name, values in bars.side.items()},
    )
    return slow, closed_at, used
