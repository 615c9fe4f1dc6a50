"""Durations of bars, written the way venues write them: 1m, 5m, 1h, 4h, 1d, 1w."""

import re
from datetime import timedelta

from tradewind.errors import BadParameters

_WEEK_MS = 604_800_000
_MONDAY_MS = 345_600_000  # 1970-01-05, the first Monday: venues open weekly bars on Mondays
_UNIT = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def bar_duration(timeframe: str) -> timedelta:
    """The duration of one bar of `timeframe`.

    Raises:
        BadParameters: not a whole positive number followed by m, h, d or w.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})([mhdw])", timeframe)
    if found is None:
        raise BadParameters(f"a timeframe is a number and one of m, h, d, w (such as 15m or 1h), found {timeframe!r}")
    return int(found[1]) * _UNIT[found[2]]


def bar_duration_ms(timeframe: str) -> int:
    """The duration of one bar of `timeframe`, in milliseconds."""
    return bar_duration(timeframe) // timedelta(milliseconds=1)


def bar_anchor_ms(bar_ms: int) -> int:
    """An instant at which a bar of this duration opens; all others are whole bars away from it."""
    return _MONDAY_MS if bar_ms % _WEEK_MS == 0 else 0
