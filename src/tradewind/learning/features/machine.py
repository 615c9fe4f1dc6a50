"""The machine that runs compiled features: one pass over a block of bars, all state in one array of numbers.

A program is a table of operations (see `program`). The machine runs it block by block; a block of one bar is live, many
blocks are batch, and the results are the same bits because every operation goes from bar to bar in the same order.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.learning.features.kernels import moments, order, recursions, windows
from tradewind.learning.features.kernels.logarithm import logarithm

Floats = NDArray[np.float64]
Table = NDArray[np.int64]

BLOCK = 1024


@dataclass(frozen=True)
class Operation:
    """What the machine knows of an operation.

    Attributes:
        code: its number in the table.
        outputs: how many results it has.
        state: numbers of state it needs: `state[0] + state[1] * window`.
        cost: nanoseconds a bar, roughly, to share work between threads.
        cost_of_window: the same for each bar of the window.
    """

    code: int
    outputs: int = 1
    state: tuple[int, int] = (0, 0)
    cost: float = 0.4
    cost_of_window: float = 0.0


OPERATIONS = {
    "column": Operation(0),
    "constant": Operation(1, cost=0.1),
    "emit": Operation(2, cost=1.0),
    "add": Operation(10),
    "subtract": Operation(11),
    "multiply": Operation(12),
    "divide": Operation(13),
    "ratio": Operation(14),
    "larger": Operation(15),
    "smaller": Operation(16),
    "greater": Operation(17),
    "choose": Operation(18, cost=0.8),
    "negate": Operation(19),
    "absolute": Operation(20),
    "root": Operation(21),
    "sign": Operation(22),
    "logarithm": Operation(25, cost=1.3),
    "exponential": Operation(26, cost=6.0),
    "sine": Operation(27, cost=9.0),
    "cosine": Operation(28, cost=9.0),
    "window_sum": Operation(30, state=(3, 2), cost=1.4),
    "window_max": Operation(31, state=(3, 2), cost=2.5),
    "window_min": Operation(32, state=(3, 2), cost=2.5),
    "bars_since_max": Operation(33, state=(4, 2), cost=4.0),
    "bars_since_min": Operation(34, state=(4, 2), cost=4.0),
    "window_moments": Operation(40, outputs=2, state=(4, 3), cost=5.2),
    "window_shape": Operation(41, outputs=2, state=(6, 5), cost=25.0),
    "window_comoments": Operation(42, outputs=3, state=(7, 7), cost=11.0),
    "window_trend": Operation(43, outputs=3, state=(5, 4), cost=6.6),
    "window_rank": Operation(50, state=(2, 2), cost=5.0, cost_of_window=0.2),
    "window_deviation": Operation(51, state=(2, 2), cost=12.0, cost_of_window=0.7),
    "window_filter": Operation(52, state=(2, 2), cost=8.0, cost_of_window=0.4),
    "window_quantile": Operation(53, state=(2, 3), cost=50.0, cost_of_window=0.4),
    "lag": Operation(60, state=(1, 1), cost=1.0),
    "exponential_mean": Operation(61, state=(2, 0), cost=2.4),
    "wilder_mean": Operation(62, state=(2, 0), cost=1.7),
}

# Columns of the table.
CODE, IN0, IN1, IN2, OUT0, OUT1, OUT2, WINDOW, STATE, NUMBER, N_COLUMNS = range(11)


@njit(cache=True, nogil=True, error_model="numpy")
def _value(code: int, a: float, b: float, c: float, number: float) -> float:
    """What an operation makes of the values of one bar: the only place that says so."""
    if code == 10:
        return a + b
    if code == 11:
        return a - b
    if code == 12:
        return a * b
    if code == 13:
        return a / b
    if code == 14:  # `number` where the denominator is 0, unless the numerator is missing
        quotient = a / (b if b != 0.0 else 1.0)
        return quotient if b != 0.0 else (number if a == a else np.nan)
    if code == 15:
        return a if a > b or a != a else b
    if code == 16:
        return a if a < b or a != a else b
    if code == 17:
        return (1.0 if a > b else 0.0) + 0.0 * (a + b)
    if code == 18:
        return np.nan if a != a else (b if a != 0.0 else c)
    if code == 19:
        return -a
    if code == 20:
        return abs(a)
    if code == 21:
        return np.sqrt(a)
    return (1.0 if a > 0.0 else (-1.0 if a < 0.0 else 0.0)) + 0.0 * a


@njit(cache=True, nogil=True, error_model="numpy")
def _elementwise(code: int, a: Floats, b: Floats, c: Floats, out: Floats, n: int, number: float) -> None:
    # A loop for each operation, so that the compiler makes vector instructions of it.
    if code == 10:
        for i in range(n):
            out[i] = _value(10, a[i], b[i], c[i], number)
    elif code == 11:
        for i in range(n):
            out[i] = _value(11, a[i], b[i], c[i], number)
    elif code == 12:
        for i in range(n):
            out[i] = _value(12, a[i], b[i], c[i], number)
    elif code == 13:
        for i in range(n):
            out[i] = _value(13, a[i], b[i], c[i], number)
    elif code == 14:
        for i in range(n):
            out[i] = _value(14, a[i], b[i], c[i], number)
    elif code == 15:
        for i in range(n):
            out[i] = _value(15, a[i], b[i], c[i], number)
    elif code == 16:
        for i in range(n):
            out[i] = _value(16, a[i], b[i], c[i], number)
    elif code == 17:
        for i in range(n):
            out[i] = _value(17, a[i], b[i], c[i], number)
    elif code == 18:
        for i in range(n):
            out[i] = _value(18, a[i], b[i], c[i], number)
    elif code == 19:
        for i in range(n):
            out[i] = _value(19, a[i], b[i], c[i], number)
    elif code == 20:
        for i in range(n):
            out[i] = _value(20, a[i], b[i], c[i], number)
    elif code == 21:
        for i in range(n):
            out[i] = _value(21, a[i], b[i], c[i], number)
    else:
        for i in range(n):
            out[i] = _value(22, a[i], b[i], c[i], number)


@njit(cache=True, nogil=True)
def _transcendental(code: int, a: Floats, out: Floats, n: int) -> None:
    if code == 25:
        logarithm(a, out, n)
    elif code == 26:
        for i in range(n):
            out[i] = np.exp(a[i])
    elif code == 27:
        for i in range(n):
            out[i] = np.sin(a[i])
    else:
        for i in range(n):
            out[i] = np.cos(a[i])


@njit(cache=True, nogil=True)
def _over_window(op: Table, slots: Floats, n: int, numbers: Floats, state: Floats) -> None:
    code, window, at = op[CODE], op[WINDOW], op[STATE]
    a, out = slots[op[IN0]], slots[op[OUT0]]
    if code == 30:
        windows.window_sum(a, out, n, window, state, at)
    elif code == 31:
        windows.window_max(a, out, n, window, 1.0, state, at)
    elif code == 32:
        windows.window_max(a, out, n, window, -1.0, state, at)
    elif code == 33:
        windows.bars_since_max(a, out, n, window, 1.0, state, at)
    elif code == 34:
        windows.bars_since_max(a, out, n, window, -1.0, state, at)
    elif code == 40:
        moments.window_moments(a, out, slots[op[OUT1]], n, window, state, at)
    elif code == 41:
        moments.window_shape(a, out, slots[op[OUT1]], n, window, state, at)
    elif code == 42:
        right, left_out, right_out = slots[op[IN1]], slots[op[OUT1]], slots[op[OUT2]]
        moments.window_comoments(a, right, out, left_out, right_out, n, window, state, at)
    elif code == 43:
        moments.window_trend(a, out, slots[op[OUT1]], slots[op[OUT2]], n, window, state, at)
    elif code == 50:
        order.window_rank(a, out, n, window, state, at)
    elif code == 51:
        order.window_deviation(a, out, n, window, state, at)
    elif code == 52:
        order.window_filter(a, out, n, window, numbers[op[NUMBER] : op[NUMBER] + window], state, at)
    elif code == 53:
        order.window_quantile(a, out, n, window, numbers[op[NUMBER]], state, at)
    elif code == 60:
        recursions.lag(a, out, n, window, state, at)
    elif code == 61:
        recursions.exponential_mean(a, out, n, window, state, at)
    else:
        recursions.wilder_mean(a, out, n, window, state, at)


@njit(cache=True, nogil=True)
def run(
    table: Table, numbers: Floats, state: Floats, slots: Floats, columns: Floats, results: NDArray,
    bars: tuple[int, int, int],
) -> None:  # fmt: skip
    """Advance `state` over bars of one segment and write one row a feature into `results`.

    A result is missing on the first bars of its segment, as many as its lookback has.

    Args:
        table: the program, one row an operation.
        numbers: constants, shares and filter weights that the operations refer to.
        state: what the operations carry from bar to bar, changed in place.
        slots: scratch space, shape (slots of the program, `BLOCK`).
        columns: what the program reads, shape (columns, bars).
        results: gets the values, shape (features, bars), float32 or float64.
        bars: start, stop, and how many bars of this segment came before start.
    """
    start, stop, seen = bars
    while start < stop:
        n = min(BLOCK, stop - start)
        for line in range(len(table)):
            op = table[line]
            code = op[CODE]
            if code >= 30:
                _over_window(op, slots, n, numbers, state)
            elif code >= 25:
                _transcendental(code, slots[op[IN0]], slots[op[OUT0]], n)
            elif code >= 10 and n == 1:  # live: no need to open rows for single values
                a, b, c = slots[op[IN0], 0], slots[op[IN1], 0], slots[op[IN2], 0]
                slots[op[OUT0], 0] = _value(code, a, b, c, numbers[op[NUMBER]])
            elif code >= 10:
                a_row, b_row, c_row = slots[op[IN0]], slots[op[IN1]], slots[op[IN2]]
                _elementwise(code, a_row, b_row, c_row, slots[op[OUT0]], n, numbers[op[NUMBER]])
            elif code == 0:
                target, source = slots[op[OUT0]], op[IN0]
                for i in range(n):
                    target[i] = columns[source, start + i]
            elif code == 1:
                target, value = slots[op[OUT0]], numbers[op[NUMBER]]
                for i in range(n):
                    target[i] = value
            else:
                values, row, warming = slots[op[IN0]], op[OUT0], min(max(op[WINDOW] - seen, 0), n)
                for i in range(warming):
                    results[row, start + i] = np.nan
                for i in range(warming, n):
                    results[row, start + i] = values[i]
        start += n
        seen += n
