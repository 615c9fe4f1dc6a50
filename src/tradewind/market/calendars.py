"""When a market trades: its sessions, the bars that they hold, and how many of them make a year.

`24/7` is the default. `24/5` are weekdays from midnight to midnight UTC, `FX` weekdays from 17:00 to 17:00 New York
(Sunday evening is Monday's session; 25 December and 1 January are none). Any other name is an exchange's (its MIC, such
as XNYS or XLON) in the library exchange_calendars, which knows holidays and early closes. Calendars are published
ahead, so that what follows from one is known at every bar.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.errors import BadData, BadParameters
from tradewind.market.timeframes import bar_anchor_ms, bar_duration_ms

Integers = npt.NDArray[np.int64]

DAY_MS = 86_400_000
YEAR_DAYS = 365.25
ALWAYS, WEEKDAYS, FX = "24/7", "24/5", "FX"
FIRST_YEAR, LAST_YEAR = 1990, 2040  # sessions are known in these; instants before are refused where they are read
COUNTED = ("2000-01-01", "2020-01-01")  # the years in which bars are counted
_FX_CLOSE = pd.Timedelta(hours=17)
# Calendars of venues that are known by name; all others trade around the clock.
OF_VENUE: Mapping[str, str] = {
    **dict.fromkeys(("us_etf", "us_stocks", "nyse", "nasdaq", "arca", "amex", "alpaca", "iex"), "XNYS"),
    **dict.fromkeys(("dukascopy", "fxcm", "oanda", "fx", "forex", "histdata"), FX),
    "lse": "XLON", "xetra": "XETR", "tsx": "XTSE", "jpx": "XTKS", "hkex": "XHKG", "asx": "XASX", "nse": "XBOM",
}  # fmt: skip


class Sessions(NamedTuple):
    """The days on which a market trades, oldest first: days since 1970, and when each opens and closes (UTC ms)."""

    day: Integers
    opened_ms: Integers
    closed_ms: Integers


class _Runs(NamedTuple):
    """Runs of bars without a break: the place of each one's first on the grid, its length, and all bars before it."""

    first: Integers
    length: Integers
    before: Integers


def calendar_name(venue: str, name: str | None = None) -> str:
    """The calendar that is named, or else the venue's: of `OF_VENUE`, an exchange's MIC, or 24/7.

    Raises:
        BadParameters: no calendar has the name.
    """
    if name is None:
        return OF_VENUE.get(venue.lower(), ALWAYS)
    if name not in (ALWAYS, WEEKDAYS, FX):
        _exchange(name)
    return name


