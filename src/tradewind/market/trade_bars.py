"""Trades become bars: one pass, exact sums, no bar where nobody traded."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from numba import njit

from tradewind.errors import BadData
from tradewind.market.timeframes import bar_anchor_ms, bar_duration_ms

COLUMNS = ("open", "high", "low", "close", "volume", "quote_volume", "trades")

_IntArray = npt.NDArray[np.int64]
_FloatArray = npt.NDArray[np.float64]


def bars_from_trades(at_us: _IntArray, price: _FloatArray, amount: _FloatArray, timeframe: str) -> pd.DataFrame:
    """The bars that the trades make: open_time (epoch ms) and `COLUMNS`, oldest first.

    A trade belongs to the bar that is open at its instant; of trades at one instant the first given came first. Sums
    are compensated (Neumaier 1974), so that they are what decimal sums round to.

    Args:
        at_us: when each trade was made (epoch microseconds), in any order.
        price: of one unit, positive.
        amount: in units of the base asset, not negative.
        timeframe: such as `1m`.

    Raises:
        BadData: columns of different length, a price that is not positive, an amount that is negative, or neither a
            number.
    """
    if not len(at_us) == len(price) == len(amount):
        raise BadData(f"trades need a time, price and amount each, found {len(at_us)}, {len(price)} and {len(amount)}")
    is_sound = np.isfinite(price) & (price > 0) & np.isfinite(amount) & (amount >= 0)
    if not is_sound.all():
        row = int(np.flatnonzero(~is_sound)[0])
        raise BadData(
            f"trades need a positive price and an amount that is not negative; row {row} holds price {price[row]} and "
            f"amount {amount[row]}, and {int((~is_sound).sum())} rows are like it"
        )
    if len(at_us) > 1 and (np.diff(at_us) < 0).any():
        order = np.argsort(at_us, kind="stable")
        at_us, price, amount = at_us[order], price[order], amount[order]
    bar_ms = bar_duration_ms(timeframe)
    opened, values = _aggregate(
        np.ascontiguousarray(at_us, dtype=np.int64),
        np.ascontiguousarray(price, dtype=np.float64),
        np.ascontiguousarray(amount, dtype=np.float64),
        bar_ms * 1000,
        bar_anchor_ms(bar_ms) * 1000,
    )
    table = pd.DataFrame(values, columns=list(COLUMNS))
    table.insert(0, "open_time", opened // 1000)
    return table


@njit(cache=True, nogil=True)
def _aggregate(
    at: _IntArray, price: _FloatArray, amount: _FloatArray, bar: int, anchor: int
) -> tuple[_IntArray, _FloatArray]:
    """Opening times and values of the bars of sorted trades, all times in one unit."""
    count, closes = 0, np.int64(0)
    for row in range(len(at)):
        if count == 0 or at[row] >= closes:
            count += 1
            closes = at[row] - (at[row] - anchor) % bar + bar
    times = np.empty(count, dtype=np.int64)
    values = np.zeros((count, 7), dtype=np.float64)
    lost = np.zeros((count, 2), dtype=np.float64)
    place = -1
    for row in range(len(at)):
        paid = price[row]
        if place < 0 or at[row] >= closes:
            place += 1
            times[place] = at[row] - (at[row] - anchor) % bar
            closes = times[place] + bar
            values[place, 0] = paid
            values[place, 1] = paid
            values[place, 2] = paid
        values[place, 1] = max(values[place, 1], paid)
        values[place, 2] = min(values[place, 2], paid)
        values[place, 3] = paid
        values[place, 6] += 1.0
        for column in range(2):
            term = amount[row] if column == 0 else amount[row] * paid
            held = values[place, 4 + column]
            total = held + term
            if abs(held) >= abs(term):
                lost[place, column] += (held - total) + term
            else:
                lost[place, column] += (term - total) + held
            values[place, 4 + column] = total
    for row in range(count):
        values[row, 4] += lost[row, 0]
        values[row, 5] += lost[row, 1]
    return times, values
