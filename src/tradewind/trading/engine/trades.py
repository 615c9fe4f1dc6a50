"""From fills to round trips: what each trade earned, cost, and went through."""

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.trading.engine.backtest import History, Result
from tradewind.trading.engine.step import REASONS

Floats = NDArray[np.float64]
COLUMNS = (
    "entry_row", "exit_row", "side", "size", "entry_price", "exit_price", "gross", "cost", "net", "bars", "mae", "mfe",
    "reason",
)  # fmt: skip


def trade_table(result: Result, history: History, symbol: int = 0) -> pd.DataFrame:
    """Round trips of one symbol, oldest first; a position still open at the end is the last, with `is_open`.

    A trade begins when a flat account buys or sells and ends when it is flat again or has turned. Columns: entry_row,
    exit_row; side, 1 or -1; size, the largest units held; entry_price and exit_price, means weighted by units; gross,
    cost and net as shares of the equity before the entry's bar, funding not included; bars; mae and mfe, the worst and
    best price met while held against the mean entry price, in the direction of the side (Sweeney 1997); exit_reason.

    Args:
        result: of `backtest.run` or `backtest.portfolio`.
        history: the symbol's bars.
        symbol: the symbol's number in `result`.

    Raises:
        BadData: the fills are of more bars than the history has, or there is no such symbol.
    """
    if not 0 <= symbol < len(result.positions):
        raise BadData(f"symbol must be 0 to {len(result.positions) - 1}, its number in the result: found {symbol}")
    if len(result.fills) and result.fills[:, 0].max() >= len(history.close):
        raise BadData(f"the result is of other bars: fills up to bar {int(result.fills[:, 0].max())}, "
                      f"{len(history.close)} bars in the history; give the history it was run on")  # fmt: skip
    fills = result.fills[result.fills[:, 1] == symbol]
    rows = _pair(fills, *history.range(), history.close)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    whole = {"entry_row": "int64", "exit_row": "int64", "side": "int8", "bars": "int64"}
    reasons = table.pop("reason").to_numpy(dtype=np.int64)
    return table.astype(whole).assign(
        exit_reason=pd.Series(np.append(REASONS, "open")[reasons], dtype="str"), is_open=reasons == len(REASONS)
    )


@njit(cache=True, nogil=True)
def _pair(fills: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    out = np.empty((len(fills) + 1, 13))
    n_trades = 0
    held = cost = bought = sold = spent = got = largest = equity = 0.0
    entry_row = 0
    for at in range(len(fills) + 1):
        is_last = at == len(fills)
        if is_last:
            if held == 0.0:
                break
            # What is still open is marked at the last close, at no cost.
            row, units, price, paid, reason = len(close) - 1, -held, close[-1], 0.0, 6.0
        else:
            row, units, price = int(fills[at, 0]), fills[at, 2], fills[at, 3]
            paid, reason = fills[at, 4], fills[at, 5]
        if held == 0.0:
            entry_row, equity = row, fills[at, 6]
            cost = bought = sold = spent = got = largest = 0.0
        after = held + units
        if abs(after) <= 1e-9 * max(abs(held), abs(units)):
            after = 0.0
        turned = held != 0.0 and held * after < 0.0
        share = abs(held / units) if turned else 1.0  # of a fill that turns the position, what closes it
        closing = -held if turned else units
        side = np.sign(held) if held != 0.0 else np.sign(units)
        if closing * side > 0.0:
            bought += abs(closing)
            spent += abs(closing) * price
        else:
            sold += abs(closing)
            got += abs(closing) * price
        cost += paid * share
        largest = max(largest, abs(held), 0.0 if turned else abs(after))
        if held != 0.0 and (turned or after == 0.0):
            entry, leave = spent / bought, got / sold
            worst = best = 0.0
            for bar in range(entry_row, row + 1):
                # Within the bar of the exit only the exit's price is known to have been met.
                top, bottom = (high[bar], low[bar]) if bar < row else (leave, leave)
                up, down = top / entry - 1.0, bottom / entry - 1.0
                best = max(best, up if side > 0.0 else -down)
                worst = min(worst, down if side > 0.0 else -up)
            gross = side * (got - spent)
            out[n_trades, 0], out[n_trades, 1], out[n_trades, 2], out[n_trades, 3] = entry_row, row, side, largest
            out[n_trades, 4], out[n_trades, 5] = entry, leave
            out[n_trades, 6], out[n_trades, 7] = gross / equity, cost / equity
            out[n_trades, 8] = (gross - cost) / equity
            out[n_trades, 9], out[n_trades, 10], out[n_trades, 11] = row - entry_row, worst, best
            out[n_trades, 12] = reason
            n_trades += 1
            if turned:
                entry_row, equity = row, fills[at, 6]
                bought, spent = abs(after), abs(after) * price
                sold = got = 0.0
                cost, largest = paid * (1.0 - share), abs(after)
        held = after
    return out[:n_trades]
