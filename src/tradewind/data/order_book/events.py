"""Depth, quotes and trades as an exchange streams them: what is believed, in one clock."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field, field_validator

from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration
from tradewind.parameters import Parameters

DEPTH = ("recv_ns", "exch_ms", "first_update_id", "final_update_id", "is_snapshot", "side", "price", "qty")
QUOTES = ("recv_ns", "exch_ms", "update_id", "bid_px", "bid_qty", "ask_px", "ask_qty")
TRADES = ("recv_ns", "exch_ms", "trade_id", "price", "qty", "buyer_maker")

Points = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]


class BookRules(Parameters):
    """How books are kept and what is measured of them (`params:order_book.book`).

    `depth_bps` are the distances from the mid-price within which quantities are summed; `order_values` the sizes, in
    quote currency, whose cost of walking the book is measured. `contiguous_venues` number their updates without a
    gap, so that a lost one shows; elsewhere only their order is checked. `contract_values` is what one contract of an
    inverse future is worth, by `venue/symbol`; every other quantity is of the base asset. `timeframe` is that of the
    bars made of trades.
    """

    depth_bps: Points = (1.0, 5.0, 10.0, 25.0)
    order_values: Points = (1_000.0, 10_000.0, 100_000.0, 1_000_000.0)
    contiguous_venues: tuple[str, ...] = ("binance",)
    contract_values: dict[str, Annotated[float, Field(gt=0)]] = {}
    timeframe: str = "1m"

    @field_validator("timeframe")
    @classmethod
    def _is_a_duration(cls, timeframe: str) -> str:
        bar_duration(timeframe)
        return timeframe


@dataclass(frozen=True)
class Contract:
    """What a quantity is: `value` quote currency a contract where inverse, else units of the base asset."""

    venue: str
    symbol: str
    value: float | None

    @classmethod
    def of(cls, partition: str, rules: BookRules) -> "Contract":
        """The contract of the partition `venue/symbol/day`."""
        venue, symbol, _ = partition.split("/")
        return cls(venue, symbol, rules.contract_values.get(f"{venue}/{symbol}"))


def believed_rows(
    rows: pd.DataFrame, columns: tuple[str, ...], positive: tuple[str, ...], where: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows whose `positive` columns are finite and above zero (quantities: or zero), and the others with a reason.

    Args:
        rows: of a recorded stream.
        columns: those it must have.
        positive: those whose values must be finite and above zero; names that end in `qty` may be zero.
        where: the stream, for messages.

    Returns:
        The rows that can be believed, and the others with a `reason`.

    Raises:
        BadData: a column is missing.
    """
    missing = [name for name in columns if name not in rows]
    if missing:
        raise BadData(f"{where}: the columns {list(columns)} are needed, {missing} are missing; found {list(rows)}")
    reason = np.full(len(rows), "", dtype=object)
    for name in positive:
        values = rows[name].to_numpy(dtype=np.float64)
        is_quantity = name.endswith("qty")
        reason[~np.isfinite(values)] = f"{name} is not finite"
        below = values < 0 if is_quantity else values <= 0
        reason[below & (reason == "")] = f"{name} is negative" if is_quantity else f"{name} is not positive"
    rejected = rows.loc[reason != ""].assign(reason=reason[reason != ""])
    return rows.loc[reason == ""].reset_index(drop=True), rejected.reset_index(drop=True)


def clock_skew_ms(rows: pd.DataFrame) -> float:
    """How far the exchange's clock is ahead of the receiver's: the median of what each stamped, in milliseconds.

    It includes the time on the way, which makes it an underestimate; 0 where the exchange stamped nothing.
    """
    stamped = rows["exch_ms"].to_numpy() > 0
    if not stamped.any():
        return 0.0
    return float(np.median(rows["exch_ms"].to_numpy()[stamped] - rows["recv_ns"].to_numpy()[stamped] / 1e6))


def exchange_time_ms(rows: pd.DataFrame, skew_ms: float) -> npt.NDArray[np.int64]:
    """The exchange's own time of each row; where it gave none, the receiver's clock put right by `skew_ms`.

    Times never run backwards: a row counts as of the latest time before it, as it was received after that.
    """
    received = rows["recv_ns"].to_numpy() // 1_000_000 + round(skew_ms)
    stamped = rows["exch_ms"].to_numpy()
    return np.maximum.accumulate(np.where(stamped > 0, stamped, received).astype(np.int64))
