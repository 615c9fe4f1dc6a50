"""What a stream of depth and trades says of each second: spread, depth, imbalance, flow, and what orders cost."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from tradewind.data.order_book import events
from tradewind.data.order_book.events import BookRules, Contract
from tradewind.data.order_book.replay import STATE, Updates, replay
from tradewind.errors import BadData


@dataclass(frozen=True)
class Book:
    """`seconds` (`tables.BookSeconds`), `costs` of each by size, rejected rows with a reason, and updates lost."""

    seconds: pd.DataFrame
    costs: pd.DataFrame
    rejected: pd.DataFrame
    updates_lost: int
    skew_ms: float


class Stream(NamedTuple):
    """A depth stream that can be replayed, rows that cannot be believed, and the skew of the receiver's clock."""

    updates: Updates
    rejected: pd.DataFrame
    skew_ms: float


def read_updates(depth: pd.DataFrame, where: str) -> Stream:
    """The believed rows of a depth stream in the exchange's time.

    Args:
        depth: with the columns `events.DEPTH`, in the order received.
        where: the stream, for messages.

    Raises:
        BadData: a column is missing, no row can be believed, or the updates are out of order.
    """
    rows, rejected = events.believed_rows(depth, events.DEPTH, ("price", "qty"), where)
    if rows.empty:
        raise BadData(f"{where}: none of the {len(depth)} depth rows can be believed: correct the source")
    changes = rows.loc[~rows["is_snapshot"], "final_update_id"].to_numpy()
    if (np.diff(changes) < 0).any():
        at = int(np.flatnonzero(np.diff(changes) < 0)[0]) + 1
        raise BadData(f"{where}: depth updates must come in the order of final_update_id; change {at} goes back")
    skew_ms = events.clock_skew_ms(rows)
    prices, rank = np.unique(rows["price"].to_numpy(), return_inverse=True)
    updates = Updates(
        events.exchange_time_ms(rows, skew_ms), rows["first_update_id"].to_numpy(), rows["final_update_id"].to_numpy(),
        rows["is_snapshot"].to_numpy(), rows["side"].to_numpy(np.int8), rank.astype(np.int64), rows["qty"].to_numpy(),
        prices,
    )  # fmt: skip
    return Stream(updates, rejected, skew_ms)


def rebuild(depth: pd.DataFrame, contract: Contract, rules: BookRules) -> Book:
    """The book of one stream, second by second.

    Args:
        depth: with the columns `events.DEPTH`, in the order received.
        contract: venue, symbol, and the quote value of a contract if there is one.
        rules: distances and order sizes to measure, and the venues whose updates have no holes.

    Returns:
        Seconds, cost of walking, rejected rows, lost updates, and the skew of the receiver's clock in milliseconds.

    Raises:
        BadData: a column is missing, no row can be believed, or the updates are out of order.
    """
    where = f"{contract.venue}/{contract.symbol}"
    stream = read_updates(depth, where)
    ends, states, depths, walks, lost = replay(
        stream.updates, contract.venue in rules.contiguous_venues, contract.value or 0.0, np.array(rules.depth_bps),
        np.array(rules.order_values),
    )  # fmt: skip
    if not len(ends):
        raise BadData(f"{where}: at the end of no second do bid and ask both stand: the stream is too short or crossed")
    seconds = _second_columns(pd.DataFrame(states, columns=list(STATE)), depths, rules)
    seconds.insert(0, "timestamp", pd.DatetimeIndex(ends.astype("datetime64[ms]"), tz="UTC"))
    for place, name in enumerate(("venue", "symbol")):
        seconds.insert(place, name, pd.Series([getattr(contract, name)] * len(seconds), dtype="str"))
    return Book(seconds, _walk_table(seconds, walks, rules), stream.rejected, int(lost), stream.skew_ms)


