"""Lags and recursive means. A missing value leaves a recursion as it was, and gives a missing result."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def lag(values: Floats, out: Floats, n: int, window: int, state: Floats, at: int) -> None:
    """The value `window` bars ago. State: bars so far, then the last `window` values."""
    count = int(state[at])
    place = count % window
    for row in range(n):
        out[row] = state[at + 1 + place] if count + row >= window else np.nan
        state[at + 1 + place] = values[row]
        place += 1
        if place == window:
            place = 0
    state[at] = count + n


@njit(cache=True, nogil=True)
def exponential_mean(values: Floats, out: Floats, n: int, span: int, state: Floats, at: int) -> None:
    """Mean with weight 2 / (span + 1) on the newest value, seeded by the first. State: begun, mean."""
    weight = 2.0 / (span + 1.0)
    begun, mean = state[at] > 0, state[at + 1]
    for row in range(n):
        value = values[row]
        if value != value:
            out[row] = np.nan
            continue
        mean = mean + weight * (value - mean) if begun else value
        begun = True
        out[row] = mean
    state[at], state[at + 1] = 1.0 if begun else 0.0, mean


@njit(cache=True, nogil=True)
def wilder_mean(values: Floats, out: Floats, n: int, period: int, state: Floats, at: int) -> None:
    """Wilder's mean: a plain mean of the first `period` values, then weight 1 / period (1978). State: count, mean."""
    count, mean = state[at], state[at + 1]
    for row in range(n):
        value = values[row]
        if value != value:
            out[row] = np.nan
            continue
        count += 1.0
        if count <= period:
            mean += (value - mean) / count
            out[row] = mean if count == period else np.nan
        else:
            mean += (value - mean) / period
            out[row] = mean
    state[at], state[at + 1] = count, mean
