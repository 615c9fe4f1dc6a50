"""How much a price moves, as known at each bar: for barriers, sizing and slippage."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.errors import BadData

Floats = NDArray[np.float64]


class VolatilityState(NamedTuple):
    """What `fold_volatility` carries from bar to bar.

    Attributes:
        close: the last close, NaN before the first bar.
        segment: the last segment, -1 before the first bar.
        returns: one-bar returns of the segment so far.
        squares: the last `window` squared returns, oldest first.
    """

    close: float
    segment: int
    returns: int
    squares: Floats


def begin_volatility(window: int) -> VolatilityState:
    """The state before the first bar, for a window of so many returns."""
    return VolatilityState(np.nan, -1, -1, np.full(window, np.nan))


def fold_volatility(
    state: VolatilityState, close: Floats, segment: NDArray[np.int32]
) -> tuple[VolatilityState, Floats]:
    """`realised_volatility` of the bars that follow those after which the state was `state`.

    Args:
        state: from `begin_volatility`, or what this function gave before; it is not changed.
        close: one a bar.
        segment: number of each bar's segment, from 0.

    Returns:
        The state after the last bar, and the volatility on each bar.
    """
    squares = np.concatenate((state.squares, np.empty(len(close))))
    last, number, returns, out = _volatility(
        state.close, np.int64(state.segment), state.returns, squares, close, segment
    )
    return VolatilityState(last, int(number), returns, squares[len(squares) - len(state.squares) :].copy()), out


@njit(cache=True, nogil=True)
def _volatility(
    last: float, number: np.int64, returns: int, squares: Floats, close: Floats, segment: NDArray[np.int32]
) -> tuple[float, np.int64, int, Floats]:
    out = np.full(len(close), np.nan)
    window = len(squares) - len(close)
    for row in range(len(close)):
        change = np.log(close[row] / last)
        squares[window + row] = change * change
        returns = returns + 1 if segment[row] == number else 0
        number, last = np.int64(segment[row]), close[row]
        if returns >= window:
            total = 0.0
            for at in range(row + 1, window + row + 1):
                total += squares[at]
            out[row] = np.sqrt(total / window)
    return last, number, returns, out


def realised_volatility(close: Floats, segment: NDArray[np.int32], window: int) -> Floats:
    """Root mean square of the last `window` one-bar log returns, per bar (Andersen and Bollerslev 1998).

    NaN until the segment has `window` returns; nothing crosses a segment.

    Args:
        close: shape (bars,).
        segment: shape (bars,).
        window: how many returns, in bars.

    Raises:
        BadData: not one segment for each close, or a window of no bar.
    """
    close, segment = np.ascontiguousarray(close, dtype=np.float64), np.ascontiguousarray(segment, dtype=np.int32)
    if close.ndim != 1 or close.shape != segment.shape or window < 1:
        raise BadData(
            f"a volatility needs one segment for each close and a window of 1 bar or more: found {close.shape} closes, "
            f"{segment.shape} segments, window {window}"
        )
    return fold_volatility(begin_volatility(window), close, segment)[1]


def fold_usual_volume(state: Floats, volume: Floats, window: int) -> tuple[Floats, Floats]:
    """`usual_volume` of the bars that follow those of which the last `window` volumes are `state`.

    Args:
        state: the last volumes, oldest first; without entries before the first bar.
        volume: one a bar.
        window: bars in the mean.

    Returns:
        The state after the last bar, and the usual volume on each bar.
    """
    joined = np.concatenate((state, volume))
    return joined[max(len(joined) - window, 0) :].copy(), _means(joined, len(state), window)


@njit(cache=True, nogil=True)
def _means(volume: Floats, first: int, window: int) -> Floats:
    # Summed anew for each bar: a running sum would depend on where it began.
    out = np.empty(len(volume) - first)
    for row in range(first, len(volume)):
        start, total = max(row - window + 1, 0), 0.0
        for at in range(start, row + 1):
            total += volume[at]
        out[row - first] = total / (row + 1 - start)
    return out


def usual_volume(volume: Floats, window: int) -> Floats:
    """Mean of the last `window` volumes, the present one included, of fewer at the beginning; one a bar.

    Raises:
        BadData: a window of no bar.
    """
    volume = np.ascontiguousarray(volume, dtype=np.float64)
    if window < 1 or volume.ndim != 1:
        raise BadData(
            f"a usual volume needs one volume a bar and a window of 1 or more: {volume.shape}, window {window}"
        )
    return fold_usual_volume(np.empty(0), volume, window)[1]
