"""An order over several venues that is planned anew on fills, refusals and silence, until it is done or its time is up.

Each plan sends what is not under way to the cheapest levels (`routing.route`), at once or not at all: with the worst
price of its plan, taken back after `rest_s`. A venue that refuses is left out for `refused_s`; of one that is silent
nothing more is asked until it has answered, and what it was sent counts as under way: nothing is bought twice. What the
deadline leaves is reported with what it would have cost.
"""

from typing import Any

import numpy as np

from tradewind.errors import BadParameters
from tradewind.live.across.orders import GatedOrders
from tradewind.live.across.rules import RoutedRules
from tradewind.live.orders.states import REFUSED, OrderState
from tradewind.trading.execution.routing import route
from tradewind.trading.risk.gate import Order
from tradewind.trading.risk.states import HALTED


class RoutedOrder:
    """One purchase or sale; whoever runs it shows the books and calls `step`."""

    def __init__(self, orders: GatedOrders, units: float, deadline_ms: int, rules: RoutedRules) -> None:
        """Nothing is sent yet.

        Args:
            orders: of the account.
            units: to be bought (sold: negative).
            deadline_ms: UTC milliseconds, after which nothing more is sent.
            rules: waits and ages.

        Raises:
            BadParameters: the quantity is 0, no number or no multiple of the venues' lots, or the deadline has passed.
        """
        lot = max(one.lot_size for one in orders.instruments.values())
        if not np.isfinite(units) or units == 0:
            raise BadParameters(f"quantity must be a finite number other than 0: found {units}")
        if abs(abs(units) / lot - round(abs(units) / lot)) > 1e-6:
            raise BadParameters(f"quantity must be a multiple of the lot of {lot:g}: found {units}")
        if deadline_ms <= orders.now_ms:
            raise BadParameters("the deadline has passed: name a later one")
        self.orders, self.units, self.deadline_ms, self.rules = orders, units, deadline_ms, rules
        self.is_over, self.arrival = False, float("nan")
        self.reasons: tuple[str, ...] = ()
        self._own: list[str] = []
        self._left_out: dict[str, int] = {}  # until when, by market
        self._silent: set[str] = set()
        self._codes: dict[str, str] = {}  # of the gate's refusals, in words
        self._number = sum(one.kind == "plan" for one in orders.records)
        for key in [key for key, one in orders.account.orders.items() if one.is_open]:
            orders.ask(key)  # of an earlier process: it belongs to no order of this one

    @property
    def done(self) -> float:
        """Units filled, signed."""
        return sum(one.done for one in self._states())

    @property
    def under_way(self) -> float:
        """Units that may still be filled, signed."""
        return sum(one.left for one in self._states() if one.is_open)

    def _states(self) -> list[OrderState]:
        return [self.orders.account.orders[key] for key in self._own]

    def step(self, now_ms: int) -> None:
        """Take what the venues say, take back what rests too long, and plan what is not under way anew.

        Args:
            now_ms: UTC milliseconds.
        """
        self.orders.poll(now_ms)
        if self.is_over:
            return
        account = self.orders.account
        if not np.isfinite(self.arrival) and account.seen_ms:
            self.arrival = float(np.mean([account.money.marks[name] for name in account.seen_ms]))
        self._look_after(now_ms)
        is_late = now_ms >= self.deadline_ms
        left = self.units - self.done - self.under_way
        smallest = min(one.lot_size for one in self.orders.instruments.values())
        is_ended = is_late or abs(self.units - self.done) < smallest * (1 - 1e-6)
        if is_ended or self.orders.account.risk.mode == HALTED:
            if not any(one.is_open for one in self._states()):
                self._end("done" if abs(self.units - self.done) < smallest * (1 - 1e-6) else "deadline" if is_late else
                          "halted")  # fmt: skip
            return
        if abs(left) >= smallest * (1 - 1e-6):
            self._plan(left, now_ms)

    def _look_after(self, now_ms: int) -> None:
        for state in self._states():
            if state.status == REFUSED and state.client_id not in self._silent:
                self._left_out[state.symbol] = max(
                    self._left_out.get(state.symbol, 0), state.sent_ms + int(1000 * self.rules.refused_s)
                )
            if not state.is_open:
                self._silent.discard(state.client_id)
                continue
            waited = (now_ms - state.sent_ms) / 1000
            if waited >= self.rules.rest_s or now_ms >= self.deadline_ms:
                self.orders.cancel(state.client_id)
            if waited > self.rules.answer_s and state.client_id not in self._silent:
                self._silent.add(state.client_id)
                said = f"{state.client_id}: {state.symbol} did not answer within {self.rules.answer_s:g} s"
                self.orders.write("alarm", {"message": said})

    def _plan(self, left: float, now_ms: int) -> None:
        silent = {one.symbol for one in self._states() if one.client_id in self._silent}
        waits = {name for name, until in self._left_out.items() if now_ms < until} | silent
        waits |= {one.symbol for one in self._states() if one.is_open}
        books = [
            (market.asks if left > 0 else market.bids)._replace(venue=name)
            for name, market in self.orders.markets.items() if name not in waits
        ]  # fmt: skip
        planned = route(books, left, self.rules.max_age_s) if books else None
        self.reasons = planned.reasons if planned else ("every venue is waited for",)
        if planned is None or not planned.children:
            return
        self._number += 1
        name = f"{self.orders.run}.r{self._number}"
        children = [child._asdict() for child in planned.children]
        self.orders.write("plan", {"plan": name, "left": left, "children": children, "reasons": planned.reasons})
        for index, child in enumerate(planned.children):
            units = child.quantity if left > 0 else -child.quantity
            order = Order(f"{name}-{index}", child.venue, units, child.limit_price, "limit")
            refused = self.orders.send(order, "routed")
            if refused is not None:
                self.orders.refuse(order, "routed", refused)
                self._codes[refused.code] = f"the risk gate refuses: {refused.code}, {refused.limit:g} allowed"
            self._own.append(order.client_id)

    def _end(self, how: str) -> None:
        self.is_over = True
        self.orders.write("end", {"how": how, **self.summary()})
        self.orders.write("account", self.orders.account.risk.to_body())

    def summary(self) -> dict[str, Any]:
        """What was done; what it cost, fees counted, against the middle at arrival, in basis points; what is left, and
        what the best level would cost for it now (NaN where there is none)."""
        account, sign = self.orders.account, 1.0 if self.units > 0 else -1.0
        done, left, cost, rest = self.done, self.units - self.done, float("nan"), float("nan")
        if done and np.isfinite(self.arrival):
            cost = 1e4 * sign * (sum(account.spent.get(key, 0.0) for key in self._own) / (done * self.arrival) - 1.0)
        books = [one.asks if self.units > 0 else one.bids for one in self.orders.markets.values()]
        best = [sign * float(book.prices[0]) for book in books if len(book.prices)]
        if left and best and np.isfinite(self.arrival):
            rest = 1e4 * (min(best) / self.arrival - sign)
        return {
            "units": self.units, "done": done, "left": left, "cost_bps": cost, "left_would_cost_bps": rest,
            "orders": len(self._own), **self.orders.counts, "mode": account.risk.mode,
            "reasons": [*self._codes.values(), *self.reasons],
        }  # fmt: skip
