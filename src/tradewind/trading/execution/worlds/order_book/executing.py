"""A purchase in many order books at once: by market orders, by an order that waits at the best bid, or both.

A policy is asked before each step and says how many lots to buy at market and whether the rest joins the best bid. What
waits keeps its place, also when it is made smaller, until it is met or bought at market; only if it is to join a best
bid that has risen does it move. What is left after the last step is bought at market.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters
from tradewind.trading.execution.worlds.order_book.book import (
    ASK,
    BID,
    BUY,
    DEPTH,
    FULL,
    LAST_BID,
    LOTS,
    MADE,
    MADE_VALUE,
    NEXT,
    NOBODY,
    NUMBER,
    OWN,
    TAKEN,
    TAKEN_VALUE,
    Book,
    Ints,
    limit_order,
    lots_ahead,
    market_order,
    matching,
    withdraw,
)
from tradewind.trading.execution.worlds.order_book.flow import Floats, Whole, ZeroIntelligence, advance, opened

Bools = NDArray[np.bool_]

# Our purchase in one episode: lots still to be bought; the row, number and price of the order that waits; whether the
# episode is over.
LEFT, ROW, WAITING, AT, OVER = range(5)
PURCHASE_SIZE = 5
# What a policy sees, see `View`.
(SEEN_LEFT, SEEN_POSTED, SEEN_AHEAD, SEEN_BEHIND, SEEN_OFFERED, SEEN_BID, SEEN_ASK) = range(7)
SEEN = 7


class View(NamedTuple):
    """What a policy knows before a step; nothing of it is later than that. Where the purchase is done, all is 0.

    Attributes:
        step: counted from 0.
        steps_left: with this one.
        left: lots still to be bought, (episodes,).
        posted: whether our order waits at the best bid, (episodes,).
        ahead: lots at the best bid that are served before our order, or all of them where it does not wait there.
        behind: lots at the best bid that are served after it.
        offered: lots at the best ask.
        bid: best bid, ticks; the last one where nobody bids.
        ask: best ask, ticks.
    """

    step: int
    steps_left: int
    left: Ints
    posted: Bools
    ahead: Ints
    behind: Ints
    offered: Ints
    bid: Ints
    ask: Ints


class Decision(NamedTuple):
    """What is done before a step, (episodes,).

    Attributes:
        cross: lots bought at market.
        rest: whether the others join the best bid; those that wait there stay in any case.
    """

    cross: Ints
    rest: Bools


Policy = Callable[[View], Decision]


class Fees(Parameters):
    """Prices of a world of order books, in ticks a lot.

    Attributes:
        tick: in account currency.
        taker_fee: a lot that takes.
        maker_fee: a lot that was met; negative for a rebate.
    """

    tick: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01
    taker_fee: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    maker_fee: Annotated[float, Field(allow_inf_nan=False)] = 0.0


class OrderBookWorld(Fees):
    """A purchase inside a zero-intelligence flow.

    Attributes:
        flow: the flow.
        steps: decisions until the deadline.
        events: of the flow between two decisions.
        warm_events: of the flow in each book before arrival.
    """

    flow: ZeroIntelligence = ZeroIntelligence(capacity=256)
    steps: Whole = 40
    events: Whole = 10
    warm_events: Whole = 400


class Bought(NamedTuple):
    """What purchases cost, in ticks for the whole quantity, (episodes,).

    Attributes:
        cost: value and fees, less the quantity at the middle of the book at arrival.
        made: lots that waited and were met.
        unfilled: lots that no market order found.
    """

    cost: Floats
    made: Ints
    unfilled: Ints


def many(book: Book, episodes: int) -> Book:
    """Copies of a book, with the episodes as the first axis of each table.

    Args:
        book: one.
        episodes: how many.
    """
    return Book(*(np.repeat(table[None], episodes, axis=0) for table in book))


def purchases(books: Book, lots: int) -> Ints:
    """A purchase of `lots` in each book, nothing done yet, (episodes, 5)."""
    if lots < 1:
        raise BadParameters(f"quantity must be a positive number of whole lots: found {lots}")
    own = np.full((len(books.counts), PURCHASE_SIZE), NOBODY, dtype=np.int64)
    own[:, LEFT], own[:, OVER] = lots, 0
    return own


def seen(books: Book, own: Ints, step: int, steps: int) -> View:
    """What a policy is shown.

    Args:
        books: one an episode.
        own: the purchases in them.
        step: counted from 0.
        steps: of all.
    """
    table = np.zeros((len(own), SEEN), dtype=np.int64)
    _look(books, own, table)
    left, posted, ahead, behind, offered, bid, ask = table.T
    return View(step, steps - step, left, posted > 0, ahead, behind, offered, bid, ask)


def decided(policy: Policy, view: View) -> Decision:
    """A policy's decision, checked.

    Args:
        policy: is asked.
        view: what it is shown.

    Raises:
        BadParameters: it buys less than nothing, or more than is left.
    """
    cross, rest = policy(view)
    cross = np.ascontiguousarray(np.broadcast_to(np.asarray(cross, dtype=np.int64), view.left.shape))
    if ((cross < 0) | (cross > view.left)).any():
        raise BadParameters(f"step {view.step}: the policy buys less than nothing, or more than is left")
    return Decision(cross, np.ascontiguousarray(np.broadcast_to(np.asarray(rest, dtype=np.bool_), view.left.shape)))


def bought(books: Book, fees: Fees, lots: int, middle: Floats) -> Bought:
    """What was paid.

    Args:
        books: at the end.
        fees: of the world.
        lots: that were to be bought.
        middle: of each book at arrival, ticks.
    """
    counts = books.counts.astype(np.float64)
    value = counts[:, TAKEN_VALUE] + counts[:, MADE_VALUE]
    cost = value + fees.taker_fee * counts[:, TAKEN] + fees.maker_fee * counts[:, MADE]
    done = books.counts[:, TAKEN] + books.counts[:, MADE]
    return Bought(cost - done * middle, books.counts[:, MADE].copy(), lots - done)


def buy(world: OrderBookWorld, lots: int, policy: Policy, episodes: int, seed: int) -> Bought:
    """Buy `lots` by a policy, in books with a past of their own; a seed gives every policy the same flow.

    Args:
        world: the flow and the deadline.
        lots: of the purchase.
        policy: is asked before every step.
        episodes: how many.
        seed: of the flow.

    Raises:
        BadParameters: the quantity or a decision is none, or a book has no room for another order.
    """
    generator = np.random.default_rng(seed)
    books = many(opened(world.flow), episodes)
    own = purchases(books, lots)
    fine = _flow(books, world.flow.rates, generator.random((episodes, world.warm_events, 2)))
    middle = (books.counts[:, BID] + books.counts[:, ASK]) / 2.0
    for step in range(world.steps):
        decision = decided(policy, seen(books, own, step, world.steps))
        fine &= _step(books, own, *decision, step == world.steps - 1, world.flow.rates,
                      generator.random((episodes, world.events, 2)))  # fmt: skip
    if not fine:
        raise BadParameters(f"more than {world.flow.capacity} orders rest in a book: raise flow.capacity")
    return bought(books, world, lots, middle)


@njit(cache=True, nogil=True, error_model="numpy")
def one(books: Book, episode: int) -> Book:
    """The book of one episode.

    Args:
        books: one an episode.
        episode: which.
    """
    return Book(books.orders[episode], books.levels[episode], books.free[episode], books.cancellable[episode],
                books.counts[episode], books.trades[episode])  # fmt: skip


@matching
def carry_out(book: Book, own: Ints, cross: int, rest: bool) -> bool:
    """A decision: what is to be bought is taken back where it waits, and bought; the rest joins the best bid.

    Args:
        book: is changed.
        own: our purchase in it, (5,); is changed.
        cross: lots to be bought at market.
        rest: whether the others join the best bid.

    Returns:
        False where the book had no room for the order.
    """
    counts = book.counts
    waiting = _waiting(book, own)
    keep = 0 if rest and own[AT] < counts[BID] else own[LEFT] - cross
    if waiting > keep:
        withdraw(book, own[ROW], own[WAITING], waiting - keep)
        waiting = keep
    if cross > 0:
        own[LEFT] -= cross - market_order(book, BUY, cross, OWN)
    if rest and waiting == 0 and own[LEFT] > 0:
        price = min(counts[BID] if counts[BID] >= 0 else counts[LAST_BID], counts[ASK] - 1)
        own[WAITING], own[AT] = counts[NEXT], price
        own[ROW] = limit_order(book, BUY, price, own[LEFT], OWN)
        return own[ROW] != FULL
    return True


@matching
def settle(book: Book, own: Ints, lots: int, all_now: bool) -> None:
    """Count what was met meanwhile and, at the end, buy what is left at market.

    Args:
        book: is changed.
        own: our purchase in it, (5,); is changed.
        lots: of ours that had been taken or made when `own` was last right.
        all_now: whether this is the end.
    """
    own[LEFT] -= book.counts[TAKEN] + book.counts[MADE] - lots
    if all_now and own[LEFT] > 0:
        withdraw(book, own[ROW], own[WAITING], own[LEFT])
        own[LEFT] = market_order(book, BUY, own[LEFT], OWN)
    if own[LEFT] == 0 or all_now:
        own[OVER] = 1


@matching
def _waiting(book: Book, own: Ints) -> int:
    """Lots of the order that waits; 0 where there is none."""
    row = own[ROW]
    return int(book.orders[row, LOTS]) if row >= 0 and book.orders[row, NUMBER] == own[WAITING] else 0


@njit(cache=True, nogil=True, error_model="numpy")
def _look(books: Book, own: Ints, table: Ints) -> None:
    for episode in range(own.shape[0]):
        if own[episode, OVER]:
            continue
        book, mine, shown = one(books, episode), own[episode], table[episode]
        bid, ask = book.counts[BID], book.counts[ASK]
        waiting = _waiting(book, mine) if mine[AT] == bid else 0
        depth = book.levels[bid, DEPTH] if bid >= 0 else 0
        ahead = lots_ahead(book, mine[ROW]) if waiting > 0 else depth
        shown[SEEN_LEFT], shown[SEEN_POSTED], shown[SEEN_AHEAD] = mine[LEFT], waiting > 0, ahead
        shown[SEEN_BEHIND] = depth - waiting - ahead
        shown[SEEN_OFFERED] = book.levels[ask, DEPTH] if ask < book.levels.shape[0] else 0
        shown[SEEN_BID], shown[SEEN_ASK] = bid if bid >= 0 else book.counts[LAST_BID], ask


@njit(cache=True, nogil=True, error_model="numpy")
def _flow(books: Book, rates: Floats, uniforms: Floats) -> bool:
    none = np.zeros((0, 6), dtype=np.int64)
    fine = True
    for episode in range(uniforms.shape[0]):
        fine &= advance(one(books, episode), rates, uniforms[episode], none, none)
    return fine


@njit(cache=True, nogil=True, error_model="numpy")
def _step(books: Book, own: Ints, cross: Ints, rest: Bools, is_last: bool, rates: Floats, uniforms: Floats) -> bool:
    none = np.zeros((0, 6), dtype=np.int64)
    fine = True
    for episode in range(own.shape[0]):
        if own[episode, OVER]:
            continue
        book, mine = one(books, episode), own[episode]
        fine &= carry_out(book, mine, cross[episode], rest[episode])
        before = book.counts[TAKEN] + book.counts[MADE]
        fine &= advance(book, rates, uniforms[episode], none, none)
        settle(book, mine, before, is_last)
    return fine
