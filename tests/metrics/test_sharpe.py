"""Errors, deflation and lengths of Sharpe ratios against closed forms, published examples and simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from tradewind.market.calendars import YEAR_DAYS
from tradewind.metrics import sharpe
from tradewind.metrics.significance import error_of_test, probabilistic_sharpe, sharpe_standard_error


def test_los_error_is_that_of_a_simulation() -> None:
    rng = np.random.default_rng(1)
    samples = 0.01 * rng.standard_normal((4000, 250)) + 0.003
    ratios = samples.mean(axis=1) / samples.std(axis=1, ddof=1)
    assert sharpe.lo_standard_error(samples[0]) == pytest.approx(ratios.std(), rel=0.05)
    assert sharpe_standard_error(samples[0]) == pytest.approx(sharpe.lo_standard_error(samples[0]), rel=0.1)
    assert np.isnan(sharpe.lo_standard_error(np.full(10, 0.01)))


def test_trending_days_are_annualised_by_less() -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal(200_000)
    trending = np.convolve(noise, [1, 0.5])[:-1]
    rho = 0.5 / 1.25  # of a moving average of order one
    q = YEAR_DAYS
    assert sharpe.autocorrelation_factor(trending, 1) == pytest.approx(q / np.sqrt(q + 2 * (q - 1) * rho), rel=0.01)
    assert sharpe.autocorrelation_factor(noise, 20) == pytest.approx(np.sqrt(q), rel=0.03)
    assert sharpe.autocorrelation_factor(np.zeros(100)) == np.sqrt(q)


def test_the_largest_of_many_is_that_of_a_simulation() -> None:
    rng = np.random.default_rng(3)
    for n in (5, 50, 500):
        largest = (0.02 * rng.standard_normal((20_000, n))).max(axis=1).mean()
        assert sharpe.expected_largest(n, 0.02**2) == pytest.approx(largest, rel=0.03)
    assert sharpe.expected_largest(1, 1.0) == 0.0


def test_the_papers_example_of_a_deflated_ratio() -> None:
    # Bailey and Lopez de Prado 2014, section 4: annual 2.5 over 1,250 days of 250 a year, skewness -3, kurtosis 10,
    # 100 trials whose annual ratios vary by 1/2: expected largest 0.1132 a day, deflated 0.9004.
    hurdle = sharpe.expected_largest(100, 0.5 / 250)
    assert hurdle == pytest.approx(0.1132, abs=2e-4)
    ratio = 2.5 / np.sqrt(250)
    error = np.sqrt((1 + 3 * ratio + 9 / 4 * ratio**2) / 1249)
    assert norm.cdf((ratio - hurdle) / error) == pytest.approx(0.9004, abs=1e-3)


def test_deflation_asks_for_more_than_the_probabilistic_ratio() -> None:
    daily = 0.01 * np.random.default_rng(4).standard_normal(500) + 0.001
    plain = probabilistic_sharpe(daily)
    values = [sharpe.deflated_sharpe(daily, n, 0.03**2) for n in (1, 10, 100)]
    assert values[0] == pytest.approx(plain) and values[0] > values[1] > values[2]


def test_the_minimum_record_is_where_the_confidence_is_reached() -> None:
    daily = 0.01 * np.random.default_rng(5).standard_normal(1000) + 0.0005
    days = sharpe.minimum_track_record(daily, 0.95)
    error = error_of_test(daily) * np.sqrt(len(daily) - 1) / np.sqrt(days - 1)
    assert norm.cdf(sharpe.daily_sharpe(daily) / error) == pytest.approx(0.95)
    for days in (100, 400, 1000):  # what is not shown asks for more days than there are
        assert (sharpe.minimum_track_record(daily[:days]) > days) == (probabilistic_sharpe(daily[:days]) < 0.95)
    assert sharpe.minimum_track_record(-daily) == float("inf")
    assert np.isnan(sharpe.minimum_track_record(np.zeros(50)))


def test_effective_trials_are_those_that_are_independent() -> None:
    rng = np.random.default_rng(1)
    alone = 0.01 * rng.standard_normal((2_000, 10))
    assert sharpe.effective_trials(alone) == pytest.approx(10, rel=0.06)
    common = 0.01 * rng.standard_normal((2_000, 1))
    assert sharpe.effective_trials(np.repeat(common, 10, axis=1)) == pytest.approx(1)
    half = np.sqrt(0.5) * (common + alone)
    assert sharpe.effective_trials(half) == pytest.approx(10 / (1 + 9 * 0.25), rel=0.1)
    flat = np.column_stack([np.zeros(2_000), alone[:, :2], np.zeros(2_000)])
    assert sharpe.effective_trials(flat) == pytest.approx(2, rel=0.01)  # what never traded was not a try
    assert sharpe.effective_trials(np.zeros((2_000, 3))) == sharpe.effective_trials(alone[:, :1]) == 1.0


def test_days_that_undo_each_other_are_not_annualised_to_a_fantasy() -> None:
    """A strategy that hardly trades: what the few moves of it say of each other is no correlation."""
    undone = np.tile([0.01, -0.0099], 200)
    assert np.isnan(sharpe.autocorrelation_factor(undone, 1))
