"""The market's tables as market inputs of accounts."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from tradewind.market.parts import SeriesRows
from tradewind.market.universe import Universe
from tradewind.market.volatility import realised_volatility
from tradewind.trading.engine.backtest import History


def histories_of(
    bars: Mapping[str, Callable[[], pd.DataFrame]],
    side_series: pd.DataFrame,
    universe: Universe,
    volatility_window: int,
) -> dict[str, tuple[pd.DataFrame, History]]:
    """Bars and market inputs of the account by symbol: volatility over the window, funding if any.

    Args:
        bars: loads each partition's checked bars.
        side_series: values as of each bar; funding rates are read from it.
        universe: symbols and timeframe.
        volatility_window: bars of the realised volatility.
    """
    # A row without a value says that the source fell silent: nothing is paid then.
    paid = SeriesRows(side_series[(side_series["series"] == "funding") & side_series["value"].notna()])
    histories = {}
    for symbol in universe.symbols:
        table = bars[universe.partition(symbol)]()
        close = np.ascontiguousarray(table["close"].to_numpy(dtype=np.float64))
        volatility = realised_volatility(close, table["segment"].to_numpy(dtype=np.int32), volatility_window)
        histories[symbol] = (table, History.from_bars(table, volatility, paid.own("funding", symbol)))
    return histories
