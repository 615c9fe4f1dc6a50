"""What a result is worth."""

import numpy as np
import pytest
from scipy import signal, stats

from tests.depth import deep
from tradewind.metrics.risk import MEASURES, measure
from tradewind.metrics.significance import (
    bootstrap_intervals,
    probabilistic_sharpe,
    sharpe_standard_error,
)


def test_the_standard_error_is_what_repeated_samples_show() -> None:
    rng = np.random.default_rng(1)
    samples = 0.01 * stats.skewnorm.rvs(8, size=(4000, 500), random_state=rng) - 0.005
    ratios = samples.mean(axis=1) / samples.std(axis=1, ddof=1)
    stated = np.mean([sharpe_standard_error(sample) for sample in samples[:500]])
    assert stated == pytest.approx(ratios.std(), rel=0.05)
    normal = np.mean([np.sqrt((1 + r**2 / 2) / 499) for r in ratios[:500]])
    assert normal != pytest.approx(ratios.std(), rel=0.05)  # what a formula for normal returns would have said


def test_probabilities_are_uniform_where_there_is_no_edge() -> None:
    samples = np.random.default_rng(2).standard_t(5, (2000, 300))
    found = [probabilistic_sharpe(sample) for sample in samples]
    assert stats.kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize("daily", [np.zeros(50), np.full(50, 0.01), np.array([0.01]), np.array([])], ids=len)
def test_where_nothing_can_be_said_nothing_is_said(daily: np.ndarray) -> None:
    assert probabilistic_sharpe(daily) == 0.5
    assert np.isnan(sharpe_standard_error(daily))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth, covered, n = 1.5, 0, 300
    for seed in range(n):
        rng = np.random.default_rng(seed)
        daily = 0.02 * (truth / np.sqrt(365.25) + rng.standard_t(6, 500) / np.sqrt(1.5))
        low, high = bootstrap_intervals(daily, rng, 0.9, 200, 5.0)["sharpe"]
        covered += low <= truth <= high
    assert 0.84 <= covered / n <= 0.95


def test_blocks_keep_what_one_day_passes_on_and_single_days_do_not() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.01, 2000)
    daily = np.convolve(noise, np.ones(5), "valid")
    wide = bootstrap_intervals(daily, np.random.default_rng(1), 0.9, 300, 25.0)["annual_return"]
    narrow = bootstrap_intervals(daily, np.random.default_rng(1), 0.9, 300, 1.0)["annual_return"]
    assert wide[1] - wide[0] > 1.6 * (narrow[1] - narrow[0])


def test_the_same_seed_gives_the_same_intervals_that_hold_the_measures() -> None:
    daily = np.random.default_rng(4).normal(0.001, 0.02, 400)
    first = bootstrap_intervals(daily, np.random.default_rng(7))
    assert first == bootstrap_intervals(daily, np.random.default_rng(7))
    assert first != bootstrap_intervals(daily, np.random.default_rng(8))
    assert set(first) == set(MEASURES)
    for name, value in zip(MEASURES, measure(daily), strict=True):
        if name != "max_drawdown":  # resampling breaks up what made the one drawdown
            assert first[name][0] <= value <= first[name][1]


def without_edge(kind: str, n_histories: int, days: int) -> np.ndarray:
    """Histories of daily returns whose true mean is zero, shape (histories, days)."""
    rng = np.random.default_rng(6)
    shape = (n_histories, days)
    if kind == "few days in the market":
        return np.where(rng.random(shape) < 0.05, rng.standard_t(4, shape), 0.0)
    if kind == "trending days":
        return signal.lfilter([1.0], [1.0, -0.3], rng.standard_normal((n_histories, days + 50)))[:, 50:]
    if kind == "lucky days":
        return rng.exponential(size=shape) - 1.0
    if kind == "disasters":
        return 1.0 - rng.exponential(size=shape)
    return rng.standard_t(3, shape) if kind == "heavy tails" else rng.standard_normal(shape)


KINDS = ("normal", "heavy tails", "few days in the market", "trending days", "lucky days", "disasters")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("days", [219, deep(657)])
def test_luck_passes_a_test_at_five_per_cent_in_five_per_cent(kind: str, days: int) -> None:
    histories = without_edge(kind, 2000, days)
    passed = np.array([probabilistic_sharpe(one) >= 0.95 for one in histories])
    assert passed.mean() <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / len(histories))
    if kind in {"few days in the market", "trending days"}:
        # The planted fault: with the error at the found ratio, as before, luck passes far too often.
        before = [
            one.mean() / one.std(ddof=1) / sharpe_standard_error(one) >= stats.norm.ppf(0.95) for one in histories
        ]
        assert np.mean(before) > 0.07
