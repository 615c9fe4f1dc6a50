"""Several venues with books of their own: latency, refusals and levels that stay taken, for many episodes."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

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


class Draws(NamedTuple):
    """Books, refusals and prices of many episodes, drawn once and given to every rule.

    Attributes:
        sizes: units at each level at arrival, (episodes, venues, levels).
        refused: whether a venue refuses what is sent in a round, (episodes, rounds, venues); none does in the last.
        moves: of the common mid-price since arrival, (episodes, rounds).
    """

    sizes: Floats
    refused: NDArray[np.bool_]
    moves: Floats


class VenueView(NamedTuple):
    """What is known before the orders of a round; nothing of it is later than that.

    Attributes:
        turn: counted from 0.
        left: units still to be bought, (episodes,).
        sizes: units at each level, (episodes, venues, levels).
        move: of the common mid-price since arrival, (episodes,).
    """

    turn: int
    left: Floats
    sizes: Floats
    move: Floats


Splitter = Callable[[VenueView], Floats]  # units for each venue, (episodes, venues)


def draw(world: VenueWorld, episodes: int, generator: np.random.Generator) -> Draws:
    """Books, refusals and prices.

    Args:
        world: the venues.
        episodes: how many.
        generator: the only source of randomness.
    """
    count = len(world.venues)
    sizes = np.zeros((episodes, count, world.levels))
    refused = np.zeros((episodes, world.rounds, count), dtype=np.bool_)
    moves = np.zeros((episodes, world.rounds))
    for episode in range(episodes):
        for index, venue in enumerate(world.venues):
            sizes[episode, index] = generator.gamma(2.0, venue.depth / 2.0, world.levels)
        refused[episode] = generator.random((world.rounds, count)) < [venue.refusal for venue in world.venues]
        moves[episode, 1:] = world.volatility * np.cumsum(generator.standard_normal(world.rounds - 1))
    refused[:, -1] = False
    return Draws(sizes, refused, moves)


def ladder(world: VenueWorld) -> tuple[Floats, Floats]:
    """Prices of the levels at arrival, (venues, levels), and the fee of each venue as a share, (venues,)."""
    prices = [each.half_spread + each.step * np.arange(world.levels) for each in world.venues]
    return world.mid + np.array(prices), 1e-4 * np.array([each.taker_fee_bps for each in world.venues])


def fill(lib: Any, amounts: Any, sizes: Any) -> Any:
    """Units of each level that orders take, best first: the venue's equations, in numpy or, for their gradient, torch.

    Args:
        lib: the module whose `minimum` and `maximum` are used.
        amounts: units of each order, (..., venues).
        sizes: units at each level, (..., venues, levels).
    """
    before = sizes.cumsum(-1) - sizes
    return lib.minimum(lib.maximum(amounts[..., None] - before, 0.0 * sizes), sizes)


def execute(world: VenueWorld, quantity: float, policy: Splitter, draws: Draws) -> Floats:
    """What a policy pays against the mid-price at arrival, (episodes,); what it leaves in the last round is routed.

    Args:
        world: the venues.
        quantity: units to be bought.
        policy: says what each venue is sent in a round; what a venue refuses is not filled.
        draws: of `draw`.

    Raises:
        BadParameters: an order is negative or no number, or more than is left.
    """
    prices, fees = ladder(world)
    sizes, left = draws.sizes.copy(), np.full(len(draws.sizes), float(quantity))
    cost = np.zeros(len(left))
    for turn in range(world.rounds):
        view = VenueView(turn, left, sizes, draws.moves[:, turn])
        amounts = np.asarray(policy(view), dtype=np.float64)
        if not ((amounts >= 0).all() and (amounts.sum(axis=1) <= left * (1 + 1e-9)).all()):
            raise BadParameters(f"round {turn}: the policy sends less than nothing, or more than is left")
        taken = fill(np, np.where(draws.refused[:, turn], 0.0, amounts), sizes)
        sizes, left, cost = _settled(taken, sizes, left, cost, prices + view.move[:, None, None], fees, world.mid)
    rest = left > 1e-9 * quantity
    if rest.any():
        view = VenueView(world.rounds - 1, left, sizes, draws.moves[:, -1])
        taken = fill(np, np.where(rest[:, None], by_route(world)(view), 0.0), sizes)
        _, _, cost = _settled(taken, sizes, left, cost, prices + view.move[:, None, None], fees, world.mid)
    return cost


def _settled(taken: Floats, sizes: Floats, left: Floats, cost: Floats, prices: Floats, fees: Floats,
             mid: float) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    paid = (taken * (prices * (1 + fees[:, None]) - mid)).sum(axis=(1, 2))
    return sizes - taken, np.maximum(left - taken.sum(axis=(1, 2)), 0.0), cost + paid


def by_route(world: VenueWorld) -> Splitter:
    """The router as a policy.

    Args:
        world: the venues.
    """
    names = [venue.name for venue in world.venues]

    def split(view: VenueView) -> Floats:
        amounts = np.zeros(view.sizes.shape[:2])
        for episode in np.flatnonzero(view.left > 0):
            books = [_book(world, index, view.sizes[episode, index], view.move[episode]) for index in range(len(names))]
            for child in route(books, float(view.left[episode])).children:
                amounts[episode, names.index(child.venue)] = child.quantity
        return amounts

    return split


def compare_routes(world: VenueWorld, quantity: float, draws: Draws) -> VenueCosts:
    """Route the same purchase by each rule over the same books, refusals and prices.

    Args:
        world: the venues.
        quantity: units to be bought.
        draws: of `draw`.

    Raises:
        BadParameters: the quantity is not positive.
    """
    if not quantity > 0:
        raise BadParameters(f"quantity must be positive: found {quantity}")
    count = len(world.venues)
    results = np.zeros((5, len(draws.sizes)))
    for episode, (sizes, refused, moves) in enumerate(zip(*draws, strict=True)):
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


def _execute(world: VenueWorld, quantity: float, shares: Floats | None, sizes: Floats, refused: NDArray[np.bool_],
             moves: Floats) -> tuple[float, float]:  # fmt: skip
    """Cost against arrival and what is left; `shares` are units a venue, or None where `route` decides.

    A fixed split asks the same venue again after a refusal; what its book cannot fill is routed in the last round.
    """
    sizes = sizes.copy()
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
            taken = fill(np, np.array(amount), sizes[index])
            cost += float(taken @ book.prices) * (1 + book.taker_fee_bps * 1e-4) - float(taken.sum()) * world.mid
            sizes[index] = sizes[index] - taken
            left -= float(taken.sum())
            if owed is not None:
                owed[index] -= float(taken.sum())
        if left <= 1e-12 * quantity:
            return cost, 0.0
    return cost, left
