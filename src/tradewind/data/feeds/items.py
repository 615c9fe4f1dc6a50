"""What a feed tells: closed bars, trades, books, published values, and what is wrong with the data."""

from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from tradewind.data.feeds.book import LocalBook


class ClosedBar(NamedTuple):
    """A bar that the venue says has closed; instants are UTC milliseconds, `timestamp` the close."""

    symbol: str
    open_time: int
    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class PublicTrade(NamedTuple):
    """A trade of others."""

    symbol: str
    price: float
    quantity: float


class BookChanged(NamedTuple):
    """The book of a symbol after a change; it is whole and not crossed."""

    symbol: str
    book: LocalBook


class Published(NamedTuple):
    """A value of a side series; `symbol` is empty where it is of all."""

    series: str
    symbol: str
    known_at: int
    value: float


class VenueTime(NamedTuple):
    """The venue is there and has nothing to tell but the time: during an outage of its market."""


class Note(NamedTuple):
    """Something about the data of a symbol ("" for all).

    `what` is stale, gap, fresh, resubscribed, backfilled, refused or waiting; `detail` is in words.
    """

    symbol: str
    what: str
    detail: str


class Item(NamedTuple):
    """One message of a feed.

    Attributes:
        at_ms: the venue's time of it, UTC milliseconds.
        message: what it says.
        is_fetched: whether it was asked for over REST after a break: its time may lie hours back, or hours after the
            last message, and says nothing about the clocks.
    """

    at_ms: int
    message: ClosedBar | PublicTrade | BookChanged | Published | VenueTime | Note
    is_fetched: bool = False


class Feed(Protocol):
    """A stream of items that never ends by itself: what breaks is mended, and reported in notes."""

    def items(self) -> AsyncGenerator[Item, None]:
        """Items in the order in which they came."""
        ...
