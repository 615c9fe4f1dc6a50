"""Lags and recursive means. A missing value leaves a recursion as it was, and gives a missing result."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def lag(values: Floats, out: Floats, n: int, window: int, state: Floats, at: int) -> None:
    """The value `window` bars ago. State: bars so far, then the last `window` values.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets the earlier values; NaN on the first `window` bars.
        n: how many of the bars to advance.
        window: how many bars back.
        state: numbers carried from block to block, changed in place.
        at: where this operation's numbers begin in `state`.
    """
    count = int(state[at])
    held = state[at + 1 : at + 1 + window]
    place, row = count % window, 0
    while row < n:
        run = min(n - row, window - place)
        new, old, result = values[row : row + run], held[place : place + run], out[row : row + run]
        for step in range(run):
            result[step] = old[step]
            old[step] = new[step]
        place = 0
        row += run
    out[: min(max(window - count, 0), n)] = np.nan
    state[at] = count + n


@njit(cache=True, nogil=True)
def exponential_mean(values: Floats, out: Floats, n: int, span: int, state: Floats, at: int) -> None:
    """Mean with weight 2 / (span + 1) on the newest value, seeded by the first. State: begun, mean.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets the mean; NaN where the value is missing.
        n: how many of the bars to advance.
        span: bars.
        state: numbers carried from block to block, changed in place.
        at: where this operation's numbers begin in `state`.
    """
    weight = 2.0 / (span + 1.0)
    keep = 1.0 - weight
    begun, mean = state[at] > 0, state[at + 1]
    for row in range(n):
        value = values[row]
        if value != value:
            out[row] = np.nan
            continue
        mean = keep * mean + weight * value if begun else value
        begun = True
        out[row] = mean
    state[at], state[at + 1] = 1.0 if begun else 0.0, mean


@njit(cache=True, nogil=True)
def wilder_mean(values: Floats, out: Floats, n: int, period: int, state: Floats, at: int) -> None:
    """Wilder's mean: a plain mean of the first `period` values, then weight 1 / period (1978). State: count, mean.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets the mean; NaN where the value is missing and before `period` values have come.
        n: how many of the bars to advance.
        period: bars.
        state: numbers carried from block to block, changed in place.
        at: where this operation's numbers begin in `state`.
    """
    count, mean = state[at], state[at + 1]
    weight = 1.0 / period
    keep = 1.0 - weight
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
            mean = keep * mean + weight * value
            out[row] = mean
    state[at], state[at + 1] = count, mean
