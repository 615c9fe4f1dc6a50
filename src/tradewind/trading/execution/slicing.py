"""One order, or equal slices of it, with what they are expected to cost by the project's cost formula."""

import math
from typing import Literal, NamedTuple

from tradewind.errors import BadParameters
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.steps import NO_STEPS, Steps

MOST_SLICES = 48


class Order(NamedTuple):
    """What is to be traded.

    Attributes:
        quantity: in units of the instrument.
        price: now, in account currency.
        deadline_s: when all must be done, from now.
        urgency: 1 trades at once, 0 takes all the time there is.
        limit_price: rests there as maker, if given.
        volatility: of one bar's log return, 0 where unknown.
        bar_volume: usual volume of a bar in units of the instrument, if known.
    """

    quantity: float
    price: float
    deadline_s: float
    urgency: float = 1.0
    limit_price: float | None = None
    volatility: float = 0.0
    bar_volume: float | None = None


class Slice(NamedTuple):
    """One order: seconds from now, its kind, quantity and limit price."""

    at_s: float
    type: Literal["market", "limit"]
    quantity: float
    limit_price: float | None


class CostBps(NamedTuple):
    """What one side is expected to cost, in basis points of the value, and its parts."""

    total: float
    fee: float
    spread: float
    slippage: float
    impact: float


class SlicePlan(NamedTuple):
    """The slices, their expected cost, the rule that made them, and whether the cost is a forecast's."""

    slices: tuple[Slice, ...]
    cost: CostBps
    policy: Literal["one_order", "equal_slices", "rest_at_limit"]
    is_forecast: bool = False


def plan_slices(
    order: Order, costs: Costs, bar_s: float, one_order: CostBps | None = None, most: float = math.inf,
    steps: Steps = NO_STEPS,
) -> SlicePlan:  # fmt: skip
    """One order where slicing saves nothing, else equal slices, one a bar.

    The formula knows no cost of waiting: how long to wait is the caller's `urgency`. Whether slicing saves anything is
    the formula's to say in any case, so that two costs of one kind are compared.

    Args:
        order: what is to be traded.
        costs: of one side (`params:trading.costs`).
        bar_s: duration of a bar, over which `bar_volume` is traded.
        one_order: what one market order is expected to cost by a forecast that knows the book
            (`forecasts.plan.one_order_cost`), stated instead of the formula's; None where there is none.
        most: what one order at market may take, the depth of the book where it is known: a larger one is cut to it.
        steps: of quantities at the venue; slices are whole lots, their sum rounded towards zero, none below the
            smallest order.

    Raises:
        BadParameters: the costs have an impact, and the usual volume is not given.
    """
    if order.limit_price is not None:
        fee = CostBps(costs.maker_fee_bps, costs.maker_fee_bps, 0.0, 0.0, 0.0)
        return SlicePlan((Slice(0.0, "limit", order.quantity, order.limit_price),), fee, "rest_at_limit")
    if costs.impact_coefficient > 0 and order.bar_volume is None:
        raise BadParameters("bar_volume must be given: these costs grow with the order's share of it")
    patience = (1.0 - order.urgency) * order.deadline_s
    count = min(1 + math.floor(patience / bar_s), MOST_SLICES)
    if steps.smallest > 0:
        count = max(min(count, math.floor(order.quantity / steps.smallest * (1 + 1e-12))), 1)
    most = steps.rounded(most) if math.isfinite(most) else most
    whole = steps.rounded(min(order.quantity, most))
    if expected_cost(order, costs, count).total >= expected_cost(order, costs, 1).total:
        at_once = expected_cost(order._replace(quantity=whole), costs, 1)
        at_market = (Slice(0.0, "market", whole, None),)
        return SlicePlan(at_market, one_order or at_once, "one_order", one_order is not None)
    parts = steps.parts(min(order.quantity / count, most) * count, count)
    slices = tuple(Slice(at * patience / count, "market", part, None) for at, part in enumerate(parts))
    return SlicePlan(slices, expected_cost(order._replace(quantity=sum(parts)), costs, count), "equal_slices")


def expected_cost(order: Order, costs: Costs, slices: int) -> CostBps:
    """What `slices` equal market orders are expected to cost a side, by `Costs.round_trip_share`.

    Args:
        order: what is to be traded.
        costs: of one side.
        slices: how many.
    """
    quantity = order.quantity / slices
    participation = quantity / order.bar_volume if order.bar_volume else 0.0
    side = float(costs.round_trip_share(order.volatility, participation, quantity * order.price)) * 0.5e4
    still = float(costs.model_copy(update={"book": ()}).round_trip_share(order.volatility)) * 0.5e4
    slippage = still - costs.taker_fee_bps - costs.half_spread_bps
    return CostBps(side, costs.taker_fee_bps, costs.half_spread_bps, slippage, side - still)
