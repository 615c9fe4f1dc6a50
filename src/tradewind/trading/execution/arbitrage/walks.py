"""How much of a route pays: levels of its books are taken while the next unit still gains."""

from typing import Literal

import numpy as np

from tradewind.trading.execution.arbitrage.markets import LegPlan, Market, Opportunity
from tradewind.trading.execution.routing import VenueBook


def walk_pair(bought: Market, sold: Market, allowance: float, max_value: float) -> Opportunity | str | None:
    """Buy in one market what is sold in another; fees are paid in the quote coin.

    Args:
        bought: where it is bought.
        sold: where the same pair is sold.
        allowance: what the gain must cover, as a share of the value.
        max_value: of the quote coin, spent on the purchase before its fee.

    Returns:
        The opportunity, None where nothing gains, or why rounding leaves nothing.
    """
    asks, bids = bought.asks, sold.bids
    dear, cheap = (
        asks.prices * (1 + asks.taker_fee_bps * 1e-4 + allowance),
        bids.prices * (1 - bids.taker_fee_bps * 1e-4),
    )
    quantity, value, at, to = 0.0, 0.0, 0, 0
    left, room = asks.sizes.astype(np.float64), bids.sizes.astype(np.float64)
    while at < len(left) and to < len(room) and cheap[to] > dear[at]:
        taken = min(left[at], room[to], (max_value - value) / asks.prices[at])
        if taken <= 0 and value >= max_value * (1 - 1e-12):
            break
        quantity, value = quantity + taken, value + taken * asks.prices[at]
        left[at], room[to] = left[at] - taken, room[to] - taken
        at, to = at + int(left[at] <= 0), to + int(room[to] <= 0)
    if quantity <= 0:
        return None
    while (smaller := _rounded(_rounded(quantity, asks.lot_size), bids.lot_size)) < quantity * (1 - 1e-12):
        quantity = smaller  # until it is a multiple of both lots
    names = f"{bought.name} -> {sold.name}"
    if short := _too_small(quantity, (asks, bids)):
        return f"{names}: {short}"
    paid, limit_buy = _walk(asks, quantity)
    received, limit_sell = _walk(bids, quantity)
    gain = received * (1 - bids.taker_fee_bps * 1e-4) - paid * (1 + asks.taker_fee_bps * 1e-4 + allowance)
    kind: Literal["spot", "perpetual"] = "perpetual" if bought.is_perpetual or sold.is_perpetual else "spot"
    legs = (LegPlan(bought.name, True, quantity, limit_buy), LegPlan(sold.name, False, quantity, limit_sell))
    return Opportunity(kind, legs, bought.quote, paid, gain, 1e4 * gain / paid)


def walk_triangle(route: tuple[Market, Market, Market], forwards: bool, allowance: float,
                  max_value: float) -> Opportunity | str | None:  # fmt: skip
    """From C through B and A back to C, or the other way round, in B/C, A/B and A/C of one venue.

    Fees are taken off what each order brings. What rounding to lots leaves over counts as lost.

    Args:
        route: the markets B/C, A/B and A/C.
        forwards: whether B is bought first.
        allowance: what the gain must cover, as a share of the value.
        max_value: of coin C, spent.

    Returns:
        The opportunity, None where nothing gains, or why rounding leaves nothing.
    """
    near, cross, far = route
    steps = ((near, True), (cross, True), (far, False)) if forwards else ((far, True), (cross, False), (near, False))
    size = _gaining_size(steps, allowance, max_value)
    if size <= 0:
        return None
    legs, amount, spent = [], size, 0.0
    for market, buys in steps:
        book = market.asks if buys else market.bids
        quantity = _rounded(_bought_for(book, amount) if buys else amount, book.lot_size)
        if short := _too_small(quantity, (book,)):
            return f"{' -> '.join(step.name for step, _ in steps)}: {short}"
        value, limit = _walk(book, quantity)
        spent = spent or value
        amount = (quantity if buys else value) * (1 - book.taker_fee_bps * 1e-4)
        legs.append(LegPlan(market.name, buys, quantity, limit))
    gain = amount - spent * (1 + allowance)
    if gain <= 0:
        return f"{' -> '.join(step.name for step, _ in steps)}: rounding to lots leaves no gain"
    return Opportunity("triangle", tuple(legs), near.quote, spent, gain, 1e4 * gain / spent)


def _gaining_size(steps: tuple[tuple[Market, bool], ...], allowance: float, max_value: float) -> float:
    """Of the coin it begins with, as long as the levels that are next still gain together."""
    rates, rooms = [], []
    for market, buys in steps:
        book = market.asks if buys else market.bids
        kept = 1 - book.taker_fee_bps * 1e-4
        rates.append(kept / book.prices if buys else kept * book.prices)
        rooms.append((book.sizes * book.prices if buys else book.sizes).astype(np.float64))
    at, size = [0] * len(steps), 0.0
    while all(place < len(room) for place, room in zip(at, rooms, strict=True)) and size < max_value:
        now = np.array([rate[place] for rate, place in zip(rates, at, strict=True)])
        if now.prod() <= 1 + allowance:
            break
        before = np.concatenate([[1.0], np.cumprod(now)[:-1]])  # coins that reach each market for one at the start
        room = np.array([each[place] for each, place in zip(rooms, at, strict=True)]) / before
        taken = min(float(room.min()), max_value - size)
        size += taken
        for index in range(len(steps)):
            rooms[index][at[index]] -= taken * before[index]
            at[index] += int(room[index] <= taken * (1 + 1e-12))
    return size


def _rounded(quantity: float, lot: float) -> float:
    return float(np.floor(quantity / lot * (1 + 1e-12)) * lot) if lot > 0 else quantity


def _too_small(quantity: float, books: tuple[VenueBook, ...]) -> str | None:
    for book in books:
        if quantity <= 0 or quantity < book.min_quantity:
            least = max(book.lot_size, book.min_quantity)
            return f"{quantity:g} units are left of it, and the smallest order at {book.venue} is {least:g}"
    return None


def _walk(book: VenueBook, quantity: float) -> tuple[float, float]:
    """Value of the levels that a quantity takes, and the last price."""
    before = np.concatenate([[0.0], np.cumsum(book.sizes)[:-1]])
    taken = np.clip(quantity - before, 0.0, book.sizes)
    return float(taken @ book.prices), float(book.prices[np.flatnonzero(taken > 0)[-1]])


def _bought_for(book: VenueBook, amount: float) -> float:
    """Units that an amount of the quote coin buys, its fee not counted."""
    values = book.sizes * book.prices
    before = np.concatenate([[0.0], np.cumsum(values)[:-1]])
    return float((np.clip(amount - before, 0.0, values) / book.prices).sum())
