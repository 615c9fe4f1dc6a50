"""The bars that there should be, and the gaps where they are not."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.market.segments import missing_before
from tradewind.market.timeframes import bar_duration_ms

Integers = npt.NDArray[np.int64]
Calendar = Literal["D", "M"]


def epoch_ms(instants: pd.Series) -> Integers:
    """UTC milliseconds of a column of instants."""
    return instants.to_numpy("datetime64[ms]").astype(np.int64)


def key_of(bars: pd.DataFrame) -> BarKey:
    """What names a table of one symbol's bars."""
    first = bars.iloc[0]
    return BarKey(venue=str(first["venue"]), symbol=str(first["symbol"]), timeframe=str(first["timeframe"]))


@dataclass(frozen=True)
class Grid:
    """The opening times from `first_ms` up to `end_ms`, one every `bar_ms`, and those of the bars that are there."""

    opened_ms: Integers
    bar_ms: int
    first_ms: int
    end_ms: int

    @property
    def expected(self) -> int:
        """How many bars there should be."""
        return (self.end_ms - self.first_ms) // self.bar_ms

    @property
    def missing(self) -> int:
        """How many of them are not there."""
        return self.expected - len(self._inside)

    @cached_property
    def _inside(self) -> Integers:
        return self.opened_ms[(self.opened_ms >= self.first_ms) & (self.opened_ms < self.end_ms)]

    def gaps(self) -> tuple[Integers, Integers]:
        """Where each run of missing bars opens (ms), and how many bars it has."""
        edges = np.r_[self.first_ms - self.bar_ms, self._inside, self.end_ms]
        missing = missing_before(edges, self.bar_ms)
        at = np.flatnonzero(missing > 0)
        return edges[at - 1] + self.bar_ms, missing[at]

    def expected_by(self, calendar: Calendar) -> pd.Series:
        """Expected bars by UTC day or month (its begin, without a zone); those without any are left out."""
        return _count_by(np.arange(self.first_ms, self.end_ms, self.bar_ms), calendar)

    def missing_by(self, calendar: Calendar) -> pd.Series:
        """Missing bars by UTC day or month, of those that have expected bars."""
        expected = self.expected_by(calendar)
        there = _count_by(self._inside, calendar).reindex(expected.index, fill_value=0)
        return expected - there


def grid_of(bars: pd.DataFrame, asked_ms: tuple[int, int] | None = None) -> Grid:
    """The grid of one symbol's bars: from the first to the last, or in the span of opening times that is asked for.

    The grid always has at least one bar.
    """
    bar_ms = bar_duration_ms(str(bars["timeframe"].iloc[0]))
    opened_ms = epoch_ms(bars["open_time"])
    if asked_ms is None:
        return Grid(opened_ms, bar_ms, int(opened_ms[0]), int(opened_ms[-1]) + bar_ms)
    anchor = int(opened_ms[0]) % bar_ms
    first_ms = -((anchor - asked_ms[0]) // bar_ms) * bar_ms + anchor
    bars_asked = max(-((first_ms - asked_ms[1]) // bar_ms), 1)
    return Grid(opened_ms, bar_ms, first_ms, first_ms + bars_asked * bar_ms)


def _count_by(instants_ms: Integers, calendar: Calendar) -> pd.Series:
    unit = "datetime64[D]" if calendar == "D" else "datetime64[M]"
    begins, counts = np.unique(instants_ms.astype("datetime64[ms]").astype(unit), return_counts=True)
    return pd.Series(counts.astype(np.int64), index=pd.DatetimeIndex(begins.astype("datetime64[s]")))
