"""How a change of position is worked: small state machines that say which orders to send and cancel, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from tradewind.live.orders.states import OrderState
from tradewind.live.settings import ExecutorRules
from tradewind.trading.risk.limits import Instrument


class Quote(NamedTuple):
    """The best prices of a book, the last trade, and when they were seen (UTC milliseconds)."""

    bid: float
    ask: float
    last: float
    at_ms: int

    @property
    def middle(self) -> float:
        """Half way between bid and ask."""
        return (self.bid + self.ask) / 2


@dataclass
class Executor:
    """One change of position on its way.

    Attributes:
        number: which; its orders carry it in their client ids.
        symbol: whose position.
        kind: market, limit, twap or bracket.
        units: to be bought (sold: negative).
        started_ms: when.
        sent: orders sent so far.
        entry: price at which a bracket came in, 0 before.
        is_leaving: whether a bracket is on its way out.
        cut: orders for all that was left of which the risk gate let a part through; the rest follows.
        was_cut: whether the last order was one of them.
    """

    number: int
    symbol: str
    kind: str
    units: float
    started_ms: int
    sent: int = 0
    entry: float = 0.0
    is_leaving: bool = False
    cut: int = 0
    was_cut: bool = False

    def to_body(self) -> dict[str, Any]:
        """As values of JSON."""
        return asdict(self)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "Executor":
        """The executor again."""
        return cls(**body)


class Wish(NamedTuple):
    """An order that an executor wants to send: units, limit (None: market), what for, and whether it is for all that is
    left, so that what the gate does not let through of it follows."""

    units: float
    limit: float | None
    purpose: str
    is_rest: bool = True


class Wishes(NamedTuple):
    """What an executor wants now: orders to send, client ids to cancel, whether it is done, and whether its position is
    to be forgotten until the target changes (a bracket that has left)."""

    send: tuple[Wish, ...] = ()
    cancel: tuple[str, ...] = ()
    is_done: bool = False
    has_left: bool = False


def step_executor(
    executor: Executor, orders: Sequence[OrderState], quote: Quote, now_ms: int, rules: ExecutorRules,
    instrument: Instrument,
) -> Wishes:  # fmt: skip
    """What to do now. The executor is moved on by `sent` when a wish has become an order.

    Args:
        executor: which.
        orders: its own, oldest first.
        quote: of its symbol.
        now_ms: UTC milliseconds.
        rules: how it is worked.
        instrument: whose lot and tick the orders keep to.
    """
    done = sum(one.done for one in orders)
    left = executor.units - done
    if any(one.is_open for one in orders):
        return _while_open(executor, orders, now_ms, rules)
    planned = executor.sent - executor.cut  # what was cut goes on
    if executor.kind == "bracket" and (planned or executor.is_leaving):
        return _watch_bracket(executor, orders, quote, rules, done, instrument)
    smallest = instrument.smallest(quote.bid)
    last = orders[-1] if orders else None
    # A part at market of which nothing was filled: the next would fare no better.
    is_futile = last is not None and executor.was_cut and last.kind == "market" and last.done == 0.0
    if abs(left) < smallest * (1 - 1e-6) or is_futile or (last is not None and last.status == "refused"):
        return Wishes(is_done=True)
    if executor.kind == "limit" and planned == 0 and not (executor.cut and now_ms >= _patient_until(executor, rules)):
        tick = instrument.tick_size
        touch = quote.bid if left > 0 else quote.ask
        return Wishes((Wish(left, round(round(touch / tick) * tick, 10), "target"),))
    if executor.kind == "twap" and planned < rules.slices:
        due_ms = executor.started_ms + int(rules.duration_s * 1000) * planned // rules.slices
        if now_ms < due_ms:
            return Wishes()
        part = _slice(left, rules.slices - planned, smallest, instrument.lot_size)
        return Wishes((Wish(part, None, "target", part == left),))
    most = {"market": 1, "limit": 2, "twap": rules.slices, "bracket": 1}[executor.kind]
    if planned >= most:
        return Wishes(is_done=True)  # what is left is taken up at the next bar
    return Wishes((Wish(left, None, "target"),))


def _slice(left: float, slices: int, smallest: float, lot: float) -> float:
    """An equal part in whole lots, no smaller than the smallest order, nor leaving less than that; or all."""
    lots = int(abs(left) / slices / lot + 1e-6)
    size = max(lots * lot, smallest)
    if slices == 1 or abs(left) - size < smallest * (1 - 1e-6):
        return left
    return round(size, 10) * (1 if left > 0 else -1)


def _patient_until(executor: Executor, rules: ExecutorRules) -> int:
    return executor.started_ms + int(rules.patience_s * 1000)


def _while_open(executor: Executor, orders: Sequence[OrderState], now_ms: int, rules: ExecutorRules) -> Wishes:
    if executor.kind != "limit":
        return Wishes()
    until_ms = {
        one.client_id: _patient_until(executor, rules) if executor.cut else one.sent_ms + int(rules.patience_s * 1000)
        for one in orders if one.is_open and one.kind == "limit"
    }  # fmt: skip
    return Wishes(cancel=tuple(name for name, until in until_ms.items() if now_ms >= until))


def _watch_bracket(
    executor: Executor, orders: Sequence[OrderState], quote: Quote, rules: ExecutorRules, done: float,
    instrument: Instrument,
) -> Wishes:  # fmt: skip
    if executor.is_leaving and executor.was_cut and abs(done) >= instrument.lot_size * (1 - 1e-6):
        return Wishes((Wish(-done, None, orders[-1].purpose),))
    if executor.is_leaving or done == 0.0:
        return Wishes(is_done=True, has_left=executor.is_leaving)
    side, entry = (1.0 if done > 0 else -1.0), executor.entry or orders[0].price
    away = side * ((quote.bid if side > 0 else quote.ask) / entry - 1.0)
    if -rules.stop_loss < away < rules.take_profit:
        return Wishes()
    return Wishes((Wish(-done, None, "stop" if away < 0 else "profit"),))
