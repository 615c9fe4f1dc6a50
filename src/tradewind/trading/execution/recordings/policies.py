"""Ways to execute in a recording, as the actions that reach the venue.

Latency is one way, from a decision or a report to the venue and back: an order that is sent at arrival is there one
latency later. Whoever crosses after waiting takes back first and sends what is left once it knows how much that is, so
that three latencies lie between that decision and the order's arrival. All orders are at the venue by the deadline.
"""

import itertools
from collections.abc import Callable

import numpy as np

from tradewind.data.order_book.replay import Floats, Ints
from tradewind.errors import BadParameters
from tradewind.trading.execution.recordings.forms import ARRIVE, CANCEL, END, LAND, POST, TAKE, Actions

ALL = 2.0  # a share beyond any quantity: whatever is left

# (milliseconds after arrival, what, share)
Steps = list[tuple[int, int, float]]
Plan = Callable[[int, int], Steps]


def one_order(horizon_ms: int, latency_ms: int) -> Steps:
    """Everything at market on arrival."""
    return delayed(0.0)(horizon_ms, latency_ms)


def delayed(share: float) -> Plan:
    """Everything at market after a share of the horizon.

    Args:
        share: of the horizon, below 1.
    """

    def plan(horizon_ms: int, latency_ms: int) -> Steps:
        return [(min(round(share * horizon_ms) + latency_ms, horizon_ms), TAKE, ALL)]

    return plan


def equal_slices(count: int) -> Plan:
    """TWAP: equal market orders, the first on arrival; the last takes what is left.

    Args:
        count: how many.
    """

    def plan(horizon_ms: int, latency_ms: int) -> Steps:
        times = [round(at * horizon_ms / count) + latency_ms for at in range(count)]
        return [(at, TAKE, 1.0 / count if each < count - 1 else ALL) for each, at in enumerate(times)]

    return plan


def post_then_cross(share: float) -> Plan:
    """Wait at the best price of our side, then buy what is left at market.

    Args:
        share: of the horizon after which the last order is at the venue.
    """

    def plan(horizon_ms: int, latency_ms: int) -> Steps:
        last = round(share * horizon_ms)
        return [(0, POST, ALL), (latency_ms, LAND, 0.0), (last - 2 * latency_ms, CANCEL, 0.0), (last, TAKE, ALL)]

    return plan


def post_only(horizon_ms: int, latency_ms: int) -> Steps:
    """Wait at the best price of our side to the deadline; what is not met then is not bought."""
    return [(0, POST, ALL), (latency_ms, LAND, 0.0), (horizon_ms, CANCEL, 0.0)]


def actions(plan: Plan, arrivals_ms: Ints, horizon_ms: int, latency_ms: int) -> Actions:
    """A plan carried out at many arrivals; executions are numbered like these.

    Args:
        plan: what is done.
        arrivals_ms: UTC milliseconds, rising.
        horizon_ms: from arrival to the deadline.
        latency_ms: one way.

    Raises:
        BadParameters: the deadline is too near for the latency.
    """
    steps = [(0, ARRIVE, 0.0), *plan(horizon_ms, latency_ms), (horizon_ms, END, 0.0)]
    times = [at for at, _, _ in steps]
    if any(later < earlier for earlier, later in itertools.pairwise(times)):
        raise BadParameters(
            f"a deadline of {horizon_ms} ms is too near for a latency of {latency_ms} ms: give more time"
        )
    count = len(arrivals_ms)
    at = (arrivals_ms[:, None] + np.array(times)).ravel()
    what = np.tile([what for _, what, _ in steps], count)
    share: Floats = np.tile([share for _, _, share in steps], count)
    # In order of time; of an execution, in the order of its plan.
    order = np.argsort(at, kind="stable")
    return Actions(at[order], what[order], np.repeat(np.arange(count), len(steps))[order], share[order])
