"""Measures of a series of daily net returns: each a function of the returns alone, so that it can be resampled.

A measure is added here and nowhere else: its line in `DESCRIBED` (the name in tables, the title and the unit in
reports) and its value in `measure`, in the same order. Leaderboards, their intervals, breakdowns and reports follow.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.market.calendars import YEAR_DAYS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """How a measure is named: in tables, in reports, and whether it is a share of equity or a ratio."""

    name: str
    title: str
    unit: Literal["share", "ratio"]


DESCRIBED = (
    Measure("total_return", "total return", "share"),
    Measure("annual_return", "a year", "share"),
    Measure("annual_volatility", "volatility", "share"),
    Measure("sharpe", "Sharpe", "ratio"),
    Measure("sortino", "Sortino", "ratio"),
    Measure("max_drawdown", "max drawdown", "share"),
    Measure("win_rate", "days won", "share"),
    Measure("calmar", "Calmar", "ratio"),
)
MEASURES = tuple(described.name for described in DESCRIBED)
N_MEASURES = len(MEASURES)


def measures_of(daily: Floats, days_per_year: float = YEAR_DAYS) -> dict[str, float]:
    """The measures by name, of daily net returns; `measure` says how each is defined.

    Raises:
        BadData: a return is missing or infinite, or a year has no days.
    """
    if not 0 < days_per_year < np.inf:
        raise BadData(f"days_per_year must be above 0 and finite: found {days_per_year}")
    daily = np.ascontiguousarray(daily, dtype=np.float64)
    if not np.isfinite(daily).all():
        row = int(np.flatnonzero(~np.isfinite(daily))[0])
        raise BadData(f"daily returns must be finite: row {row} is {daily[row]}; drop days without a return")
    return dict(zip(MEASURES, measure(daily, days_per_year).tolist(), strict=True))


@njit(cache=True, nogil=True)
def measure(daily: Floats, days_per_year: float = YEAR_DAYS) -> Floats:
    """The measures in the order of `MEASURES`, from daily net returns; shape (N_MEASURES,).

    `days_per_year` is `Calendar.days_per_year`: how many of the days there are in a year, 365.25 around the clock.

    total_return; annual_return (compound); annual_volatility; sharpe = mean / deviation * sqrt(days_per_year) (Sharpe
    1966); sortino, with the root mean square of the losses below (Sortino and Price 1994); max_drawdown, from peak to
    trough, 0 to 1; win_rate, the share of days with a profit among those with a profit or a loss; calmar, the annual
    return over the largest drawdown (Young 1991). A ratio over 0 is 0: nothing happened.
    """
    out = np.zeros(N_MEASURES)
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
    year = np.sqrt(days_per_year)
    out[0] = equity - 1.0
    out[1] = max(equity, 0.0) ** (days_per_year / n_days) - 1.0
    out[2] = deviation * year
    # A constant series has rounding noise for a deviation; its ratio would be absurd.
    out[3] = mean / deviation * year if deviation > 1e-12 else 0.0
    out[4] = mean / downside * year if downside > 1e-12 else 0.0
    out[5] = drawdown
    out[6] = wins / moves if moves > 0 else 0.0
    out[7] = out[1] / drawdown if drawdown > 1e-12 else 0.0
    return out
