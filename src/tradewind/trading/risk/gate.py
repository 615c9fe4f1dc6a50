"""The only way from an intent to a broker: a pure function that refuses whatever it cannot show to be allowed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tradewind.trading.risk.limits import Instrument, RiskLimits
from tradewind.trading.risk.states import ACTIVE, HALTED

MINUTE_MS = 60_000
TINY = 1e-9


class Order(NamedTuple):
    """What is to be sent.

    Attributes:
        client_id: known to us before the venue answers; the same intent has the same one.
        symbol: what is traded.
        units: bought (sold: negative).
        price: the limit, or for a market order the price that is expected.
        kind: market or limit.
    """

    client_id: str
    symbol: str
    units: float
    price: float
    kind: str = "market"


class Rejected(NamedTuple):
    """Why not: a code of `CHECKS` or `gate_error`, what was allowed, and what was found."""

    code: str
    limit: float
    value: float


@dataclass(frozen=True)
class RiskView:
    """What is known when an order is checked. Instants are UTC milliseconds.

    Attributes:
        now_ms: the time it is at the venue; `clock_skew_ms` is how far this machine's clock is from it.
        mode: ACTIVE, REDUCING or HALTED; `paused` and `flattening` as in `RiskState`.
        equity: of the account, in its currency; `day_start` at midnight, `peak` the highest so far.
        positions: units by symbol.
        buying, selling: units on order and not filled, by symbol, both positive.
        prices: the last traded price by symbol, from another stream than the order's price.
        seen_ms: when each symbol was last heard of.
        instruments: by symbol; of others nothing may be sent.
        sent_ms: when the orders of the last minute were sent.
        known_ids: client ids that have been sent before.
        frozen: symbols with an order of which nobody knows whether it lives.
        overridden: codes that an operator has switched off for a time.
    """

    now_ms: int
    mode: str
    equity: float
    day_start: float
    peak: float
    positions: Mapping[str, float]
    prices: Mapping[str, float]
    seen_ms: Mapping[str, int]
    instruments: Mapping[str, Instrument]
    buying: Mapping[str, float] = field(default_factory=dict)
    selling: Mapping[str, float] = field(default_factory=dict)
    sent_ms: tuple[int, ...] = ()
    known_ids: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    overridden: frozenset[str] = frozenset()
    clock_skew_ms: int = 0
    paused: bool = False
    flattening: bool = False


Found = tuple[float, float] | None  # (limit, value) where it is broken
Check = Callable[[Order, RiskView, RiskLimits], Found]


def reduces(order: Order, view: RiskView) -> bool:
    """Whether the order only brings a position nearer to nothing, with all that is on order on its side."""
    held = view.positions.get(order.symbol, 0.0)
    if held * order.units >= 0.0:
        return False
    same_side = view.buying if order.units > 0 else view.selling
    return abs(order.units) + same_side.get(order.symbol, 0.0) <= abs(held) * (1 + TINY)


def position_after(order: Order, view: RiskView, symbol: str) -> float:
    """The largest position in units that may come of what is held and on order, this order filled.

    Args:
        order: what is to be sent.
        view: what is known.
        symbol: whose position.
    """
    held = view.positions.get(symbol, 0.0)
    buying, selling = view.buying.get(symbol, 0.0), view.selling.get(symbol, 0.0)
    if symbol == order.symbol:
        buying, selling = buying + max(order.units, 0.0), selling + max(-order.units, 0.0)
    return max(abs(held + buying), abs(held - selling))


def gross_after(order: Order, view: RiskView) -> float:
    """The sum of all positions' values that may come of what is held and on order, this order filled."""
    symbols = {order.symbol, *view.positions, *view.buying, *view.selling}
    return sum(position_after(order, view, one) * view.prices[one] for one in sorted(symbols))


