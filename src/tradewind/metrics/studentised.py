"""Studentised bootstrap intervals of a mean, a Sharpe ratio, and the difference of two (Ledoit and Wolf 2008).

A percentile interval takes the spread of the resamples for that of the estimate. The studentised one resamples the
estimate's distance from its value in units of its own standard error, which is measured anew in every resample: what
it misses on fat tails, few days and dependent days is of a smaller order. Days are drawn in circular blocks of fixed
length.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST_DAYS = 10  # fewer have no standard error that is worth the name
CONSTANT = 1e-12  # a deviation up to which daily returns are constant
NOTHING = (float("nan"), float("nan"))


def mean_interval(
    values: Floats, rng: np.random.Generator, confidence: float = 0.9, n_resamples: int = 1000, block_days: int = 5
) -> tuple[float, float]:
    """Interval of the mean of dependent values.

    Args:
        values: shape (days,), in order of time.
        rng: draws the blocks.
        confidence: of the interval, in (0, 1).
        n_resamples: how many resamples are drawn.
        block_days: length of a block.

    Returns:
        The bounds; NaN for fewer than `LEAST_DAYS` values, or where the resamples tell no standard error.
    """
    columns = np.ascontiguousarray(values, dtype=np.float64)[:, None]
    return _interval(columns, np.zeros(1), rng, confidence, n_resamples, block_days)


def sharpe_interval(
    daily: Floats, rng: np.random.Generator, confidence: float = 0.9, n_resamples: int = 1000, block_days: int = 5
) -> tuple[float, float]:
    """Interval of the daily (not annualised) Sharpe ratio.

    Args:
        daily: shape (days,), net returns in order of time.
        rng: draws the blocks.
        confidence: of the interval, in (0, 1).
        n_resamples: how many resamples are drawn.
        block_days: length of a block.

    Returns:
        The bounds; NaN for fewer than `LEAST_DAYS` days, or where the resamples tell no standard error; 0 and 0 for
        constant returns, whose ratio is 0 by definition.
    """
    columns = np.ascontiguousarray(daily, dtype=np.float64)[:, None]
    return _interval(columns, np.ones(1), rng, confidence, n_resamples, block_days)


def sharpe_difference_interval(
    pair: Floats, rng: np.random.Generator, confidence: float = 0.9, n_resamples: int = 1000, block_days: int = 5
) -> tuple[float, float]:
    """Interval of the first column's daily Sharpe ratio less the second's, days resampled in pairs.

    Args:
        pair: shape (days, 2), net returns of two strategies on the same days.
        rng: draws the blocks.
        confidence: of the interval, in (0, 1).
        n_resamples: how many resamples are drawn.
        block_days: length of a block.

    Returns:
        The bounds; NaN for fewer than `LEAST_DAYS` days, or where the resamples tell no standard error; 0 and 0 where
        the two are the same.
    """
    columns = np.ascontiguousarray(pair, dtype=np.float64)
    return _interval(columns, np.array([1.0, -1.0]), rng, confidence, n_resamples, block_days)


def standard_error(influence: Floats) -> float:
    """Standard error of a mean of dependent values by the prewhitened quadratic spectral kernel.

    An autoregression of order 1 is taken out, the rest weighted by the kernel whose bandwidth follows from a second
    autoregression (Andrews 1991, equations 6.2 and 6.4), and what was taken out is put back (Andrews and Monahan 1992,
    with their bound of 0.97). Degrees of freedom as Ledoit and Wolf (2008, section 3.1) count them: n / (n - 4).

    Args:
        influence: shape (days,), of mean 0: what each day moved the estimate by, times the number of days.
    """
    n = len(influence)
    slope = _first_autocorrelation(influence)
    rest = influence[1:] - slope * influence[:-1]
    again = _first_autocorrelation(rest)
    alpha = 4.0 * again**2 / (1.0 - again) ** 4
    bandwidth = max(1.3221 * (alpha * len(rest)) ** 0.2, 1e-6)
    variance = _long_run_variance(rest, bandwidth) / (1.0 - slope) ** 2
    return math.sqrt(variance / max(n - 4, 1))


def _first_autocorrelation(values: Floats) -> float:
    total = float(values[:-1] @ values[:-1])
    slope = float(values[1:] @ values[:-1]) / total if total > 0 else 0.0
    return min(max(slope, -0.97), 0.97)


def _long_run_variance(values: Floats, bandwidth: float) -> float:
    """The sum of autocovariances, weighted by the quadratic spectral kernel: it has no last lag, so all are summed, by
    the Fourier transform, in an order that does not depend on threads."""
    n = len(values)
    transform = np.fft.rfft(values, 2 * n)
    covariances = np.fft.irfft(transform * np.conj(transform), 2 * n)[:n] / n
    at = 6.0 * math.pi / 5.0 * np.arange(1, n) / bandwidth
    weights = 3.0 / at**2 * (np.sin(at) / at - np.cos(at))
    return max(float(covariances[0] + 2.0 * (weights * covariances[1:]).sum()), 0.0)


def _interval(
    columns: Floats, is_ratio: Floats, rng: np.random.Generator, confidence: float, n_resamples: int, block_days: int
) -> tuple[float, float]:
    """The symmetric studentised interval of the first column's estimate, less the second's if there is one.

    `is_ratio` has 1 for a column whose estimate is its Sharpe ratio, or -1 where it is subtracted, and 0 for a mean.
    """
    n = len(columns)
    length = min(block_days, n // 2)
    if n < LEAST_DAYS:
        return NOTHING
    found, influence = _estimate(columns, is_ratio)
    error = standard_error(influence)
    if error <= CONSTANT:
        return found, found
    # Sums of every circular block: an estimate and its error need no more of a block than these.
    around = np.concatenate([columns, columns[: length - 1]])
    totals = np.concatenate([np.zeros((1, 2 * columns.shape[1])), np.cumsum(np.hstack([around, around**2]), axis=0)])
    starts = rng.integers(0, n, (n_resamples, n // length))
    away = _studentised_distances(totals[length:] - totals[:-length], is_ratio, starts, length, found)
    reach = float(np.quantile(away, confidence, method="higher")) * error  # not between two: one may be infinite
    return (found - reach, found + reach) if math.isfinite(reach) else NOTHING


def _estimate(columns: Floats, is_ratio: Floats) -> tuple[float, Floats]:
    """The estimate, and its influence function on each day (Ledoit and Wolf 2008, section 3.1, in one dimension)."""
    value, influence = 0.0, np.zeros(len(columns))
    for column, kind in zip(columns.T, is_ratio, strict=True):
        mean, deviation = float(column.mean()), float(column.std(ddof=1))
        if kind == 0.0:
            value, influence = value + mean, influence + column - mean
        elif deviation > CONSTANT:
            z, ratio = (column - mean) / deviation, mean / deviation
            value, influence = value + kind * ratio, influence + kind * (z - ratio / 2 * (z**2 - 1))
    return float(value), influence - influence.mean()


@njit(cache=True, nogil=True)
def _studentised_distances(
    blocks: Floats, is_ratio: Floats, starts: NDArray[np.int64], length: int, found: float
) -> Floats:
    """How far each resample's estimate lies from the found one, in its own standard errors.

    The error of a resample comes from its blocks, which are independent (Goetze and Kuensch 1996; Ledoit and Wolf
    2008, equation 9): the influence function is linear in a day's value and its square, so its sum over a block
    follows from the block's sums. A resample without variation is infinitely far.

    Args:
        blocks: shape (days, 2 columns), sums of the values, then of their squares, over the block from each day on.
        is_ratio: shape (columns,), 1 or -1 for a Sharpe ratio that is added or subtracted, 0 for a mean.
        starts: shape (resamples, blocks), the days that blocks begin with.
        length: of a block, in days.
        found: the estimate from the days as they came.
    """
    n_resamples, n_blocks = starts.shape
    n_columns = len(is_ratio)
    n_days = n_blocks * length
    out = np.empty(n_resamples)
    linear, square = np.empty(n_columns), np.empty(n_columns)
    for number in range(n_resamples):
        value = constant = 0.0
        for column in range(n_columns):
            total = squares = 0.0
            for start in starts[number]:
                total += blocks[start, column]
                squares += blocks[start, n_columns + column]
            mean = total / n_days
            linear[column], square[column] = 0.0, 0.0
            if is_ratio[column] == 0.0:
                value += mean
                linear[column] = 1.0
                constant -= mean
                continue
            deviation = math.sqrt(max(squares - n_days * mean * mean, 0.0) / (n_days - 1))
            if deviation <= CONSTANT:
                continue
            ratio = mean / deviation
            value += is_ratio[column] * ratio
            # z - ratio / 2 (z^2 - 1), as a polynomial of the day's value.
            linear[column] = is_ratio[column] * (1.0 + ratio * ratio) / deviation
            square[column] = -is_ratio[column] * ratio / (2.0 * deviation * deviation)
            constant += is_ratio[column] * (ratio / 2.0 - ratio - ratio**3 / 2.0)
        spread = 0.0
        for start in starts[number]:
            moved = constant * length
            for column in range(n_columns):
                moved += linear[column] * blocks[start, column] + square[column] * blocks[start, n_columns + column]
            spread += moved * moved
        error = math.sqrt(spread) / n_days
        away = abs(value - found)
        out[number] = away / error if error > CONSTANT else (0.0 if away == 0.0 else np.inf)
    return out
