"""Which of three barriers the price reaches first: the triple-barrier method (Lopez de Prado 2018, chapter 3)."""

from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tradewind.labels.weights import average_uniqueness
from tradewind.market.volatility import realised_volatility

BARRIERS = np.array(["vertical", "upper", "lower", "ambiguous"])
VERTICAL, UPPER, LOWER, AMBIGUOUS = range(4)
OUT_OF_DATA, NO_VOLATILITY = -1, -2  # why a row has no label


class TripleBarrier(BaseModel):
    """The barriers (`params:feature_engineering.labels`).

    The upper and lower barriers stand `multiple * volatility * sqrt(horizon_bars)` away from the entry, in log price.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon_bars: Annotated[int, Field(ge=1, le=10_000)] = 24
    upper_multiple: Annotated[float, Field(gt=0, le=20)] = 0.75
    lower_multiple: Annotated[float, Field(gt=0, le=20)] = 0.75
    volatility_window: Annotated[int, Field(ge=2, le=10_000)] = 72


@njit(cache=True, nogil=True)
def find_barriers(
    prices: NDArray[np.float64],
    segment: NDArray[np.int32],
    volatility: NDArray[np.float64],
    horizon: int,
    multiples: tuple[float, float],
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """For each decision row: the barrier touched first, the row where, and the last row of the horizon.

    `prices` has the columns open, high, low, close. The entry is the next bar's open; the bars from there to the end of
    the horizon are looked at. A bar that opens beyond a barrier touches that one. A bar that reaches both is
    ambiguous: its path is unknown, and guessing either way would bias the labels.
    """
    n_rows = len(prices)
    barrier = np.empty(n_rows, dtype=np.int8)
    exit_row = np.zeros(n_rows, dtype=np.int64)
    last_row = np.zeros(n_rows, dtype=np.int64)
    for row in range(n_rows):
        last = row + horizon
        if last >= n_rows or segment[last] != segment[row]:
            barrier[row] = OUT_OF_DATA
            continue
        if not volatility[row] > 0:
            barrier[row] = NO_VOLATILITY
            continue
        entry = prices[row + 1, 0]
        width = volatility[row] * np.sqrt(horizon)
        upper, lower = entry * np.exp(multiples[0] * width), entry * np.exp(-multiples[1] * width)
        found, at = VERTICAL, last
        for bar in range(row + 1, last + 1):
            opening, high, low = prices[bar, 0], prices[bar, 1], prices[bar, 2]
            if opening >= upper or (high >= upper and low > lower):
                found = UPPER
            elif opening <= lower or (low <= lower and high < upper):
                found = LOWER
            elif high >= upper and low <= lower:
                found = AMBIGUOUS
            if found != VERTICAL:
                at = bar
                break
        barrier[row], exit_row[row], last_row[row] = found, at, last
    return barrier, exit_row, last_row


def make_labels(bars: pd.DataFrame, barriers: TripleBarrier) -> tuple[pd.DataFrame, dict[str, int]]:
    """Labels of one symbol (`schema.Labels`), and how many rows have none, by reason.

    The label is 1 for the upper barrier, -1 for the lower, 0 for the end of the horizon and for an ambiguous bar.
    `forward_return` is the log return from the next open to the close at the end of the horizon. A row whose horizon
    leaves its segment or the data, or that has no volatility yet, has no label.
    """
    prices = np.ascontiguousarray(bars[["open", "high", "low", "close"]].to_numpy(dtype=np.float64))
    segment = bars["segment"].to_numpy(dtype=np.int32)
    close = np.ascontiguousarray(prices[:, 3])
    volatility = realised_volatility(close, segment, barriers.volatility_window)
    multiples = (barriers.upper_multiple, barriers.lower_multiple)
    barrier, exit_row, last_row = find_barriers(prices, segment, volatility, barriers.horizon_bars, multiples)
    rows = np.flatnonzero(barrier >= 0)
    exits, lasts, found = exit_row[rows], last_row[rows], barrier[rows]
    timestamp = bars["timestamp"].reset_index(drop=True)
    labels = pd.DataFrame(
        {
            "symbol": bars["symbol"].iloc[rows].to_numpy(),
            "timestamp": timestamp.iloc[rows].array,
            "label": np.select([found == UPPER, found == LOWER], [1, -1], 0).astype(np.int8),
            "forward_return": np.log(close[lasts] / prices[rows + 1, 0]),
            "exit_time": timestamp.iloc[exits].array,
            "horizon_end": timestamp.iloc[lasts].array,
            "barrier": BARRIERS[found],
            "weight": average_uniqueness(rows + 1, exits, len(bars)),
        }
    ).astype({"symbol": "str", "barrier": "str"})
    missing = {
        "unlabelled_horizon": int(np.sum(barrier == OUT_OF_DATA)),
        "unlabelled_volatility": int(np.sum(barrier == NO_VOLATILITY)),
    }
    return labels, missing
