"""Durations of bars, written the way venues write them: 1m, 5m, 1h, 4h, 1d, 1w."""

import re
from datetime import timedelta

from tradewind.errors import BadParameters

_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_MONDAY_MS = 4 * _DAY_MS  # 1970-01-05, the first Monday: most venues open weekly bars on Mondays
WEEK_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNIT = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def bar_duration(timeframe: str) -> timedelta:
    """The duration of one bar of `timeframe`.

    Raises:
        BadParameters: not a whole positive number followed by m, h, d or w; months, which have no one duration.
    """
    if re.fullmatch(r"[1-9][0-9]*(M|mo|mon|month|months)", timeframe):
        raise BadParameters(
            f"{timeframe!r} are months, which have no one duration: use daily or weekly bars (1d, 1w), of which months "
            "can be made"
        )
    found = re.fullmatch(r"([1-9][0-9]{0,3})([mhdw])", timeframe)
    if found is None:
        raise BadParameters(f"a timeframe is a number and one of m, h, d, w (such as 15m or 1h), found {timeframe!r}")
    return int(found[1]) * _UNIT[found[2]]


def bar_duration_ms(timeframe: str) -> int:
    """The duration of one bar of `timeframe`, in milliseconds."""
    return bar_duration(timeframe) // timedelta(milliseconds=1)


def bar_anchor_ms(bar_ms: int, week_start: str = "mon") -> int:
    """An instant at which a bar of this duration opens; all others are whole bars away from it.

    Raises:
        BadParameters: `week_start` is none of `WEEK_DAYS`.
    """
    if week_start not in WEEK_DAYS:
        raise BadParameters(f"week_start is one of {', '.join(WEEK_DAYS)}, found {week_start!r}")
    return _MONDAY_MS + WEEK_DAYS.index(week_start) * _DAY_MS if bar_ms % _WEEK_MS == 0 else 0