def _finite(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    numbers = (order.units, order.price, view.equity, view.day_start, view.peak, *view.positions.values())
    wrong = [value for value in numbers if not math.isfinite(value)]
    if wrong or order.units == 0.0 or order.price <= 0.0 or order.kind not in ("market", "limit"):
        return 0.0, wrong[0] if wrong else order.units
    return None


def _symbol(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    return None if order.symbol in view.instruments else (0.0, 0.0)


def _halted(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    return (0.0, 0.0) if view.mode == HALTED else None


def _paused(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    return (0.0, 0.0) if view.paused and not view.flattening else None


def _reducing(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    return None if view.mode == ACTIVE or reduces(order, view) else (0.0, order.units)


def _frozen(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    return (0.0, order.units) if order.symbol in view.frozen else None


def _duplicate(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    return (1.0, 2.0) if not order.client_id or order.client_id in view.known_ids else None


def _clock(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    skew = abs(view.clock_skew_ms) / 1000
    return (limits.max_clock_skew_s, skew) if not skew <= limits.max_clock_skew_s else None


def _stale(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    age = (view.now_ms - view.seen_ms.get(order.symbol, -(10**15))) / 1000
    return (limits.max_data_age_s, age) if age > limits.max_data_age_s and not reduces(order, view) else None


def _no_price(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    price = view.prices.get(order.symbol, 0.0)
    return None if math.isfinite(price) and price > 0.0 else (0.0, price)


def _collar(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    away = abs(order.price / view.prices[order.symbol] - 1.0) * 1e4
    return (limits.price_collar_bps, away) if not away <= limits.price_collar_bps else None


def _lot(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    instrument = view.instruments[order.symbol]
    lots = abs(order.units) / instrument.lot_size
    return (instrument.lot_size, abs(order.units)) if abs(lots - round(lots)) > 1e-6 or round(lots) == 0 else None


def _tick(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    tick = view.instruments[order.symbol].tick_size
    ticks = order.price / tick
    return (tick, order.price) if order.kind == "limit" and abs(ticks - round(ticks)) > 1e-6 else None


def _quantity(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    instrument, size = view.instruments[order.symbol], abs(order.units)
    if size < instrument.min_quantity * (1 - TINY):
        return instrument.min_quantity, size
    return (instrument.max_quantity, size) if size > instrument.max_quantity * (1 + TINY) else None


def _least_value(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    least, value = view.instruments[order.symbol].min_notional, abs(order.units) * order.price
    return (least, value) if value < least else None


def _most_value(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    value = abs(order.units) * max(order.price, view.prices[order.symbol])
    return (limits.max_order_value, value) if value > limits.max_order_value and not reduces(order, view) else None


def _position(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    allowed = limits.max_position * max(view.equity, 0.0)
    value = position_after(order, view, order.symbol) * view.prices[order.symbol]
    return (allowed, value) if value > allowed * (1 + TINY) and not reduces(order, view) else None


def _gross(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    allowed, value = limits.max_gross * max(view.equity, 0.0), gross_after(order, view)
    return (allowed, value) if value > allowed * (1 + TINY) and not reduces(order, view) else None


def _balance(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    allowed, value = limits.max_leverage * max(view.equity, 0.0), gross_after(order, view)
    return (allowed, value) if value > allowed * (1 + TINY) and not reduces(order, view) else None


def _rate(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    recent = sum(1 for at in view.sent_ms if at > view.now_ms - MINUTE_MS)
    return (float(limits.orders_a_minute), float(recent)) if recent >= limits.orders_a_minute else None


def _daily_loss(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    loss = 1.0 - view.equity / view.day_start
    return (limits.daily_loss, loss) if not loss < limits.daily_loss and not reduces(order, view) else None


def _drawdown(order: Order, view: RiskView, limits: RiskLimits) -> Found:
    loss = 1.0 - view.equity / view.peak
    return (limits.drawdown, loss) if not loss < limits.drawdown and not reduces(order, view) else None


# In this order: the first that is broken gives the code.
CHECKS: dict[str, Check] = {
    "not_finite": _finite,
    "unknown_symbol": _symbol,
    "halted": _halted,
    "paused": _paused,
    "frozen": _frozen,
    "duplicate": _duplicate,
    "clock": _clock,
    "no_price": _no_price,
    "stale_data": _stale,
    "reducing": _reducing,
    "price_collar": _collar,
    "lot_size": _lot,
    "tick_size": _tick,
    "quantity": _quantity,
    "min_value": _least_value,
    "daily_loss": _daily_loss,
    "drawdown": _drawdown,
    "max_value": _most_value,
    "max_position": _position,
    "max_gross": _gross,
    "balance": _balance,
    "order_rate": _rate,
}
GATE_ERROR = "gate_error"
# What an operator may switch off for a time; the others protect the account from its own program.
MAY_BE_OVERRIDDEN = frozenset({"price_collar", "max_value", "max_position", "max_gross", "order_rate", "stale_data"})


def check(order: Order, view: RiskView, limits: RiskLimits, checks: Mapping[str, Check] = CHECKS) -> Rejected | None:
    """None if the order may be sent, else why not. Whatever goes wrong in here is a rejection.

    Args:
        order: what is to be sent.
        view: what is known.
        limits: what is allowed.
        checks: the checks by code, in order.
    """
    for code, broken in checks.items():
        if code in view.overridden and code in MAY_BE_OVERRIDDEN:
            continue
        try:
            violation = broken(order, view, limits)
        except Exception:  # noqa: BLE001 - a gate that fails is shut
            return Rejected(GATE_ERROR, 0.0, float(list(checks).index(code)))
        if violation is not None:
            return Rejected(code, *violation)
    return None
