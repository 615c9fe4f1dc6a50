"""An order over several venues that is planned anew on fills, refusals and silence, until it is done or its time is up.

Each plan sends what is not under way to the cheapest levels (`routing.route`), at once or not at all: with the worst
price of its plan, taken back after `rest_s`. A venue that refuses is left out for `refused_s`; of one that is silent
nothing more is asked until it has answered, and what it was sent counts as under way: nothing is bought twice. No child
is larger than what the risk gate lets through: the rest follows at later looks. Where nothing of what is left can ever
pass, the order ends at once as cancelled; what it or the deadline leaves is reported with what it would have cost.
"""

import math
from typing import Any

import numpy as np

from tradewind.errors import BadParameters
from tradewind.live.across.orders import GatedOrders
from tradewind.live.across.rules import RoutedRules
from tradewind.live.orders.states import REFUSED, OrderState
from tradewind.trading.execution.routing import Child, VenueBook, child_of, route
from tradewind.trading.risk.gate import Order, Rejected
from tradewind.trading.risk.sizing import MAY_PASS_LATER, TOO_SMALL
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
        self._refused: dict[str, str] = {}  # the last one's code, by market
        self._barred: set[str] = set()  # markets where nothing passes any more
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
        if not any(one.is_open for one in self._states()) and self._never(now_ms):
            self._end("cancelled")

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
                message = f"{state.client_id}: {state.symbol} did not answer within {self.rules.answer_s:g} s"
                self.orders.write("alarm", {"message": message})

    def _plan(self, left: float, now_ms: int) -> None:
        silent = {one.symbol for one in self._states() if one.client_id in self._silent}
        waits = {name for name, until in self._left_out.items() if now_ms < until} | silent | self._barred
        waits |= {one.symbol for one in self._states() if one.is_open}
        books = {name: self._book(name, left > 0) for name in self.orders.markets if name not in waits}
        planned = route(list(books.values()), left, self.rules.max_age_s) if books else None
        self.reasons = planned.reasons if planned else ("every venue is waited for",)
        if planned is None or not planned.children:
            return
        self._number += 1
        name = f"{self.orders.run}.r{self._number}"
        children = [child._asdict() for child in planned.children]
        self.orders.write("plan", {"plan": name, "left": left, "children": children, "reasons": planned.reasons})
        for index, child in enumerate(planned.children):
            self._send(f"{name}-{index}", child, books[child.venue], left > 0)

    def _book(self, name: str, buys: bool) -> VenueBook:
        """What a market offers, with the smallest order that it takes at these prices."""
        market = self.orders.markets[name]
        book = market.asks if buys else market.bids
        least = self.orders.instruments[name].smallest(float(book.prices[0])) if len(book.prices) else 0.0
        return book._replace(venue=name, min_quantity=max(least, book.min_quantity))

    def _send(self, client_id: str, child: Child, book: VenueBook, buys: bool) -> None:
        """Send as much of a child as the gate lets through, and what it refuses wholly once, so that it is told."""

        def ask(units: float) -> Order:
            price = child_of(book, min(abs(units), child.quantity)).limit_price
            return Order(client_id, child.venue, units, price, "limit")

        wanted = child.quantity if buys else -child.quantity
        found = self.orders.allowed(ask, wanted)
        if found.refused is not None:
            self._codes[found.refused.code] = _words(found.refused)
        if found.units == 0.0 and found.refused is not None:
            least = min(self.orders.instruments[child.venue].smallest(child.limit_price), child.quantity)
            self.orders.counts["rejected"] += self._refused.get(child.venue) != found.refused.code
            self._turned_down(ask(math.copysign(least, wanted)), found.refused)
            return
        order = ask(self._without_crumbs(found.units, wanted))
        refused = self.orders.send(order, "routed")
        if refused is not None:
            self._turned_down(order, refused)
            return
        self._refused.pop(child.venue, None)
        self._own.append(order.client_id)

    def _without_crumbs(self, units: float, wanted: float) -> float:
        """Of an order that was cut so much that what follows is no smaller than the smallest order."""
        of = self.orders.instruments.values()
        rest = abs(self.units - self.done - self.under_way - units)
        least = min(one.smallest(self.arrival) for one in of)
        if abs(units) >= abs(wanted) or not 0 < rest < least:
            return units
        lot = max(one.lot_size for one in of)
        fewer = round(abs(units) - math.ceil((least - rest) / lot - 1e-6) * lot, 10)
        return math.copysign(fewer, units) if fewer >= max(one.smallest(self.arrival) for one in of) else units

    def _turned_down(self, order: Order, why: Rejected) -> None:
        """Leave a market out for as long as the gate will refuse; what it said before is not written down again."""
        market, code = order.symbol, why.code
        if self._refused.get(market) != code:
            self.orders.refuse(order, "routed", why)
        self._refused[market], self._codes[code] = code, _words(why)
        until = self.orders.now_ms + int(1000 * self.rules.refused_s)
        if code == "order_rate":
            until = self.orders.rate_is_free_ms
        elif code not in MAY_PASS_LATER | TOO_SMALL and not self.under_way:
            self._barred.add(market)
        self._left_out[market] = until

    def _never(self, now_ms: int) -> bool:
        """Whether nothing of what is left can be sent before the deadline, whatever the books become."""
        left, found = abs(self.units - self.done), list[str]()
        rate = self.orders.rate_is_free_ms
        if rate > now_ms and rate >= self.deadline_ms:
            self._codes["order_rate"] = f"the risk gate lets {self.orders.limits.orders_a_minute} orders a minute pass"
            return True
        for name, instrument in self.orders.instruments.items():
            price = self.orders.account.money.marks.get(name)
            least = 0.0 if price is None else instrument.smallest(price)
            if name not in self._barred and left >= least * (1 - 1e-6):
                return False
            if name not in self._barred:
                found.append(f"{name}: {left:g} units are below its smallest order of {least:g}")
        self.reasons = tuple(found)
        return True

    def _end(self, how: str) -> None:
        self.is_over = True
        why = {"deadline": "the deadline has come", "done": "what is left is less than a lot", "halted": "a halt"}
        if how in why and abs(self.units - self.done) > 1e-9:
            self.reasons = (*self.reasons, why[how])
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


def _words(why: Rejected) -> str:
    return f"the risk gate refuses: {why.code}, {why.limit:g} allowed, {why.value:g} found"
