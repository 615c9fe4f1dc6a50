"""The bars that there should be, and the gaps where they are not."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.market.calendars import Calendar as TradingCalendar
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
    """The opening times from `first_ms` up to `end_ms`, one every `bar_ms` in which the market trades, and those of the
    bars that are there. Bars outside the calendar's sessions are neither expected nor missing."""

    opened_ms: Integers
    bar_ms: int
    first_ms: int
    end_ms: int
    calendar: TradingCalendar | None = None

    @property
    def expected(self) -> int:
        """How many bars there should be."""
        return len(self._expected)

    @property
    def missing(self) -> int:
        """How many of them are not there."""
        return int(self._is_missing.sum())

    @cached_property
    def _expected(self) -> Integers:
        if self.calendar is None or self.calendar.is_continuous:
            return np.arange(self.first_ms, self.end_ms, self.bar_ms, dtype=np.int64)
        return self.calendar.expected(self.calendar.cell(self.first_ms), self.end_ms)

    @cached_property
    def _is_missing(self) -> npt.NDArray[np.bool_]:
        opened = self.opened_ms
        if self.calendar is not None and not self.calendar.is_continuous:
            opened = self.calendar.cell(opened)  # bars may open with a session instead of the clock
        return ~np.isin(self._expected, opened)

    def gaps(self) -> tuple[Integers, Integers, Integers]:
        """Where each run of missing bars opens (ms), how many bars it has, and where the last of them closes."""
        edges = np.diff(np.r_[False, self._is_missing, False].astype(np.int8))
        first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
        return self._expected[first], (last - first + 1).astype(np.int64), self._expected[last] + self.bar_ms

    def expected_by(self, calendar: Calendar) -> pd.Series:
        """Expected bars by UTC day or month (its begin, without a zone); those without any are left out."""
        return _count_by(self._expected, calendar)

    def missing_by(self, calendar: Calendar) -> pd.Series:
        """Missing bars by UTC day or month, of those that have expected bars."""
        expected = self.expected_by(calendar)
        return _count_by(self._expected[self._is_missing], calendar).reindex(expected.index, fill_value=0)


def grid_of(
    bars: pd.DataFrame, asked_ms: tuple[int, int] | None = None, calendar: TradingCalendar | None = None
) -> Grid:
    """The grid of one symbol's bars: from the first to the last, or in the span of opening times that is asked for.

    Around the clock the grid always has at least one bar.

    Args:
        bars: of one symbol.
        asked_ms: the span of opening times that is asked for.
        calendar: when the market trades; None: around the clock.
    """
    bar_ms = bar_duration_ms(str(bars["timeframe"].iloc[0]))
    opened_ms = epoch_ms(bars["open_time"])
    if asked_ms is None:
        return Grid(opened_ms, bar_ms, int(opened_ms[0]), int(opened_ms[-1]) + bar_ms, calendar)
    anchor = int(opened_ms[0]) % bar_ms
    first_ms = -((anchor - asked_ms[0]) // bar_ms) * bar_ms + anchor
    bars_asked = max(-((first_ms - asked_ms[1]) // bar_ms), 1)
    return Grid(opened_ms, bar_ms, first_ms, first_ms + bars_asked * bar_ms, calendar)


def _count_by(instants_ms: Integers, calendar: Calendar) -> pd.Series:
    unit = "datetime64[D]" if calendar == "D" else "datetime64[M]"
    begins, counts = np.unique(instants_ms.astype("datetime64[ms]").astype(unit), return_counts=True)
    return pd.Series(counts.astype(np.int64), index=pd.DatetimeIndex(begins.astype("datetime64[s]")))
