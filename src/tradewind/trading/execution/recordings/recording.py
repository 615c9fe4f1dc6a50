"""One recorded stream, ready to be replayed with our own orders inside."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tradewind.data.order_book import events
from tradewind.data.order_book.events import BookRules, Contract
from tradewind.data.order_book.replay import Floats, Ints, Updates
from tradewind.data.order_book.seconds import read_updates
from tradewind.data.order_book.trades import valid_trades
from tradewind.errors import BadData
from tradewind.trading.execution.recordings.forms import Trades, Venue
from tradewind.trading.execution.recordings.quotes import best_prices


class Recording(NamedTuple):
    """A stream of depth and trades.

    Attributes:
        name: `venue/symbol/day`.
        updates: of the book.
        trades: in the exchange's time.
        is_sale: whether the taker of a trade sold, (trades,).
        venue: how its book is read.
        times_ms: of each update, (updates,).
        prices: best bid and ask after each, (updates, 2); NaN where none is believed.
        quotes_agree: share of the recorded quotes' seconds at which the rebuilt best prices are the same; NaN without.
    """

    name: str
    updates: Updates
    trades: Trades
    is_sale: np.ndarray
    venue: Venue
    times_ms: Ints
    prices: Floats
    quotes_agree: float


class Reading(NamedTuple):
    """How books are read: share of a level that stands before an order that joins it, the age in milliseconds beyond
    which a book is not believed, and which venues and contracts there are."""

    queue_ahead: float
    max_age_ms: int
    books: BookRules


def read_recording(
    name: str, depth: pd.DataFrame, trades: pd.DataFrame, quotes: pd.DataFrame | None, reading: Reading
) -> Recording:
    """A recording from its tables.

    Args:
        name: `venue/symbol/day`.
        depth: with the columns `events.DEPTH`, in the order received.
        trades: with the columns `events.TRADES`.
        quotes: with the columns `events.QUOTES`, if there are any.
        reading: how books are read.

    Raises:
        BadData: a column is missing, nothing can be believed, or updates are out of order.
    """
    contract = Contract.of(name, reading.books)
    stream = read_updates(depth, name)
    believed, _ = valid_trades(trades, name)
    if believed.empty:
        raise BadData(f"{name}: none of the {len(trades)} trades can be believed: without them no resting order is met")
    venue = Venue(
        contract.venue in reading.books.contiguous_venues, bool(stream.updates.snapshot.any()), contract.value or 0.0,
        reading.queue_ahead, reading.max_age_ms,
    )  # fmt: skip
    times, prices = best_prices(stream.updates, venue)
    return Recording(
        name, stream.updates,
        Trades(events.exchange_time_ms(believed, events.clock_skew_ms(believed)), believed["price"].to_numpy(),
               believed["qty"].to_numpy()),
        believed["buyer_maker"].to_numpy(dtype=bool), venue, times, prices,
        _agreement(times, prices, quotes, stream.skew_ms),
    )  # fmt: skip


def _agreement(times: Ints, prices: Floats, quotes: pd.DataFrame | None, skew_ms: float) -> float:
    """At each second, whether the best prices are those of the last quote."""
    if quotes is None or quotes.empty:
        return float("nan")
    quoted = events.exchange_time_ms(quotes, skew_ms)
    seconds = np.arange(max(times[0], quoted[0]) // 1000 + 1, min(times[-1], quoted[-1]) // 1000) * 1000
    ours = prices[np.searchsorted(times, seconds, side="left") - 1]
    theirs = quotes[["bid_px", "ask_px"]].to_numpy()[np.searchsorted(quoted, seconds, side="left") - 1]
    known = np.isfinite(ours).all(axis=1)
    return float((ours[known] == theirs[known]).all(axis=1).mean()) if known.any() else float("nan")


def price_at(recording: Recording, at_ms: Ints) -> Floats:
    """The middle as it was known just before each instant, (instants,); NaN where there was none.

    Args:
        recording: whose.
        at_ms: UTC milliseconds.
    """
    place = np.searchsorted(recording.times_ms, at_ms, side="left") - 1
    middle = recording.prices.mean(axis=1)
    return np.where(place >= 0, middle[np.maximum(place, 0)], np.nan)


def mean_middle(recording: Recording, begin_ms: Ints, length_ms: int) -> Floats:
    """The mean over time of the middle from each instant on (TWAP of the market); NaN where it is not always known.

    Args:
        recording: whose.
        begin_ms: UTC milliseconds.
        length_ms: over which.
    """
    grid = begin_ms[:, None] + np.linspace(0, length_ms, 101).astype(np.int64)
    return np.asarray(price_at(recording, grid.ravel()).reshape(grid.shape).mean(axis=1))


def mean_traded(recording: Recording, begin_ms: Ints, length_ms: int) -> Floats:
    """The mean price of what was traded from each instant on (VWAP of the market); NaN where nothing was.

    Args:
        recording: whose.
        begin_ms: UTC milliseconds.
        length_ms: over which.
    """
    first, last = (
        np.searchsorted(recording.trades.time_ms, at, side="left") for at in (begin_ms, begin_ms + length_ms)
    )
    value, quantity = (
        np.concatenate([[0.0], np.cumsum(each)])
        for each in (recording.trades.price * recording.trades.qty, recording.trades.qty)
    )
    traded = quantity[last] - quantity[first]
    return np.divide(value[last] - value[first], traded, out=np.full(len(traded), np.nan), where=traded > 0)
