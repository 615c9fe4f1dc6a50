"""Which of three barriers the price reaches first: the triple-barrier method (Lopez de Prado 2018, chapter 3)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.learning.labels.outcome import AMBIGUOUS, LOWER, NO_VOLATILITY, OUT_OF_DATA, UPPER, VERTICAL, Outcomes
from tradewind.market.volatility import realised_volatility
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
THREADED_FROM = 50_000  # rows below which a second thread costs more than it gives


class TripleBarrier(Parameters):
    """The barriers (`params:feature_engineering.labels`, `method: triple_barrier`).

    The upper and lower barriers stand `multiple * volatility * sqrt(horizon_bars)` away from the entry, in log price,
    and further by `cost_bps`, the cost of a round trip: a label of 1 or -1 is a move that pays for itself.
    """

    method: Literal["triple_barrier"] = "triple_barrier"
    horizon_bars: Annotated[int, Field(ge=1, le=10_000)] = 24
    upper_multiple: Annotated[float, Field(gt=0, le=20)] = 0.75
    lower_multiple: Annotated[float, Field(gt=0, le=20)] = 0.75
    volatility_window: Annotated[int, Field(ge=2, le=10_000)] = 72
    cost_bps: Annotated[float, Field(ge=0, le=1000)] = 0.0

    def outcomes(self, bars: pd.DataFrame) -> Outcomes:
        """1 for the upper barrier, -1 for the lower, 0 for the end of the horizon and for an ambiguous bar."""
        touched = self.touched(bars, np.zeros(len(bars), dtype=np.int8))
        label = np.select([touched.ending == UPPER, touched.ending == LOWER], [1, -1], 0).astype(np.int8)
        return Outcomes(touched.ending, label, touched.exit_row, touched.last_row)

    def touched(self, bars: pd.DataFrame, side: NDArray[np.int8]) -> Outcomes:
        """What each row reaches first, the label left at 0; see `find_barriers` for `side`."""
        close = bars["close"].to_numpy(dtype=np.float64)
        segment = bars["segment"].to_numpy(dtype=np.int32)
        volatility = realised_volatility(close, segment, self.volatility_window)
        ending, exit_row, last_row = find_barriers(
            (*(np.ascontiguousarray(bars[name], dtype=np.float64) for name in ("open", "high", "low")),),
            segment, volatility, side, self.horizon_bars,
            (self.upper_multiple, self.lower_multiple, self.cost_bps / 1e4),
        )  # fmt: skip
        return Outcomes(ending, np.zeros(len(bars), dtype=np.int8), exit_row, last_row)


def find_barriers(
    prices: tuple[Floats, ...],
    segment: NDArray[np.int32],
    volatility: Floats,
    side: NDArray[np.int8],
    horizon: int,
    widths: tuple[float, float, float],
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """For each row: the barrier touched first, the row where, and the last row of the horizon.

    The entry is the next bar's open; the bars from there to the end of the horizon are looked at. A bar that opens
    beyond a barrier touches that one. A bar that reaches both is ambiguous: its path is unknown, and guessing either
    way would bias the labels (Lopez de Prado 2018, section 3.4).

    Where `side` is 1 the profit lies above and the stop below, where it is -1 the other way round; the profit stands
    further off by the cost. Where it is 0 either direction may be bet on, the profit's multiple above, and both stand
    further off by the cost.

    Args:
        prices: open, high and low, shape (bars,) each.
        segment: shape (bars,); no horizon leaves it.
        volatility: of a bar's log return, known at each close, shape (bars,); a row without one has no label.
        side: of the bet, 1, -1 or 0, shape (bars,).
        horizon: bars.
        widths: multiples of the horizon's volatility for the profit and for the stop, and the cost as a log return.

    Returns:
        Endings (indices into `outcome.ENDINGS`, negative without a label), exit rows and last rows, shape (bars,) each.
    """
    n_rows = len(segment)
    opening, high, low = prices
    out = (np.empty(n_rows, dtype=np.int8), np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int64))

    def part(start: int, stop: int) -> None:
        logs = _log_barriers(volatility, side, np.sqrt(horizon), widths, start, stop)
        # numpy's exponential works on many at once, the kernel's on one.
        _multiply_by_entry(np.exp(logs, out=logs), opening, start)
        _scan(opening, high, low, segment, logs, horizon, start, out)

    if n_rows < THREADED_FROM:
        part(0, n_rows)
        return out
    half = n_rows // 2
    with ThreadPoolExecutor(2) as on:
        list(on.map(part, (0, half), (half, n_rows)))
    return out


@njit(cache=True, nogil=True)
def _log_barriers(volatility, side, root, widths, start, stop):  # type: ignore[no-untyped-def]
    out = np.empty((2, stop - start))
    profit, loss, cost = widths
    for row in range(start, stop):
        bet, width = side[row], volatility[row] * root
        out[0, row - start] = (loss if bet < 0 else profit) * width + (cost if bet >= 0 else 0.0)
        out[1, row - start] = -(profit if bet < 0 else loss) * width - (cost if bet <= 0 else 0.0)
    return out


@njit(cache=True, nogil=True)
def _multiply_by_entry(factors, opening, start) -> None:  # type: ignore[no-untyped-def]
    for row in range(start, min(start + factors.shape[1], len(opening) - 1)):
        factors[0, row - start] *= opening[row + 1]
        factors[1, row - start] *= opening[row + 1]


@njit(cache=True, nogil=True)
def _scan(opening, high, low, segment, barriers, horizon, start, out) -> None:  # type: ignore[no-untyped-def]
    ending, exit_row, last_row = out
    uppers, lowers = barriers
    n_rows = len(segment)
    for row in range(start, start + len(uppers)):
        upper, lower = uppers[row - start], lowers[row - start]
        if not upper > lower:  # no volatility, or none yet
            ending[row] = NO_VOLATILITY
            continue
        last = row + horizon
        is_whole = last < n_rows and segment[last] == segment[row]
        if not is_whole:
            last = row
            while last + 1 < n_rows and segment[last + 1] == segment[row]:
                last += 1
        first_touch, at = VERTICAL, last
        for bar in range(row + 1, last + 1):
            if (high[bar] >= upper) | (low[bar] <= lower):
                at = bar
                if opening[bar] >= upper or low[bar] > lower:
                    first_touch = UPPER
                elif opening[bar] <= lower or high[bar] < upper:
                    first_touch = LOWER
                else:
                    first_touch = AMBIGUOUS
                break
        ending[row], exit_row[row], last_row[row] = first_touch if is_whole else OUT_OF_DATA, at, last
