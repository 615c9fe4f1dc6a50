"""What a Sharpe ratio is worth: its error, its length, and how many were tried before it."""

import math

import numpy as np
from numpy.typing import NDArray

from tradewind.market.calendars import YEAR_DAYS
from tradewind.metrics.significance import error_of_test, probabilistic_sharpe

Floats = NDArray[np.float64]
EULER = 0.5772156649015329

LEAST_VARIANCE = 0.1  # of independent days, as far as autocorrelations are believed


def lo_standard_error(daily: Floats) -> float:
    """Standard error of the daily Sharpe ratio of independent normal returns: sqrt((1 + S^2 / 2) / n) (Lo 2002).

    NaN for fewer than 3 days or constant returns.
    """
    sharpe = daily_sharpe(daily)
    return math.sqrt((1 + sharpe**2 / 2) / len(daily)) if np.isfinite(sharpe) else float("nan")


def daily_sharpe(daily: Floats) -> float:
    """Mean over deviation of the daily returns; NaN for fewer than 3 days or constant returns."""
    deviation = daily.std(ddof=1) if len(daily) > 2 else 0.0
    return float(daily.mean() / deviation) if deviation > 1e-12 else float("nan")


def autocorrelation_factor(daily: Floats, max_lag: int = 20, days_per_year: float = YEAR_DAYS) -> float:
    """What annualises a daily Sharpe ratio when days depend on each other (Lo 2002, equation 20).

    q / sqrt(q + 2 * sum((q - k) * rho_k)) with q the days of a year and autocorrelations up to `max_lag`; sqrt(q)
    where there are none. Below sqrt(q) for trending returns, whose risk grows faster than the root of time. NaN where
    the measured correlations leave less than a tenth of the variance: so few days have moved that they tell nothing.

    Args:
        daily: shape (days,), net returns.
        max_lag: in days.
        days_per_year: of the market's calendar.
    """
    centred = daily - daily.mean()
    total = float(centred @ centred)
    if len(daily) <= max_lag or total <= 1e-24:
        return math.sqrt(days_per_year)
    rho = [float(centred[lag:] @ centred[:-lag]) / total for lag in range(1, max_lag + 1)]
    q = days_per_year
    weighted = sum((q - lag) * value for lag, value in enumerate(rho, start=1))
    left = q + 2 * weighted
    return float(q / math.sqrt(left)) if left >= LEAST_VARIANCE * q else float("nan")


def expected_largest(n_trials: float, variance: float) -> float:
    """Expected largest Sharpe ratio of `n_trials` trials without an edge whose ratios vary by `variance`.

    sqrt(V) * ((1 - g) * z(1 - 1 / n) + g * z(1 - 1 / (n e))), g Euler's constant (Bailey and Lopez de Prado 2014,
    equation 6). 0 for one trial.
    """
    from scipy.stats import norm

    if n_trials <= 1:
        return 0.0
    first, second = norm.ppf(1 - 1 / n_trials), norm.ppf(1 - 1 / (n_trials * math.e))
    return float(math.sqrt(variance) * ((1 - EULER) * first + EULER * second))


def effective_trials(daily: Floats) -> float:
    """How many independent strategies these are worth: (sum of eigenvalues)^2 / sum of their squares.

    The participation ratio of the correlation matrix of `daily` (days, strategies): as many as there are where they
    are uncorrelated, 1 where they are all the same. Strategies without variation count nothing; 1 at least.
    """
    moving = daily[:, daily.std(axis=0) > 1e-12] if len(daily) > 2 else daily[:, :0]
    if moving.shape[1] < 2:
        return 1.0
    correlation = np.corrcoef(moving.T)
    return float(moving.shape[1] ** 2 / (correlation**2).sum())


def deflated_sharpe(daily: Floats, n_trials: float, variance: float) -> float:
    """Probability that the true Sharpe ratio exceeds what the best of `n_trials` trials shows by luck alone.

    The probabilistic Sharpe ratio against `expected_largest` (Bailey and Lopez de Prado 2014, equation 9). `variance`
    is that of the daily Sharpe ratios of trials without an edge, 1 / (days - 1): that of the trials that there were
    holds the skill of the good ones and the disasters of the bad ones.

    Args:
        daily: shape (days,), net returns.
        n_trials: how many strategies were tried.
        variance: of the daily Sharpe ratios of trials without an edge.
    """
    return probabilistic_sharpe(daily, expected_largest(n_trials, variance))


def minimum_track_record(daily: Floats, confidence: float = 0.95, benchmark: float = 0.0) -> float:
    """Days after which a Sharpe ratio like this one would exceed the daily `benchmark` with the asked confidence.

    1 + v * (z / (S - benchmark))^2 (Bailey and Lopez de Prado 2012, equation 11), with v / (n - 1) the square of the
    error that the test has (`error_of_test`): more days than there are where the test is not passed. Infinite where
    the ratio does not exceed the benchmark, NaN where there is none.

    Args:
        daily: shape (days,), net returns.
        confidence: in (0, 1).
        benchmark: a daily Sharpe ratio.
    """
    from scipy.stats import norm

    sharpe = daily_sharpe(daily)
    if not np.isfinite(sharpe):
        return float("nan")
    if sharpe <= benchmark:
        return float("inf")
    spread = error_of_test(daily, benchmark) ** 2 * (len(daily) - 1)
    return float(1 + spread * (norm.ppf(confidence) / (sharpe - benchmark)) ** 2)
