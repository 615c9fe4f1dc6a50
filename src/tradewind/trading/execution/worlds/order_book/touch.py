"""A purchase at the two best prices of a book, small enough that its best way is known.

The best bid and the best ask are a tick apart. On each side stand single lots, at most `most_orders`; lots arrive, are
cancelled and are met by market orders, each at a rate. As soon as one side is empty the price moves a tick, and what is
left of our purchase is bought at market there: above, where nobody is left who sells; at the former best bid, where
nobody is left who buys. Time passes in steps of equal length on average (uniformisation: the clock of a Poisson process
whose rate is at least that of all events together), so that the deadline is a number of steps.

So whoever waits saves the spread and risks that the price runs away; how long to wait depends on both queues and on the
place in ours. Placing one order under this risk: Lehalle and Mounjid (2017), "Limit order strategic placement with
adverse selection risk and the role of latency"; the two queues: Cont and de Larrard (2013), "Price dynamics in a
Markovian limit order market".
"""

from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field, model_validator

from tradewind.trading.execution.worlds.order_book.book import (
    ASK,
    BID,
    BUY,
    DEPTH,
    FIRST,
    FLOW,
    LOTS,
    MADE,
    NEWER,
    NUMBER,
    OWNER,
    SELL,
    STANDING,
    TAKEN,
    Book,
    Ints,
    empty_book,
    limit_order,
    market_order,
    matching,
    withdraw,
)
from tradewind.trading.execution.worlds.order_book.executing import (
    OVER,
    Bools,
    Bought,
    Decision,
    Fees,
    Policy,
    bought,
    carry_out,
    decided,
    many,
    one,
    purchases,
    seen,
    settle,
)
from tradewind.trading.execution.worlds.order_book.flow import Floats, Rate, Whole

# The prices: depth below that nobody takes back, the best bid, the best ask, depth above.
BELOW, LOW, HIGH, ABOVE = range(4)
DEEP = 1_000_000
# What can happen in a step, by its place among the probabilities of `TouchWorld.probabilities`.
BID_ARRIVES, ASK_ARRIVES, SOLD, BOUGHT, CANCELLED = range(5)


class TouchWorld(Fees):
    """A purchase at the touch, with rates per unit of time; only their ratios count.

    Attributes:
        limit_rate: of lots that arrive, a side; none beyond `most_orders`.
        market_rate: of market orders of one lot, a side.
        cancel_rate: of cancellations of each lot that stands.
        most_orders: of others, a side.
        first_orders: each side has 1 to so many lots at arrival, each number equally likely.
        steps: until the deadline.
    """

    limit_rate: Rate = 1.0
    market_rate: Rate = 0.7
    cancel_rate: Rate = 0.1
    most_orders: Annotated[int, Field(ge=1, le=30)] = 10
    first_orders: Whole = 8
    steps: Annotated[int, Field(ge=1, le=1000)] = 60

    @model_validator(mode="after")
    def _fits(self) -> "TouchWorld":
        if self.first_orders > self.most_orders:
            raise ValueError(f"first_orders must not exceed the most_orders of {self.most_orders}")
        return self

    @property
    def probabilities(self) -> Floats:
        """Of a step: a purchase arrives, a sale arrives, one sells at market, one buys at market, and each lot's
        cancellation; the rest of the time nothing happens. (5,)"""
        rates = np.array([self.limit_rate, self.limit_rate, self.market_rate, self.market_rate, self.cancel_rate])
        return np.asarray(rates / (rates[:4].sum() + 2 * self.most_orders * self.cancel_rate))


def buy_at_touch(world: TouchWorld, lots: int, policy: Policy, first: Ints, uniforms: Floats) -> Bought:
    """Buy `lots` by a policy.

    Args:
        world: the flow and the deadline.
        lots: of the purchase.
        policy: is asked before every step.
        first: others' lots at the best bid and ask at arrival, (episodes, 2).
        uniforms: what happens at each step, from 0 to 1, (episodes, steps).

    Raises:
        BadParameters: the quantity or a decision is none.
    """
    books, own = begin(world, lots, first)
    for step in range(world.steps):
        decision = decided(policy, seen(books, own, step, world.steps))
        carry_on(world, books, own, step, decision, uniforms[:, step])
    return paid(world, books, lots)


