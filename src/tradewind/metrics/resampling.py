"""The stationary bootstrap's walk through the days (Politis and Romano 1994), for every test that resamples."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def next_day(at: int, number: int, day: int, starts: NDArray[np.integer], renew: NDArray[np.bool_]) -> int:
    """The day that stands at place `day` of resample `number`, after `at`.

    The day that follows, from the last on to the first, unless a new block begins there: then the one in `starts`.
    Both have the shape (resamples, days).

    Args:
        at: the day that stands before.
        number: of the resample.
        day: the place in the resample.
        starts: shape (resamples, days), the day that a block would begin with.
        renew: shape (resamples, days), whether a block begins.
    """
    if day == 0 or renew[number, day]:
        return int(starts[number, day])
    return (at + 1) % starts.shape[1]


@njit(cache=True, nogil=True)
def resampled_totals(
    values: NDArray[np.float64], starts: NDArray[np.integer], renew: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Sums over the days of every resample: `values` has the shape (days, columns), the result (resamples, columns).

    Args:
        values: shape (days, columns).
        starts: shape (resamples, days), the day that a block would begin with.
        renew: shape (resamples, days), whether a block begins.
    """
    n_resamples, n_days = starts.shape
    out = np.zeros((n_resamples, values.shape[1]))
    for number in range(n_resamples):
        at = 0
        for day in range(n_days):
            at = next_day(at, number, day, starts, renew)
            for column in range(values.shape[1]):
                out[number, column] += values[at, column]
    return out


def draw_totals(
    values: NDArray[np.float64], mean_block_days: float, n_resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Sums over days drawn in blocks (resamples, columns), of values (days, columns).

    Args:
        values: shape (days, columns).
        mean_block_days: the mean length of a block.
        n_resamples: how many resamples are drawn.
        rng: draws the resamples.
    """
    shape = (n_resamples, len(values))
    starts, renew = rng.integers(0, len(values), shape), rng.random(shape) < 1 / mean_block_days
    return np.asarray(resampled_totals(np.ascontiguousarray(values), starts, renew))
