"""How much a price moves, as known at each bar: for barriers, sizing and slippage."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def realised_volatility(close: NDArray[np.float64], segment: NDArray[np.int32], window: int) -> NDArray[np.float64]:
    """Root mean square of the last `window` one-bar log returns, per bar (Andersen and Bollerslev 1998).

    NaN until the segment has `window` returns; nothing crosses a segment.
    """
    out = np.full(len(close), np.nan)
    squares = np.empty(len(close))
    for row in range(1, len(close)):
        change = np.log(close[row] / close[row - 1])
        squares[row] = change * change
    start = 0
    for row in range(1, len(close)):
        if segment[row] != segment[row - 1]:
            start = row
        if row - start >= window:
            total = 0.0
            for at in range(row - window + 1, row + 1):
                total += squares[at]
            out[row] = np.sqrt(total / window)
    return out