def begin(world: TouchWorld, lots: int, first: Ints) -> tuple[Book, Ints]:
    """Books at arrival, and a purchase of `lots` in each, nothing done yet.

    Args:
        world: the flow and the deadline.
        lots: of the purchase.
        first: others' lots at the best bid and ask, (episodes, 2).

    Raises:
        BadParameters: the quantity is none.
    """
    book = empty_book(4, 2 * world.most_orders + 4)
    limit_order(book, BUY, BELOW, DEEP, STANDING)
    limit_order(book, SELL, ABOVE, DEEP, STANDING)
    books = many(book, len(first))
    _fill(books, first)
    return books, purchases(books, lots)


def carry_on(world: TouchWorld, books: Book, own: Ints, step: int, decision: Decision, uniforms: Floats) -> None:
    """One step: a decision, then what happens; the last one ends with buying what is left.

    Args:
        world: the flow and the deadline.
        books: of `begin`; are changed.
        own: of `begin`; is changed.
        step: counted from 0.
        decision: of each episode.
        uniforms: what happens, from 0 to 1, (episodes,).
    """
    is_last = step == world.steps - 1
    _step(books, own, decision.cross, decision.rest, is_last, world.probabilities, world.most_orders, uniforms)


def paid(world: TouchWorld, books: Book, lots: int) -> Bought:
    """What purchases have cost so far against the middle of the book at arrival.

    Args:
        world: its fees.
        books: of `begin`.
        lots: of the purchase.
    """
    return bought(books, world, lots, np.full(len(books.counts), (LOW + HIGH) / 2.0))


def arrivals(world: TouchWorld, episodes: int, generator: np.random.Generator) -> tuple[Ints, Floats]:
    """The noise of many purchases, drawn once and given to every policy: `first` and `uniforms` of `buy_at_touch`.

    Args:
        world: whose.
        episodes: how many.
        generator: the only source of randomness.
    """
    first = generator.integers(1, world.first_orders + 1, (episodes, 2))
    return first, generator.random((episodes, world.steps))


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(books: Book, first: Ints) -> None:
    for episode in range(first.shape[0]):
        book = one(books, episode)
        for lot in range(first[episode, 0] + first[episode, 1]):
            buys = lot < first[episode, 0]
            limit_order(book, BUY if buys else SELL, LOW if buys else HIGH, 1, FLOW)


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    books: Book, own: Ints, cross: Ints, rest: Bools, is_last: bool, probabilities: Floats, most: int, uniforms: Floats
) -> None:
    for episode in range(own.shape[0]):
        if own[episode, OVER]:
            continue
        book, mine = one(books, episode), own[episode]
        carry_out(book, mine, cross[episode], rest[episode])
        before = book.counts[TAKEN] + book.counts[MADE]
        if not _has_moved(book):
            _happen(book, probabilities, most, uniforms[episode])
        has_moved = _has_moved(book)
        if has_moved and book.counts[ASK] == HIGH:  # nobody bids: sellers come down
            limit_order(book, SELL, LOW, DEEP, STANDING)
        settle(book, mine, before, is_last or has_moved)


@matching
def _has_moved(book: Book) -> bool:
    """Whether a side is empty."""
    return book.counts[ASK] == ABOVE or book.counts[BID] == BELOW


@matching
def _happen(book: Book, probabilities: Floats, most: int, uniform: float) -> None:
    """The event of a step, at the place of `uniform` among the probabilities."""
    event, at = BID_ARRIVES, uniform
    while event < CANCELLED and at >= probabilities[event]:
        at -= probabilities[event]
        event += 1
    which = int(at / probabilities[CANCELLED]) if event == CANCELLED else 0
    at_bid = event in (BID_ARRIVES, SOLD) or (event == CANCELLED and which < most)
    price = LOW if at_bid else HIGH
    if event in (SOLD, BOUGHT):
        market_order(book, SELL if at_bid else BUY, 1, FLOW)
        return
    others = _others(book, price)
    if event == CANCELLED:
        which -= 0 if at_bid else most
        if which < others:
            _cancel(book, price, which)
    elif others < most:
        limit_order(book, BUY if at_bid else SELL, price, 1, FLOW)


@matching
def _others(book: Book, price: int) -> int:
    """Lots of the flow at a price."""
    lots, row = book.levels[price, DEPTH], book.levels[price, FIRST]
    while row >= 0:
        if book.orders[row, OWNER] != FLOW:
            lots -= book.orders[row, LOTS]
        row = book.orders[row, NEWER]
    return int(lots)


@matching
def _cancel(book: Book, price: int, which: int) -> None:
    """The order of the flow before which `which` others of it stand."""
    row = book.levels[price, FIRST]
    while row >= 0:
        if book.orders[row, OWNER] == FLOW:
            if which == 0:
                break
            which -= 1
        row = book.orders[row, NEWER]
    withdraw(book, row, book.orders[row, NUMBER], 1)
