"""Streams of trades: which are believed, and the bars that they make."""

import numpy as np
import pandas as pd

from tradewind.data.order_book import events
from tradewind.data.order_book.events import Contract
from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration_ms
from tradewind.market.trade_bars import bars_from_trades


def valid_trades(trades: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trades with a price and a quantity, each number once, and the others with a reason."""
    rows, rejected = events.believed_rows(trades, events.TRADES, ("price", "qty"), where)
    repeated = rows["trade_id"].duplicated().to_numpy()
    twice = rows.loc[repeated].assign(reason="the trade was delivered before")
    return rows.loc[~repeated].reset_index(drop=True), pd.concat([rejected, twice], ignore_index=True)


def bars_of_stream(trades: pd.DataFrame, contract: Contract, timeframe: str) -> pd.DataFrame:
    """The bars that a stream of believed trades covers from open to close, as an exchange makes them.

    Columns: venue, symbol, timeframe, timestamp (close), open_time, prices, volume (base asset), quote_volume, trades.
    A trade counts for the time that the exchange stamped it with. The bars at both ends of the stream, which it does
    not cover whole, are left out.

    Args:
        trades: believed, in the order of their numbers.
        contract: venue, symbol, and the quote value of a contract if there is one.
        timeframe: of the bars, such as `1min`.

    Returns:
        One row a bar that had a trade.

    Raises:
        BadData: the numbering of the trades has a hole: what was traded there is not known.
    """
    number = trades["trade_id"].to_numpy()
    holes = np.flatnonzero(np.diff(number) != 1)
    if len(holes):
        row = int(holes[0])
        raise BadData(
            f"{contract.venue}/{contract.symbol}: trades {number[row]} and {number[row + 1]} follow each other, and "
            f"{len(holes)} places are like it: bars cannot be made of trades that are missing; fetch the stream again"
        )
    time_ms = events.exchange_time_ms(trades, events.clock_skew_ms(trades))
    price, qty = trades["price"].to_numpy(), trades["qty"].to_numpy()
    amount = qty * contract.value / price if contract.value else qty
    bars = bars_from_trades(time_ms * 1000, price, amount, timeframe)
    bar_ms = bar_duration_ms(timeframe)
    opened = bars["open_time"].to_numpy()
    bars = bars.loc[(opened >= time_ms[0]) & (opened + bar_ms <= time_ms[-1])].reset_index(drop=True)
    opened_at = bars["open_time"].to_numpy().astype("datetime64[ms]")
    bars["open_time"] = pd.DatetimeIndex(opened_at, tz="UTC")
    bars.insert(0, "timestamp", pd.DatetimeIndex(opened_at + np.timedelta64(bar_ms, "ms"), tz="UTC"))
    names = {"venue": contract.venue, "symbol": contract.symbol, "timeframe": timeframe}
    for place, (name, value) in enumerate(names.items()):
        bars.insert(place, name, pd.Series([value] * len(bars), dtype="str"))
    return bars
