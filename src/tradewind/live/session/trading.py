"""From targets to orders: sizes, executors, and the risk gate before anything is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tradewind.live.orders.executors import Executor, Quote, Wish, step_executor
from tradewind.live.orders.states import SENT, UNKNOWN, OrderState, open_units
from tradewind.live.session.events import Output
from tradewind.live.session.state import SessionState
from tradewind.operations.journal.records import plain
from tradewind.trading.decision.protocols import Decision
from tradewind.trading.risk import states as risk
from tradewind.trading.risk.gate import CHECKS, Order, RiskView, check, gross_after
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.risk.sizing import OF_SIZE, Allowed, largest_allowed
from tradewind.trading.risk.stages import narrowed

if TYPE_CHECKING:
    from tradewind.live.session.session import Session

MINUTE_MS = 60_000
SAME = 1e-12
BUT_SIZE = {code: one for code, one in CHECKS.items() if code not in OF_SIZE}  # all checks but those of one order


class Guarded(NamedTuple):
    """What the guardrails have left of a target, as a share of the account; whether one acted; and, before them, what
    each of several strategies adds to the target of its symbol."""

    weight: float
    acted: bool
    parts: Mapping[str, float]


def decide(session: Session, state: SessionState, decision: Decision, guarded: Guarded, outputs: list[Output]) -> None:
    """Set the target of one symbol, and record why it is what it is, also where nothing is done.

    Args:
        session: what stays the same.
        state: moved on in place.
        decision: of the decider.
        guarded: what the guardrails have left of it.
        outputs: what is said is added here.
    """
    symbol, weight, before = decision.symbol, guarded.weight, state.weights.get(decision.symbol, 0.0)
    wanted, price = decision.target / len(session.symbols), state.paper.marks[decision.symbol]
    held = state.paper.units.get(symbol, 0.0)
    why, acts = list(decision.reasons), False
    if guarded.acted and abs(weight - wanted) > SAME:
        why.append("guardrail")
        state.gap.refused[symbol] = True
    if state.risk.mode == risk.HALTED or state.risk.paused or state.risk.flattening:
        why.append("paused" if state.risk.paused else state.risk.mode.lower())
        state.gap.refused[symbol] = True
    elif abs(weight - before) > SAME:
        state.weights[symbol] = weight
        lot = session.instruments[symbol].lot_size
        lots = int(abs(weight) * max(state.paper.equity, 0.0) / price / lot + 1e-6)
        state.wanted[symbol] = round(lots * lot * (1 if weight > 0 else -1), 10)
        state.executors.pop(symbol, None)
        for order in state.orders.values():
            if order.symbol == symbol and order.is_open:
                outputs.append(Output("cancel", {"client_id": order.client_id, "symbol": symbol}))
        acts = True
    if guarded.parts and state.risk.mode != risk.HALTED and not (state.risk.paused or state.risk.flattening):
        # Of a net target that is nothing (some buy what others sell), a guardrail leaves all.
        left = weight / wanted if wanted else 1.0
        units = left / len(session.symbols) * max(state.paper.equity, 0.0) / price
        crossed = state.books.want(symbol, {name: part * units for name, part in guarded.parts.items()}, price)
        if crossed > session.instruments[symbol].lot_size:
            outputs.append(Output("crossed", {"symbol": symbol, "units": crossed, "price": price}))
    state.count("decisions")
    if symbol in state.stale:
        why.append("stale_data")
    # How far the forecast was from acting: what would have had to be different.
    entry, edge = session.setup.signal.entry_threshold, decision.edge
    lacking = entry - abs(edge) if edge == edge and decision.target == 0.0 else None
    body = decision._asdict() | {
        "weight": weight, "before": before, "held": held, "wanted": state.wanted.get(symbol, 0.0), "price": price,
        "acts": acts, "why": why, "lacking": lacking, "entry": entry,
    }  # fmt: skip
    if guarded.parts:
        body["parts"] = dict(guarded.parts)
    outputs.append(Output("decision", plain(body)))


def work(session: Session, state: SessionState, outputs: list[Output]) -> None:
    """Let every executor do what is due; start one where positions are not what is wanted.

    Args:
        session: symbols, rules and terms.
        state: moved on in place.
        outputs: what is to be sent or written is appended.
    """
    _ask_for_silent_orders(session, state, outputs)
    for symbol in session.symbols:
        quote, blocked = state.quotes.get(symbol), state.risk.mode == risk.HALTED or state.risk.paused
        if quote is None or (blocked and not state.risk.flattening):
            continue
        executor = state.executors.get(symbol) or _start(session, state, symbol)
        if executor is not None:
            _work_one(session, state, executor, quote, outputs)
    _forget(state)


def _start(session: Session, state: SessionState, symbol: str) -> Executor | None:
    if any(one.symbol == symbol and one.is_open for one in state.orders.values()):
        return None
    difference = state.wanted.get(symbol, 0.0) - state.paper.units.get(symbol, 0.0)
    instrument = session.instruments[symbol]
    price = state.paper.marks.get(symbol, 0.0)
    now = state.now_ms // MINUTE_MS if state.risk.flattening else state.done_ms
    if _is_too_small(instrument, difference, price) or state.counts.get(f"tried|{symbol}", -1) == now:
        return None
    # One try a bar (a minute, where all is being closed): what was refused is tried again when something has changed.
    state.counts[f"tried|{symbol}"] = now
    state.number += 1
    kind = "market" if state.risk.flattening else session.rules.executor.kind
    executor = Executor(state.number, symbol, kind, whole_lots(difference, instrument.lot_size), state.now_ms)
    state.executors[symbol] = executor
    return executor


def _is_too_small(instrument: Instrument, units: float, price: float) -> bool:
    """Whether no order of so many units is accepted."""
    size = abs(whole_lots(units, instrument.lot_size))
    return size == 0.0 or size < instrument.min_quantity or size * price < instrument.min_notional


def whole_lots(units: float, lot: float) -> float:
    """Towards zero: a fee that was taken in the coin itself leaves units that no order can have."""
    return round(int(abs(units) / lot + 1e-6) * lot * (1 if units > 0 else -1), 10)


def can_be_reduced(session: Session, state: SessionState) -> bool:
    """Whether anything is held that an order could close."""
    return any(
        units and not _is_too_small(session.instruments[name], units, state.paper.marks.get(name, 0.0))
        for name, units in state.paper.units.items()
    )


def _work_one(session: Session, state: SessionState, executor: Executor, quote: Quote, outputs: list[Output]) -> None:
    symbol = executor.symbol
    own = [one for one in state.orders.values() if _number(one) == executor.number]
    if executor.kind == "bracket" and (executor.entry == 0.0 or executor.cut) and own and own[0].done:
        executor.entry = state.paper.entries.get(symbol, own[0].price)
    wishes = step_executor(executor, own, quote, state.now_ms, session.rules.executor, session.instruments[symbol])
    for client_id in wishes.cancel:
        if f"cancelled|{client_id}" not in state.stale:
            outputs.append(Output("cancel", {"client_id": client_id, "symbol": symbol}))
            state.stale[f"cancelled|{client_id}"] = "asked"
    for wish in wishes.send:
        if not _send(session, state, executor, wish, quote, outputs):
            state.executors.pop(symbol, None)
            return
    if wishes.has_left:
        state.wanted[symbol] = state.paper.units.get(symbol, 0.0)
        state.books.settle(symbol)
    if wishes.is_done:
        state.executors.pop(symbol, None)


def _send(
    session: Session, state: SessionState, executor: Executor, wish: Wish, quote: Quote, outputs: list[Output]
) -> bool:
    """Send one order if the gate lets it pass, or as much of it as one order may be; whether the executor goes on."""
    units = whole_lots(wish.units, session.instruments[executor.symbol].lot_size)
    price = wish.limit if wish.limit is not None else (quote.ask if wish.units > 0 else quote.bid)
    name = f"{session.run}-{executor.number}-{executor.sent}"
    client_id = f"{executor.number}-{executor.sent}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    kind = "market" if wish.limit is None else "limit"
    order = Order(client_id, executor.symbol, units, price, kind)
    view = view_of(session, state)
    limits = narrowed(session.rules.limits, state.risk, view.equity, order.symbol)
    # Several smaller orders may be what one may not. A target beyond the limits of positions is refused whole.
    found, allowed = check(order, view, limits, BUT_SIZE), Allowed(units, None)
    if found is None:
        allowed = largest_allowed(lambda size: order._replace(units=size), units, view, limits)
        found = allowed.refused if allowed.units == 0.0 else None
    elif found.code == "order_rate" and executor.sent:
        return True  # it has begun: the rest waits for the rate
    if found is not None:
        body = order._asdict() | found._asdict() | {"purpose": wish.purpose}
        outputs.append(Output("risk_rejected", plain(body)))
        state.count("rejected")
        state.count(f"code|{found.code}")
        state.gap.refused[executor.symbol] = True
        return False
    executor.was_cut = allowed.refused is not None and wish.is_rest
    units, order = allowed.units, order._replace(units=allowed.units)
    executor.sent += 1
    executor.cut += executor.was_cut
    executor.is_leaving = executor.is_leaving or wish.purpose in ("stop", "profit")
    state.orders[client_id] = OrderState(
        client_id, executor.symbol, units, price, kind, wish.purpose, quote.middle, state.now_ms
    )
    state.sent_ms = [*(at for at in state.sent_ms if at > state.now_ms - MINUTE_MS), state.now_ms]
    state.count("orders")
    outputs.append(Output("intent", order._asdict() | {"purpose": wish.purpose, "middle": quote.middle}))
    return True


def view_of(session: Session, state: SessionState) -> RiskView:
    """What the risk gate sees."""
    buying, selling = open_units(state.orders.values())
    prices = {
        name: (state.quotes[name].last if name in state.quotes else state.gap.closes.get(name, 0.0))
        for name in session.symbols
        if name in state.quotes or name in state.gap.closes
    }
    seen = {name: (0 if name in state.stale else at) for name, at in state.seen_ms.items()}
    return RiskView(
        now_ms=state.now_ms, mode=state.risk.mode, equity=state.paper.equity, day_start=state.risk.day_start,
        peak=state.risk.peak, positions={name: one for name, one in state.paper.units.items() if one}, prices=prices,
        seen_ms=seen, instruments=session.instruments, buying=buying, selling=selling, sent_ms=tuple(state.sent_ms),
        known_ids=frozenset(state.orders),
        frozen=frozenset(one.symbol for one in state.orders.values() if one.status == UNKNOWN),
        overridden=state.risk.overridden(state.now_ms), clock_skew_ms=state.skew_ms, paused=state.risk.paused,
        flattening=state.risk.flattening,
    )  # fmt: skip


def used_of_limits(session: Session, state: SessionState) -> dict[str, tuple[float, float]]:
    """Each limit as (used, allowed), for people."""
    view = view_of(session, state)
    limits = narrowed(session.rules.limits, state.risk, view.equity)
    worth = max(view.equity, 1e-9)
    shares: list[float] = [abs(units) * view.prices.get(name, 0.0) / worth for name, units in view.positions.items()]
    nothing: Any = Order("", session.symbols[0], 0.0, 1.0)
    gross = gross_after(nothing, view) / worth if view.prices else 0.0
    ages = [(view.now_ms - at) / 1000 for at in view.seen_ms.values()]
    return {
        "max_position": (max(shares, default=0.0), limits.max_position),
        "max_gross": (gross, limits.max_gross),
        "daily_loss": (max(1.0 - view.equity / view.day_start, 0.0) if view.day_start else 0.0, limits.daily_loss),
        "drawdown": (max(1.0 - view.equity / view.peak, 0.0) if view.peak else 0.0, limits.drawdown),
        "orders_a_minute": (
            float(sum(at > view.now_ms - MINUTE_MS for at in view.sent_ms)), float(limits.orders_a_minute)
        ),
        "max_data_age_s": (max(ages, default=0.0), limits.max_data_age_s),
        "max_clock_skew_s": (abs(view.clock_skew_ms) / 1000, limits.max_clock_skew_s),
    }  # fmt: skip


def cancel_all(state: SessionState, outputs: list[Output]) -> None:
    """Take back every order that may still be filled; executors end."""
    state.executors.clear()
    for order in state.orders.values():
        if order.is_open:
            outputs.append(Output("cancel", {"client_id": order.client_id, "symbol": order.symbol}))


def take_back_resting(state: SessionState, symbol: str, outputs: list[Output]) -> None:
    """Take back a symbol's limit orders.

    Args:
        state: moved on in place.
        symbol: whose data is doubted.
        outputs: the cancellations are added here.
    """
    for order in state.orders.values():
        is_resting = order.is_open and order.kind == "limit" and order.symbol == symbol
        if is_resting and f"cancelled|{order.client_id}" not in state.stale:
            outputs.append(Output("cancel", {"client_id": order.client_id, "symbol": symbol}))
            state.stale[f"cancelled|{order.client_id}"] = "asked"


def _ask_for_silent_orders(session: Session, state: SessionState, outputs: list[Output]) -> None:
    limit = int(session.rules.executor.unknown_after_s * 1000)
    for order in state.orders.values():
        if order.status == SENT and state.now_ms - order.sent_ms > limit:
            order.status = UNKNOWN
            state.count("unknown")
            outputs.append(Output("ask", {"client_id": order.client_id, "symbol": order.symbol}))


def _forget(state: SessionState) -> None:
    """Orders that have ended and belong to no executor at work are reported in the journal alone."""
    at_work = {one.number for one in state.executors.values()}
    gone = [name for name, one in state.orders.items() if not one.is_open and _number(one) not in at_work]
    for name in gone[:-20]:
        del state.orders[name]
    for name in [one for one in state.stale if one.startswith("cancelled|")]:
        if not (name[10:] in state.orders and state.orders[name[10:]].is_open):
            del state.stale[name]


def _number(order: OrderState) -> int:
    return int(order.client_id.partition("-")[0])
