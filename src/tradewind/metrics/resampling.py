"""The stationary bootstrap's walk through the days (Politis and Romano 1994), for every test that resamples."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def next_day(at: int, number: int, day: int, starts: NDArray[np.integer], renew: NDArray[np.bool_]) -> int:
    """The day that stands at place `day` of resample `number`, after `at`.

    The day that follows, from the last on to the first, unless a new block begins there: then the one in `starts`.
    Both have the shape (resamples, days).
    """
    if day == 0 or renew[number, day]:
        return int(starts[number, day])
    return (at + 1) % starts.shape[1]
