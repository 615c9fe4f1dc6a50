"""What a series of daily returns amounts to. Every measure is a function of the returns alone, so that it can be
resampled."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

DAYS_PER_YEAR = 365.25
# In the order of `measure`.
MEASURES = ("total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "max_drawdown", "win_rate")

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def measure(daily: Floats) -> Floats:
    """The measures of `MEASURES`, from daily net returns.

    total_return; annual_return (compound); annual_volatility; sharpe = mean / deviation * sqrt(365.25) (Sharpe 1966);
    sortino, with the root mean square of the losses below (Sortino and Price 1994); max_drawdown, from peak to trough,
    0 to 1; win_rate, the share of days with a profit among those with a profit or a loss. A ratio over 0 is 0: nothing
    happened.
    """
    out = np.zeros(7)
    n_days = len(daily)
    if n_days == 0:
        return out
    equity = peak = 1.0
    drawdown = total = squares = losses = 0.0
    wins = moves = 0
    for value in daily:
        equity *= 1.0 + value
        peak = max(peak, equity)
        drawdown = max(drawdown, 1.0 - equity / peak)
        total += value
        if value < 0.0:
            losses += value * value
        if value != 0.0:
            moves += 1
        if value > 0.0:
            wins += 1
    mean = total / n_days
    for value in daily:
        squares += (value - mean) ** 2
    deviation = np.sqrt(squares / (n_days - 1)) if n_days > 1 else 0.0
    downside = np.sqrt(losses / n_days)
    year = np.sqrt(DAYS_PER_YEAR)
    out[0] = equity - 1.0
    out[1] = max(equity, 0.0) ** (DAYS_PER_YEAR / n_days) - 1.0
    out[2] = deviation * year
    # A constant series has rounding noise for a deviation; its ratio would be absurd.
    out[3] = mean / deviation * year if deviation > 1e-12 else 0.0
    out[4] = mean / downside * year if downside > 1e-12 else 0.0
    out[5] = drawdown
    out[6] = wins / moves if moves > 0 else 0.0
    return out
