"""The contract of the book's seconds."""

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from tradewind.market.schema import Instant


class BookSeconds(pa.DataFrameModel):
    """The book at the end of each second (`timestamp`, the exchange's clock): known then, and not before.

    Prices and depths in quote currency; `buy_value` and `sell_value` are what takers traded within the second, missing
    where there is no stream of trades. `microprice` weighs bid and
    ask by the quantity on the other side (Stoikov 2018); `imbalance_N` is (bid - ask) / (bid + ask) of the depth
    within N bps. `is_whole` is False before the first snapshot and from a lost update to the next one.
    """

    venue: Series[str]
    symbol: Series[str]
    timestamp: Series[Instant]
    bid: Series[float] = pa.Field(gt=0)
    ask: Series[float] = pa.Field(gt=0)
    spread_bps: Series[float] = pa.Field(ge=0)
    mean_spread_bps: Series[float] = pa.Field(ge=0)
    microprice: Series[float] = pa.Field(gt=0)
    updates: Series[np.int64] = pa.Field(ge=0)
    is_whole: Series[bool]
    buy_value: Series[float] = pa.Field(ge=0, nullable=True)
    sell_value: Series[float] = pa.Field(ge=0, nullable=True)

    class Config:
        strict = False
        unique = ["venue", "symbol", "timestamp"]

    @pa.dataframe_check(name="bid < ask")
    def is_open(cls, table: pd.DataFrame) -> Series[bool]:  # noqa: N805
        """A crossed book has no mid-price and no row."""
        return table["bid"] < table["ask"]
