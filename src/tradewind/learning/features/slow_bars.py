"""Slower bars made of faster ones as they come, each seen only once it has closed."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.market.timeframes import bar_anchor_ms

Floats = NDArray[np.float64]

LAST, FIRST, MAX, MIN, SUM = range(5)
HOW = {"open": FIRST, "high": MAX, "low": MIN, "volume": SUM, "market_return": SUM}  # all others: the last known
HEAD = 4  # numbers of state before the bar in the making: whether there is one, its place, wholeness, begun


def state_size(n_columns: int) -> int:
    """How many numbers `close_slow_bars` carries along."""
    return HEAD + n_columns


def aggregations(columns: tuple[str, ...]) -> NDArray[np.int64]:
    """How each column of a slower bar follows from its faster ones."""
    return np.array([HOW.get(name, LAST) for name in columns], dtype=np.int64)


def grid_ms(slow_ms: int) -> tuple[int, int]:
    """Length and origin of the slower bars, in milliseconds."""
    return slow_ms, bar_anchor_ms(slow_ms)


@njit(cache=True, nogil=True)
def close_slow_bars(
    columns: Floats, times: NDArray[np.int64], span: tuple[int, int], how: NDArray[np.int64], grid: tuple[int, int],
    state: Floats, slow: Floats, newest: NDArray[np.int64],
) -> int:  # fmt: skip
    """Fill `slow` with the slower bars that close in the bars of `span`.

    A slower bar is made of the bars whose open lies in it. It has closed when the bar that ends with it has, or, if
    that one is missing, when a later bar has. The first of a segment is left out unless it has its beginning.

    Args:
        columns: shape (columns, bars).
        times: open_time and timestamp, UTC milliseconds, shape (2, bars).
        span: first bar and the one after the last, within one segment.
        how: of each column, how it is aggregated (`aggregations`).
        grid: length and origin of the slower bars, milliseconds (`grid_ms`).
        state: shape (`state_size(columns)`,), changed in place.
        slow: gets the closed ones, shape (columns, bars of the span + 1).
        newest: gets for each bar of the span how many have closed by then.

    Returns:
        How many have closed.
    """
    slow_ms, anchor = grid
    n_columns, closed = len(how), 0
    for row in range(span[0], span[1]):
        place = (times[0, row] - anchor) // slow_ms
        if state[0] > 0 and state[1] != place:
            if state[2] > 0:
                slow[:, closed] = state[HEAD:]
                closed += 1
            state[0] = 0.0
        if state[0] == 0:
            state[2] = 1.0 if state[3] > 0 or times[0, row] == place * slow_ms + anchor else 0.0
            state[0], state[1], state[3] = 1.0, place, 1.0
            state[HEAD:] = columns[:, row]
        else:
            for at in range(n_columns):
                value, kind = columns[at, row], how[at]
                if kind == LAST:
                    state[HEAD + at] = value
                elif kind == SUM:
                    state[HEAD + at] += value
                elif kind == MAX:
                    state[HEAD + at] = max(state[HEAD + at], value)
                elif kind == MIN:
                    state[HEAD + at] = min(state[HEAD + at], value)
        if times[1, row] == (place + 1) * slow_ms + anchor:
            if state[2] > 0:
                slow[:, closed] = state[HEAD:]
                closed += 1
            state[0] = 0.0
        newest[row - span[0]] = closed
    return closed


@njit(cache=True, nogil=True)
def hold(
    values: Floats, newest: NDArray[np.int64], last: Floats, results: NDArray, rows: NDArray[np.int64], start: int
) -> None:
    """Write each slower value on every bar from its close on, into its row of `results`.

    Args:
        values: of the slower bars that closed, shape (features, closed).
        newest: for each bar how many have closed by then.
        last: of each feature what was held before; brought up to date.
        results: gets the values, shape (rows, bars).
        rows: of each feature its row of the results.
        start: the first bar that is written.
    """
    n = len(newest)
    for line in range(len(rows)):
        before = last[line]
        for row in range(n):
            results[rows[line], start + row] = values[line, newest[row] - 1] if newest[row] > 0 else before
        if n and newest[n - 1] > 0:
            last[line] = values[line, newest[n - 1] - 1]
