"""Two series against each other, and one against chance: Diebold-Mariano, sign flips, shifted positions."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.market.calendars import YEAR_DAYS
from tradewind.metrics.sharpe import daily_sharpe
from tradewind.metrics.significance import Floats
from tradewind.metrics.studentised import sharpe_difference_interval


def diebold_mariano(loss: Floats, other: Floats, horizon: int) -> tuple[float, float]:
    """Statistic and two-sided p-value that two forecasts lose the same on average (Diebold and Mariano 1995).

    Negative where `loss` is the smaller. The variance sums the autocovariances below `horizon`, with Bartlett's weights
    so that it stays positive; small samples are corrected and judged by Student's t (Harvey, Leybourne and Newbold
    1997).
    (0, 1) where the losses never differ.

    Args:
        loss: shape (instants,), of the one forecast, in order of time.
        other: shape (instants,), of the other forecast.
        horizon: bars that a forecast looks ahead.
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

    Args:
        daily: shape (days,), net returns.
        rng: draws the signs.
        n_flips: how often they are drawn.
        block_days: days that share a sign.
    """
    if not len(daily) or not np.any(daily):
        return 1.0
    n_blocks = -(-len(daily) // block_days)
    padded = np.zeros(n_blocks * block_days)
    padded[: len(daily)] = daily
    sums = padded.reshape(n_blocks, block_days).sum(axis=1)
    flipped = np.where(rng.random((n_flips, n_blocks)) < 0.5, -1.0, 1.0) @ sums
    return float((1 + (flipped >= sums.sum() - 1e-15).sum()) / (n_flips + 1))


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


def sharpe_difference(
    daily: Floats, other: Floats, rng: np.random.Generator, confidence: float = 0.9, n_resamples: int = 2000,
    block_days: int = 5, days_per_year: float = YEAR_DAYS,
) -> tuple[float, float, float]:  # fmt: skip
    """Annual Sharpe ratio of `daily` less that of `other`, with the interval of the difference over the same days.

    Days are resampled in pairs, so that what both have in common cancels, and the difference is studentised
    (`studentised.sharpe_difference_interval`).

    Args:
        daily: shape (days,), net returns.
        other: shape (days,), net returns of the other strategy on the same days.
        rng: draws the resamples.
        confidence: of the interval, in (0, 1).
        n_resamples: how many resamples are drawn.
        block_days: length of a block.
        days_per_year: of the market's calendar.
    """
    year, pair = float(np.sqrt(days_per_year)), np.column_stack([daily, other])
    low, high = sharpe_difference_interval(pair, rng, confidence, n_resamples, block_days)
    difference = np.nan_to_num(daily_sharpe(pair[:, 0])) - np.nan_to_num(daily_sharpe(pair[:, 1]))
    return float(year * difference), year * low, year * high
