"""Segments: stretches of bars without a long hole. Nothing that rolls may cross from one into the next."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradewind.market.calendars import Calendar

Integers = npt.NDArray[np.int64]


class SegmentState(NamedTuple):
    """What `fold_segments` carries: the last bar's opening in milliseconds (None before the first), and its segment."""

    opened_ms: int | None = None
    segment: int = 0


def fold_segments(
    state: SegmentState, open_time_ms: Integers, bar_ms: int, max_gap_bars: int, calendar: Calendar | None = None
) -> tuple[SegmentState, npt.NDArray[np.int32]]:
    """`assign_segments` of the bars that follow those after which the state was `state`: (state, segments).

    Args:
        state: as the bars before these left it.
        open_time_ms: shape (bars,), epoch milliseconds, rising.
        bar_ms: the length of a bar in milliseconds.
        max_gap_bars: a longer gap begins a new segment.
        calendar: when the market trades, so that nights and weekends are no gaps; None: around the clock.
    """
    if not len(open_time_ms):
        return state, np.empty(0, dtype=np.int32)
    before = open_time_ms[:1] if state.opened_ms is None else [state.opened_ms]
    missing = missing_before(np.concatenate((before, open_time_ms)), bar_ms, calendar)[1:]
    segment = np.cumsum(missing > max_gap_bars, dtype=np.int32) + np.int32(state.segment)
    return SegmentState(int(open_time_ms[-1]), int(segment[-1])), segment


def assign_segments(
    open_time_ms: Integers, bar_ms: int, max_gap_bars: int, calendar: Calendar | None = None
) -> npt.NDArray[np.int32]:
    """The segment number of each bar, from 0.

    Args:
        open_time_ms: opening instants of the bars, strictly increasing, in milliseconds.
        bar_ms: duration of one bar.
        max_gap_bars: this many missing bars in a row are still bridged; one more starts a new segment.
        calendar: when the market trades; None: around the clock.
    """
    return fold_segments(SegmentState(), open_time_ms, bar_ms, max_gap_bars, calendar)[1]


def missing_before(open_time_ms: Integers, bar_ms: int, calendar: Calendar | None = None) -> Integers:
    """How many bars are missing between each bar and the one before it; 0 for the first.

    Args:
        open_time_ms: opening instants, rising, in milliseconds.
        bar_ms: duration of one bar.
        calendar: when the market trades; None: around the clock.
    """
    return (calendar or Calendar(bar_ms=bar_ms)).missing_before(open_time_ms)
