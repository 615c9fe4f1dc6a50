"""Rolling kernels: each value is computed from its own window, in float64.

A window that is not full, or that holds a NaN, gives NaN. Computing every window afresh costs more than a running
sum, but nothing is carried from one window to the next: no cancellation on large prices, and the same bits wherever the
history is cut.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def log_change(values: Floats, lag: int) -> Floats:
    """log(x[t] / x[t - lag])."""
    out = np.full(len(values), np.nan)
    for row in range(lag, len(values)):
        out[row] = np.log(values[row] / values[row - lag])
    return out


@njit(cache=True, nogil=True)
def rolling_sum(values: Floats, window: int) -> Floats:
    """Sum of the last `window` values."""
    out = np.full(len(values), np.nan)
    for row in range(window - 1, len(values)):
        total = 0.0
        for at in range(row - window + 1, row + 1):
            total += values[at]
        out[row] = total
    return out


@njit(cache=True, nogil=True)
def rolling_mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` values."""
    return rolling_sum(values, window) / window


@njit(cache=True, nogil=True)
def rolling_max(values: Floats, window: int) -> Floats:
    """Largest of the last `window` values."""
    out = np.full(len(values), np.nan)
    for row in range(window - 1, len(values)):
        best = values[row]
        for at in range(row - window + 1, row):
            best = max(best, values[at])
        out[row] = best
    return out


@njit(cache=True, nogil=True)
def bars_since_max(values: Floats, window: int) -> Floats:
    """Bars since the latest maximum of the last `window` values."""
    out = np.full(len(values), np.nan)
    for row in range(window - 1, len(values)):
        best = row - window + 1
        for at in range(row - window + 2, row + 1):
            if values[at] >= values[best]:
                best = at
        out[row] = row - best
    return out


@njit(cache=True, nogil=True)
def _is_constant(values: Floats, window: int, row: int) -> bool:
    # The mean of equal values is rarely that value to the last bit; a distance to it would pass for movement.
    for at in range(row - window + 1, row + 1):
        if values[at] != values[row]:
            return False
    return not np.isnan(values[row])


@njit(cache=True, nogil=True)
def central_moment(values: Floats, window: int, order: int) -> Floats:
    """Mean of the `order`-th power of the distance to the window's mean (two passes); 0 where all are equal."""
    out = np.full(len(values), np.nan)
    for row in range(window - 1, len(values)):
        if _is_constant(values, window, row):
            out[row] = 0.0
            continue
        mean = 0.0
        for at in range(row - window + 1, row + 1):
            mean += values[at]
        mean /= window
        total = 0.0
        for at in range(row - window + 1, row + 1):
            total += (values[at] - mean) ** order
        out[row] = total / window
    return out


@njit(cache=True, nogil=True)
def rolling_std(values: Floats, window: int) -> Floats:
    """Population standard deviation of the last `window` values."""
    return np.sqrt(central_moment(values, window, 2))


@njit(cache=True, nogil=True)
def mean_absolute_deviation(values: Floats, window: int) -> Floats:
    """Mean distance to the window's mean; 0 where all are equal."""
    out = np.full(len(values), np.nan)
    for row in range(window - 1, len(values)):
        if _is_constant(values, window, row):
            out[row] = 0.0
            continue
        mean = 0.0
        for at in range(row - window + 1, row + 1):
            mean += values[at]
        mean /= window
        total = 0.0
        for at in range(row - window + 1, row + 1):
            total += abs(values[at] - mean)
        out[row] = total / window
    return out


@njit(cache=True, nogil=True)
def root_mean_square(values: Floats, window: int) -> Floats:
    """Root of the mean square of the last `window` values."""
    return np.sqrt(rolling_mean(values * values, window))


@njit(cache=True, nogil=True)
def rank_of_last(values: Floats, window: int) -> Floats:
    """Share of the window that lies below its last value, ties counted half; in [0, 1]."""
    out = np.full(len(values), np.nan)
    for row in range(window - 1, len(values)):
        below = 0.0
        missing = False
        for at in range(row - window + 1, row + 1):
            missing = missing or np.isnan(values[at])
            if values[at] < values[row]:
                below += 1.0
            elif values[at] == values[row] and at != row:
                below += 0.5
        if not missing:
            out[row] = below / (window - 1)
    return out


@njit(cache=True, nogil=True)
def comoments(left: Floats, right: Floats, window: int) -> tuple[Floats, Floats, Floats]:
    """Covariance, variance of `left` and variance of `right` over the last `window` pairs."""
    covariance = np.full(len(left), np.nan)
    left_variance = np.full(len(left), np.nan)
    right_variance = np.full(len(left), np.nan)
    for row in range(window - 1, len(left)):
        left_mean = right_mean = 0.0
        for at in range(row - window + 1, row + 1):
            left_mean += left[at]
            right_mean += right[at]
        left_mean /= window
        right_mean /= window
        both = left_only = right_only = 0.0
        for at in range(row - window + 1, row + 1):
            a, b = left[at] - left_mean, right[at] - right_mean
            both += a * b
            left_only += a * a
            right_only += b * b
        covariance[row] = both / window
        left_variance[row] = left_only / window
        right_variance[row] = right_only / window
    return covariance, left_variance, right_variance


@njit(cache=True, nogil=True)
def trend_t_statistic(values: Floats, window: int) -> Floats:
    """t-statistic of the slope of a straight line through the last `window` values; 0 where they are constant."""
    out = np.full(len(values), np.nan)
    centre = (window - 1) / 2
    spread = window * (window * window - 1) / 12.0
    for row in range(window - 1, len(values)):
        mean = 0.0
        for at in range(window):
            mean += values[row - window + 1 + at]
        mean /= window
        cross = total = 0.0
        for at in range(window):
            distance = values[row - window + 1 + at] - mean
            cross += (at - centre) * distance
            total += distance * distance
        if np.isnan(total):
            continue
        slope = cross / spread
        residual = max(total - slope * cross, 0.0)
        error = np.sqrt(residual / (window - 2) / spread)
        out[row] = slope / error if error > 1e-12 * (abs(slope) + 1e-300) and error > 0 else 0.0
    return out


@njit(cache=True, nogil=True)
def exponential_mean(values: Floats, span: float, state: Floats, skip: int) -> Floats:
    """Exponential mean with weight 2 / (span + 1), seeded by the first value. `state` is (mean, count)."""
    out = np.full(len(values), np.nan)
    weight = 2.0 / (span + 1.0)
    for row in range(skip, len(values)):
        state[0] = values[row] if state[1] == 0 else state[0] + weight * (values[row] - state[0])
        state[1] += 1
        out[row] = state[0]
    return out


@njit(cache=True, nogil=True)
def wilder(value: float, period: int, state: Floats, at: int) -> float:
    """Wilder's average after one more value: a plain mean of the first `period`, then weight 1 / period.

    `state[at]` is the average (or the sum, at first), `state[at + 1]` the count.
    """
    state[at + 1] += 1
    if state[at + 1] <= period:
        state[at] += value / period
        return state[at] if state[at + 1] == period else np.nan
    state[at] += (value - state[at]) / period
    return state[at]
