"""A forecast in the terms of a plan: what one order now is expected to cost."""

import json
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from pydantic import ValidationError

from tradewind.data.order_book.replay import Floats
from tradewind.errors import BadData
from tradewind.parameters import faults
from tradewind.trading.execution.forecasts.costs import (
    COST,
    FEATURES,
    FILL,
    ONE_ORDER,
    POST_THEN_CROSS,
    CostForecast,
    Situation,
    features,
)
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
    """What one order is expected to cost, or the reason why there is no forecast.

    Attributes:
        cost: in bps; None where there is no forecast.
        interval: of its total, 90 %.
        reason: empty where there is a forecast.
        parts: fee, spread, walk, impact, drift and total in bps, mean, low and high of each; one that the outcomes
            never had is not there: nobody reacts to us in a recording, so it tells nothing of impact.
        fill: probability that an order resting at the best price of our side is met within the horizon; None where the
            forecast was not taught any.
    """

    cost: CostBps | None
    interval: tuple[float, float]
    reason: str
    parts: dict[str, tuple[float, float, float]] = {}
    fill: tuple[float, float, float] | None = None


NOTHING = (float("nan"), float("nan"))
OF_RECORDINGS = "recordings"  # its key in the file of the execution_study stage


def read_forecast(path: Path) -> CostForecast:
    """The forecast of recordings in a file that the `execution_study` stage wrote (`cost_forecasts.json`).

    Raises:
        BadData: there is no such file, it is no JSON, it holds no forecast of recordings, or one that is damaged.
    """
    try:
        documents = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise BadData(f"{path}: not a file of forecasts ({error}): run kedro run --pipelines execution_study") from None
    if not isinstance(documents, dict) or OF_RECORDINGS not in documents:
        raise BadData(
            f"{path}: holds no forecast of recordings: set TRADEWIND_STREAMS and run "
            "kedro run --pipelines execution_study"
        )
    try:
        forecast = CostForecast.model_validate(documents[OF_RECORDINGS])
    except ValidationError as error:
        raise BadData(f"{path}: {faults(error, OF_RECORDINGS)}") from None
    if wrong := _why_damaged(forecast):
        raise BadData(f"{path}: {OF_RECORDINGS}.{wrong}: run kedro run --pipelines execution_study again")
    return forecast


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _why_damaged(forecast: CostForecast) -> str | None:
    """What keeps a forecast from stating the cost of one order by the features that there are now."""
    if forecast.learnt_from != "recordings":
        return "learnt_from must be recordings: a world's prices are not the market's"
    if unnamed := next((one for one in forecast.sources if one.count("/") != 2), None):
        return f"sources must be venue/symbol/day, found {unnamed!r}"
    if not forecast.sources:
        return "sources must say which recordings it was learnt from"
    for name in ("centre", "spread", "least", "most"):
        if len(getattr(forecast, name)) != len(FEATURES):
            return f"{name} must have {len(FEATURES)} numbers, one a feature"
    if COST not in forecast.parts.get(ONE_ORDER, {}):
        return f"parts has no {COST} of {ONE_ORDER}"
    for way, models in forecast.parts.items():
        for name, model in models.items():
            sizes = {len(model.mean), len(model.error)} if model.kind == "amount" else {len(model.mean)}
            if sizes != {len(FEATURES) + 1}:
                return f"parts.{way}.{name} must have {len(FEATURES) + 1} coefficients"
    return None


def one_order_cost(
    forecast: CostForecast, taken: VenueBook, own: VenueBook, quantity: float, market: Market, max_age_s: float = 2.0,
    taker_bps: float | None = None,
) -> Expected:  # fmt: skip
    """What one market order is expected to cost; no figure where the book has no price or is unlike those learnt from.

    Args:
        forecast: trained on recordings.
        taken: the side that the order takes.
        own: the other side, that of a resting order; best level first.
        quantity: units, positive for a purchase, negative for a sale.
        market: what is known beside the book.
        max_age_s: an older book has no price.
        taker_bps: the account's fee, in place of the one that the forecast was learnt with: of one order at market the
            fee is a constant, so that total and interval move by the difference.
    """
    buys = quantity > 0
    reason = why_unusable(taken, buys, max_age_s) or why_unusable(own, not buys, max_age_s)
    if reason:
        return Expected(None, NOTHING, reason)
    if taken.sizes.sum() < abs(quantity):
        return Expected(
            None, NOTHING, f"{taken.venue}: its book holds {taken.sizes.sum():g} of {abs(quantity):g} units"
        )
    situation = _situation(taken, own, abs(quantity), market)
    if not (situation.own_near + situation.other_near)[0] > 0:
        return Expected(None, NOTHING, f"{taken.venue}: nothing stands within {NEAR_BPS:g} bps of the middle")
    x = features(situation)
    if not forecast.covers(x)[0]:
        return Expected(None, NOTHING, "the situation lies outside of what the forecast was trained on")
    said = forecast.predict(ONE_ORDER, x)
    other = 0.0 if taker_bps is None else taker_bps - forecast.taker_bps
    said["fee"] = Predicted(*(part + other for part in said["fee"]))
    named = ("fee", "spread", "walk", "impact", "drift")
    parts: dict[str, tuple[float, float, float]] = {name: _numbers(said[name]) for name in named if name in said}
    fee, spread, walk, impact, drift = (parts[name][0] if name in parts else 0.0 for name in named)
    cost = CostBps(fee + spread + walk + drift + impact, fee, spread, walk + drift, impact)
    _, low, high = _numbers(said[COST])
    parts["total"] = (cost.total, low + other, high + other)
    resting = forecast.predict(POST_THEN_CROSS, x).get(FILL) if POST_THEN_CROSS in forecast.parts else None
    return Expected(cost, (low, high), "", parts, None if resting is None else _numbers(resting))


def _numbers(said: Predicted) -> tuple[float, float, float]:
    return float(said.mean[0]), float(said.low[0]), float(said.high[0])


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
