"""Sums and extremes of rolling windows, in one pass and without ever subtracting what has left the window.

Every kernel advances `state` by a block of bars and writes one value a bar; NaN until the window is full and while it
holds a NaN. The history is divided into blocks of the window's length. A window is then the end of one block and the
beginning of the next, so its value is the merge of two running aggregates: one kept forwards in this block, one taken
backwards through the last (van Herk 1992; Gil and Werman 1993). That is O(1) a bar, exact on constants, and nothing is
carried from one window to the next that could drift or cancel. A block's end costs O(window), once.

State at `at`: place in the block, whether a block is complete, the aggregate of this block so far, then the raw values
of this block and the backward aggregates of the last, `window` numbers each.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def _sum_backwards(state: Floats, raw: int, ahead: int, window: int) -> None:
    """Sums from each value of a block to its end. Four at a time: a chain of additions would wait for each one."""
    values, sums, back = state[raw : raw + window], state[ahead : ahead + window], 0.0
    fours = (window - 1) // 4
    for four in range(fours):
        slot = np.uint64(window - 1 - 4 * four)
        one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
        pair = values[slot] + values[slot - one]
        sums[slot] = back + values[slot]
        sums[slot - one] = back + pair
        sums[slot - two] = back + (pair + values[slot - two])
        back += pair + (values[slot - two] + values[slot - three])
        sums[slot - three] = back
    for place in range(window - 1 - 4 * fours, 0, -1):
        back += values[place]
        sums[place] = back


@njit(cache=True, nogil=True)
def window_sum(values: Floats, out: Floats, n: int, window: int, state: Floats, at: int) -> None:
    """Sum of the last `window` values.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets one number a bar; NaN until the window is full and while it holds a NaN.
        n: how many of the bars to advance.
        window: bars, the present one included.
        state: numbers carried from block to block, changed in place; laid out as the head of this file says.
        at: where this operation's numbers begin in `state`.
    """
    place, complete, total = int(state[at]), state[at + 1] > 0, state[at + 2]
    raw, ahead = at + 3, at + 3 + window
    row = 0
    while row < n:
        run = min(n - row, window - 1 - place)
        new, raws = values[row : row + run], state[raw + place : raw + place + run]
        rest, result = state[ahead + place + 1 : ahead + place + 1 + run], out[row : row + run]
        for step in range(run):
            raws[step] = new[step]
            total += new[step]
            result[step] = total + rest[step]
        if not complete:
            result[:] = np.nan
        row += run
        place += run
        if row < n:
            value = values[row]
            state[raw + place] = value
            out[row] = total + value
            _sum_backwards(state, raw, ahead, window)
            row += 1
            place, complete, total = 0, True, 0.0
    state[at], state[at + 1], state[at + 2] = place, 1.0 if complete else 0.0, total


@njit(cache=True, nogil=True)
def _larger(left: float, right: float) -> float:
    # NaN must win, and the language's own max drops it on one side.
    return left if left > right or left != left else right


@njit(cache=True, nogil=True)
def window_max(values: Floats, out: Floats, n: int, window: int, sign: float, state: Floats, at: int) -> None:
    """Largest of the last `window` values; the smallest where `sign` is -1.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets one number a bar; NaN until the window is full and while it holds a NaN.
        n: how many of the bars to advance.
        window: bars, the present one included.
        sign: 1 for the maximum, -1 for the minimum.
        state: numbers carried from block to block, changed in place; laid out as the head of this file says.
        at: where this operation's numbers begin in `state`.
    """
    place, complete, best = int(state[at]), state[at + 1] > 0, state[at + 2]
    raw, ahead = state[at + 3 : at + 3 + window], state[at + 3 + window : at + 3 + 2 * window]
    row = 0
    while row < n:
        run = min(n - row, window - 1 - place)
        new, raws = values[row : row + run], raw[place : place + run]
        rest, result = ahead[place + 1 : place + 1 + run], out[row : row + run]
        for step in range(run):
            value = sign * new[step]
            raws[step] = value
            best = _larger(best, value) if place + step > 0 else value
            result[step] = sign * _larger(best, rest[step])
        if not complete:
            result[:] = np.nan
        row += run
        place += run
        if row < n:
            value = sign * values[row]
            raw[place] = value
            out[row] = sign * (_larger(best, value) if place > 0 else value)
            back = value
            ahead[place] = value
            for slot in range(window - 2, 0, -1):
                back = _larger(back, raw[slot])
                ahead[slot] = back
            row += 1
            place, complete = 0, True
    state[at], state[at + 1], state[at + 2] = place, 1.0 if complete else 0.0, best


@njit(cache=True, nogil=True)
def bars_since_max(values: Floats, out: Floats, n: int, window: int, sign: float, state: Floats, at: int) -> None:
    """Bars since the latest maximum of the last `window` values; since the minimum where `sign` is -1.

    The window is searched only when its extreme has left it. State: bars so far, age of the extreme (`window` where it
    is unknown), the extreme, how many values of the window are missing, and the window twice over, so that it always
    lies in one piece.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        out: gets one number a bar; NaN until the window is full and while it holds a NaN.
        n: how many of the bars to advance.
        window: bars, the present one included.
        sign: 1 for the maximum, -1 for the minimum.
        state: numbers carried from block to block, changed in place.
        at: where this operation's numbers begin in `state`.
    """
    count, age, best, missing = int(state[at]), int(state[at + 1]), state[at + 2], int(state[at + 3])
    raw = at + 4
    for row in range(n):
        value = sign * values[row]
        place = count % window
        gone = state[raw + place]
        missing += (1 if value != value else 0) - (1 if count >= window and gone != gone else 0)
        state[raw + place] = value
        state[raw + place + window] = value
        count += 1
        age = min(age + 1, window)
        if missing > 0 or count < window:
            out[row] = np.nan
            age = window
            continue
        if age < window and value >= best:
            best, age = value, 0
        elif age >= window:
            first = raw + place + 1
            best, age = state[first], window - 1
            for slot in range(1, window):
                if state[first + slot] >= best:
                    best, age = state[first + slot], window - 1 - slot
        out[row] = age
    state[at], state[at + 1], state[at + 2], state[at + 3] = count, age, best, missing
