"""Is the best of many better than a benchmark: reality check and superior predictive ability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradewind.metrics.resampling import resampled_totals

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Superiority:
    """P-values that no strategy is better than the benchmark: `reality_check` (White 2000) and Hansen's `lower`,
    `consistent` and `upper` (2005)."""

    reality_check: float
    lower: float
    consistent: float
    upper: float


def superior_ability(
    excess: Floats, rng: np.random.Generator, n_resamples: int = 2000, mean_block_days: float = 10
) -> Superiority:
    """Tests whether the best mean of `excess` (days, strategies; over the benchmark) could be luck.

    White's reality check compares the largest mean, Hansen's test the largest studentised mean and sets strategies that
    are clearly bad aside. Both are resampled by the stationary bootstrap (Politis and Romano 1994); the studentising
    variance is the bootstrap's own, in closed form (Hansen 2005, equation 3). 1 where no strategy varies.

    Args:
        excess: shape (days, strategies), daily returns over the benchmark.
        rng: draws the resamples.
        n_resamples: how many resamples are drawn.
        mean_block_days: the mean length of a block.
    """
    n_days, _ = excess.shape
    excess = excess[:, excess.std(axis=0) > 1e-12]
    if n_days < 3 or not excess.shape[1]:
        return Superiority(1.0, 1.0, 1.0, 1.0)
    mean = excess.mean(axis=0)
    deviation = np.sqrt(_bootstrap_variance(excess - mean, mean_block_days))
    starts = rng.integers(0, n_days, (n_resamples, n_days)).astype(np.int32)
    renew = rng.random((n_resamples, n_days)) < 1 / mean_block_days
    means = resampled_totals(np.ascontiguousarray(excess), starts, renew) / n_days
    root = np.sqrt(n_days)
    check = float((root * (means - mean).max(axis=1) >= root * mean.max()).mean())
    statistic = max((root * mean / deviation).max(), 0.0)
    threshold = -deviation / root * np.sqrt(2 * np.log(np.log(max(n_days, 3))))
    values = []
    for centre in (np.maximum(mean, 0.0), np.where(mean >= threshold, mean, 0.0), mean):
        resampled = np.maximum((root * (means - centre) / deviation).max(axis=1), 0.0)
        values.append(float((resampled >= statistic).mean()) if statistic > 0 else 1.0)
    return Superiority(check, *values)


def _bootstrap_variance(centred: Floats, mean_block_days: float) -> Floats:
    """Variance of sqrt(n) times the resampled mean, one a strategy."""
    n_days, q = len(centred), 1 / mean_block_days
    variance = (centred**2).mean(axis=0)
    for lag in range(1, n_days):
        kernel = (n_days - lag) / n_days * (1 - q) ** lag + lag / n_days * (1 - q) ** (n_days - lag)
        if kernel < 1e-8 and lag < n_days - 1 - 20 * mean_block_days:
            continue
        variance = variance + 2 * kernel * (centred[lag:] * centred[:-lag]).sum(axis=0) / n_days
    return np.maximum(variance, 1e-24)
