"""Both legs of a difference, traded as one intent over two brokers: gate, journal, budget, and recovery at a start.

An order is filled at once or taken back: it is sent with the worst price that the scan allows, and cancelled when
`rest_share` of `answer_s` has passed. Hedges and the unwinding go at market. An intent is no larger than what the gate
lets through of both legs, and begins only where the gate's rate has room for its whole course. What the gate refuses
all the same counts as not filled, but for the unwinding of a leg, which is tried again until the gate lets it pass; the
alarm of the intent says so once `answer_s` has passed.
"""

from functools import partial
from typing import Any

from tradewind.errors import BadParameters
from tradewind.live.across.orders import GatedOrders
from tradewind.live.across.rules import ArbitrageRules
from tradewind.trading.execution.arbitrage.legging import Intent, Leg, Order
from tradewind.trading.execution.arbitrage.markets import Opportunity
from tradewind.trading.execution.arbitrage.scanner import scan
from tradewind.trading.execution.steps import Steps
from tradewind.trading.risk.gate import Order as GateOrder
from tradewind.trading.risk.states import HALTED

MOST_RECORDED = 3  # reasons for which a scan found nothing, in the summary


class PairTrader:
    """One account over two venues, one intent at a time."""

    def __init__(self, orders: GatedOrders, rules: ArbitrageRules) -> None:
        """Begin, or go on: what an intent left open is asked for, and hedged or unwound.

        Args:
            orders: of the account.
            rules: of the account.
        """
        self.orders, self.rules = orders, rules
        self.counts = {"scans": 0, "found": 0, "intents": sum(one.kind == "opportunity" for one in orders.records)}
        self.used, self.reasons = 0.0, tuple[str, ...]()
        self._limits: dict[str, float] = {}  # worst price of an opening order, by market
        self._waiting: list[Order] = []  # that the gate did not let pass
        intents = ((one.kind, one.body, one.at_ms / 1000) for one in orders.records)
        self.intent = Intent.restored(intents, rules.legs, orders.write)
        if self.intent is not None:
            left = self.intent.open_orders
            orders.write("recovered", {"intent": self.intent.name, "open": [one.key for one in left]})
            for order in left:
                if order.key not in orders.account.orders:  # written down, and never sent
                    self._waiting.append(order)
                else:
                    orders.ask(order.key)

    def step(self, now_ms: int) -> None:
        """Take what the venues say, carry the intent on, and begin one where a scan finds a gain.

        Args:
            now_ms: UTC milliseconds.
        """
        self.orders.poll(now_ms)
        if self.intent is not None:
            self._carry_on(self.intent, now_ms / 1000)
        if self.intent is None and self.orders.account.risk.mode != HALTED:
            self._look(now_ms / 1000)

    def _carry_on(self, intent: Intent, now: float) -> None:
        waiting, self._waiting = self._waiting, []
        for order in waiting:
            if order.purpose == "open":  # of an earlier process: its price is old
                self._follow(intent, intent.answered(order.key, 0.0, now))
            else:
                self._send(order)
        intent.at(now)
        while ended := self._ended(intent):
            for order, done in ended:
                self._follow(intent, intent.answered(order.key, done, now))
        self._take_back(intent)
        if not intent.open_orders and not intent.is_over:
            self._follow(intent, intent.carry_on(now))
        self.used = max(self.used, intent.used)
        if intent.is_over:
            self.intent = None
            # Its peak and the day's start outlive the process.
            self.orders.write("account", self.orders.account.risk.to_body())

    def _follow(self, intent: Intent, following: list[Order]) -> None:
        for order in following:
            self._send(order)

    def _ended(self, intent: Intent) -> list[tuple[Order, float]]:
        """Orders of which nothing more can come, and what was filled of each."""
        states = [(order, self.orders.account.orders.get(order.key)) for order in intent.open_orders]
        return [
            (order, min(abs(state.done), order.quantity))
            for order, state in states if state is not None and not state.is_open
        ]  # fmt: skip

    def _take_back(self, intent: Intent) -> None:
        longest_ms = 1000 * self.rules.legs.answer_s * self.rules.rest_share
        for order in intent.open_orders:
            state = self.orders.account.orders.get(order.key)
            if state is not None and self.orders.now_ms - state.sent_ms >= longest_ms:
                self.orders.cancel(order.key)

    def _look(self, now: float) -> None:
        self.counts["scans"] += 1
        found = scan(list(self.orders.markets.values()), self.rules.scan)
        pairs = [one for one in found.found if len(one.legs) == 2]
        self.reasons = found.reasons[:MOST_RECORDED]
        if pairs:
            self.counts["found"] += 1
            self._open(pairs[0], now)

    def _open(self, best: Opportunity, now: float) -> None:
        steps, price = self._steps(best), best.value / best.legs[0].quantity
        first, second = (Leg(leg.market, leg.buys) for leg in best.legs)
        name = f"{self.orders.run}.{self.counts['intents'] + 1}"
        quantity, why = self._within_gate(name, best)
        if steps.rounded(quantity) < steps.smallest:
            self.reasons = (f"a difference is left alone, since the risk gate lets no order so large through: {why}",)
            return
        try:
            intent = Intent(name, (first, second), quantity, price, self.rules.legs, self.orders.write, steps)
        except BadParameters as error:
            self.reasons = (str(error),)
            return
        self.intent, self.counts["intents"] = intent, self.counts["intents"] + 1
        self._limits = {leg.market: leg.limit_price for leg in best.legs}
        body = {"intent": name, **best._asdict(), "legs": [one._asdict() for one in best.legs]}
        self.orders.write("opportunity", body)
        self._follow(intent, intent.start(now))

    def _within_gate(self, name: str, best: Opportunity) -> tuple[float, str]:
        """Units of both legs that the gate lets through, room left for what a hedge may cost more; and why not more."""
        legs, course = self.rules.legs, 2 + self.rules.legs.hedges + self.rules.legs.tries
        if (room := self.orders.room_in_rate) < course:
            return 0.0, f"order_rate, {room} more this minute, and an intent may need {course}"
        quantity, why = best.legs[0].quantity, ""
        for leg in best.legs:
            ask = partial(GateOrder, f"{name}-gate", leg.market, price=leg.limit_price, kind="limit")
            found = self.orders.allowed(ask, quantity if leg.buys else -quantity)
            if found.refused is not None:
                why = f"{found.refused.code}, {found.refused.limit:g} allowed, {found.refused.value:g} found"
                quantity = abs(found.units) / (1.0 + legs.price_reserve)
            if quantity == 0.0:
                break
        return quantity, why

    def _steps(self, best: Opportunity) -> Steps:
        of = [self.orders.instruments[leg.market] for leg in best.legs]
        prices = [self.orders.account.money.marks[leg.market] for leg in best.legs]
        lot = max(one.lot_size for one in of)
        smallest = max(max(one.min_quantity, one.min_notional / price) for one, price in zip(of, prices, strict=True))
        return Steps(lot, max(smallest, lot))

    def _send(self, order: Order) -> None:
        """Send one order of the intent, which is written down already, if the gate lets it pass."""
        kind = "limit" if order.purpose == "open" else "market"
        price = self._limits[order.market] if kind == "limit" else self.orders.expected(order.market, order.buys)
        units = order.quantity if order.buys else -order.quantity
        asked = GateOrder(order.key, order.market, units, price, kind)
        refused = self.orders.send(asked, order.purpose)
        if refused is not None and order.purpose == "unwind":
            self._waiting.append(order)
        elif refused is not None:
            self.orders.refuse(asked, order.purpose, refused)

    def summary(self) -> dict[str, Any]:
        """For people and programs: what was found, traded and gained, and why nothing was where nothing was."""
        account = self.orders.account
        return {
            **self.counts, **self.orders.counts, **account.summary(), "gained": account.equity - self.orders.capital,
            "used_of_budget": self.used / self.rules.legs.budget, "under_way": self.intent is not None,
            "reasons": list(self.reasons),
        }  # fmt: skip