@dataclass(frozen=True)
class Calendar:
    """The bars of one duration on a market that trades by the named calendar.

    Bars open at whole multiples of their duration from midnight UTC, weekly ones on `week_start`. There should be one
    wherever a session trades within it; where bars are as long as a day, a session is its date. A day (as in daily
    returns) is a session.

    Attributes:
        name: 24/7, 24/5, FX or the MIC of an exchange.
        bar_ms: duration of a bar in milliseconds.
        week_start: the day on which weekly bars open, such as mon.
    """

    name: str = ALWAYS
    bar_ms: int = 3_600_000
    week_start: str = "mon"

    @classmethod
    def of(cls, timeframe: str, name: str = ALWAYS, week_start: str = "mon") -> "Calendar":
        """The calendar of this name for bars of `timeframe`.

        Args:
            timeframe: of the bars, such as 1h.
            name: 24/7, 24/5, FX or the MIC of an exchange.
            week_start: the day on which weekly bars open.
        """
        return cls(name, bar_duration_ms(timeframe), week_start)

    def on(self, timeframe: str) -> "Calendar":
        """The same market with bars of another duration."""
        return replace(self, bar_ms=bar_duration_ms(timeframe))

    @property
    def is_continuous(self) -> bool:
        """Whether the market never closes."""
        return self.name == ALWAYS

    @property
    def anchor_ms(self) -> int:
        """An instant at which a bar opens; all others are whole bars away from it."""
        return bar_anchor_ms(self.bar_ms, self.week_start)

    @property
    def days_per_year(self) -> float:
        """What annualises daily returns: the days on which bars close in a year; weeks or longer where bars are."""
        return min(_sessions_per_year(self.name), self.bars_per_year)

    @property
    def bars_per_year(self) -> float:
        """Bars in a year: 365.25 days around the clock, otherwise counted."""
        if self.is_continuous:
            return YEAR_DAYS * DAY_MS / self.bar_ms
        return _bars_per_year(self)

    @property
    def bars_per_day(self) -> float:
        """Bars in a session; below 1 for bars that are longer."""
        return self.bars_per_year / _sessions_per_year(self.name)

    @property
    def spacing_ms(self) -> int:
        """From one bar's opening to the next on average, nights and weekends included."""
        return self.bar_ms if self.is_continuous else round(YEAR_DAYS * DAY_MS / self.bars_per_year)

    def places(self, open_time_ms: Integers) -> Integers:
        """The number, in order, of the last bar that there should be and that opens no later than each instant."""
        cell = np.asarray((open_time_ms - self.anchor_ms) // self.bar_ms)
        if self.is_continuous:
            return cell
        if len(open_time_ms):
            self._require_known(int(np.min(open_time_ms)), int(np.max(open_time_ms)))
        runs = _runs(self)
        at = np.searchsorted(runs.first, cell, side="right") - 1
        inside = np.minimum(cell - runs.first[at] + 1, runs.length[at])
        return np.where(at < 0, 0, runs.before[at] + inside)

    def missing_before(self, open_time_ms: Integers) -> Integers:
        """How many bars are missing between each bar and the one before it; 0 for the first.

        Nights, weekends and holidays are none. A bar outside all sessions is one too many, not a gap.
        """
        missing = np.zeros(len(open_time_ms), dtype=np.int64)
        missing[1:] = np.maximum(np.diff(self.places(open_time_ms)) - 1, 0)
        return missing

    def expected(self, first_ms: int, end_ms: int) -> Integers:
        """When each bar opens that there should be from `first_ms` up to `end_ms`."""
        first, end = (-((self.anchor_ms - instant) // self.bar_ms) for instant in (first_ms, end_ms))
        if self.is_continuous:
            return np.arange(first, end, dtype=np.int64) * self.bar_ms + self.anchor_ms
        self._require_known(first_ms, end_ms)
        runs = _runs(self)
        chosen = slice(
            max(int(np.searchsorted(runs.first, first, side="right")) - 1, 0), int(np.searchsorted(runs.first, end))
        )
        cells = _stretched(runs.first[chosen], runs.length[chosen])
        return cells[(cells >= first) & (cells < end)] * self.bar_ms + self.anchor_ms

    def days(self, close_ms: Integers) -> Integers:
        """The day to which a bar belongs that closes then, in days since 1970: the session that opened last before.

        Around the clock, and where bars are as long as a day, the UTC day that the close ends or lies in.
        """
        if self.is_continuous or self.bar_ms >= DAY_MS:
            return np.asarray((close_ms - 1) // DAY_MS)
        sessions = _sessions(self.name)
        if len(close_ms):
            self._require_known(int(np.min(close_ms)), int(np.max(close_ms)))
        return sessions.day[np.maximum(np.searchsorted(sessions.opened_ms, close_ms, side="left") - 1, 0)]

    def cell(self, instant_ms: Any) -> Any:
        """When the bar of the clock's grid opens in which an instant lies."""
        return (instant_ms - self.anchor_ms) // self.bar_ms * self.bar_ms + self.anchor_ms

    def is_on_grid(self, open_time_ms: Integers) -> npt.NDArray[np.bool_]:
        """Whether bars may open then: on the grid of the clock, or whole bars after a session's opening."""
        on_clock = np.asarray((open_time_ms - self.anchor_ms) % self.bar_ms == 0)
        if self.is_continuous or self.bar_ms >= DAY_MS or on_clock.all():
            return on_clock
        sessions = _sessions(self.name)
        at = np.maximum(np.searchsorted(sessions.opened_ms, open_time_ms, side="right") - 1, 0)
        return on_clock | ((open_time_ms - sessions.opened_ms[at]) % self.bar_ms == 0)

    def _require_known(self, first_ms: int, last_ms: int) -> None:
        known = _sessions(self.name)
        if first_ms < known.opened_ms[0] - 32 * DAY_MS or last_ms > known.closed_ms[-1] + DAY_MS:
            at = first_ms if first_ms < known.opened_ms[0] else last_ms
            first, last = (f"{pd.Timestamp(int(day), unit='D'):%Y-%m-%d}" for day in (known.day[0], known.day[-1]))
            raise BadData(
                f"the calendar {self.name} knows sessions from {first} to {last}, not {pd.Timestamp(at, unit='ms')}: "
                "correct the instants, or name another universe.calendar"
            )


AROUND_THE_CLOCK = Calendar()


@lru_cache(maxsize=32)
def _sessions(name: str) -> Sessions:
    if name in (WEEKDAYS, FX, ALWAYS):
        days = pd.date_range(
            f"{FIRST_YEAR}-01-01", f"{LAST_YEAR}-12-31", freq="D" if name == ALWAYS else "B", unit="ms"
        )
        if name != FX:
            opened = days.to_numpy("datetime64[ms]").astype(np.int64)
            return Sessions(opened // DAY_MS, opened, opened + DAY_MS)
        days = days[~(((days.month == 12) & (days.day == 25)) | ((days.month == 1) & (days.day == 1)))]
        opened, closed = (_utc_ms(start + _FX_CLOSE) for start in (days - pd.Timedelta(days=1), days))
        return Sessions(days.to_numpy("datetime64[ms]").astype(np.int64) // DAY_MS, opened, closed)
    schedule = _exchange(name)
    instants = [
        column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ms]").astype(np.int64)
        for column in (schedule["open"], schedule["close"])
    ]
    return Sessions(schedule.index.to_numpy("datetime64[D]").astype(np.int64), *instants)


def _utc_ms(new_york: pd.DatetimeIndex) -> Integers:
    return new_york.tz_localize("America/New_York").tz_convert("UTC").to_numpy("datetime64[ms]").astype(np.int64)


@lru_cache(maxsize=32)
def _exchange(name: str) -> pd.DataFrame:
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    try:
        return exchange_calendars.get_calendar(name, start=f"{FIRST_YEAR}-01-01", end=f"{LAST_YEAR}-12-31").schedule
    except InvalidCalendarName as error:
        raise BadParameters(
            f"universe.calendar: no exchange is called {name!r}; use 24/7, 24/5, FX or a MIC such as XNYS or XLON"
        ) from error
    except ValueError:  # a calendar that is known for fewer years: those that it has
        return exchange_calendars.get_calendar(name).schedule


@lru_cache(maxsize=32)
def _sessions_per_year(name: str) -> float:
    """365.25, five sevenths of it on weekdays; of an exchange the sessions of a mean year, as a whole number."""
    if name == ALWAYS:
        return YEAR_DAYS
    if name == WEEKDAYS:
        return YEAR_DAYS * 5 / 7
    first, end = _counted(name)
    day = _sessions(name).day
    return float(round(((day >= first) & (day < end)).sum() * YEAR_DAYS / (end - first)))


def _counted(name: str) -> tuple[int, int]:
    """The span in which sessions are counted, in days since 1970: whole years, as many of `COUNTED` as are known."""
    first, end = (int(np.datetime64(one, "D").astype(np.int64)) for one in COUNTED)
    day = _sessions(name).day
    if day[0] <= first + 31:
        return first, end
    years = max(int((day[-1] - day[0]) // YEAR_DAYS), 1)
    return int(day[0]), int(day[0] + round(years * YEAR_DAYS))


@lru_cache(maxsize=64)
def _bars_per_year(calendar: Calendar) -> float:
    first, end = _counted(calendar.name)
    bars = int(np.diff(calendar.places(np.array([first, end]) * DAY_MS - 1))[0])
    if calendar.bar_ms > DAY_MS:
        return min(bars * YEAR_DAYS / (end - first), YEAR_DAYS * DAY_MS / calendar.bar_ms)
    day = _sessions(calendar.name).day
    return bars / int(((day >= first) & (day < end)).sum()) * _sessions_per_year(calendar.name)


@lru_cache(maxsize=64)
def _runs(calendar: Calendar) -> _Runs:
    sessions, bar, anchor = _sessions(calendar.name), calendar.bar_ms, calendar.anchor_ms
    if bar >= DAY_MS:
        first = np.unique((sessions.day * DAY_MS - anchor) // bar)
        return _Runs(first, np.ones_like(first), np.arange(len(first)))
    first, end = (sessions.opened_ms - anchor) // bar, -((anchor - sessions.closed_ms) // bar)
    first[1:] = np.maximum(first[1:], end[:-1])  # a bar that reaches into the next session is one
    count = np.maximum(end - first, 0)
    return _Runs(first, count, np.cumsum(count) - count)


def _stretched(first: Integers, count: Integers) -> Integers:
    """`count` whole numbers from each `first` on."""
    starts = np.repeat(first - (np.cumsum(count) - count), count)
    return np.asarray(starts + np.arange(count.sum()))
