"""A forecast in the terms of a plan: what one order now is expected to cost."""

from typing import NamedTuple

import numpy as np

from tradewind.data.order_book.replay import Floats
from tradewind.trading.execution.forecasts.costs import COST, ONE_ORDER, CostForecast, Situation, features
from tradewind.trading.execution.forecasts.parts import Predicted
from tradewind.trading.execution.recordings.forms import NEAR_BPS
from tradewind.trading.execution.routing import VenueBook, why_unusable
from tradewind.trading.execution.slicing import CostBps


class Market(NamedTuple):
    """What is known of the market beside the book, for one order.

    Attributes:
        volatility_bps: deviation of the middle over the forecast's horizon, from its past.
        momentum_bps: how far the middle moved against us in the seconds before.
        taken_qty: what others took from our side in the last horizon, units.
    """

    volatility_bps: float
    momentum_bps: float
    taken_qty: float


class Expected(NamedTuple):
    """The cost of one order, the 90 % interval of its total in bps, or the reason why there is no forecast."""

    cost: CostBps | None
    interval: tuple[float, float]
    reason: str


NOTHING = (float("nan"), float("nan"))


def one_order_cost(
    forecast: CostForecast, taken: VenueBook, own: VenueBook, quantity: float, market: Market, max_age_s: float = 2.0
) -> Expected:
    """What one market order is expected to cost; no figure where the book has no price or is unlike those learnt from.

    Args:
        forecast: trained on recordings.
        taken: the side that the order takes.
        own: the other side, that of a resting order; best level first.
        quantity: units, positive for a purchase, negative for a sale.
        market: what is known beside the book.
        max_age_s: an older book has no price.
    """
    buys = quantity > 0
    reason = why_unusable(taken, buys, max_age_s) or why_unusable(own, not buys, max_age_s)
    if reason:
        return Expected(None, NOTHING, reason)
    if taken.sizes.sum() < abs(quantity):
        return Expected(
            None, NOTHING, f"{taken.venue}: its book holds {taken.sizes.sum():g} of {abs(quantity):g} units"
        )
    x = features(_situation(taken, own, abs(quantity), market))
    if not forecast.covers(x)[0]:
        return Expected(None, NOTHING, "the situation lies outside of what the forecast was trained on")
    said = forecast.predict(ONE_ORDER, x)
    fee, spread, walk, drift = (float(said[name].mean[0]) for name in ("fee", "spread", "walk", "drift"))
    total: Predicted = said[COST]
    cost = CostBps(fee + spread + walk + drift, fee, spread, walk + drift, 0.0)
    return Expected(cost, (float(total.low[0]), float(total.high[0])), "")


def _situation(taken: VenueBook, own: VenueBook, quantity: float, market: Market) -> Situation:
    middle = (taken.prices[0] + own.prices[0]) / 2.0
    before = np.concatenate([[0.0], np.cumsum(taken.sizes)[:-1]])
    parts = np.clip(quantity - before, 0.0, taken.sizes)
    walk = 1e4 * float(parts @ np.abs(taken.prices - taken.prices[0])) / quantity / middle
    values = (
        1e4 * abs(taken.prices[0] / middle - 1.0), walk, quantity, own.sizes[0], taken.sizes[0], _near(own, middle),
        _near(taken, middle), *market,
    )  # fmt: skip
    return Situation(*(np.array([float(each)]) for each in values))


def _near(book: VenueBook, middle: float) -> Floats:
    return np.asarray(book.sizes[np.abs(book.prices / middle - 1.0) <= NEAR_BPS * 1e-4].sum())
