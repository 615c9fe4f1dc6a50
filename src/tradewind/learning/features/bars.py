"""The bars that features are computed from: one symbol's, with everything else that was known at each close."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadData

Floats = NDArray[np.float64]

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday of the epoch


@dataclass(frozen=True)
class Chunk:
    """Consecutive bars of one symbol as contiguous columns of equal length, oldest first.

    `timestamp` (the close) and `open_time` are UTC milliseconds. `reference_close` is the reference symbol's close at
    the same timestamp. Of all symbols of the universe that have a bar at it: `market_return` is the mean one-bar log
    return, `market_breadth` the share that rose, `market_dispersion` the deviation of the returns, `market_rank` the
    share of the others whose return was below this symbol's. `side` holds side series as last known at `timestamp`.
    What is absent is NaN.
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
    market_breadth: Floats
    market_dispersion: Floats
    market_rank: Floats
    side: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.timestamp)

    def rows(self, start: int, stop: int) -> "Chunk":
        """The bars from `start` up to `stop`."""
        columns = {name: getattr(self, name)[start:stop] for name in COLUMNS}
        return Chunk(**columns, side={name: values[start:stop] for name, values in self.side.items()})

    def tail(self, count: int) -> "Chunk":
        """The last `count` bars, or all if there are fewer."""
        return self.rows(max(len(self) - count, 0), len(self))

    def after(self, earlier: "Chunk | None") -> "Chunk":
        """`earlier` and these bars as one chunk."""
        if earlier is None or not len(earlier):
            return self
        columns = {name: np.concatenate([getattr(earlier, name), getattr(self, name)]) for name in COLUMNS}
        side = {name: np.concatenate([earlier.side[name], values]) for name, values in self.side.items()}
        return Chunk(**columns, side=side)

    def segments(self) -> Iterator[tuple[int, int]]:
        """Where each segment starts and stops, in order; none where there are no bars."""
        edges = np.flatnonzero(np.diff(self.segment)) + 1
        bounds = [0, *edges.tolist(), len(self)]
        return ((start, stop) for start, stop in itertools.pairwise(bounds) if start < stop)

    def matrix(self, names: Sequence[str]) -> Floats:
        """The named columns, one a row: those of the bar, `side:SERIES`, or the share of the day or week at the close.

        Raises:
            BadData: a column that these bars do not have.
        """
        out = np.empty((len(names), len(self)))
        for row, name in enumerate(names):
            out[row] = self._column(name)
        return out

    def _column(self, name: str) -> Floats:
        if name in COLUMNS:
            return np.asarray(getattr(self, name))
        if name.startswith("side:"):
            series = name.removeprefix("side:")
            if series not in self.side:
                raise BadData(f"the bars come without the side series {series!r}; they have {sorted(self.side)}")
            return self.side[series]
        if name in CLOCK:
            return clock_column(name, self.timestamp)
        raise BadData(f"bars have no column {name!r}")


COLUMNS = tuple(field.name for field in fields(Chunk) if field.name != "side")
CLOCK = ("share_of_day", "share_of_week")


def clock_column(name: str, timestamp: NDArray[np.int64]) -> Floats:
    """How much of the day (from midnight UTC) or the week (from Monday) has passed, in [0, 1)."""
    if name == "share_of_day":
        return np.asarray(timestamp % DAY_MS / DAY_MS, dtype=np.float64)
    return np.asarray((timestamp - MONDAY_MS) % WEEK_MS / WEEK_MS, dtype=np.float64)


def chunk_of(bar: Mapping[str, float]) -> Chunk:
    """One bar, given as its columns and `side:SERIES`, as a chunk."""
    kinds = {"timestamp": np.int64, "open_time": np.int64, "segment": np.int32}
    columns = {name: np.array([bar[name]], dtype=kinds.get(name, np.float64)) for name in COLUMNS}
    sides = {name: np.array([value]) for name, value in bar.items() if name.startswith("side:")}
    return Chunk(**columns, side={name.removeprefix("side:"): value for name, value in sides.items()})
