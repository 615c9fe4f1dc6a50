"""The best way to buy at the touch, by backward induction over everything that can be known there.

The state before a step is: lots left, whether they wait at the best bid, others' lots ahead of them and behind them,
lots at the best ask, steps left. The probabilities are those of `touch.TouchWorld`, so that the expected cost of any
policy of the state is exact, too.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.errors import BadParameters
from tradewind.trading.execution.worlds.order_book.executing import Decision, Policy, View, decided
from tradewind.trading.execution.worlds.order_book.flow import Floats
from tradewind.trading.execution.worlds.order_book.touch import (
    ASK_ARRIVES,
    BID_ARRIVES,
    BOUGHT,
    CANCELLED,
    HIGH,
    LOW,
    SOLD,
    TouchWorld,
)

Codes = NDArray[np.int16]

CHOOSE = -1  # in place of a code: the best decision is sought
# Cost of a lot against the middle of the book at arrival: met at the best bid; bought at the best ask; bought above it,
# and at the former best bid, once the price has moved.
MET, CROSSED, MOVED_UP, MOVED_DOWN = range(4)


class Programme(NamedTuple):
    """A policy of the state and what it costs.

    Attributes:
        codes: 2 x lots to buy at market + whether the rest joins the best bid, by lots left, posted, ahead, behind and
            offered, (steps, lots + 1, 2, most + 1, most + 1, most + 1).
        cost: expected, in ticks for the whole quantity.
    """

    codes: Codes
    cost: float

    def policy(self, view: View) -> Decision:
        """The policy itself.

        Args:
            view: what is known before a step.
        """
        most = self.codes.shape[-1] - 1
        state = [np.clip(each, 0, most) for each in (view.ahead, view.behind, view.offered)]
        code = self.codes[view.step, view.left, view.posted.astype(np.int64), state[0], state[1], state[2]]
        return Decision(np.where(view.left > 0, code // 2, 0).astype(np.int64), code % 2 > 0)


def solve(world: TouchWorld, lots: int) -> Programme:
    """The best policy: at every state the decision with the least expected cost.

    Args:
        world: the flow and the deadline.
        lots: of the purchase.

    Raises:
        BadParameters: the quantity is none.
    """
    return _induce(world, lots, np.full(_shape(world, lots), CHOOSE, dtype=np.int16))


def evaluate(world: TouchWorld, lots: int, policy: Policy) -> Programme:
    """The exact expected cost of a policy of the state.

    Args:
        world: the flow and the deadline.
        lots: of the purchase.
        policy: is asked at every state.

    Raises:
        BadParameters: the quantity or a decision is none.
    """
    shape = _shape(world, lots)
    codes = np.zeros(shape, dtype=np.int16)
    left, posted, ahead, behind, offered = (each.ravel() for each in np.indices(shape[1:]))
    there = (left > 0) & (offered > 0) & (ahead + behind <= world.most_orders) & ((posted > 0) | (behind == 0))
    there &= (posted > 0) | (ahead > 0)
    left, posted, ahead, behind, offered = (each[there] for each in (left, posted, ahead, behind, offered))
    bid, ask = np.full_like(left, LOW), np.full_like(left, HIGH)
    for step in range(world.steps):
        view = View(step, world.steps - step, left, posted > 0, ahead, behind, offered, bid, ask)
        decision = decided(policy, view)
        codes[step].reshape(-1)[there] = 2 * decision.cross + decision.rest
    return _induce(world, lots, codes)


def _shape(world: TouchWorld, lots: int) -> tuple[int, ...]:
    if lots < 1:
        raise BadParameters(f"quantity must be a positive number of whole lots: found {lots}")
    side = world.most_orders + 1
    return world.steps, lots + 1, 2, side, side, side


def _induce(world: TouchWorld, lots: int, codes: Codes) -> Programme:
    costs = np.array([world.maker_fee - 0.5, *(world.taker_fee + move for move in (0.5, 1.5, -0.5))])
    values = np.zeros(codes.shape[1:])
    for offered in range(1, world.most_orders + 1):
        for left in range(1, lots + 1):
            values[left, ..., offered] = _crossing(costs, left, offered)
    waited = np.zeros_like(values)
    for step in range(world.steps - 1, -1, -1):
        _before_event(values, world.probabilities, costs, waited)
        _before_decision(waited, costs, codes[step], values)
    first = slice(1, world.first_orders + 1)
    return Programme(codes, float(values[lots, 0, first, 0, first].mean()))


@njit(cache=True, nogil=True, error_model="numpy")
def _crossing(costs: Floats, lots: int, offered: int) -> float:
    """Cost of `lots` bought at market: what the best ask does not hold is bought above it."""
    here = min(lots, offered)
    return float(here * costs[CROSSED] + (lots - here) * costs[MOVED_UP])


@njit(cache=True, nogil=True, error_model="numpy")
def _from(values: Floats, costs: Floats, left: int, posted: int, ahead: int, behind: int, offered: int) -> float:
    """Expected cost from a state on, which may be one in which the purchase is done or the price has moved."""
    if left == 0:
        return 0.0
    if offered <= 0:
        return float(left * costs[MOVED_UP])
    if posted == 0 and ahead == 0:
        return float(left * costs[MOVED_DOWN])
    return float(values[left, posted, ahead, behind, offered])


@njit(cache=True, nogil=True, error_model="numpy")
def _before_event(values: Floats, probabilities: Floats, costs: Floats, out: Floats) -> None:
    """Expected cost before the event of a step, from that after it."""
    most = values.shape[2] - 1
    cancelled = probabilities[CANCELLED]
    for left in range(1, values.shape[0]):
        for posted in range(2):
            for ahead in range(1 - posted, most + 1):
                for behind in range((most - ahead) * posted + 1):
                    for offered in range(1, most + 1):
                        state = (left, posted, ahead, behind, offered)
                        same = values[state]
                        cost, total = 0.0, 0.0
                        if ahead + behind < most:
                            p = probabilities[BID_ARRIVES]
                            cost += p * values[left, posted, ahead + 1 - posted, behind + posted, offered]
                            total += p
                        if offered < most:
                            p = probabilities[ASK_ARRIVES]
                            cost += p * values[left, posted, ahead, behind, offered + 1]
                            total += p
                        p = probabilities[SOLD]
                        if ahead > 0:
                            cost += p * _from(values, costs, left, posted, ahead - 1, behind, offered)
                        else:
                            met = _from(values, costs, left - 1, posted, ahead, behind, offered)
                            cost += p * (costs[MET] + met)
                        total += p
                        p = probabilities[BOUGHT] + cancelled * offered
                        cost += p * _from(values, costs, left, posted, ahead, behind, offered - 1)
                        total += p
                        if ahead > 0:
                            p = cancelled * ahead
                            cost += p * _from(values, costs, left, posted, ahead - 1, behind, offered)
                            total += p
                        if behind > 0:
                            p = cancelled * behind
                            cost += p * _from(values, costs, left, posted, ahead, behind - 1, offered)
                            total += p
                        out[state] = cost + (1.0 - total) * same


@njit(cache=True, nogil=True, error_model="numpy")
def _before_decision(waited: Floats, costs: Floats, codes: Codes, out: Floats) -> None:
    """Expected cost before the decision of a step, and the decision where it is to be chosen."""
    most = out.shape[2] - 1
    for left in range(1, out.shape[0]):
        for posted in range(2):
            for ahead in range(1 - posted, most + 1):
                for behind in range((most - ahead) * posted + 1):
                    for offered in range(1, most + 1):
                        state = (left, posted, ahead, behind, offered)
                        code = codes[state]
                        if code != CHOOSE:
                            out[state] = _decided(waited, costs, code, left, posted, ahead, behind, offered)
                            continue
                        best, least = 0, np.inf
                        for choice in range(posted, 2 * left + 1 + posted, 1 + posted):
                            cost = _decided(waited, costs, choice, left, posted, ahead, behind, offered)
                            if cost < least - 1e-12:
                                best, least = choice, cost
                        codes[state], out[state] = best, least


@njit(cache=True, nogil=True, error_model="numpy")
def _decided(
    waited: Floats, costs: Floats, code: int, left: int, posted: int, ahead: int, behind: int, offered: int
) -> float:
    """Expected cost of a decision, whose rest waits if it is to, and in any case if it waits already."""
    cross, waits = code // 2, max(posted, code % 2)
    cost = _crossing(costs, cross, offered)
    return float(cost + _from(waited, costs, left - cross, waits, ahead, behind, offered - cross))
