"""Two series against each other, and one against chance: Diebold-Mariano, sign flips, shifted positions."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.metrics.significance import Floats


def diebold_mariano(loss: Floats, other: Floats, horizon: int) -> tuple[float, float]:
    """Statistic and two-sided p-value that two forecasts lose the same on average (Diebold and Mariano 1995).

    Negative where `loss` is the smaller. The variance sums the autocovariances below `horizon`, with Bartlett's weights
    so that it stays positive; small samples are corrected and judged by Student's t (Harvey, Leybourne and Newbold
    1997).
    (0, 1) where the losses never differ.
    """
    from scipy.stats import t

    difference = np.asarray(loss - other, dtype=np.float64)
    n = len(difference)
    centred = difference - difference.mean() if n else difference
    lags = min(max(horizon, 1), max(n - 1, 1))
    variance = float(centred @ centred) / max(n, 1)
    for lag in range(1, lags):
        variance += 2 * (1 - lag / lags) * float(centred[lag:] @ centred[:-lag]) / n
    if n < 3 or variance <= 1e-24:
        return 0.0, 1.0
    correction = max((n + 1 - 2 * lags + lags * (lags - 1) / n) / n, 1e-6)
    statistic = difference.mean() / math.sqrt(variance / n) * math.sqrt(correction)
    return float(statistic), float(2 * t.sf(abs(statistic), n - 1))


def sign_flip(daily: Floats, rng: np.random.Generator, n_flips: int = 2000, block_days: int = 5) -> float:
    """P-value that the mean return is not positive: how often returns whose signs are drawn anew do as well.

    Signs are drawn for whole blocks, so that neighbouring days stay together; exact where returns are symmetric
    (Fisher 1935). 1 where nothing happened.
    """
    if not len(daily) or not np.any(daily):
        return 1.0
    n_blocks = -(-len(daily) // block_days)
    padded = np.zeros(n_blocks * block_days)
    padded[: len(daily)] = daily
    sums = padded.reshape(n_blocks, block_days).sum(axis=1)
    flipped = np.where(rng.random((n_flips, n_blocks)) < 0.5, -1.0, 1.0) @ sums
    return float((1 + (flipped >= sums.sum() - 1e-15).sum()) / (n_flips + 1))


def shifted_positions(
    position: NDArray[np.float64], returns: Floats, rng: np.random.Generator, n_shifts: int = 1000
) -> float:
    """P-value that timing adds nothing: how often the same positions, turned around the clock, earn as much.

    Turning keeps exposure, turnover and holding times, so that what is tested is when, not how much. `position` is what
    was held through each bar, `returns` what the bar did; costs are equal on both sides and left out.
    """
    n = len(position)
    if n < 20 or not np.any(position):
        return 1.0
    shifts = rng.integers(n // 20, n - n // 20, n_shifts)
    shifted = _turned(np.ascontiguousarray(position), np.ascontiguousarray(returns), shifts)
    rounding = 1e-12 * float(np.abs(position) @ np.abs(returns))
    return float((1 + (shifted >= float(position @ returns) - rounding).sum()) / (n_shifts + 1))


@njit(cache=True, nogil=True)
def _turned(position: Floats, returns: Floats, shifts: NDArray[np.int64]) -> Floats:
    n = len(position)
    out = np.zeros(len(shifts))
    for number, shift in enumerate(shifts):
        total = 0.0
        for bar in range(n):
            source = bar - shift
            total += position[source if source >= 0 else source + n] * returns[bar]
        out[number] = total
    return out
