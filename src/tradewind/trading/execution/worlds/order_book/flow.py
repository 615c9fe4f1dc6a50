"""Orders of nobody in particular: what is sent in is independent of what stands in the book, but for its best prices.

Smith, Farmer, Gillemot and Krishnamurthy (2003), "Statistical theory of the continuous double auction": limit orders at
an equal rate on every tick below the best ask (purchases) and above the best bid (sales), here as far as `reach`;
market orders at a rate; and every resting order cancelled at a rate. Only the order of events counts, so that time is
counted in events.
"""

from typing import Annotated, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters
from tradewind.trading.execution.worlds.order_book.book import (
    ASK,
    BID,
    BUY,
    CANCELLABLE,
    DEPTH,
    FLOW,
    FULL,
    LAST_ASK,
    LAST_BID,
    LOTS,
    NEXT,
    NOBODY,
    NUMBER,
    SELL,
    SIDE,
    TRADES,
    Book,
    Ints,
    empty_book,
    limit_order,
    market_order,
    matching,
    withdraw,
)

Floats = NDArray[np.float64]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=1, le=1_000_000)]

LIMIT, MARKET, CANCEL = range(3)
# A message: kind, side, price, lots, owner, and the number of the order that is cancelled.
MESSAGE_SIZE = 6
# The book after a message: best bid and its lots, best ask and its lots, trades so far.
TOP_SIZE = 5


class ZeroIntelligence(Parameters):
    """The flow of a book, with rates per unit of time; only their ratios count.

    Attributes:
        limit_rate: limit orders a tick and side.
        market_rate: market orders a side.
        cancel_rate: cancellations of each resting order.
        reach: ticks from the best price of the other side within which limit orders are placed.
        most_lots: an order has 1 to so many lots, each equally likely.
        ticks: prices of the grid; limit orders end where it ends.
        capacity: of orders that can rest at once.
    """

    limit_rate: Rate = 1.0
    market_rate: Rate = 2.0
    cancel_rate: Rate = 0.2
    reach: Whole = 10
    most_lots: Whole = 5
    ticks: Annotated[int, Field(ge=4, le=1_000_000)] = 256
    capacity: Whole = 1024

    @model_validator(mode="after")
    def _has_room(self) -> "ZeroIntelligence":
        expected = 2 * self.reach * self.limit_rate / self.cancel_rate
        if self.capacity < expected + 8 * np.sqrt(expected) + 8:
            raise ValueError(
                f"capacity must exceed the {expected:.0f} orders that rest on average by 8 deviations and 8"
            )
        return self

    @property
    def rates(self) -> Floats:
        """What `advance` reads: limit, market and cancel rate, reach and most lots, (5,)."""
        return np.array([self.limit_rate, self.market_rate, self.cancel_rate, self.reach, self.most_lots])


class Stream(NamedTuple):
    """A flow as it was sent, and the book after each message.

    Attributes:
        messages: (events, 6), see `MESSAGE_SIZE`.
        tops: (events, 5), see `TOP_SIZE`.
    """

    messages: Ints
    tops: Ints


