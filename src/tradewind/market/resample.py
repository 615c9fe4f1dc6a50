"""Slower bars made of closed bars only."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from numba import njit

from tradewind.errors import BadData, BadParameters
from tradewind.market.calendars import Calendar
from tradewind.market.timeframes import bar_duration_ms

_SUMMED = ("volume", "quote_volume", "trades")


@njit(cache=True, nogil=True)
def _groups(
    open_time_ms: npt.NDArray[np.int64], segment: npt.NDArray[np.int32], slow_ms: int, anchor_ms: int
) -> npt.NDArray[np.int64]:
    groups = np.empty(len(open_time_ms), dtype=np.int64)
    group = -1
    bucket = np.int64(0)
    for row in range(len(open_time_ms)):
        here = (open_time_ms[row] - anchor_ms) // slow_ms
        if row == 0 or here != bucket or segment[row] != segment[row - 1]:
            group += 1
            bucket = here
        groups[row] = group
    return groups


def resample_closed(bars: pd.DataFrame, timeframe: str, calendar: Calendar | None = None) -> pd.DataFrame:
    """Bars of the slower `timeframe`, in the shape of `bars`; `timestamp` is the slow bar's close.

    A slow bar is kept only if its segment covers it from its open to its close: the first bar of a segment that
    begins inside it, and the last one that is still open where a segment ends, are left out. Bars missing inside
    a segment (holes short enough to be bridged) are not invented: what was traded is what is summed up. Nights and
    weekends of a market with sessions are no part of a slow bar.

    Args:
        bars: of one symbol, checked.
        timeframe: the slower one.
        calendar: of the bars; None: around the clock, weeks from Monday.

    Raises:
        BadParameters: `timeframe` is not a whole multiple of the bars' own.
        BadData: a column is missing.
    """
    missing = [name for name in ("timeframe", "open_time", "timestamp", "segment") if name not in bars]
    if missing:
        raise BadData(f"bars must have the column {', '.join(missing)}: found {', '.join(map(str, bars))}")
    base_ms = bar_duration_ms(str(bars["timeframe"].iloc[0])) if len(bars) else 1
    slow_ms = bar_duration_ms(timeframe)
    if slow_ms % base_ms or slow_ms <= base_ms:
        raise BadParameters(
            f"bars of {bars['timeframe'].iloc[0]} can be resampled to whole multiples of it, found {timeframe!r}"
        )
    open_time_ms = bars["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    segment = bars["segment"].to_numpy()
    own = calendar or Calendar(bar_ms=base_ms)
    anchor_ms = own.on(timeframe).anchor_ms
    slow = _aggregate(bars, _groups(open_time_ms, segment, slow_ms, anchor_ms))
    opened_ms = slow["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    closed_ms = slow["timestamp"].to_numpy("datetime64[ms]").astype(np.int64)
    start_ms = (opened_ms - anchor_ms) // slow_ms * slow_ms + anchor_ms
    number = slow["segment"].to_numpy()
    continues_before = np.r_[False, number[1:] == number[:-1]] | _nothing_between(own, start_ms, opened_ms)
    continues_after = np.r_[number[1:] == number[:-1], False] | _nothing_between(own, closed_ms, start_ms + slow_ms)
    slow["timeframe"] = timeframe
    slow["open_time"] = _instants(start_ms)
    slow["timestamp"] = _instants(start_ms + slow_ms)
    slow = slow.astype({"timeframe": "str"})
    return slow.loc[continues_before & continues_after, list(bars.columns)].reset_index(drop=True)


def _nothing_between(
    calendar: Calendar, first_ms: npt.NDArray[np.int64], end_ms: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether no bar should open from the one instant up to the other."""
    if calendar.is_continuous:
        return np.asarray(first_ms == end_ms)
    return np.asarray(calendar.places(end_ms - 1) <= calendar.places(first_ms - 1))


def _aggregate(bars: pd.DataFrame, groups: npt.NDArray[np.int64]) -> pd.DataFrame:
    how = dict.fromkeys(bars.columns, "first")
    how |= {"timestamp": "last", "high": "max", "low": "min", "close": "last"}
    grouped = bars.groupby(groups)
    slow = grouped.agg({name: way for name, way in how.items() if name not in _SUMMED})
    for name in _SUMMED:
        if name in bars:
            slow[name] = grouped[name].sum(min_count=1)
    return slow


def _instants(instants_ms: npt.NDArray[np.int64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(instants_ms.astype("datetime64[ms]")).tz_localize("UTC")
