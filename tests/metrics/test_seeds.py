"""Scores over seeds: the middle half, and how sure it is."""

import numpy as np
import pytest
from scipy.stats import trim_mean

from tradewind.metrics.seeds import interquartile_mean, performance_profile, stratified_interval


@pytest.mark.parametrize("shape", [(4, 5), (5, 8), (10, 6)])
def test_the_interquartile_mean_is_the_trimmed_mean_of_scipy(shape: tuple[int, int]) -> None:
    scores = np.random.default_rng(0).standard_normal(shape)
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores.reshape(-1), 0.25))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Seeds differ, tasks are fixed: the interquartile mean of very many seeds is the truth."""
    rng = np.random.default_rng(1)
    level = rng.standard_normal(6)
    truth = interquartile_mean(level + 0.5 * rng.standard_normal((100_000, 6)))
    held = 0
    for _ in range(200):
        low, high = stratified_interval(level + 0.5 * rng.standard_normal((10, 6)), 300, 0.9, rng)
        held += low <= truth <= high
    assert 0.78 < held / 200 < 0.97


def test_a_profile_is_the_share_above() -> None:
    found = performance_profile(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.0, 2.5, 9.0]))
    np.testing.assert_array_equal(found, [1.0, 0.5, 0.0])
