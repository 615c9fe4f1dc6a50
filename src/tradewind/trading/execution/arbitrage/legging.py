"""Both legs of a trade as one intent: what is filled alone is hedged or unwound before its budget is spent.

The budget is in value times seconds. It holds as long as venues keep their promise: an order is answered, and dead,
within `answer_s`, and of `tries` orders that take a filled leg back the last is filled. An intent is cut to the size
whose worst course stays within the budget, before anything is sent; a venue that breaks its promise raises an alarm,
and so does a leg that was filled alone once it has to be taken back.
Every order is written down before it is sent.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters
from tradewind.trading.execution.steps import NO_STEPS, Steps

Record = Callable[[str, Mapping[str, Any]], None]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LegRules(Parameters):
    """How far an intent may stand on one leg.

    Attributes:
        budget: value of what is not hedged, times the seconds it is not, of one intent.
        answer_s: within which an order that fills at once or not at all is answered.
        hedges: how often the leg that is missing is tried again before the other is unwound.
        tries: orders within which a filled leg can surely be taken back.
        price_reserve: share by which the price may rise meanwhile.
    """

    budget: Positive = 20_000.0
    answer_s: Positive = 1.0
    hedges: Annotated[int, Field(ge=0, le=10)] = 1
    tries: Annotated[int, Field(ge=1, le=20)] = 3
    price_reserve: Annotated[float, Field(ge=0, lt=1)] = 0.02

    @property
    def worst_s(self) -> float:
        """How long the whole quantity may stand on one leg: both orders, the hedges, and the unwinding."""
        return self.answer_s * (1 + self.hedges + self.tries)

    def largest_quantity(self, price: float) -> float:
        """Units whose worst course costs no more than the budget."""
        return self.budget / (self.worst_s * price * (1.0 + self.price_reserve))


class Leg(NamedTuple):
    """One side of the intent: where, and whether it buys."""

    market: str
    buys: bool


class Order(NamedTuple):
    """To be sent at once, filled at once or not at all.

    Attributes:
        key: of the order, never used again.
        market: where.
        buys: or sells.
        quantity: units.
        purpose: open, hedge or unwind.
    """

    key: str
    market: str
    buys: bool
    quantity: float
    purpose: str


class Intent:
    """One trade of two legs, from its first orders to its end.

    It asks no clock: whoever runs it says when it is, sends the orders it returns, and calls `answered` for each answer
    and `at` once `wakes_at` has come.
    """

    def __init__(self, name: str, legs: tuple[Leg, Leg], quantity: float, price: float, rules: LegRules,
                 record: Record, steps: Steps = NO_STEPS) -> None:  # fmt: skip
        """Cut the intent to its budget.

        Args:
            name: of the intent, the beginning of its orders' keys.
            legs: what is bought and what is sold.
            quantity: units of both legs.
            price: of a unit.
            rules: budget and promises.
            record: writes down kind and body, and returns once they are safe.
            steps: of quantities at the venues.

        Raises:
            BadParameters: quantity or price is no positive number, both legs are on one side, or the budget leaves
                less than the smallest order.
        """
        if not (0 < quantity < float("inf") and 0 < price < float("inf")):
            raise BadParameters(f"{name}: quantity and price must be positive: found {quantity} and {price}")
        if legs[0].buys == legs[1].buys:
            raise BadParameters(f"{name}: one leg must buy what the other sells")
        self.name, self.legs, self.rules, self.price = name, legs, rules, price
        self.steps = steps
        self.quantity = steps.rounded(min(quantity, rules.largest_quantity(price)))
        if self.quantity < steps.smallest or self.quantity <= 0:
            raise BadParameters(
                f"{name}: the budget of {rules.budget:g} leaves {self.quantity:g} units, and the smallest order is "
                f"{steps.smallest:g}: raise the budget, or shorten answer_s"
            )
        self.filled = [0.0, 0.0]  # of each leg, what was taken back deducted
        self.used, self.alarms = 0.0, list[str]()
        self.is_over = False
        self._record, self._open = record, dict[str, tuple[Order, int, float]]()
        self._sent, self._hedged, self._unwound, self._since = 0, 0, 0, 0.0

    @property
    def unhedged(self) -> float:
        """Units by which the filled legs differ."""
        return abs(self.filled[0] - self.filled[1])

    @property
    def wakes_at(self) -> float:
        """When `at` is to be called if no answer came before; infinity where nothing is under way."""
        return min((sent + self.rules.answer_s for _, _, sent in self._open.values()), default=float("inf"))

    def start(self, now: float) -> list[Order]:
        """Orders for both legs."""
        self._since = now
        self._record("intent", {
            "intent": self.name, "quantity": self.quantity, "price": self.price, "budget": self.rules.budget,
            "legs": [leg._asdict() for leg in self.legs], "steps": self.steps._asdict(),
        })  # fmt: skip
        return [self._send(index, self.quantity, leg.buys, "open", now) for index, leg in enumerate(self.legs)]

    @classmethod
    def restored(cls, records: Iterable[tuple[str, Mapping[str, Any], float]], rules: LegRules,
                 record: Record) -> "Intent | None":  # fmt: skip
        """The intent that a process left when it ended; None where the last one had ended.

        Its orders that are not answered may live or not: whoever runs it asks for each and calls `answered`. The time
        meanwhile counts against the budget as soon as that is called.

        Args:
            records: kind, body and time (seconds, of the same clock as `start`), in order.
            rules: budget and promises.
            record: as before.
        """
        found: Intent | None = None
        for kind, body, now in records:
            if kind == "intent":
                legs = tuple(Leg(**leg) for leg in body["legs"])
                steps = Steps(**body["steps"])
                found = cls(body["intent"], (legs[0], legs[1]), body["quantity"], body["price"], rules, record, steps)
                found._since = now
            elif found is not None and kind == "order" and body["key"].rpartition("-")[0] == found.name:
                found._count(now)
                found._open_again(Order(**body), now)
            elif found is not None and kind == "answer" and body["order"] in found._open:
                found._count(now)
                found._fill(body["order"], body["filled"])
            elif kind == "end":
                found = None
        return found

    def _open_again(self, order: Order, now: float) -> None:
        leg = next(index for index, each in enumerate(self.legs) if each.market == order.market)
        self._sent += 1
        self._hedged += order.purpose == "hedge"
        self._unwound += order.purpose == "unwind"
        self._open[order.key] = (order, leg, now)

    def _fill(self, key: str, filled: float) -> None:
        order, leg, _ = self._open.pop(key)
        self.filled[leg] += filled if order.buys == self.legs[leg].buys else -filled

    @property
    def open_orders(self) -> list[Order]:
        """Orders that are not answered."""
        return [order for order, _, _ in self._open.values()]

    def carry_on(self, now: float) -> list[Order]:
        """What is to be sent where nothing is under way: after a restart the process may have died before it did."""
        self._count(now)
        return self._next(now) if self._sent else self.start(now)

    def answered(self, key: str, filled: float, now: float) -> list[Order]:
        """What an order came to; an answer that came before changes nothing.

        Args:
            key: of the order.
            filled: units, 0 where it was refused.
            now: seconds, of the same clock as `start`.

        Returns:
            Orders to be sent next.

        Raises:
            BadParameters: more was filled than was ordered, or it is no number.
        """
        if key not in self._open:
            return []
        order, _, _ = self._open[key]
        if not 0 <= filled <= order.quantity * (1 + 1e-9):
            raise BadParameters(f"{key}: {filled} of {order.quantity} units cannot have been filled")
        self._count(now)
        self._fill(key, filled)
        self._record("answer", {"order": key, "filled": filled})
        return self._next(now)

    def at(self, now: float) -> list[Order]:
        """An order that is not answered in time raises an alarm; it is never taken for dead."""
        self._count(now)
        for key, (order, _, sent) in self._open.items():
            if now > sent + self.rules.answer_s * (1 + 1e-9):
                self._alarm(f"{key}: {order.market} did not answer within {self.rules.answer_s:g} s")
        return []

    def _count(self, now: float) -> None:
        """Spend the budget: an order under way may be filled or not, whichever leaves more alone."""
        low, high = 0.0, 0.0
        for order, _, _ in self._open.values():
            change = order.quantity * (1 if order.buys else -1)
            low, high = min(low, low + change), max(high, high + change)
        net = sum(amount * (1 if leg.buys else -1) for amount, leg in zip(self.filled, self.legs, strict=True))
        worst = max(abs(net + low), abs(net + high))
        self.used += worst * self.price * (1 + self.rules.price_reserve) * (now - self._since)
        self._since = now
        if self.used > self.rules.budget * (1 + 1e-9):
            self._alarm(f"{self.name}: the unhedged budget of {self.rules.budget:g} is exceeded")

    def _next(self, now: float) -> list[Order]:
        if self._open or self.is_over:
            return []
        alone = self.steps.rounded(self.unhedged)
        if self.unhedged <= 1e-9 * self.quantity or alone < self.steps.smallest or alone <= 0:
            self.is_over = True
            self._record("end", {
                "intent": self.name, "filled": min(self.filled), "used": self.used, "left_alone": self.unhedged,
            })  # fmt: skip
            return []
        behind = 0 if self.filled[0] < self.filled[1] else 1
        if self._hedged < self.rules.hedges:
            self._hedged += 1
            return [self._send(behind, alone, self.legs[behind].buys, "hedge", now)]
        if self._unwound >= self.rules.tries:
            self._alarm(f"{self.name}: {self._unwound} orders did not take back what is filled alone")
        if not self._unwound:
            self._alarm(f"{self.name}: {self.legs[1 - behind].market} was filled alone, and {alone:g} is taken back")
        self._unwound += 1
        return [self._send(1 - behind, alone, not self.legs[1 - behind].buys, "unwind", now)]

    def _send(self, leg: int, quantity: float, buys: bool, purpose: str, now: float) -> Order:
        self._sent += 1
        order = Order(f"{self.name}-{self._sent}", self.legs[leg].market, buys, quantity, purpose)
        self._record("order", order._asdict())
        self._open[order.key] = (order, leg, now)
        return order

    def _alarm(self, message: str) -> None:
        if message not in self.alarms:
            self.alarms.append(message)
            self._record("alarm", {"intent": self.name, "message": message})
