"""Ranks, quantiles, mean distances and filters: what has no running form looks at its window once.

The window is kept twice over, so that it always lies in one piece and the compiler can use vector instructions.
State at `at`: bars so far, how many values of the window are missing, then 2 * `window` raw values.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, inline="always")
def _push(value, window, state, at):  # type: ignore[no-untyped-def]
    """Append a value; where the window now begins, or -1 while it is not full or holds a missing value."""
    count = int(state[at])
    place = count % window
    raw = at + 2
    gone = state[raw + place]
    if value != value:
        state[at + 1] += 1
    if count >= window and gone != gone:
        state[at + 1] -= 1
    state[raw + place] = value
    state[raw + place + window] = value
    state[at] = count + 1
    return raw + place + 1 if count + 1 >= window and state[at + 1] == 0 else -1


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def window_rank(values: Floats, out: Floats, n: int, window: int, state: Floats, at: int) -> None:
    """Share of the other values of the window that lie below its last, ties counted half; in [0, 1].

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets one number a bar; NaN until the window is full and while it holds a NaN.
        n: how many of the bars to advance.
        window: bars, the present one included; two or more.
        state: numbers carried from block to block, changed in place; laid out as the head of this file says.
        at: where this operation's numbers begin in `state`.
    """
    for row in range(n):
        value = values[row]
        first = _push(value, window, state, at)
        if first < 0:
            out[row] = np.nan
            continue
        # Counted in floats, which share vector registers with what is compared: four times faster than integers.
        below, upto = 0.0, 0.0
        held = state[first : first + window]
        for slot in range(window):
            below += 1.0 if held[slot] < value else 0.0
            upto += 1.0 if held[slot] <= value else 0.0
        out[row] = (0.5 * (below + upto - 1.0)) / (window - 1)


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def window_deviation(values: Floats, out: Floats, n: int, window: int, state: Floats, at: int) -> None:
    """Mean absolute distance to the window's mean; 0 where all its values are equal.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets one number a bar; NaN until the window is full and while it holds a NaN.
        n: how many of the bars to advance.
        window: bars, the present one included.
        state: numbers carried from block to block, changed in place; laid out as the head of this file says.
        at: where this operation's numbers begin in `state`.
    """
    for row in range(n):
        first = _push(values[row], window, state, at)
        if first < 0:
            out[row] = np.nan
            continue
        held = state[first : first + window]
        origin, mean = held[0], 0.0
        for slot in range(window):
            mean += held[slot] - origin
        mean = origin + mean / window
        total = 0.0
        for slot in range(window):
            total += abs(held[slot] - mean)
        out[row] = total / window


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def window_filter(values: Floats, out: Floats, n: int, window: int, weights: Floats, state: Floats, at: int) -> None:
    """Sum of the window's values times `weights`, the oldest first.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets one number a bar; NaN until the window is full and while it holds a NaN.
        n: how many of the bars to advance.
        window: bars, the present one included.
        weights: shape (window,), the oldest bar's first.
        state: numbers carried from block to block, changed in place; laid out as the head of this file says.
        at: where this operation's numbers begin in `state`.
    """
    for row in range(n):
        first = _push(values[row], window, state, at)
        if first < 0:
            out[row] = np.nan
            continue
        held = state[first : first + window]
        total = 0.0
        for slot in range(window):
            total += weights[slot] * held[slot]
        out[row] = total


@njit(cache=True, nogil=True)
def window_quantile(values: Floats, out: Floats, n: int, window: int, share: float, state: Floats, at: int) -> None:
    """The `share` quantile of the last `window` values, by linear interpolation.

    The present values are kept sorted; one leaves and one enters with each bar. They follow the window in the state.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets one number a bar; NaN until the window is full and while it holds a NaN.
        n: how many of the bars to advance.
        window: bars, the present one included.
        share: of the values that lie below the quantile, from 0 to 1.
        state: numbers carried from block to block, changed in place; laid out as the head of this file says.
        at: where this operation's numbers begin in `state`.
    """
    in_order = at + 2 + 2 * window
    position = share * (window - 1)
    below = int(position)
    above, part = min(below + 1, window - 1), position - below
    for row in range(n):
        value = values[row]
        count = int(state[at])
        gone = state[at + 2 + count % window]
        held = min(count, window) - int(state[at + 1])
        if count >= window and gone == gone:
            low = in_order + np.searchsorted(state[in_order : in_order + held], gone)
            for slot in range(low, in_order + held - 1):
                state[slot] = state[slot + 1]
            held -= 1
        if value == value:
            low = in_order + np.searchsorted(state[in_order : in_order + held], value)
            for slot in range(in_order + held, low, -1):
                state[slot] = state[slot - 1]
            state[low] = value
        first = _push(value, window, state, at)
        out[row] = np.nan
        if first >= 0:
            out[row] = state[in_order + below] * (1 - part) + state[in_order + above] * part
