"""Bars of all symbols as they arrive to the columns that features are computed from, as batch would have them.

A timestamp is complete when every symbol has closed its bar, or when the grace for late ones has passed. A symbol that
is later still is absent at that timestamp, as in a batch table without its bar. Time is given, never read from a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tradewind.errors import BadData
from tradewind.learning.features.bars import Chunk, Floats
from tradewind.learning.features.market_columns import (
    SETTLED,
    LastBar,
    Published,
    cross_section,
    fold_returns,
    fold_settled,
    fold_side,
)
from tradewind.learning.features.packing import Arrays
from tradewind.market.calendars import Calendar
from tradewind.market.segments import SegmentState, fold_segments


class Bar(NamedTuple):
    """One closed bar; `timestamp` is its close, both instants are UTC milliseconds."""

    symbol: str
    open_time: int
    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class SideValue(NamedTuple):
    """A published value of a side series, of one symbol or (\"\") of all; `known_at` is UTC milliseconds."""

    series: str
    symbol: str
    known_at: int
    value: float


class Arrivals(NamedTuple):
    """What has arrived since the last call, and the time it is (UTC milliseconds)."""

    now_ms: int
    bars: tuple[Bar, ...] = ()
    side: tuple[SideValue, ...] = ()


@dataclass(frozen=True)
class AssemblyState:
    """What `Assembly` carries from call to call; it is never changed in place.

    Attributes:
        done_ms: the last timestamp that was assembled, -1 before the first.
        pending: bars of timestamps that are not complete.
        segments, last: the state of each symbol's folds.
        side: the state of each series and symbol, by `SERIES/SYMBOL`.
    """

    done_ms: int = -1
    pending: tuple[Bar, ...] = ()
    segments: Mapping[str, SegmentState] = field(default_factory=dict)
    last: Mapping[str, LastBar] = field(default_factory=dict)
    side: Mapping[str, Published] = field(default_factory=dict)

    def to_arrays(self) -> tuple[dict[str, Any], Arrays]:
        """The state as a JSON head and arrays, for `packing.pack`."""
        head = {
            "done_ms": self.done_ms, "pending": [list(bar) for bar in self.pending],
            "segments": {name: list(one) for name, one in self.segments.items()},
            "last": {name: list(one) for name, one in self.last.items()},
        }  # fmt: skip
        arrays: Arrays = {}
        for name, one in self.side.items():
            arrays |= {f"known_at:{name}": one.known_at, f"value:{name}": one.value}
        return head, arrays

    @classmethod
    def from_arrays(cls, head: Mapping[str, Any], arrays: Arrays) -> "AssemblyState":
        """The state again."""
        names = [name.removeprefix("known_at:") for name in arrays if name.startswith("known_at:")]
        return cls(
            head["done_ms"], tuple(Bar(*bar) for bar in head["pending"]),
            {name: SegmentState(*one) for name, one in head["segments"].items()},
            {name: LastBar(*one) for name, one in head["last"].items()},
            {name: Published(arrays[f"known_at:{name}"], arrays[f"value:{name}"]) for name in names},
        )  # fmt: skip


class Assembled(NamedTuple):
    """Bars of each symbol at the timestamps that became complete, oldest first, and the bars that came too late."""

    chunks: dict[str, Chunk]
    late: tuple[Bar, ...]


@dataclass(frozen=True)
class Assembly:
    """How bars of a universe are put together.

    Attributes:
        symbols: all of the universe, in any order.
        reference: the symbol that cross-asset features compare against.
        bar_ms: duration of one bar.
        max_gap_bars: so many missing bars are bridged; one more begins a segment.
        side_series: names of the series that are joined to every bar.
        grace_ms: how long after its close a timestamp waits for symbols that have not arrived.
        stale_after_ms: silence after which a series is missing, by name; of others a value stays.
        calendar: when the market trades; None: around the clock.
        settlements: names of series whose values within each bar are summed up for who keeps an account (`SETTLED`).
    """

    symbols: tuple[str, ...]
    reference: str
    bar_ms: int
    max_gap_bars: int
    side_series: tuple[str, ...] = ()
    grace_ms: int = 0
    stale_after_ms: Mapping[str, int] = field(default_factory=dict)
    calendar: Calendar | None = None
    settlements: tuple[str, ...] = field(default=(), repr=False)  # no part of the fingerprint of who reads none

    def begin(self) -> AssemblyState:
        """The state before the first bar."""
        return AssemblyState()

    def advance(self, state: AssemblyState, arrivals: Arrivals) -> tuple[AssemblyState, Assembled]:
        """The state after the arrivals, and the bars of every timestamp that they complete.

        Raises:
            BadData: a bar of an unknown symbol, of another duration, or one that has not closed.
        """
        late, waiting = [], {(bar.timestamp, bar.symbol): bar for bar in state.pending}
        for bar in arrivals.bars:
            self._check(bar, arrivals.now_ms)
            if bar.timestamp <= state.done_ms:
                late.append(bar)
            else:
                waiting[bar.timestamp, bar.symbol] = bar
        counts: dict[int, int] = {}
        for timestamp, _ in waiting:
            counts[timestamp] = counts.get(timestamp, 0) + 1
        ready = []
        for timestamp in sorted(counts):
            if counts[timestamp] < len(self.symbols) and arrivals.now_ms < timestamp + self.grace_ms:
                break
            ready.append(timestamp)
        done_ms = ready[-1] if ready else state.done_ms
        rows = [bar for key, bar in sorted(waiting.items()) if key[0] <= done_ms]
        pending = tuple(bar for key, bar in sorted(waiting.items()) if key[0] > done_ms)
        state, chunks = self._join(state, rows, np.array(ready, dtype=np.int64), arrivals.side)
        return AssemblyState(done_ms, pending, state.segments, state.last, state.side), Assembled(chunks, tuple(late))

    def _check(self, bar: Bar, now_ms: int) -> None:
        if bar.symbol not in self.symbols:
            raise BadData(f"a bar of {bar.symbol!r} arrived; the universe has {', '.join(self.symbols)}")
        if bar.timestamp - bar.open_time != self.bar_ms:
            raise BadData(
                f"{bar.symbol}: the bar that closes at {bar.timestamp} lasts {bar.timestamp - bar.open_time} ms, "
                f"those of the universe {self.bar_ms} ms"
            )
        if bar.timestamp > now_ms:
            raise BadData(f"{bar.symbol}: the bar that closes at {bar.timestamp} has not closed at {now_ms}")

    def _join(
        self, state: AssemblyState, rows: list[Bar], ready: np.ndarray, side: tuple[SideValue, ...]
    ) -> tuple[AssemblyState, dict[str, Chunk]]:
        """The folds of one symbol each, and between them what the symbols did together."""
        segments, last, published = dict(state.segments), dict(state.last), dict(state.side)
        symbols = sorted(self.symbols)
        returns = np.full((len(symbols), len(ready)), np.nan)
        reference = np.full(len(ready), np.nan)
        columns: dict[str, tuple[np.ndarray, Floats, np.ndarray, np.ndarray]] = {}
        for number, symbol in enumerate(symbols):
            own = [bar for bar in rows if bar.symbol == symbol]
            if not own:
                continue
            times = np.array([bar[1:3] for bar in own], dtype=np.int64).T.copy()
            values = np.array([bar[3:] for bar in own], dtype=np.float64).T.copy()
            segments[symbol], segment = fold_segments(
                segments.get(symbol, SegmentState()), times[0], self.bar_ms, self.max_gap_bars, self.calendar
            )
            at = np.searchsorted(ready, times[1])
            last[symbol], returns[number, at] = fold_returns(
                last.get(symbol, LastBar()), values[3], (times[0], times[1]), segment
            )
            if symbol == self.reference:
                reference[at] = values[3]
            columns[symbol] = (times, values, segment, at)
        market, rank = cross_section(returns)
        chunks, nothing = {}, np.empty((2, 0), dtype=np.int64)
        for number, symbol in enumerate(symbols):
            series = self._sides(published, symbol, side, columns[symbol][0] if symbol in columns else nothing)
            if symbol not in columns:
                continue
            times, values, segment, at = columns[symbol]
            chunks[symbol] = Chunk(
                times[1], times[0], segment, values[0], values[1], values[2], values[3], values[4], reference[at],
                market[0, at], market[1, at], market[2, at], rank[number, at], series,
            )  # fmt: skip
        return AssemblyState(state.done_ms, state.pending, segments, last, published), chunks

    def _sides(
        self, published: dict[str, Published], symbol: str, side: tuple[SideValue, ...], times: np.ndarray
    ) -> dict[str, Floats]:
        """Each series at the symbol's bars, whose open_time and timestamp are given; `published` is brought up to
        date."""
        joined = {}
        for name in self.side_series:
            known_at, value = _news(side, name, symbol)
            key = f"{name}/{symbol}"
            if not len(known_at) and not times.shape[1]:
                continue
            published[key], joined[name] = fold_side(
                published.get(key, Published()), known_at, value, times[1], self.stale_after_ms.get(name, 0)
            )
        for name in self.settlements:
            known_at, value = _news(side, name, symbol)
            key = f"{SETTLED}{name}/{symbol}"
            published[key], joined[f"{SETTLED}{name}"] = fold_settled(
                published.get(key, Published()), known_at, value, (times[0], times[1])
            )
        return joined


def _news(side: tuple[SideValue, ...], name: str, symbol: str) -> tuple[np.ndarray, Floats]:
    """What was published of a series of a symbol, in the order of time."""
    news = [one for one in side if one.series == name and one.symbol in ("", symbol)]
    news.sort(key=lambda one: one.known_at)
    return (
        np.array([one.known_at for one in news], dtype=np.int64),
        np.array([one.value for one in news], dtype=np.float64),
    )
