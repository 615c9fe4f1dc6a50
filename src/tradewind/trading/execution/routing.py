"""Where an order goes: over venues to the cheapest levels first, fees counted; in one book, how long it waits."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadParameters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INSTANTS = 12  # at which the race between a fill and a move of the price is looked at


class VenueBook(NamedTuple):
    """What one venue offers on the side that the order takes.

    Attributes:
        venue: its name.
        prices: of the levels, best first, (levels,).
        sizes: units at each, (levels,).
        opposite: best price of the other side; NaN where that side is empty.
        age_s: since the book was last heard of.
        taker_fee_bps: of the value.
        lot_size: quantities are multiples of it; 0 where any will do.
        min_quantity: the smallest order that the venue takes.
    """

    venue: str
    prices: Floats
    sizes: Floats
    opposite: float = float("nan")
    age_s: float = 0.0
    taker_fee_bps: float = 0.0
    lot_size: float = 0.0
    min_quantity: float = 0.0


class Child(NamedTuple):
    """An order for one venue.

    Attributes:
        venue: where.
        quantity: units, positive.
        limit_price: the worst level that it may reach.
        expected_value: price times quantity over the levels that it takes, without the fee.
        expected_fee: in account currency.
    """

    venue: str
    quantity: float
    limit_price: float
    expected_value: float
    expected_fee: float


class Route(NamedTuple):
    """Children, the quantity that finds no taker, and the reason for each venue that was left out or cut short."""

    children: tuple[Child, ...]
    unfilled: float
    reasons: tuple[str, ...]


def route(books: list[VenueBook], quantity: float, max_age_s: float = 2.0) -> Route:
    """Split an order that takes liquidity over venues so that its fills and fees cost the least (water-filling).

    Levels of all venues are taken in the order of their price after the fee until the quantity is done. Where levels
    are known and fees are proportional no other split is cheaper, and an order that is refused by one venue and spread
    over the rest of the same books ends where it would have been without that venue. Rounding to lots is towards zero;
    a venue whose share falls below its minimum is left out, and its share goes to the others.

    Args:
        books: one a venue, of the side that is taken (asks for a purchase).
        quantity: units, positive for a purchase, negative for a sale.
        max_age_s: an older book is not traded on.

    Raises:
        BadParameters: the quantity is 0 or no number, or two books have one name.
    """
    if not np.isfinite(quantity) or quantity == 0:
        raise BadParameters(f"quantity must be a finite number other than 0: found {quantity}")
    names = [book.venue for book in books]
    if len(set(names)) < len(names):
        raise BadParameters(f"every venue gives one book: found {', '.join(names)}")
    buys = quantity > 0
    reasons = {book.venue: reason for book in books if (reason := why_unusable(book, buys, max_age_s))}
    usable = [book for book in books if book.venue not in reasons]
    while True:
        children, rounded = _fill(usable, abs(quantity), buys)
        small = [
            book for book in usable if 0 < rounded.get(book.venue, 0.0) < book.min_quantity
            or (book.venue in rounded and rounded[book.venue] == 0)
        ]  # fmt: skip
        if not small:
            break
        least = min(small, key=lambda book: rounded[book.venue])
        reasons[least.venue] = (
            f"{least.venue}: its share of {rounded[least.venue]:g} is below its minimum of "
            f"{max(least.min_quantity, least.lot_size):g}"
        )
        usable = [book for book in usable if book.venue != least.venue]
    unfilled = max(abs(quantity) - sum(child.quantity for child in children), 0.0)
    unfilled = 0.0 if unfilled < 1e-12 * abs(quantity) else unfilled
    if unfilled and usable:
        reasons["depth"] = f"{unfilled:g} units find no taker: the books end, or lots are rounded towards zero"
    return Route(children, unfilled, tuple(reasons.values()))


class Queues(NamedTuple):
    """What is known of the best prices before a step, (orders,) each.

    Attributes:
        left: lots still to be bought.
        ahead: lots at the best bid that are served before ours.
        offered: lots at the best ask.
        steps_left: until the deadline.
    """

    left: Ints
    ahead: Ints
    offered: Ints
    steps_left: int


class QueueRates(NamedTuple):
    """How fast queues at the best prices change, in lots a step.

    Attributes:
        arrival: lots that join the best ask.
        market: lots that market orders take from a side.
        cancel: the share of the lots that stand which is cancelled.
    """

    arrival: float
    market: float
    cancel: float


class TouchCosts(NamedTuple):
    """What a lot costs, all against one price; numbers, or one an order.

    Attributes:
        met: at the best bid.
        crossed: bought at the best ask.
        moved: bought at market after the best ask is gone.
    """

    met: Floats | float
    crossed: Floats | float
    moved: Floats | float


def lots_to_cross(queues: Queues, rates: QueueRates, costs: TouchCosts, reserve: float = 0.0) -> Ints:
    """How many lots of a purchase to buy at market now, the rest of it waiting at the best bid.

    While more is offered at the best ask than is left to buy, and `reserve`, everything waits: the same price can be
    had later. Then it is the last chance, and as many lots are bought as make the expected cost least, if what waits
    stays until it is met, the best ask is gone, or the deadline has come. Of the two that race, market orders come as a
    Poisson process and reach ours once they and cancellations have served those before, and the best ask is gone when
    Brownian motion with the mean and variance of its queue first passes 0 (Cox and Miller 1965, "The theory of
    stochastic processes").

    Args:
        queues: what is known.
        rates: of the queues.
        costs: of a lot.
        reserve: lots of the best ask that may go before the next decision.
    """
    lots = np.arange(int(queues.left.max(initial=0)) + 1)[:, None]
    at = np.linspace(0.0, queues.steps_left, INSTANTS + 1)[1:, None]
    here = np.minimum(lots, queues.offered)
    met = _met(queues.ahead, rates, lots[1:, None], at)
    gone = _ask_gone(queues.offered - here, rates, at)
    expected = here * costs.crossed + (lots - here) * costs.moved + _waiting(met, gone, queues.left - lots, costs)
    expected[lots > queues.left] = np.inf
    return np.where(queues.offered > queues.left + reserve, 0, expected.argmin(axis=0)).astype(np.int64)


def _met(ahead: Ints, rates: QueueRates, lots: Ints, at: Floats) -> Floats:
    """Probability that the first, second, ... lot that waits was met, (lots, instants, orders): that as many market
    orders came as it needs, and as those before it need while they are being cancelled, too: in the mean their queue x
    moves by dx = -(market + cancel x) dt, and until it is empty market orders take (market / cancel) log(1 + cancel x /
    market) of it."""
    from scipy.special import gammainc  # here, since every start imports this module and that takes 0.3 s

    scale = rates.cancel / rates.market
    served = np.log1p(scale * ahead) / scale if scale > 0 else ahead
    return np.asarray(gammainc(lots + served, rates.market * at))


def _ask_gone(offered: Ints, rates: QueueRates, at: Floats) -> Floats:
    """Probability that the best ask is gone, now and at each instant, (1 + instants, ..., orders); cancellations are
    those of half its lots, the mean between now and then."""
    from scipy.special import ndtr  # as above

    leaving = rates.market + rates.cancel * offered / 2
    drift, variance = leaving - rates.arrival, leaving + rates.arrival
    time = at[:, None]
    deviation = np.sqrt(variance * time)
    past = ndtr((drift * time - offered) / deviation)
    past += np.exp(np.clip(2.0 * drift * offered / variance, -50.0, 50.0)) * ndtr(-(offered + drift * time) / deviation)
    at_once = (offered == 0).astype(np.float64)[None]
    return np.concatenate([at_once, np.minimum(np.maximum(past, at_once), 1.0)])


def _waiting(met: Floats, gone: Floats, left: Ints, costs: TouchCosts) -> Floats:
    """Expected cost of what waits once each number of lots was bought, (numbers, orders)."""
    before = np.concatenate([np.zeros_like(met[:, :1]), met], axis=1)
    stands, waits = 1.0 - (gone[1:] + gone[:-1]) / 2, 1.0 - (before[:, 1:] + before[:, :-1]) / 2
    cost = costs.met * np.einsum("lto,tco->clo", np.diff(before, axis=1), stands)
    cost += costs.moved * (np.einsum("lto,tco->clo", waits, np.diff(gone, axis=0)) + gone[0][:, None])
    cost += costs.crossed * (1.0 - met[:, -1]) * (1.0 - gone[-1])[:, None]
    counted = np.arange(1, len(met) + 1)[:, None] <= left[:, None]
    return np.asarray((cost * counted).sum(axis=1))


def why_unusable(book: VenueBook, buys: bool, max_age_s: float) -> str | None:
    """Why a book is not traded on; None where it is.

    Args:
        book: of the side that is taken.
        buys: whether an order buys.
        max_age_s: an older book is not traded on.
    """
    prices, sizes = book.prices, book.sizes
    if len(prices) == 0 or len(prices) != len(sizes):
        return f"{book.venue}: there is nothing on this side of its book"
    if not (np.isfinite(prices).all() and np.isfinite(sizes).all() and (prices > 0).all() and (sizes >= 0).all()):
        return f"{book.venue}: its book holds a price or size that is no positive number"
    if (np.diff(prices) * (1 if buys else -1) <= 0).any():
        return f"{book.venue}: its levels are not in the order of their prices"
    if not np.isfinite(book.opposite):
        return f"{book.venue}: the other side of its book is empty"
    if (prices[0] - book.opposite) * (1 if buys else -1) <= 0:
        return f"{book.venue}: its book is crossed"
    if not book.age_s <= max_age_s:
        return f"{book.venue}: its book is {book.age_s:g} s old, more than {max_age_s:g} s"
    return None


def _fill(books: list[VenueBook], quantity: float, buys: bool) -> tuple[tuple[Child, ...], dict[str, float]]:
    sign = 1 if buys else -1
    levels = sorted(
        (sign * price * (1.0 + sign * book.taker_fee_bps * 1e-4), index, level)
        for index, book in enumerate(books)
        for level, price in enumerate(book.prices)
    )
    taken = np.zeros(len(books))
    left = quantity
    for _, index, level in levels:
        amount = min(left, books[index].sizes[level])
        taken[index] += amount
        left -= amount
        if left <= 0:
            break
    children, rounded = [], {}
    for book, amount in zip(books, taken, strict=True):
        if amount <= 0:
            continue
        exact = np.floor(amount / book.lot_size * (1 + 1e-12)) * book.lot_size if book.lot_size > 0 else amount
        rounded[book.venue] = float(exact)
        if exact > 0:
            children.append(child_of(book, float(exact)))
    return tuple(children), rounded


def child_of(book: VenueBook, quantity: float) -> Child:
    """An order that takes so much of a book, and the worst level that it reaches.

    Args:
        book: of the side that is taken.
        quantity: units, positive, no more than the book holds.
    """
    before = np.concatenate([[0.0], np.cumsum(book.sizes)[:-1]])
    amounts = np.clip(quantity - before, 0.0, book.sizes)
    value = float(amounts @ book.prices)
    deepest = int(np.flatnonzero(amounts > 0)[-1])
    return Child(book.venue, quantity, float(book.prices[deepest]), value, value * book.taker_fee_bps * 1e-4)