def opened(flow: ZeroIntelligence, most_trades: int = 0) -> Book:
    """A book with one lot on each side of the middle of its grid, in which the flow can begin.

    Args:
        flow: how large the book is.
        most_trades: as many trades are kept.
    """
    book = empty_book(flow.ticks, flow.capacity, most_trades)
    limit_order(book, BUY, flow.ticks // 2 - 1, 1, FLOW)
    limit_order(book, SELL, flow.ticks // 2 + 1, 1, FLOW)
    return book


def send(book: Book, flow: ZeroIntelligence, events: int, generator: np.random.Generator) -> Stream:
    """Let the flow run, and keep what was sent.

    Args:
        book: is changed.
        flow: the rates.
        events: how many.
        generator: the only source of randomness.

    Raises:
        BadParameters: the book has no room for another order.
    """
    stream = Stream(np.zeros((events, MESSAGE_SIZE), dtype=np.int64), np.zeros((events, TOP_SIZE), dtype=np.int64))
    if not advance(book, flow.rates, generator.random((events, 2)), stream.messages, stream.tops):
        raise BadParameters(f"more than {flow.capacity} orders rest in the book: raise capacity")
    return stream


def replay(book: Book, messages: Ints) -> Ints:
    """Send messages that somebody else made; an order's number is the count of orders before it in the book's life.

    Args:
        book: is changed.
        messages: (events, 6), see `MESSAGE_SIZE`; who cancels an order that is gone cancels nothing.

    Returns:
        The book after each message, (events, 5).

    Raises:
        BadParameters: a side, price, quantity or kind is none, or the book has no room for another order.
    """
    kind, side, price, lots = messages[:, 0], messages[:, 1], messages[:, 2], messages[:, 3]
    wrong = ~np.isin(kind, (LIMIT, MARKET, CANCEL)) | (lots < 1)
    wrong |= (kind != CANCEL) & (np.abs(side) != 1)
    wrong |= (kind == LIMIT) & ((price < 0) | (price >= len(book.levels)))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise BadParameters(
            f"message {at} has no kind, side, price on the grid or positive lots: {messages[at].tolist()}"
        )
    tops = np.zeros((len(messages), TOP_SIZE), dtype=np.int64)
    if not _replay(book, messages, np.full(len(messages) + int(book.counts[NEXT]), NOBODY, dtype=np.int64), tops):
        raise BadParameters(f"more than {len(book.orders)} orders rest in the book: raise capacity")
    return tops


@njit(cache=True, nogil=True, error_model="numpy")
def advance(book: Book, rates: Floats, uniforms: Floats, messages: Ints, tops: Ints) -> bool:
    """One event for each row of numbers.

    Args:
        book: is changed.
        rates: `ZeroIntelligence.rates`.
        uniforms: from 0 to 1, (events, 2): what happens, and with how many lots.
        messages: where they are kept, (events, 6), or without rows.
        tops: where the book after them is kept, (events, 5), or without rows.

    Returns:
        False where the book had no room for an order; later events did not happen.
    """
    message = np.zeros(MESSAGE_SIZE, dtype=np.int64)
    for event in range(uniforms.shape[0]):
        row = _draw(book, rates, uniforms[event, 0], uniforms[event, 1], message)
        if event < messages.shape[0]:
            for column in range(MESSAGE_SIZE):
                messages[event, column] = message[column]
        if not _act(book, message, row):
            return False
        if event < tops.shape[0]:
            _top(book, tops, event)
    return True


@matching
def _draw(book: Book, rates: Floats, what: float, size: float, message: Ints) -> int:
    """Writes the message; the row of the order that is cancelled, if one is."""
    counts, ticks = book.counts, book.levels.shape[0]
    bid = counts[BID] if counts[BID] >= 0 else counts[LAST_BID]
    ask = counts[ASK] if counts[ASK] < ticks else counts[LAST_ASK]
    reach = int(rates[3])
    lowest, highest = max(0, ask - reach), min(ticks - 1, bid + reach)
    purchases, sales = ask - lowest, highest - bid
    limits = rates[0] * (purchases + sales)
    at = what * (limits + 2.0 * rates[1] + rates[2] * counts[CANCELLABLE])
    message[3], message[4], message[5] = 1 + int(size * rates[4]), FLOW, NOBODY
    if at < limits:
        tick = int(at / rates[0])
        message[0] = LIMIT
        message[1] = BUY if tick < purchases else SELL
        message[2] = lowest + tick if tick < purchases else min(bid + 1 + tick - purchases, highest)
        return NOBODY
    at -= limits
    if at < 2.0 * rates[1] or counts[CANCELLABLE] == 0:
        message[0], message[1], message[2] = MARKET, BUY if at < rates[1] else SELL, NOBODY
        return NOBODY
    row = book.cancellable[min(int((at - 2.0 * rates[1]) / rates[2]), counts[CANCELLABLE] - 1)]
    message[0], message[1], message[2] = CANCEL, book.orders[row, SIDE], NOBODY
    message[3], message[5] = book.orders[row, LOTS], book.orders[row, NUMBER]
    return int(row)


@matching
def _act(book: Book, message: Ints, row: int) -> bool:
    if message[0] == LIMIT:
        return limit_order(book, message[1], message[2], message[3], message[4]) != FULL
    if message[0] == MARKET:
        market_order(book, message[1], message[3], message[4])
    else:
        withdraw(book, row, message[5], message[3])
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _replay(book: Book, messages: Ints, rows: Ints, tops: Ints) -> bool:
    for event in range(messages.shape[0]):
        message, number = messages[event], book.counts[NEXT]
        if message[0] == LIMIT:
            rows[number] = limit_order(book, message[1], message[2], message[3], message[4])
            if rows[number] == FULL:
                return False
        elif message[0] == MARKET:
            market_order(book, message[1], message[3], message[4])
        elif 0 <= message[5] < number:
            withdraw(book, rows[message[5]], message[5], message[3])
        _top(book, tops, event)
    return True


@matching
def _top(book: Book, tops: Ints, event: int) -> None:
    counts, levels = book.counts, book.levels
    bid, ask = counts[BID], counts[ASK]
    tops[event, 0], tops[event, 1] = bid, levels[bid, DEPTH] if bid >= 0 else 0
    tops[event, 2], tops[event, 3] = ask, levels[ask, DEPTH] if ask < levels.shape[0] else 0
    tops[event, 4] = counts[TRADES]
