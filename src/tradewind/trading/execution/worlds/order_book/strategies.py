"""Ways to buy in an order book: at once, after waiting for a fixed time, as the rule of the router says, or by a plan
over everything that both queues may do, from rates that were read off them."""

import numpy as np

from tradewind.errors import BadData
from tradewind.trading.execution.routing import QueueRates, Queues, TouchCosts, lots_to_cross
from tradewind.trading.execution.worlds.order_book.book import Ints
from tradewind.trading.execution.worlds.order_book.dynamic_programme import Programme, solve
from tradewind.trading.execution.worlds.order_book.executing import Decision, Fees, OrderBookWorld, Policy, View
from tradewind.trading.execution.worlds.order_book.touch import (
    ASK_ARRIVES,
    BOUGHT,
    CANCELLED,
    TouchWorld,
    arrivals,
    buy_at_touch,
)

WATCHED = 200  # episodes of the queues that are watched before a plan is made


def at_once(view: View) -> Decision:
    """Everything at market on arrival."""
    return Decision(view.left, np.zeros(len(view.left), dtype=np.bool_))


def post_then_cross(patience: int) -> Policy:
    """Wait at the best bid for some steps, then buy what is left at market.

    Args:
        patience: steps.
    """

    def policy(view: View) -> Decision:
        waits = view.step < patience
        return Decision(0 * view.left if waits else view.left, np.full(len(view.left), waits))

    return policy


def routed(rates: QueueRates, fees: Fees, reserve: float = 0.0) -> Policy:
    """Wait at the best bid, and buy at market what `routing.lots_to_cross` says.

    Args:
        rates: of the queues at the best prices.
        fees: of the world; a move of the price is a tick.
        reserve: lots of the best ask that may go between two decisions.
    """

    def policy(view: View) -> Decision:
        half = (view.ask - view.bid) / 2.0
        costs = TouchCosts(fees.maker_fee - half, fees.taker_fee + half, fees.taker_fee + half + 1.0)
        queues = Queues(view.left, view.ahead, view.offered, view.steps_left)
        return Decision(lots_to_cross(queues, rates, costs, reserve), np.ones(len(view.left), dtype=np.bool_))

    return policy


def router_at_touch(world: TouchWorld) -> Policy:
    """The router where it knows the rates of a world at the touch; an event takes one lot: nothing is in reserve.

    Args:
        world: whose rates and fees.
    """
    probabilities = world.probabilities
    rates = QueueRates(probabilities[ASK_ARRIVES], probabilities[BOUGHT], probabilities[CANCELLED])
    return routed(rates, world)


def router_in_book(world: OrderBookWorld) -> Policy:
    """The router in a zero-intelligence flow: its rates as if every order of the flow rested until it is cancelled, and
    what one decision's market orders take on average in reserve.

    Args:
        world: whose flow and fees.
    """
    flow = world.flow
    limits = 2.0 * flow.reach * flow.limit_rate
    steps = world.events / (2.0 * limits + 2.0 * flow.market_rate)
    lots = (1.0 + flow.most_lots) / 2.0 * steps
    rates = QueueRates(lots * flow.limit_rate, lots * flow.market_rate, steps * flow.cancel_rate)
    return routed(rates, world, rates.market)


def watched_queues(world: TouchWorld, episodes: int, generator: np.random.Generator) -> tuple[Ints, Ints]:
    """Lots at the best ask before and after each step, until the price moves, both (observed,); none of them is ours.

    Args:
        world: whose queues.
        episodes: watched from arrival to the deadline or the first move.
        generator: the only source of randomness.
    """
    seen: list[Ints] = []

    def only_looks(view: View) -> Decision:
        seen.append(view.offered.copy())
        return Decision(0 * view.left, np.zeros(len(view.left), dtype=np.bool_))

    buy_at_touch(world, 1, only_looks, *arrivals(world, episodes, generator))
    before, after = np.concatenate(seen[:-1]), np.concatenate(seen[1:])
    stands = after > 0  # of a price that has moved nothing more is seen
    return before[stands], after[stands]


def rates_of(before: Ints, after: Ints, most: int) -> QueueRates:
    """Rates that a queue shows: how often it grows, and how often it shrinks as it gets longer.

    Market orders come whatever its length, and every lot is cancelled at the same rate: the frequency of a lot less is
    a line over the length, through least squares. The last lot of a queue is never seen to go, so only longer ones
    count.

    Args:
        before: lots before a step, (observed,).
        after: lots after it, (observed,).
        most: beyond which none joins.

    Raises:
        BadData: nothing joined or nothing left.
    """
    joins = (after > before)[before < most]
    counted = before > 1
    shrinks = (after < before)[counted].astype(np.float64)
    if not joins.any() or not shrinks.any():
        raise BadData("the queues were watched for too short a time: nothing joined or nothing left them")
    lengths = np.column_stack([np.ones(counted.sum()), before[counted]])
    market, cancel = np.maximum(np.linalg.lstsq(lengths, shrinks, rcond=None)[0], 1e-6)
    return QueueRates(float(joins.mean()), float(market), float(cancel))


def planned_at_touch(world: TouchWorld, lots: int, generator: np.random.Generator, watched: int = WATCHED) -> Programme:
    """The router that plans: it reads the rates off the queues, and looks through everything that they may do.

    It knows the fees, the deadline and how long queues get, but no rate.

    Args:
        world: whose queues are watched.
        lots: of the purchase.
        generator: of what is watched.
        watched: episodes.
    """
    rates = rates_of(*watched_queues(world, watched, generator), world.most_orders)
    seen_rates = {"limit_rate": rates.arrival, "market_rate": rates.market, "cancel_rate": rates.cancel}
    return solve(world.model_copy(update=seen_rates), lots)
