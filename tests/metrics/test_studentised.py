"""Studentised intervals: how often they hold the truth, and two that do not."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.depth import deep
from tradewind.metrics.comparison import sharpe_difference
from tradewind.metrics.significance import bootstrap_intervals
from tradewind.metrics.studentised import (
    LEAST_DAYS,
    mean_interval,
    sharpe_difference_interval,
    sharpe_interval,
    standard_error,
)

TRUTH = 0.08  # a day: 1.5 a year
Floats = np.ndarray
Interval = Callable[[Floats, np.random.Generator], tuple[float, float]]


def independent(rng: np.random.Generator, days: int, columns: int = 1) -> Floats:
    return rng.standard_normal((days, columns))


def heavy_tailed(rng: np.random.Generator, days: int, columns: int = 1) -> Floats:
    return rng.standard_t(4, (days, columns)) / np.sqrt(2)


def autocorrelated(rng: np.random.Generator, days: int, columns: int = 1, passed_on: float = 0.3) -> Floats:
    noise, out = rng.standard_normal((days + 50, columns)), np.zeros((days + 50, columns))
    for day in range(1, len(out)):
        out[day] = passed_on * out[day - 1] + np.sqrt(1 - passed_on**2) * noise[day]
    return out[50:]


def clustered(rng: np.random.Generator, days: int, columns: int = 1) -> Floats:
    """GARCH(1, 1) with Student's t of 6 degrees of freedom."""
    noise, out = rng.standard_t(6, (days + 100, columns)) / np.sqrt(1.5), np.zeros((days + 100, columns))
    variance = np.ones(columns)
    for day in range(len(out)):
        out[day] = np.sqrt(variance) * noise[day]
        variance = 0.04 + 0.09 * out[day] ** 2 + 0.87 * variance
    return out[100:]


DAYS = {"independent": independent, "heavy": heavy_tailed, "autocorrelated": autocorrelated, "clustered": clustered}


def studentised(daily: Floats, rng: np.random.Generator) -> tuple[float, float]:
    return sharpe_interval(daily, rng, n_resamples=300)


def percentile(daily: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """The interval of before: percentiles of the stationary bootstrap with blocks of ten days."""
    starts = rng.integers(0, len(daily), (300, len(daily)))
    renew = rng.random(starts.shape) < 0.1
    at, ratios = starts[:, 0], np.empty((300, len(daily)))
    for day in range(len(daily)):
        at = np.where(renew[:, day], starts[:, day], (at + 1) % len(daily)) if day else at
        ratios[:, day] = daily[at]
    low, high = np.quantile(ratios.mean(axis=1) / ratios.std(axis=1, ddof=1), [0.05, 0.95])
    return float(low), float(high)


def with_the_error_of_independent_days(daily: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Studentised by an error that knows nothing of what one day passes on."""
    ratio = float(daily.mean() / daily.std(ddof=1))
    low, high = sharpe_interval(daily, rng, n_resamples=300)
    z = (daily - daily.mean()) / daily.std()
    influence = z - ratio / 2 * (z**2 - 1)
    wrong = influence.std() / np.sqrt(len(daily)) / standard_error(influence)
    return ratio + (low - ratio) * wrong, ratio + (high - ratio) * wrong


def coverage(interval: Interval, kind: str, days: int, repetitions: int) -> float:
    held = 0
    for number in range(repetitions):
        rng = np.random.default_rng([number, days, len(kind)])
        low, high = interval(0.01 * (TRUTH + DAYS[kind](rng, days)[:, 0]), rng)
        held += low <= TRUTH <= high
    return held / repetitions


@pytest.mark.parametrize(
    ("days", "repetitions"), [(250, 500), deep(250, 4000), deep(500, 4000), deep(1000, 4000)], ids=str
)
@pytest.mark.parametrize("kind", DAYS)
def test_nine_of_ten_intervals_hold_the_truth(kind: str, days: int, repetitions: int) -> None:
    noise = 2.5 * np.sqrt(0.09 / repetitions)
    assert 0.88 - noise <= coverage(studentised, kind, days, repetitions) <= 0.92 + noise


@pytest.mark.parametrize(
    ("fault", "kind"), [(percentile, "autocorrelated"), (with_the_error_of_independent_days, "autocorrelated")]
)
def test_another_interval_holds_it_less_often(fault: Interval, kind: str) -> None:
    assert coverage(fault, kind, 250, 300) < 0.88


@pytest.mark.parametrize(("kind", "repetitions"), [("clustered", 400), *(deep(kind, 3000) for kind in DAYS)])
def test_differences_are_held_as_often(kind: str, repetitions: int) -> None:
    held = 0
    for number in range(repetitions):
        rng = np.random.default_rng([number, 1])
        drawn = DAYS[kind](rng, 250, 3)
        pair = np.column_stack([TRUTH + drawn[:, 0] + drawn[:, 2], drawn[:, 1] + drawn[:, 2]])
        low, high = sharpe_difference_interval(0.01 * pair, rng, n_resamples=300)
        held += low <= TRUTH / np.sqrt(2) <= high
    noise = 2.5 * np.sqrt(0.09 / repetitions)
    assert 0.88 - noise <= held / repetitions <= 0.92 + noise


def test_what_both_have_in_common_cancels() -> None:
    rng = np.random.default_rng(5)
    common, own = rng.normal(0, 0.02, 500), rng.normal(0.001, 0.002, 500)
    found, low, high = sharpe_difference(common + own, common, np.random.default_rng(1))
    alone = bootstrap_intervals(common + own, np.random.default_rng(1))["sharpe"]
    assert low < found < high
    assert high - low < 0.2 * (alone[1] - alone[0])


def test_the_leaderboard_has_the_studentised_interval_in_years() -> None:
    daily = np.random.default_rng(3).normal(0.001, 0.01, 300)
    low, high = bootstrap_intervals(daily, np.random.default_rng(2), days_per_year=252)["sharpe"]
    middle = np.sqrt(252) * daily.mean() / daily.std(ddof=1)
    assert (low + high) / 2 == pytest.approx(middle)  # symmetric, which percentiles are not
    assert high - low == pytest.approx(2 * 1.645 * np.sqrt(252 / 300), rel=0.15)


def test_units_and_thousands_of_a_mean_change_nothing() -> None:
    values = clustered(np.random.default_rng(1), 400)[:, 0]
    low, high = mean_interval(values, np.random.default_rng(2))
    other = mean_interval(5 + 100 * values, np.random.default_rng(2))
    np.testing.assert_allclose(other, (5 + 100 * low, 5 + 100 * high), rtol=1e-9)
    assert mean_interval(values, np.random.default_rng(2)) == (low, high)
    assert mean_interval(values, np.random.default_rng(3)) != (low, high)


def test_where_nothing_can_be_said_nothing_is_said() -> None:
    rng = np.random.default_rng(4)
    assert np.isnan(sharpe_interval(rng.normal(0, 1, LEAST_DAYS - 1), rng)).all()
    once = np.zeros(300)
    once[100] = 0.05  # most resamples of one trade have no variation at all
    assert np.isnan(sharpe_interval(once, rng)).all()
    assert sharpe_interval(np.zeros(100), rng) == (0.0, 0.0)
    same = rng.normal(0, 0.01, 100)
    assert sharpe_difference_interval(np.column_stack([same, same]), rng) == (0.0, 0.0)
