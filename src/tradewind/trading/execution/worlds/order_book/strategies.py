"""Ways to buy in an order book: at once, after waiting for a fixed time, or as the rule of the router says."""

import numpy as np

from tradewind.trading.execution.routing import QueueRates, Queues, TouchCosts, lots_to_cross
from tradewind.trading.execution.worlds.order_book.executing import Decision, Fees, OrderBookWorld, Policy, View
from tradewind.trading.execution.worlds.order_book.touch import (
    ASK_ARRIVES,
    BOUGHT,
    CANCELLED,
    TouchWorld,
)


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
