"""Segments: stretches of bars without a long hole. Nothing that rolls may cross from one into the next."""

import numpy as np
import numpy.typing as npt


def assign_segments(open_time_ms: npt.NDArray[np.int64], bar_ms: int, max_gap_bars: int) -> npt.NDArray[np.int32]:
    """The segment number of each bar, from 0.

    Args:
        open_time_ms: opening instants of the bars, strictly increasing, in milliseconds.
        bar_ms: duration of one bar.
        max_gap_bars: this many missing bars in a row are still bridged; one more starts a new segment.
    """
    missing = missing_before(open_time_ms, bar_ms)
    return np.cumsum(missing > max_gap_bars, dtype=np.int32)


def missing_before(open_time_ms: npt.NDArray[np.int64], bar_ms: int) -> npt.NDArray[np.int64]:
    """How many bars are missing between each bar and the one before it; 0 for the first."""
    missing = np.zeros(len(open_time_ms), dtype=np.int64)
    missing[1:] = np.diff(open_time_ms) // bar_ms - 1
    return missing
