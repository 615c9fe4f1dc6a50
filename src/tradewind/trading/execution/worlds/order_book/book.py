"""An order book of whole lots at prices of a grid: price-time priority, and every lot accounted for.

Orders stand in a queue for each price, the oldest first: linked rows of one table, so that any order leaves its queue
at once. The matching is plain arithmetic on whole numbers, compiled, without an allocation.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.errors import BadParameters

Ints = NDArray[np.int64]

BUY, SELL = 1, -1
# Owners: the flow, whose orders are each somebody else's; ourselves; and depth that nobody takes back.
FLOW, OWN, STANDING = 0, 1, 2
# A resting order, one row: lots left, price, side, owner, number, the rows before and behind it in the queue, and its
# place in `Book.cancellable`.
LOTS, PRICE, SIDE, OWNER, NUMBER, OLDER, NEWER, PLACE = range(8)
# A price: the row of its oldest and of its newest order, and its lots.
FIRST, LAST, DEPTH = range(3)
# Of the whole book: best prices; free rows; orders that the flow may cancel; the next order's number; lots sent in,
# traded, withdrawn, and of market orders that found nobody; trades; lots and value that we took and that we made (what
# is sold counts negative); and the last best prices of a side that is empty now.
(BID, ASK, FREE, CANCELLABLE, NEXT, SENT, TRADED, WITHDRAWN, UNFILLED, TRADES, TAKEN, TAKEN_VALUE, MADE, MADE_VALUE,
 LAST_BID, LAST_ASK) = range(16)  # fmt: skip
COUNTS = 16
# A trade: numbers of the resting and of the arriving order, price, lots, and the side of the arriving order.
TRADE_SIZE = 5
NOBODY = -1
FULL = -2  # in place of a row: the book has no room for another order

# No reference is counted (`_nrt`): nothing here makes an array, and a book is handed on at every event.
matching = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)


class Book(NamedTuple):
    """The book of one instrument. Prices are whole ticks from 0.

    Attributes:
        orders: (capacity, 8), see `LOTS` and the names beside it.
        levels: (ticks, 3), see `FIRST`.
        free: rows of `orders` that are free, the first `counts[FREE]` of them, (capacity,).
        cancellable: rows of orders of the flow, the first `counts[CANCELLABLE]`, (capacity,).
        counts: (16,), see `BID`.
        trades: (most, 5), see `TRADE_SIZE`; where it is shorter than the number of trades, the later ones are only
            counted.
    """

    orders: Ints
    levels: Ints
    free: Ints
    cancellable: Ints
    counts: Ints
    trades: Ints

    @property
    def resting(self) -> int:
        """Lots in the book."""
        return int(self.levels[:, DEPTH].sum())

    def missing(self) -> int:
        """Lots sent in that were neither traded (by two orders each), nor withdrawn, unfilled nor in the book: 0."""
        counts = self.counts
        return int(
            counts[SENT] - 2 * counts[TRADED] - counts[WITHDRAWN] - counts[UNFILLED] - self.levels[:, DEPTH].sum()
        )

    def queue(self, price: int) -> list[tuple[int, int]]:
        """Number and lots of each order at a price, the oldest first."""
        found, row = [], int(self.levels[price, FIRST])
        while row != NOBODY:
            found.append((int(self.orders[row, NUMBER]), int(self.orders[row, LOTS])))
            row = int(self.orders[row, NEWER])
        return found


def empty_book(ticks: int, capacity: int, most_trades: int = 0) -> Book:
    """A book without orders.

    Args:
        ticks: prices are 0 to `ticks` - 1.
        capacity: of orders that can rest at once.
        most_trades: as many trades are kept.

    Raises:
        BadParameters: there is no price or no room for an order.
    """
    if ticks < 1 or capacity < 1:
        raise BadParameters(f"a book needs a price and room for an order: found {ticks} ticks, {capacity} orders")
    orders = np.full((capacity, 8), NOBODY, dtype=np.int64)
    levels = np.tile(np.array([NOBODY, NOBODY, 0], dtype=np.int64), (ticks, 1))
    counts = np.zeros(COUNTS, dtype=np.int64)
    counts[[BID, ASK, FREE, LAST_BID, LAST_ASK]] = -1, ticks, capacity, -1, ticks
    free = np.arange(capacity - 1, -1, -1, dtype=np.int64)
    return Book(orders, levels, free, np.zeros(capacity, dtype=np.int64), counts,
                np.zeros((most_trades, TRADE_SIZE), dtype=np.int64))  # fmt: skip


@matching
def limit_order(book: Book, side: int, price: int, lots: int, owner: int) -> int:
    """Trade with what the limit allows and let the rest stand in the book.

    Args:
        book: is changed.
        side: `BUY` or `SELL`.
        price: the limit, a tick of the grid.
        lots: positive.
        owner: `FLOW`, `OWN` or `STANDING`.

    Returns:
        The row of `orders` in which the rest stands; `NOBODY` where all was traded; `FULL` where the book has no room,
        and then nothing was done.
    """
    counts = book.counts
    if counts[FREE] == 0:
        return FULL
    number = _number(book, lots)
    left = _match(book, side, price, lots, owner, number)
    if left == 0:
        return NOBODY
    counts[FREE] -= 1
    row = book.free[counts[FREE]]
    orders, levels = book.orders, book.levels
    last = levels[price, LAST]
    orders[row, LOTS], orders[row, PRICE], orders[row, SIDE], orders[row, OWNER] = left, price, side, owner
    orders[row, NUMBER], orders[row, OLDER], orders[row, NEWER] = number, last, NOBODY
    if last == NOBODY:
        levels[price, FIRST] = row
    else:
        orders[last, NEWER] = row
    levels[price, LAST] = row
    levels[price, DEPTH] += left
    if owner == FLOW:
        orders[row, PLACE] = counts[CANCELLABLE]
        book.cancellable[counts[CANCELLABLE]] = row
        counts[CANCELLABLE] += 1
    if side == BUY:
        counts[BID] = max(counts[BID], price)
    else:
        counts[ASK] = min(counts[ASK], price)
    return int(row)


@matching
def market_order(book: Book, side: int, lots: int, owner: int) -> int:
    """Trade at any price.

    Args:
        book: is changed.
        side: `BUY` or `SELL`.
        lots: positive.
        owner: `FLOW`, `OWN` or `STANDING`.

    Returns:
        Lots that found nobody; they are gone.
    """
    worst = book.levels.shape[0] - 1 if side == BUY else 0
    left = _match(book, side, worst, lots, owner, _number(book, lots))
    book.counts[UNFILLED] += left
    return left


@matching
def withdraw(book: Book, row: int, number: int, lots: int) -> int:
    """Take lots of an order back; what is left of it keeps its place in the queue.

    Args:
        book: is changed.
        row: where the order stood.
        number: of the order; if another stands in the row by now, or none, nothing is done.
        lots: at most so many.

    Returns:
        Lots taken back.
    """
    if row < 0 or number < 0 or book.orders[row, NUMBER] != number:
        return 0
    gone = min(lots, book.orders[row, LOTS])
    _reduce(book, row, gone)
    book.counts[WITHDRAWN] += gone
    return int(gone)


@matching
def lots_ahead(book: Book, row: int) -> int:
    """Lots at the order's price that are served before it, without others of its owner's.

    Args:
        book: is read.
        row: where the order stands.
    """
    ahead, one = 0, book.orders[row, OLDER]
    while one != NOBODY:
        ahead += book.orders[one, LOTS]
        one = book.orders[one, OLDER]
    return ahead


@matching
def _number(book: Book, lots: int) -> int:
    number = book.counts[NEXT]
    book.counts[NEXT] += 1
    book.counts[SENT] += lots
    return int(number)


@matching
def _match(book: Book, side: int, limit: int, lots: int, owner: int, number: int) -> int:
    """Lots left after trading with the best prices, the oldest order first; whoever would trade with itself takes the
    resting order back instead."""
    counts, orders, left = book.counts, book.orders, lots
    while left > 0:
        best = counts[ASK] if side == BUY else counts[BID]
        if best < 0 or best >= book.levels.shape[0] or (best - limit) * side > 0:
            break
        row = book.levels[best, FIRST]
        if owner != FLOW and orders[row, OWNER] == owner:
            counts[WITHDRAWN] += orders[row, LOTS]
            _reduce(book, row, orders[row, LOTS])
            continue
        traded = min(left, orders[row, LOTS])
        _record(book, row, number, traded, owner)
        _reduce(book, row, traded)
        left -= traded
    return int(left)


@matching
def _record(book: Book, row: int, number: int, lots: int, owner: int) -> None:
    counts, orders, trades = book.counts, book.orders, book.trades
    price, resting_side = orders[row, PRICE], orders[row, SIDE]
    if owner == OWN:
        counts[TAKEN] -= resting_side * lots
        counts[TAKEN_VALUE] -= resting_side * lots * price
    if orders[row, OWNER] == OWN:
        counts[MADE] += resting_side * lots
        counts[MADE_VALUE] += resting_side * lots * price
    at = counts[TRADES]
    if at < trades.shape[0]:
        trades[at, 0], trades[at, 1], trades[at, 2] = orders[row, NUMBER], number, price
        trades[at, 3], trades[at, 4] = lots, -resting_side
    counts[TRADES] += 1
    counts[TRADED] += lots


@matching
def _reduce(book: Book, row: int, lots: int) -> None:
    """Take lots from an order, it from its queue if none are left, and find the next best price if it was the last."""
    orders, levels, counts = book.orders, book.levels, book.counts
    price = orders[row, PRICE]
    orders[row, LOTS] -= lots
    levels[price, DEPTH] -= lots
    if orders[row, LOTS] > 0:
        return
    older, newer = orders[row, OLDER], orders[row, NEWER]
    if older == NOBODY:
        levels[price, FIRST] = newer
    else:
        orders[older, NEWER] = newer
    if newer == NOBODY:
        levels[price, LAST] = older
    else:
        orders[newer, OLDER] = older
    if orders[row, OWNER] == FLOW:
        counts[CANCELLABLE] -= 1
        moved = book.cancellable[counts[CANCELLABLE]]
        book.cancellable[orders[row, PLACE]] = moved
        orders[moved, PLACE] = orders[row, PLACE]
    orders[row, NUMBER] = NOBODY
    book.free[counts[FREE]] = row
    counts[FREE] += 1
    if levels[price, FIRST] == NOBODY:
        _next_best(book, price, orders[row, SIDE])


@matching
def _next_best(book: Book, price: int, side: int) -> None:
    counts, levels = book.counts, book.levels
    if side == BUY and price == counts[BID]:
        counts[LAST_BID] = price
        while price >= 0 and levels[price, FIRST] == NOBODY:
            price -= 1
        counts[BID] = price
    elif side == SELL and price == counts[ASK]:
        counts[LAST_ASK] = price
        while price < levels.shape[0] and levels[price, FIRST] == NOBODY:
            price += 1
        counts[ASK] = price
