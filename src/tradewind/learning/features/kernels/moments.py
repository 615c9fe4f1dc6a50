"""Moments, co-moments and trends of rolling windows, in one pass, by merging halves (see `windows` for how).

Two halves of a window are merged by the formulas of Chan, Golub and LeVeque (1979) and Pebay (2008): distances are
taken to means and never to zero, so prices of 1e12 cost no digits and equal values give a variance of exactly 0.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def window_moments(
    values: Floats, mean_out: Floats, variance_out: Floats, n: int, window: int, state: Floats, at: int
) -> None:
    """Mean and population variance of the last `window` values.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        mean_out: gets one number a bar; NaN until the window is full and while it holds a NaN.
        variance_out: the same, of the variance.
        n: how many of the bars to advance.
        window: bars, the present one included.
        state: numbers carried from block to block, changed in place; laid out as the head of this file says.
        at: where this operation's numbers begin in `state`.
    """
    place, complete, mean, square = int(state[at]), state[at + 1] > 0, state[at + 2], state[at + 3]
    raw, means, squares = at + 4, at + 4 + window, at + 4 + 2 * window
    inverse = 1.0 / window
    for row in range(n):
        value = values[row]
        state[raw + place] = value
        if place == 0:
            mean, square = value, 0.0
        else:
            distance = value - mean
            mean += distance * (1.0 / (place + 1))
            square += distance * (value - mean)
        if place == window - 1:
            mean_out[row], variance_out[row] = mean, max(square, 0.0) / window if square == square else np.nan
            back_mean, back_square = state[raw + place], 0.0
            state[means + place], state[squares + place] = back_mean, 0.0
            for slot in range(window - 2, 0, -1):
                distance = state[raw + slot] - back_mean
                back_mean += distance * (1.0 / (window - slot))
                back_square += distance * (state[raw + slot] - back_mean)
                state[means + slot], state[squares + slot] = back_mean, back_square
            place, complete = 0, True
        else:
            if complete:
                in_block, there = place + 1, window - place - 1
                distance = state[means + place + 1] - mean
                mean_out[row] = mean + distance * (there * inverse)
                total = square + state[squares + place + 1] + distance * distance * (in_block * there * inverse)
                variance_out[row] = total * inverse
            else:
                mean_out[row] = variance_out[row] = np.nan
            place += 1
    state[at], state[at + 1], state[at + 2], state[at + 3] = place, 1.0 if complete else 0.0, mean, square


@njit(cache=True, nogil=True, inline="always")
def _merge(left, right, n_left, n_right):  # type: ignore[no-untyped-def]
    """Mean and the sums of second to fourth powers of the distances to it, of two halves together (Pebay 2008)."""
    mean_a, m2a, m3a, m4a = left
    mean_b, m2b, m3b, m4b = right
    n = n_left + n_right
    d = mean_b - mean_a
    share = d / n
    product = n_left * n_right
    mean = mean_a + share * n_right
    m2 = m2a + m2b + d * share * product
    m3 = m3a + m3b + d * share * share * product * (n_left - n_right)
    m3 += 3.0 * share * (n_left * m2b - n_right * m2a)
    m4 = m4a + m4b + d * share * share * share * product * (n_left * n_left - product + n_right * n_right)
    m4 += 6.0 * share * share * (n_left * n_left * m2b + n_right * n_right * m2a)
    m4 += 4.0 * share * (n_left * m3b - n_right * m3a)
    return mean, m2, m3, m4


@njit(cache=True, nogil=True)
def window_shape(values: Floats, skew: Floats, kurtosis: Floats, n: int, window: int, state: Floats, at: int) -> None:
    """Skewness and excess kurtosis of the last `window` values; 0 where they are all equal.

    State: place, complete, four moments of this block, then raw values and four backward moments.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        skew: gets one number a bar; NaN until the window is full and while it holds a NaN.
        kurtosis: the same, of the excess kurtosis.
        n: how many of the bars to advance.
        window: bars, the present one included.
        state: numbers carried from block to block, changed in place.
        at: where this operation's numbers begin in `state`.
    """
    place, complete = int(state[at]), state[at + 1] > 0
    head = (state[at + 2], state[at + 3], state[at + 4], state[at + 5])
    raw, back = at + 6, at + 6 + window
    for row in range(n):
        value = values[row]
        state[raw + place] = value
        one = (value, 0.0, 0.0, 0.0)
        head = one if place == 0 else _merge(head, one, place, 1)
        moments = head
        if place < window - 1 and complete:
            b = back + 4 * (place + 1)
            moments = _merge((state[b], state[b + 1], state[b + 2], state[b + 3]), head, window - place - 1, place + 1)
        if place == window - 1 or complete:
            _, m2, m3, m4 = moments
            if m2 != m2:
                skew[row] = kurtosis[row] = np.nan
            elif m2 <= 0.0:
                skew[row] = kurtosis[row] = 0.0
            else:
                variance = m2 / window
                skew[row] = m3 / window / (variance * np.sqrt(variance))
                kurtosis[row] = m4 / window / (variance * variance) - 3.0
        else:
            skew[row] = kurtosis[row] = np.nan
        if place == window - 1:
            tail = (state[raw + place], 0.0, 0.0, 0.0)
            for slot in range(window - 1, 0, -1):
                if slot < window - 1:
                    tail = _merge((state[raw + slot], 0.0, 0.0, 0.0), tail, 1, window - 1 - slot)
                b = back + 4 * slot
                state[b], state[b + 1], state[b + 2], state[b + 3] = tail
            place, complete = 0, True
        else:
            place += 1
    state[at], state[at + 1] = place, 1.0 if complete else 0.0
    state[at + 2], state[at + 3], state[at + 4], state[at + 5] = head


@njit(cache=True, nogil=True)
def window_comoments(
    left: Floats, right: Floats, both: Floats, left_out: Floats, right_out: Floats, n: int, window: int,
    state: Floats, at: int,
) -> None:  # fmt: skip
    """Covariance of the last `window` pairs and the variance of either side.

    State: place, complete, the two means and three sums of this block, then two raw columns and five backward ones.

    Args:
        left: the input, one number a bar; NaN where it is missing.
        right: the other input.
        both: gets the covariance a bar; NaN until the window is full and while it holds a NaN.
        left_out: the same, of the variance of `left`.
        right_out: the same, of the variance of `right`.
        n: how many of the bars to advance.
        window: bars, the present one included.
        state: numbers carried from block to block, changed in place.
        at: where this operation's numbers begin in `state`.
    """
    place, complete = int(state[at]), state[at + 1] > 0
    mx, my, cxy, cxx, cyy = state[at + 2], state[at + 3], state[at + 4], state[at + 5], state[at + 6]
    raw_x, raw_y, back = at + 7, at + 7 + window, at + 7 + 2 * window
    inverse = 1.0 / window
    for row in range(n):
        x, y = left[row], right[row]
        state[raw_x + place], state[raw_y + place] = x, y
        if place == 0:
            mx, my, cxy, cxx, cyy = x, y, 0.0 * x * y, 0.0 * x, 0.0 * y
        else:
            dx, dy = x - mx, y - my
            share = 1.0 / (place + 1)
            mx += dx * share
            my += dy * share
            cxy += dx * (y - my)
            cxx += dx * (x - mx)
            cyy += dy * (y - my)
        if place == window - 1:
            both[row], left_out[row], right_out[row] = cxy / window, cxx / window, cyy / window
            bx, by, bxy, bxx, byy = 0.0, 0.0, 0.0, 0.0, 0.0
            for slot in range(window - 1, 0, -1):
                x, y, count = state[raw_x + slot], state[raw_y + slot], window - slot
                dx, dy = x - bx, y - by
                bx += dx * (1.0 / count)
                by += dy * (1.0 / count)
                bxy += dx * (y - by)
                bxx += dx * (x - bx)
                byy += dy * (y - by)
                b = back + 5 * slot
                state[b], state[b + 1], state[b + 2], state[b + 3], state[b + 4] = bx, by, bxy, bxx, byy
            place, complete = 0, True
        else:
            if complete:
                b = back + 5 * (place + 1)
                dx, dy = mx - state[b], my - state[b + 1]
                weight = (place + 1.0) * (window - place - 1.0) * inverse
                both[row] = (cxy + state[b + 2] + dx * dy * weight) * inverse
                left_out[row] = (cxx + state[b + 3] + dx * dx * weight) * inverse
                right_out[row] = (cyy + state[b + 4] + dy * dy * weight) * inverse
            else:
                both[row] = left_out[row] = right_out[row] = np.nan
            place += 1
    state[at], state[at + 1] = place, 1.0 if complete else 0.0
    state[at + 2], state[at + 3], state[at + 4], state[at + 5], state[at + 6] = mx, my, cxy, cxx, cyy


@njit(cache=True, nogil=True)
def window_trend(
    values: Floats, slope_out: Floats, mean_out: Floats, variance_out: Floats, n: int, window: int,
    state: Floats, at: int,
) -> None:  # fmt: skip
    """Least-squares slope a bar through the last `window` values, their mean and their population variance.

    State: place, complete, mean, square sum and cross sum with time of this block, then raw values and three backward
    columns.

    Args:
        values: the input, one number a bar; NaN where it is missing.
        slope_out: gets the slope; NaN until the window is full and while it holds a NaN.
        mean_out: the same, of the mean.
        variance_out: the same, of the variance.
        n: how many of the bars to advance.
        window: bars, the present one included.
        state: numbers carried from block to block, changed in place.
        at: where this operation's numbers begin in `state`.
    """
    place, complete = int(state[at]), state[at + 1] > 0
    mean, square, cross = state[at + 2], state[at + 3], state[at + 4]
    raw, back = at + 5, at + 5 + window
    spread = window * (window * window - 1.0) / 12.0
    inverse = 1.0 / window
    for row in range(n):
        value = values[row]
        state[raw + place] = value
        if place == 0:
            mean, square, cross = value, 0.0, 0.0
        else:
            distance = value - mean
            cross += distance * place * 0.5
            mean += distance * (1.0 / (place + 1))
            square += distance * (value - mean)
        if place == window - 1:
            slope_out[row], mean_out[row], variance_out[row] = cross / spread, mean, square / window
            back_mean, back_square, back_cross = state[raw + place], 0.0, 0.0
            b = back + 3 * place
            state[b], state[b + 1], state[b + 2] = back_mean, 0.0, 0.0
            for slot in range(window - 2, 0, -1):
                count = window - slot
                distance = state[raw + slot] - back_mean
                back_cross -= distance * (count - 1) * 0.5
                back_mean += distance * (1.0 / count)
                back_square += distance * (state[raw + slot] - back_mean)
                b = back + 3 * slot
                state[b], state[b + 1], state[b + 2] = back_mean, back_square, back_cross
            place, complete = 0, True
        else:
            if complete:
                b = back + 3 * (place + 1)
                in_block, there = place + 1.0, window - place - 1.0
                distance = mean - state[b]
                total = cross + state[b + 2] + distance * in_block * there * 0.5
                slope_out[row] = total * (1.0 / spread)
                mean_out[row] = state[b] + distance * (in_block * inverse)
                variance_out[row] = (
                    square + state[b + 1] + distance * distance * (in_block * there * inverse)
                ) * inverse
            else:
                slope_out[row] = mean_out[row] = variance_out[row] = np.nan
            place += 1
    state[at], state[at + 1] = place, 1.0 if complete else 0.0
    state[at + 2], state[at + 3], state[at + 4] = mean, square, cross
