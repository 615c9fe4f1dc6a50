"""A calendar of events as two series that move with the clock: hours to the next, hours since the last.

What is known when. A calendar file says when events took place, not when their dates were announced. Statistical
releases and the central bank's regular decisions are announced weeks to a year ahead, so those within the next 168
hours count as known; nothing farther does. Speeches, meetings, votes and emergency decisions are not: they are no
"next" event, and count as a "last" one after they took place. The series end with the calendar's last event, since
beyond it the file does not tell a quiet week from an unrecorded one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.side_data.columns import empty_table
from tradewind.data.side_data.delivery import Reasons, SideDelivery, SideKey, rejected_rows, vintage_table

HOUR_MS = 3_600_000
KNOWN_AHEAD_HOURS = 168.0
DUPLICATE_EVENT = "duplicate of another row"

# Whose dates the agencies publish ahead (BLS, BEA, Census, Federal Reserve, ISM, ADP), as calendars call them.
SCHEDULED = (
    "payrolls", "price index", "producer price", "gross domestic product", "pmi", "ism ", "durable goods",
    "capital goods", "retail sales", "unemployment rate", "participation rate", "hourly earnings", "weekly hours",
    "adp employment", "jobless claims", "personal consumption", "consumer sentiment", "consumer confidence",
    "industrial production", "jolts", "fomc minutes", "fomc economic projections", "interest rate projections",
    "fomc press conference", "interest rate decision", "monetary policy statement",
)  # fmt: skip
# The Federal Reserve decides at 14:00 New York time; a decision at another hour was called at short notice.
_DECISIONS = ("interest rate decision", "monetary policy statement", "fomc press conference")
_DECISION_HOURS = (14.0, 14.5)  # the press conference follows by half an hour

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calendar:
    """Events and their times in epoch milliseconds."""

    at_ms: Integers
    names: npt.NDArray[np.object_]

    def is_scheduled(self) -> npt.NDArray[np.bool_]:
        """Which events had a date that was announced well ahead."""
        lower = pd.Series(self.names, dtype="str").str.lower()
        scheduled = lower.map(lambda name: any(word in name for word in SCHEDULED)).to_numpy(dtype=bool)
        decision = lower.map(lambda name: any(word in name for word in _DECISIONS)).to_numpy(dtype=bool)
        local = pd.DatetimeIndex(self.at_ms.astype("datetime64[ms]"), tz="UTC").tz_convert("America/New_York")
        regular = np.isin(local.hour + local.minute / 60, _DECISION_HOURS)
        return scheduled & (~decision | regular)


Measure = Callable[[Calendar, Integers], Floats]


def hours_to_next(calendar: Calendar, ticks: Integers) -> Floats:
    """From each tick to the first scheduled event after it, in hours; 168 where none is within them."""
    times = np.unique(calendar.at_ms[calendar.is_scheduled()])
    ahead = np.append(times.astype(np.float64), np.inf)[np.searchsorted(times, ticks, side="right")]
    return np.minimum((ahead - ticks) / HOUR_MS, KNOWN_AHEAD_HOURS)


def hours_since_last(calendar: Calendar, ticks: Integers) -> Floats:
    """From the last event before each tick, in hours; 168 where none was within them."""
    times = np.unique(calendar.at_ms)
    before = np.insert(times.astype(np.float64), 0, -np.inf)[np.searchsorted(times, ticks, side="left")]
    return np.minimum((ticks - before) / HOUR_MS, KNOWN_AHEAD_HOURS)


def deliver_ticks(
    key: SideKey, calendar: Calendar, measure: Measure, reason: Reasons, content: pd.DataFrame, tick_ms: int
) -> SideDelivery:
    """The measure at every tick of the clock between the first and the last event; each is known at its tick.

    Args:
        key: series, symbol and file.
        calendar: of the accepted events.
        measure: of calendar and ticks, one number a tick.
        reason: why each row is rejected, "" if it is not, shape (rows,).
        content: rows as they stand in the file.
        tick_ms: of the clock, milliseconds.

    Returns:
        No vintages where no row was accepted.
    """
    accepted = int((reason == "").sum())
    vintages = empty_table("vintages")
    if accepted:
        first, last = int(calendar.at_ms.min()), int(calendar.at_ms.max())
        ticks = np.arange(-(-first // tick_ms) * tick_ms, last + 1, tick_ms, dtype=np.int64)
        vintages = vintage_table(key, ticks.astype(np.float64), ticks.astype(np.float64), measure(calendar, ticks))
    return SideDelivery(key, len(reason), accepted, vintages, rejected_rows(key, content, reason))
