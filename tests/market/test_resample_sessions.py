"""Slower bars of a market with sessions."""

import numpy as np
import pandas as pd

from tradewind.market.calendars import Calendar
from tradewind.market.resample import resample_closed
from tradewind.market.segments import assign_segments

HOUR = 3_600_000


def hourly(opened: np.ndarray, calendar: Calendar) -> pd.DataFrame:
    instants = pd.DatetimeIndex(opened.astype("datetime64[ms]"), tz="UTC")
    close = 100.0 + np.arange(len(opened))
    return pd.DataFrame(
        {
            "venue": "us_etf", "symbol": "SPY", "timeframe": "1h", "timestamp": instants + pd.Timedelta(hours=1),
            "open_time": instants, "open": close - 1, "high": close + 1, "low": close - 2, "close": close,
            "volume": 1.0,
            "segment": assign_segments(opened, HOUR, 3, calendar),
        }
    ).astype({"venue": "str", "symbol": "str", "timeframe": "str"})  # fmt: skip


def test_hours_of_sessions_make_days() -> None:
    calendar = Calendar.of("1h", "XNYS")
    first, end = (int(pd.Timestamp(day, tz="UTC").timestamp() * 1000) for day in ("2024-06-03", "2024-06-15"))
    days = resample_closed(hourly(calendar.expected(first, end), calendar), "1d", calendar)
    assert len(days) == 10 and (days["volume"] == 7).all()
    assert len(resample_closed(hourly(calendar.expected(first, end), calendar), "1d")) == 8  # the ends look open
    late = resample_closed(hourly(calendar.expected(first, end)[3:], calendar), "1d", calendar)
    assert len(late) == 9  # the first day began before the bars


def test_days_of_sessions_make_weeks_that_open_as_the_calendar_says() -> None:
    for start, weekday in (("mon", 0), ("thu", 3)):
        calendar = Calendar.of("1h", "XNYS", start)
        first, end = (int(pd.Timestamp(day, tz="UTC").timestamp() * 1000) for day in ("2024-06-03", "2024-06-29"))
        weeks = resample_closed(hourly(calendar.expected(first, end), calendar), "1w", calendar)
        assert len(weeks) >= 2 and (weeks["open_time"].dt.dayofweek == weekday).all()
