"""How large an order the gate lets through: whoever wants more sends several, or learns at once that nothing passes.

The gate's own checks are asked, so that no size is thought allowed that it would refuse. Once an order is as large as
a venue takes at all, each of them that refuses a size refuses every larger one: the largest is found by halving.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from tradewind.trading.risk.gate import MINUTE_MS, Order, Rejected, RiskView, check
from tradewind.trading.risk.limits import RiskLimits

# What time alone may lift. Of the others none passes unless the account, its limits or the order is another one.
MAY_PASS_LATER = frozenset({"order_rate", "stale_data", "clock", "frozen", "paused", "no_price", "price_collar"})
TOO_SMALL = frozenset({"min_value", "quantity", "lot_size"})  # a larger order might pass
OF_SIZE = frozenset({"max_value", "quantity"})  # of one order: several smaller ones pass


class Allowed(NamedTuple):
    """Units that pass, signed, 0 where none do; and why not more, None where all of them do."""

    units: float
    refused: Rejected | None


def largest_allowed(ask: Callable[[float], Order], units: float, view: RiskView, limits: RiskLimits) -> Allowed:
    """The largest order of whole lots, up to the units that are wanted, that the gate lets through now.

    Args:
        ask: the order of so many units; its price may be worse the larger it is.
        units: that are wanted (sold: negative).
        view: what is known.
        limits: what is allowed.
    """
    whole = ask(units)
    refused = check(whole, view, limits)
    instrument = view.instruments.get(whole.symbol)
    if refused is None:
        return Allowed(units, None)
    if instrument is None or not math.isfinite(units) or units == 0.0:
        return Allowed(0.0, refused)
    sign, lot = math.copysign(1.0, units), instrument.lot_size

    def order_of(lots: int) -> Order:
        return ask(sign * round(lots * lot, 10))

    most = math.floor(abs(units) / lot + 1e-6)
    least = round(instrument.smallest(min(whole.price, order_of(1).price)) / lot) if whole.price > 0.0 else most + 1
    if least > most:
        return Allowed(0.0, refused)
    if (why := check(order_of(least), view, limits)) is not None:
        return Allowed(0.0, why)
    passes, fails = least, most + 1
    while fails - passes > 1:
        middle = (passes + fails) // 2
        why = check(order_of(middle), view, limits)
        passes, fails, refused = (middle, fails, refused) if why is None else (passes, middle, why)
    return Allowed(sign * round(passes * lot, 10), refused)


def rate_is_free_ms(view: RiskView, limits: RiskLimits) -> int:
    """When the next order is within the rate, UTC milliseconds; now where it is already.

    Args:
        view: what is known.
        limits: what is allowed.
    """
    recent = sorted(at for at in view.sent_ms if at > view.now_ms - MINUTE_MS)
    if len(recent) < limits.orders_a_minute:
        return view.now_ms
    return recent[-limits.orders_a_minute] + MINUTE_MS
