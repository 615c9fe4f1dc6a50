"""A plan of an order: slices by the cost formula, and where a book is told, what a forecast expects of it."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from tradewind.errors import BadParameters
from tradewind.market.timeframes import bar_duration_ms
from tradewind.operations.bundle.contents import BundleSpec
from tradewind.serving.messages import (
    Book,
    CostForecastAnswer,
    CostParts,
    ExpectedCost,
    Interval,
    Level,
    PlanAnswer,
    PlannedSlice,
    PlanRequest,
)
from tradewind.serving.plan_terms import UNKNOWN, PlanTerms, require_allowed, terms_of
from tradewind.serving.refusals import Refusal
from tradewind.trading.execution.forecasts.costs import CostForecast
from tradewind.trading.execution.forecasts.plan import Expected, Market, one_order_cost
from tradewind.trading.execution.routing import VenueBook, why_unusable
from tradewind.trading.execution.slicing import Order, plan_slices
from tradewind.trading.execution.steps import Steps
from tradewind.trading.risk.limits import Instrument

MENDED = "send a book of both sides, best level first, as it is now; or none"
NONE: Mapping[str, Instrument] = MappingProxyType({})
LATELY = ("volatility_bps", "momentum_bps", "taken_quantity")


def planned(
    request: PlanRequest, spec: BundleSpec, forecast: CostForecast | None, max_age_s: float,
    instruments: Mapping[str, Instrument] = NONE,
) -> PlanAnswer:  # fmt: skip
    """Slices and their cost, by the forecast where it knows the book, else by the formula.

    Args:
        request: the order, and its book if it is known.
        spec: costs and venue of the champion.
        forecast: of recordings; None where the service has none.
        max_age_s: an older book is refused.
        instruments: what the venue takes, by symbol; of others the champion's parameters say it, as far as they do.

    Raises:
        Refusal: 422 the quantity is off the lot or below the smallest order, the limit price off the tick; the book is
            out of order, crossed, stale or below the smallest order; or a volume that the costs need is missing.
    """
    terms = terms_of(request.symbol, instruments, spec.trading.execution)
    require_allowed(request, terms)
    steps = terms.steps(request.limit_price or request.price)
    costs, bar_s, reasons = spec.trading.costs, bar_duration_ms(spec.universe.timeframe) / 1e3, list[str]()
    most, expected, whole = math.inf, None, request.quantity
    if request.book is not None:
        taken, own = _sides(request.book, request.side == "buy", spec.universe.venue, max_age_s)
        most = float(taken.sizes.sum())
        whole = steps.rounded(min(request.quantity, most))
        if request.limit_price is None and whole < steps.smallest * (1 - 1e-9):
            raise Refusal(
                422, f"the book holds {most:g} units, below the smallest order of {steps.smallest:g}",
                "ask again when it holds more, or send none", "book",
            )  # fmt: skip
        expected = _expected(request, spec, forecast, (taken, own), whole, max_age_s)
        if expected.reason:
            reasons.append(f"the formula states the cost: {expected.reason}")
    order = Order(
        request.quantity, request.price, request.deadline_s, request.urgency, request.limit_price,
        request.volatility_per_bar, request.bar_volume,
    )  # fmt: skip
    try:
        plan = plan_slices(order, costs, bar_s, expected.cost if expected else None, most, steps)
    except BadParameters as error:
        raise Refusal(422, str(error), "send the usual volume of a bar", "bar_volume") from error
    slices = [
        PlannedSlice(at_s=one.at_s, venue=spec.universe.venue, type=one.type, quantity=part,
                     limit_price=one.limit_price)
        for one in plan.slices for part in _orders_of(one.quantity, terms)
    ]  # fmt: skip
    unplanned = request.quantity - sum(one.quantity for one in slices)
    unplanned = unplanned if unplanned > 1e-12 * request.quantity else 0.0
    if unplanned:
        reasons.append(
            f"the book holds {most:g} units, which is the most that one order at market may take: {unplanned:g} of "
            f"{request.quantity:g} units are not planned"
        )
    if terms.instrument is None:
        reasons.append(UNKNOWN)
    return PlanAnswer(
        symbol=request.symbol, side=request.side, slices=slices,
        expected_cost_bps=ExpectedCost(**plan.cost._asdict()), policy=plan.policy,
        cost_by="forecast" if plan.is_forecast else "formula",
        forecast=_forecast_answer(request, forecast, expected, whole), unplanned_quantity=unplanned, reasons=reasons,
    )  # fmt: skip


def _orders_of(quantity: float, terms: PlanTerms) -> list[float]:
    """A slice as so many orders that none is above the venue's largest."""
    largest = terms.instrument.max_quantity if terms.instrument else math.inf
    return Steps(terms.instrument.lot_size if terms.instrument and terms.has_lot else 0.0).parts(
        quantity, max(math.ceil(quantity / largest * (1 - 1e-12)), 1)
    )


