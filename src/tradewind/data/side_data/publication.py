"""When a value of a side series is known: rules from the moment it refers to, to the moment it may be used."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

Instants = npt.NDArray[np.int64]  # epoch milliseconds, UTC

MILLISECOND = timedelta(milliseconds=1)
DAY_MS = 86_400_000


class Publication(Protocol):
    """A rule: `known_ms` of each `reference_ms`."""

    @property
    def description(self) -> str:
        """The rule in words."""

    def known_ms(self, reference_ms: Instants) -> Instants:
        """When each value is known, never before what it refers to."""


@dataclass(frozen=True)
class After:
    """A fixed time after the reference. One millisecond where a value is settled at its reference: usable after it."""

    delay: timedelta

    @property
    def description(self) -> str:
        """The rule in words."""
        if not self.delay:
            return "at its reference time, the close of the bar"
        return f"{_duration(self.delay)} after its reference time"

    def known_ms(self, reference_ms: Instants) -> Instants:
        """The reference and the delay."""
        return reference_ms + self.delay // MILLISECOND


@dataclass(frozen=True)
class AfterClose:
    """A clock time of a market on the day of the reference, or on the next US business day, daylight saving included.

    The reference is a date, kept as its midnight in UTC.
    """

    zone: str
    clock: timedelta
    next_business_day: bool = False

    @property
    def description(self) -> str:
        """The rule in words."""
        day = "the next US business day" if self.next_business_day else "its day"
        hours, minutes = divmod(int(self.clock.total_seconds()) // 60, 60)
        return f"{hours:02d}:{minutes:02d} {self.zone} of {day}"

    def known_ms(self, reference_ms: Instants) -> Instants:
        """That clock time in UTC."""
        days = (reference_ms // DAY_MS).astype("datetime64[D]")
        if self.next_business_day and len(days):
            days = np.busday_offset(days, 1, roll="backward", holidays=_holidays(days.min(), days.max()))
        local = pd.DatetimeIndex(days.astype("datetime64[ms]")) + pd.Timedelta(self.clock)
        utc = local.tz_localize(self.zone).tz_convert("UTC").tz_localize(None)
        return utc.to_numpy("datetime64[ms]").astype(np.int64)


@dataclass(frozen=True)
class Stated:
    """The file says for each row when it was published; where it does not, another rule holds."""

    column: str
    otherwise: After

    @property
    def description(self) -> str:
        """The rule in words."""
        return f"as the file says in `{self.column}`, else {self.otherwise.description}"

    def known_ms(self, reference_ms: Instants) -> Instants:
        """By the other rule: what the file states is read by `readers.read_published`."""
        return self.otherwise.known_ms(reference_ms)


def _holidays(first: np.datetime64, last: np.datetime64) -> npt.NDArray[np.datetime64]:
    from pandas.tseries.holiday import USFederalHolidayCalendar

    holidays = USFederalHolidayCalendar().holidays(pd.Timestamp(first), pd.Timestamp(last) + pd.Timedelta(days=14))
    return np.asarray(pd.DatetimeIndex(holidays).to_numpy("datetime64[D]"))


def _duration(delay: timedelta) -> str:
    for unit, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if not delay % size:
            count = delay // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{delay // MILLISECOND} ms"
