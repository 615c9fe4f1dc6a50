"""What taking liquidity costs a side: the one formula, called by the account on every fill and by what decides."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


# References are counted even where the account calls, which counts none: interpolation makes arrays.
@njit(cache=True, nogil=True, error_model="numpy", _nrt=True)
def side_share(
    fixed: float, by_volatility: float, impact: float, book: Floats, volatility: float, participation: float,
    value: float,
) -> float:  # fmt: skip
    """Fee, half-spread and slippage as a share of the value traded (`costs.Costs`); the tick size is not in it.

    Args:
        fixed: taker fee, half-spread and fixed slippage, as a share.
        by_volatility: slippage as a share of one bar's volatility.
        impact: coefficient of the square-root impact; 0 for none.
        book: the measured book as two rows, values and shares; without columns where there is none.
        volatility: of one bar's log return, as known at the decision.
        participation: the order's share of a bar's usual volume.
        value: the order's value in account currency, for the book.

    Returns:
        The share.
    """
    share = fixed + by_volatility * volatility
    if impact > 0.0:
        share += impact * volatility * np.sqrt(participation)
    if book.shape[1] > 0:
        share += np.interp(value, book[0], book[1])
    return float(share)


@njit(cache=True, nogil=True, error_model="numpy")
def side_shares(
    fixed: float, by_volatility: float, impact: float, book: Floats, volatility: Floats, participation: float,
    value: float,
) -> Floats:  # fmt: skip
    """`side_share` at each of many volatilities, which is 0 where one is missing (NaN).

    Args:
        fixed: share of the value that every fill costs.
        by_volatility: share of a bar's volatility that is slipped.
        impact: coefficient of the square-root law; 0 for none.
        book: points (value, share) of a measured book, shape (2, points); empty for none.
        volatility: of a bar, as log return, shape (n,).
        participation: the order's share of a bar's usual volume.
        value: of the order, in account currency.

    Returns:
        Shares of the value, shape (n,).
    """
    out = np.empty(len(volatility))
    for row in range(len(volatility)):
        bar_volatility = 0.0 if np.isnan(volatility[row]) else volatility[row]
        out[row] = side_share(fixed, by_volatility, impact, book, bar_volatility, participation, value)
    return out
