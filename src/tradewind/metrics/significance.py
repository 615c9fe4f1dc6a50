"""What a result is worth: how far it could be luck."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.market.calendars import YEAR_DAYS
from tradewind.metrics.resampling import next_day
from tradewind.metrics.risk import MEASURES, N_MEASURES, measure
from tradewind.metrics.studentised import sharpe_interval

Floats = NDArray[np.float64]
CONSTANT = 1e-12  # a deviation up to which daily returns are constant
LARGEST_TREND = 0.97  # as far as a correlation of days is believed (Andrews and Monahan 1992)


def sharpe_standard_error(daily: Floats) -> float:
    """Standard error of the daily (not annualised) Sharpe ratio of returns that need not be normal.

    sqrt((1 - skewness * S + (kurtosis - 1) / 4 * S^2) / (n - 1)) (Mertens 2002; Bailey and Lopez de Prado 2012,
    equation 7).
    NaN for fewer than 3 days or constant returns.
    """
    deviation = daily.std(ddof=1) if len(daily) > 2 else 0.0
    if deviation <= CONSTANT:
        return float("nan")
    return _error_at(float(daily.mean() / deviation), _standardised(daily))


def error_of_test(daily: Floats, benchmark: float = 0.0) -> float:
    """The standard error by which a daily Sharpe ratio is tested against `benchmark`: the larger of those that the
    ratio would have if it truly were `benchmark` and if it were what was found, and more where days trend.

    The error at the found ratio alone is too small just where luck was large: one lucky day makes the ratio, the
    skewness and the kurtosis at once, so that a strategy in the market on few days passed a test at 5 % in 11 % of all
    histories without an edge. A test asks how large the ratio would be under the hypothesis, so its error belongs there
    (Lopez de Prado, Lipton and Zoonekynd 2026). Days that trend are worth fewer: the variance is multiplied by
    (1 + r) / (1 - r), with r the correlation with the day before, if it is positive; days that undo each other are not
    counted as more than they are.

    Args:
        daily: shape (days,), net returns in order of time.
        benchmark: a daily Sharpe ratio.

    Returns:
        The error; NaN for fewer than 3 days or constant returns.
    """
    deviation = daily.std(ddof=1) if len(daily) > 2 else 0.0
    if deviation <= CONSTANT:
        return float("nan")
    standardised = _standardised(daily)
    error = _error_at(float(daily.mean() / deviation), standardised)
    if math.isfinite(benchmark):  # so many trials that luck knows no bound leave the error that was found
        error = max(error, _error_at(benchmark, standardised))
    trend = float(standardised[1:] @ standardised[:-1]) / float(standardised @ standardised)
    trend = min(max(trend, 0.0), LARGEST_TREND)
    return error * math.sqrt((1 + trend) / (1 - trend))


def _standardised(daily: Floats) -> Floats:
    return np.asarray((daily - daily.mean()) / daily.std())


def _error_at(ratio: float, standardised: Floats) -> float:
    skewness, kurtosis = float((standardised**3).mean()), float((standardised**4).mean())
    variance = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    return math.sqrt(max(variance, 0.0) / (len(standardised) - 1))


def probabilistic_sharpe(daily: Floats, benchmark: float = 0.0) -> float:
    """Probability that the true daily Sharpe ratio exceeds `benchmark` (Bailey and Lopez de Prado 2012), with the error
    of `error_of_test`.

    0.5 where nothing can be said: no variation, or too few days.
    """
    from scipy.stats import norm

    error = error_of_test(daily, benchmark)
    if not error > 0:
        return 0.5
    return float(norm.cdf((daily.mean() / daily.std(ddof=1) - benchmark) / error))


def bootstrap_intervals(
    daily: Floats,
    rng: np.random.Generator,
    confidence: float = 0.9,
    n_resamples: int = 1000,
    mean_block_days: float = 10,
    days_per_year: float = YEAR_DAYS,
    block_days: int = 5,
) -> dict[str, tuple[float, float]]:
    """Intervals of every measure: studentised for the Sharpe ratio (`studentised.sharpe_interval`), percentiles of the
    stationary bootstrap (Politis and Romano 1994) for the others, which have no standard error.

    Blocks of geometric length with the given mean keep the dependence between neighbouring days. All measures but the
    Sharpe ratio come from the same resamples.

    Args:
        daily: shape (days,), net returns.
        rng: draws the resamples.
        confidence: of the intervals, in (0, 1).
        n_resamples: how many resamples are drawn.
        mean_block_days: the mean length of a block.
        days_per_year: of the market's calendar.
        block_days: length of a block for the Sharpe ratio.
    """
    if len(daily) < 2:
        return dict.fromkeys(MEASURES, (float("nan"), float("nan")))
    starts = rng.integers(0, len(daily), (n_resamples, len(daily)))
    renew = rng.random((n_resamples, len(daily))) < 1 / mean_block_days
    values = _resample(daily, starts, renew, days_per_year)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    found = {name: (float(low[at]), float(high[at])) for at, name in enumerate(MEASURES)}
    year = float(np.sqrt(days_per_year))
    bounds = sharpe_interval(daily, rng, confidence, n_resamples, block_days)
    return found | {"sharpe": (year * bounds[0], year * bounds[1])}


@njit(cache=True, nogil=True)
def _resample(daily: Floats, starts: NDArray[np.int64], renew: NDArray[np.bool_], days_per_year: float) -> Floats:
    n_resamples, n_days = starts.shape
    out = np.empty((n_resamples, N_MEASURES))
    sample = np.empty(n_days)
    for number in range(n_resamples):
        at = 0
        for day in range(n_days):
            at = next_day(at, number, day, starts, renew)
            sample[day] = daily[at]
        out[number] = measure(sample, days_per_year)
    return out
