"""Several venues with books of their own: latency, refusals and levels that stay taken, for many episodes."""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters
from tradewind.trading.execution.routing import VenueBook, route
from tradewind.trading.execution.worlds.impact import Floats, NotNegative

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SimulatedVenue(Parameters):
    """A venue whose book is drawn anew for each episode.

    Attributes:
        name: of the venue.
        half_spread: price from the common mid-price to its best level.
        step: price between levels.
        depth: mean units a level; each level's is gamma distributed with shape 2.
        taker_fee_bps: of the value.
        refusal: the probability that an order sent to it in a round comes back unfilled.
    """

    name: str
    half_spread: NotNegative
    step: Positive
    depth: Positive
    taker_fee_bps: NotNegative
    refusal: Annotated[float, Field(ge=0, lt=1)] = 0.0


class VenueWorld(Parameters):
    """An order that must be done within a few rounds, each a latency long.

    Attributes:
        venues: where it can be done.
        mid: common mid-price at arrival.
        levels: of each book.
        rounds: orders may be sent so often; in the last round no venue refuses.
        volatility: of the mid-price over a round, price.
    """

    venues: tuple[SimulatedVenue, ...]
    mid: Positive = 100.0
    levels: Annotated[int, Field(ge=1, le=1000)] = 20
    rounds: Annotated[int, Field(ge=1, le=100)] = 4
    volatility: NotNegative = 0.0


class VenueCosts(NamedTuple):
    """All-in costs against the mid-price at arrival, in account currency, (episodes,) each.

    Attributes:
        routed: by `route`, refusals routed anew over what the books still hold.
        bound: with every level of every venue open to one order at arrival: nobody can pay less on average.
        one_venue: everything to the venue with the best price after its fee at arrival.
        even: an equal share to every venue.
        unfilled: units that `route` left undone at the end.
    """

    routed: Floats
    bound: Floats
    one_venue: Floats
    even: Floats
    unfilled: Floats


def compare_routes(world: VenueWorld, quantity: float, episodes: int, generator: np.random.Generator) -> VenueCosts:
    """Route the same purchase by each rule over the same books, refusals and prices.

    Args:
        world: the venues.
        quantity: units to be bought.
        episodes: how many.
        generator: the only source of randomness.

    Raises:
        BadParameters: the quantity is not positive.
    """
    if not quantity > 0:
        raise BadParameters(f"quantity must be positive: found {quantity}")
    count = len(world.venues)
    results = np.zeros((5, episodes))
    for episode in range(episodes):
        sizes = [generator.gamma(2.0, venue.depth / 2.0, world.levels) for venue in world.venues]
        refused = generator.random((world.rounds, count)) < [venue.refusal for venue in world.venues]
        refused[-1] = False
        moves = world.volatility * np.concatenate([[0.0], np.cumsum(generator.standard_normal(world.rounds - 1))])
        books = [_book(world, index, sizes[index], 0.0) for index in range(count)]
        children = route(books, quantity).children
        paid = sum(child.expected_value + child.expected_fee for child in children)
        results[1, episode] = paid - quantity * world.mid
        best = int(np.argmin([book.prices[0] * (1 + book.taker_fee_bps * 1e-4) for book in books]))
        alone, equal = np.eye(count)[best] * quantity, np.full(count, quantity / count)
        results[0, episode], results[4, episode] = _execute(world, quantity, None, sizes, refused, moves)
        results[2, episode], _ = _execute(world, quantity, alone, sizes, refused, moves)
        results[3, episode], _ = _execute(world, quantity, equal, sizes, refused, moves)
    return VenueCosts(*results)


def _book(world: VenueWorld, index: int, sizes: Floats, move: float) -> VenueBook:
    venue = world.venues[index]
    first = world.mid + move + venue.half_spread
    prices = first + venue.step * np.arange(len(sizes), dtype=np.float64)
    return VenueBook(venue.name, prices, sizes, world.mid + move - venue.half_spread - venue.step, 0.0,
                     venue.taker_fee_bps)  # fmt: skip


def _execute(world: VenueWorld, quantity: float, shares: Floats | None, sizes: list[Floats], refused: NDArray[np.bool_],
             moves: Floats) -> tuple[float, float]:  # fmt: skip
    """Cost against arrival and what is left; `shares` are units a venue, or None where `route` decides.

    A fixed split asks the same venue again after a refusal; what its book cannot fill is routed in the last round.
    """
    sizes = [each.copy() for each in sizes]
    left, cost = quantity, 0.0
    owed = None if shares is None else shares.copy()
    for turn in range(world.rounds):
        books = [_book(world, index, each, moves[turn]) for index, each in enumerate(sizes)]
        is_last = turn == world.rounds - 1
        if owed is None or is_last:
            asked = {child.venue: child.quantity for child in route(books, left).children}
        else:
            asked = {book.venue: float(min(amount, book.sizes.sum())) for book, amount in zip(books, owed, strict=True)}
        for index, book in enumerate(books):
            amount = asked.get(book.venue, 0.0)
            if amount <= 0 or refused[turn, index]:
                continue
            before = np.concatenate([[0.0], np.cumsum(sizes[index])[:-1]])
            taken = np.clip(amount - before, 0.0, sizes[index])
            cost += float(taken @ book.prices) * (1 + book.taker_fee_bps * 1e-4) - float(taken.sum()) * world.mid
            sizes[index] = sizes[index] - taken
            left -= float(taken.sum())
            if owed is not None:
                owed[index] -= float(taken.sum())
        if left <= 1e-12 * quantity:
            return cost, 0.0
    return cost, left
