"""What orders a venue takes, as plans have to know: lot, tick, smallest and largest order."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from tradewind.data.feeds.exchange_info import instruments_of
from tradewind.errors import BadData
from tradewind.serving.messages import PlanRequest
from tradewind.serving.refusals import Refusal
from tradewind.trading.execution.orders import OrderRules
from tradewind.trading.execution.steps import Steps
from tradewind.trading.risk.limits import Instrument

UNKNOWN = (
    "the service knows neither lot, tick nor smallest order of this symbol: quantities are as they were asked for "
    "(tradewind serve --exchange-info, or params:trading.execution)"
)
MOST_ORDERS = 200  # of a plan: a larger quantity would make an answer without end
LARGEST, SMALLEST_LOT = 1e15, 1e-15  # of a request; where the parameters name no lot


def read_instruments(path: Path) -> dict[str, Instrument]:
    """The terms that a venue states for its symbols, in a file that holds its answer to `GET /api/v3/exchangeInfo`.

    Raises:
        BadData: there is no such file, or it is no such answer.
    """
    remedy = "save the venue's answer to GET /api/v3/exchangeInfo there"
    try:
        found = instruments_of(json.loads(path.read_text(encoding="utf-8")))
        return {name: Instrument.model_validate({"symbol": name, **one}) for name, one in found.items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        words = (
            f"{error.errors()[0]['loc']}" if isinstance(error, ValidationError) else f"{type(error).__name__} {error}"
        )
        raise BadData(f"{path}: not an answer to exchangeInfo ({words}): {remedy}") from None


class PlanTerms(NamedTuple):
    """Of one symbol; `instrument` is None where nothing is known, `has_lot` and `has_tick` whether those are."""

    instrument: Instrument | None = None
    has_lot: bool = False
    has_tick: bool = False

    def steps(self, price: float) -> Steps:
        """Of quantities at a price; the lot is 0 where any will do.

        Args:
            price: of a unit.
        """
        if self.instrument is None:
            return Steps()
        return Steps(self.instrument.lot_size if self.has_lot else 0.0, self.instrument.smallest(price))


def terms_of(symbol: str, instruments: Mapping[str, Instrument], rules: OrderRules) -> PlanTerms:
    """What the venue states, else what the champion's parameters say (`params:trading.execution`; 0 is not known).

    Args:
        symbol: of the order.
        instruments: what the venue states, by symbol.
        rules: of the champion's judgement.
    """
    if symbol in instruments:
        return PlanTerms(instruments[symbol], True, True)
    if not (rules.lot_size or rules.tick_size or rules.min_notional):
        return PlanTerms()
    assumed = Instrument(
        symbol=symbol, tick_size=rules.tick_size or SMALLEST_LOT, lot_size=rules.lot_size or SMALLEST_LOT,
        min_notional=rules.min_notional, max_quantity=LARGEST,
    )  # fmt: skip
    return PlanTerms(assumed, rules.lot_size > 0, rules.tick_size > 0)


def require_allowed(request: PlanRequest, terms: PlanTerms) -> None:
    """Refuse what the venue would.

    Args:
        request: the order.
        terms: of its symbol.

    Raises:
        Refusal: 422 `quantity` is off the lot, below the smallest order or above very many of the largest; or
            `limit_price` is off the tick.
    """
    of, price = terms.instrument, request.limit_price or request.price
    if of is None:
        return
    steps = terms.steps(price)
    rounded = steps.rounded(request.quantity)
    if request.quantity < steps.smallest * (1 - 1e-9):
        least = f"{of.min_quantity:g} units" if of.min_quantity else "no quantity"
        raise Refusal(
            422, f"quantity {request.quantity:.10g} is below the smallest order of {steps.smallest:.10g} at a price of "
            f"{price:.10g} ({least} and a value of {of.min_notional:g} are the least)",
            f"ask for {steps.smallest:.10g} or more", "quantity",
        )  # fmt: skip
    if request.quantity > MOST_ORDERS * of.max_quantity:
        raise Refusal(
            422, f"quantity {request.quantity:.10g} is more than {MOST_ORDERS} orders of the venue's largest of "
            f"{of.max_quantity:.10g}", f"ask for {MOST_ORDERS * of.max_quantity:.10g} or less", "quantity",
        )  # fmt: skip
    if abs(request.quantity - rounded) > 1e-6 * (steps.lot or 1.0):
        raise Refusal(
            422, f"quantity {request.quantity:.10g} is no multiple of the lot of {of.lot_size:g}",
            f"ask for {rounded:.10g}, which is rounded towards zero", "quantity",
        )  # fmt: skip
    if terms.has_tick and request.limit_price is not None:
        ticks = request.limit_price / of.tick_size
        if abs(ticks - round(ticks)) > 1e-6:
            near = (int(ticks) + (request.side == "sell")) * of.tick_size
            raise Refusal(
                422, f"limit_price {request.limit_price:.10g} is no multiple of the tick of {of.tick_size:g}",
                f"ask for {near:.10g}, which is rounded to the safer side", "limit_price",
            )  # fmt: skip
