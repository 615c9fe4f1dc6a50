"""What several trainings of the same thing come to (Agarwal, Schwarzer, Castro, Courville and Bellemare 2021)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def interquartile_mean(scores: Floats) -> float:
    """The mean of the middle half of all scores."""
    ordered = np.sort(scores.reshape(-1))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def stratified_interval(
    scores: Floats, n_resamples: int, confidence: float, rng: np.random.Generator
) -> tuple[float, float]:
    """The interval of the interquartile mean: seeds drawn anew within each task (seeds, tasks).

    Args:
        scores: shape (seeds, tasks).
        n_resamples: how many resamples are drawn.
        confidence: of the interval, in (0, 1).
        rng: draws the resamples.
    """
    seeds, tasks = scores.shape
    drawn = rng.integers(0, seeds, (n_resamples, seeds, tasks))
    means = [interquartile_mean(scores[one, np.arange(tasks)]) for one in drawn]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def performance_profile(scores: Floats, thresholds: Floats) -> Floats:
    """The share of all scores above each threshold."""
    return np.asarray((scores.reshape(-1)[None] > thresholds[:, None]).mean(axis=1))