def _second_columns(states: pd.DataFrame, depths: np.ndarray, rules: BookRules) -> pd.DataFrame:
    bid, ask = states["bid"], states["ask"]
    table = states[["bid", "ask", "mean_spread_bps"]].copy()
    table.insert(2, "spread_bps", 2e4 * (ask - bid) / (ask + bid))
    table["microprice"] = (bid * states["ask_qty"] + ask * states["bid_qty"]) / (states["bid_qty"] + states["ask_qty"])
    table["updates"] = states["updates"].astype(np.int64)
    table["is_whole"] = states["is_whole"] > 0
    reach = len(rules.depth_bps)
    for number, bps in enumerate(rules.depth_bps):
        below, above = depths[:, number], depths[:, reach + number]
        table[f"bid_depth_{bps:g}"], table[f"ask_depth_{bps:g}"] = below, above
        both = below + above
        table[f"imbalance_{bps:g}"] = np.divide(below - above, both, out=np.full(len(both), np.nan), where=both > 0)
    return table


def _walk_table(seconds: pd.DataFrame, walks: np.ndarray, rules: BookRules) -> pd.DataFrame:
    """Long: a row for each second of a whole book, order value and side."""
    is_whole = seconds["is_whole"].to_numpy()
    sizes = len(rules.order_values)
    parts = [
        pd.DataFrame(
            {
                "venue": seconds["venue"], "symbol": seconds["symbol"], "timestamp": seconds["timestamp"],
                "side": pd.Series([side] * len(seconds), dtype="str"), "order_value": value,
                "cost_bps": walks[:, offset + number],
            }
        )[is_whole]
        for offset, side in ((0, "buy"), (sizes, "sell"))
        for number, value in enumerate(rules.order_values)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def add_flow(seconds: pd.DataFrame, trades: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The seconds with `buy_value` and `sell_value`: what takers bought and sold within each.

    A trade belongs to the second that ends after it. Trades of seconds without a book are not in the table.

    Args:
        seconds: of the rebuilt book.
        trades: with the columns `events.TRADES`, believed.
        contract: gives the quote value of a contract if there is one.

    Returns:
        The same seconds; the values in quote currency.
    """
    time_ms = events.exchange_time_ms(trades, events.clock_skew_ms(trades))
    price, qty = trades["price"].to_numpy(), trades["qty"].to_numpy()
    value = qty * (contract.value if contract.value else price)
    ends = (time_ms // 1000 + 1) * 1000
    sold = trades["buyer_maker"].to_numpy(dtype=bool)
    at = seconds["timestamp"].to_numpy("datetime64[ms]").astype(np.int64)
    table = seconds.copy()
    for name, rows in (("buy_value", ~sold), ("sell_value", sold)):
        sums = pd.Series(value[rows]).groupby(ends[rows]).sum()
        table[name] = sums.reindex(at, fill_value=0.0).to_numpy(dtype=np.float64)
    return table


def summarise_costs(costs: pd.DataFrame) -> pd.DataFrame:
    """What an order of each value pays beyond the mid-price: by venue, symbol, side and order value.

    Columns: seconds, filled_share (of them the book was deep enough), and the median, mean and 95th percentile in
    bps. The median beyond half the spread is a point of `costs.book` (`execution.costs.Costs`).
    """
    grouped = costs.groupby(["venue", "symbol", "side", "order_value"], sort=True)["cost_bps"]
    table = pd.DataFrame(
        {
            "seconds": grouped.size().astype(np.int64),
            "filled_share": grouped.count() / grouped.size(),
            "median_bps": grouped.median(),
            "mean_bps": grouped.mean(),
            "p95_bps": grouped.quantile(0.95),
        }
    )
    return table.reset_index()


def book_points(summary: pd.DataFrame) -> list[list[float]]:
    """`[[value, bps], ...]` for `params:trading.costs.book`: the cost of the smallest size is half the spread, taken
    off.

    Means over both sides; sizes that the book could not always fill are left out.
    """
    deep = summary[summary["filled_share"] >= 1.0]
    bps = deep.groupby("order_value")["median_bps"].mean()
    if bps.empty:
        return []
    beyond = (bps - bps.iloc[0]).clip(lower=0.0)
    return [[float(value), round(float(cost), 4)] for value, cost in beyond.items()]
