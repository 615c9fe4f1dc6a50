"""The studentised interval against a loop that follows the paper step by step, and its error against arch's kernel."""

import numpy as np
import pytest
from arch.covariance.kernel import QuadraticSpectral

from tradewind.metrics.studentised import mean_interval, sharpe_difference_interval, sharpe_interval, standard_error

BLOCK = 5


def series(days: int) -> np.ndarray:
    rng = np.random.default_rng(days)
    out = rng.standard_t(5, (days, 2)) * 0.01
    out[1:] += 0.3 * out[:-1]
    out[:, 1] += 0.5 * out[:, 0] + 0.001
    return out


def slow_moments_error(pair: np.ndarray, block_sums: bool) -> tuple[float, float]:
    """The difference of Sharpe ratios and its error from means and second moments (Ledoit and Wolf 2008, section 3.1):
    the gradient times the moments' covariance, here by blocks (equation 9), without the influence function."""
    n = len(pair)
    centred = np.hstack([pair - pair.mean(axis=0), pair**2 - (pair**2).mean(axis=0)])
    mean, second = pair.mean(axis=0), (pair**2).mean(axis=0)
    variance = second - mean**2
    gradient = np.array([
        second[0] / variance[0] ** 1.5, -second[1] / variance[1] ** 1.5,
        -mean[0] / (2 * variance[0] ** 1.5), mean[1] / (2 * variance[1] ** 1.5),
    ])  # fmt: skip
    sums = centred.reshape(-1, BLOCK, 4).sum(axis=1) / np.sqrt(BLOCK)
    psi = sums.T @ sums / len(sums)
    ratio = mean / np.sqrt(variance)
    return float(ratio[0] - ratio[1]), float(np.sqrt(gradient @ psi @ gradient / n))


@pytest.mark.parametrize("days", [200, 500])
def test_the_interval_is_that_of_the_paper(days: int) -> None:
    pair = series(days)
    found, _ = slow_moments_error(pair, True)
    starts = np.random.default_rng(7).integers(0, days, (500, days // BLOCK))
    away = []
    for blocks in starts:
        rows = (blocks[:, None] + np.arange(BLOCK)).ravel() % days
        value, error = slow_moments_error(pair[rows], True)
        away.append(abs(value - found) / error)
    low, high = sharpe_difference_interval(pair, np.random.default_rng(7), 0.9, 500, BLOCK)
    z = (pair - pair.mean(axis=0)) / pair.std(axis=0, ddof=1)
    ratio = pair.mean(axis=0) / pair.std(axis=0, ddof=1)
    influence = (z[:, 0] - z[:, 1]) - ratio[0] / 2 * (z[:, 0] ** 2 - 1) + ratio[1] / 2 * (z[:, 1] ** 2 - 1)
    reach = np.quantile(away, 0.9) * standard_error(influence - influence.mean())
    assert (high - low) / 2 == pytest.approx(reach, rel=0.02)  # ddof and the centre differ in order 1 / days
    assert (low + high) / 2 == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize("days", [250, 1000])
def test_the_error_is_that_of_arch_s_kernel(days: int) -> None:
    daily = series(days)[:, 0]
    centred = daily - daily.mean()

    def slope(values: np.ndarray) -> float:
        return float(values[1:] @ values[:-1] / (values[:-1] @ values[:-1]))

    first = slope(centred)
    rest = centred[1:] - first * centred[:-1]
    again = slope(rest)
    bandwidth = 1.3221 * (4 * again**2 / (1 - again) ** 4 * len(rest)) ** 0.2
    kernel = QuadraticSpectral(rest, bandwidth=bandwidth, center=False, df_adjust=0)
    asked = np.sqrt(float(kernel.cov.long_run.squeeze()) / (1 - first) ** 2 / (days - 4))
    assert standard_error(centred) == pytest.approx(asked, rel=1e-9)


def test_the_error_is_what_repeated_series_show() -> None:
    rng = np.random.default_rng(2)
    noise, out = rng.standard_normal((600, 450)), np.zeros((600, 450))
    for day in range(1, 450):
        out[:, day] = 0.4 * out[:, day - 1] + noise[:, day]
    means = out[:, 50:].mean(axis=1)
    stated = [standard_error(one - one.mean()) for one in out[:, 50:]]
    assert np.mean(stated) == pytest.approx(means.std(), rel=0.08)


def test_mean_and_single_ratio_are_cases_of_one_formula() -> None:
    daily = series(300)[:, 0]
    constant = np.column_stack([daily, np.zeros(300)])
    assert sharpe_difference_interval(constant, np.random.default_rng(1)) == pytest.approx(
        sharpe_interval(daily, np.random.default_rng(1))
    )
    # Far from zero a ratio is a mean in other units: its error is the mean's but for that of the deviation.
    low, high = mean_interval(daily, np.random.default_rng(1))
    ratio = sharpe_interval(daily, np.random.default_rng(1))
    assert (high - low) / daily.std() == pytest.approx(ratio[1] - ratio[0], rel=0.1)