def _sides(book: Book, buys: bool, venue: str, max_age_s: float) -> tuple[VenueBook, VenueBook]:
    """The side that the order takes, and its own."""
    asks, bids = _side(book.asks, venue), _side(book.bids, venue)
    for field, side, is_ask, beyond in (("asks", asks, True, 0.0), ("bids", bids, False, 2.0 * bids.prices.max())):
        _refuse(why_unusable(side._replace(opposite=float(beyond)), is_ask, max_age_s), f"book.{field}")
    asks, bids = asks._replace(opposite=float(bids.prices[0])), bids._replace(opposite=float(asks.prices[0]))
    _refuse(why_unusable(asks, True, max_age_s), "book")
    asks, bids = asks._replace(age_s=book.age_s), bids._replace(age_s=book.age_s)
    _refuse(why_unusable(asks, True, max_age_s), "book.age_s")
    return (asks, bids) if buys else (bids, asks)


def _side(levels: list[Level], venue: str) -> VenueBook:
    return VenueBook(venue, np.array([one.price for one in levels]), np.array([one.size for one in levels]))


def _refuse(reason: str | None, field: str) -> None:
    if reason:
        raise Refusal(422, reason, MENDED, field)


def _expected(
    request: PlanRequest, spec: BundleSpec, forecast: CostForecast | None, sides: tuple[VenueBook, VenueBook],
    quantity: float, max_age_s: float,
) -> Expected:  # fmt: skip
    """By the forecast, at the account's fee; nothing and the reason where it does not know this market or this book."""
    nothing = (math.nan, math.nan)
    if forecast is None:
        return Expected(None, nothing, "the service has no forecast of costs")
    market = f"{spec.universe.venue}/{request.symbol}"
    if market not in forecast.markets:
        return Expected(
            None, nothing, f"the forecast was learnt from {', '.join(forecast.markets)}, and says nothing of {market}"
        )
    lately = [getattr(request.book, name) for name in LATELY]
    missing = [f"book.{name}" for name, value in zip(LATELY, lately, strict=True) if value is None]
    if missing:
        return Expected(None, nothing, f"the forecast needs {', '.join(missing)}")
    signed = quantity if request.side == "buy" else -quantity
    fee = spec.trading.costs.taker_fee_bps
    return one_order_cost(forecast, *sides, signed, Market(*lately), max_age_s, fee)


def _forecast_answer(
    request: PlanRequest, forecast: CostForecast | None, expected: Expected | None, quantity: float
) -> CostForecastAnswer | None:  # fmt: skip
    if forecast is None or request.book is None or expected is None or expected.cost is None:
        return None
    best = (request.book.bids if request.side == "buy" else request.book.asks)[0].price
    fill = expected.fill if request.limit_price in (None, best) else None
    return CostForecastAnswer(
        learnt_from="recordings", sources=list(forecast.sources), horizon_s=forecast.horizon_s, quantity=quantity,
        one_order_bps=CostParts(**{name: _interval(part) for name, part in expected.parts.items()}),
        fill_probability=None if fill is None else _interval(fill),
    )  # fmt: skip


def _interval(numbers: tuple[float, float, float]) -> Interval:
    return Interval(mean=numbers[0], low=numbers[1], high=numbers[2])
