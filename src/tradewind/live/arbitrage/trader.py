"""Both legs of a difference, traded as one intent over two brokers: gate, journal, budget, and recovery at a start.

Every order passes the risk gate and stands in the journal before it is sent. An order is filled at once or taken back:
it is sent with the worst price that the scan allows, and cancelled when `rest_share` of `answer_s` has passed. Hedges
and the unwinding go at market. What the gate refuses counts as not filled, but for the unwinding of a leg, which is
tried again until the gate lets it pass; the alarm of the intent says so once `answer_s` has passed.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tradewind.errors import BadParameters
from tradewind.live.arbitrage.account import PairAccount
from tradewind.live.arbitrage.rules import ArbitrageRules
from tradewind.live.orders.states import CANCELLED, REFUSED, OrderState, Report, apply_report
from tradewind.live.venue.paper import Broker
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.journal.records import plain
from tradewind.trading.execution.arbitrage.legging import Intent, Leg, Order, Steps
from tradewind.trading.execution.arbitrage.markets import Market, Opportunity
from tradewind.trading.execution.arbitrage.scanner import scan
from tradewind.trading.risk.gate import Order as GateOrder
from tradewind.trading.risk.gate import check
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.risk.states import HALTED, LOSS_LIMITS, RiskState, fault, operate, read_equity

MOST_RECORDED = 3  # reasons for which a scan found nothing, in the summary


class Place(NamedTuple):
    """Where a market is traded: its broker, the symbol there, and the venue's steps."""

    broker: Broker
    symbol: str
    instrument: Instrument


class PairTrader:
    """One account over two venues, one intent at a time."""

    def __init__(self, journal: Path, places: Mapping[str, Place], rules: ArbitrageRules, now_ms: int,
                 is_halted: Callable[[], bool] = lambda: False) -> None:  # fmt: skip
        """Begin, or go on where the journal ends: what an intent left open is asked for, and hedged or unwound.

        Args:
            journal: its path.
            places: by market.
            rules: of the account.
            now_ms: UTC milliseconds.
            is_halted: whether a HALT file is there.

        Raises:
            BadParameters: the run was begun with other markets.
        """
        self.places, self.rules, self._is_halted = dict(places), rules, is_halted
        self.instruments = {name: place.instrument for name, place in places.items()}
        self.account = PairAccount(rules.capital)
        self.intent: Intent | None = None
        self.counts = {"scans": 0, "found": 0, "intents": 0, "rejected": 0, "alarms": 0}
        self.used, self.reasons = 0.0, tuple[str, ...]()
        self._limits: dict[str, float] = {}  # worst price of an opening order, by market
        self._waiting: list[Order] = []  # that the gate did not let pass
        self._markets: dict[str, Market] = {}
        self._now_ms = now_ms
        self._journal = Journal(journal)
        try:
            self._begin(journal)
        except BaseException:
            self._journal.close()
            raise

    def _begin(self, path: Path) -> None:
        records = list(read(path))
        if not records:
            self.run = secrets.token_hex(3)
            self._write("run_started", {"run": self.run, "markets": sorted(self.places), "capital": self.rules.capital})
            return
        about = records[0].body
        if about["markets"] != sorted(self.places):
            raise BadParameters(f"{path} is of {', '.join(about['markets'])}: choose another arbitrage.folder")
        self.run, self.account.cash = about["run"], about["capital"]
        for record in records:
            self._replay(record.kind, record.body, record.at_ms)
        intents = ((one.kind, one.body, one.at_ms / 1000) for one in records)
        self.intent = Intent.restored(intents, self.rules.legs, self._record)
        if self.intent is not None:
            open_keys = [one.key for one in self.intent.open_orders]
            self._write("recovered", {"intent": self.intent.name, "open": open_keys})
            for order in self.intent.open_orders:
                for report in self.places[order.market].broker.history(order.key):
                    self._take(report)

    def _replay(self, kind: str, body: Mapping[str, Any], at_ms: int) -> None:
        if kind == "order":
            self.account.orders[body["key"]] = self._state_of(Order(**body), body["quantity"], at_ms)
        elif kind == "intent":
            self.counts["intents"] += 1
        elif kind == "fill":
            self.account.orders[body["key"]].fill_ids.append(body["fill_id"])
            self.account.orders[body["key"]].done += body["units"]
            self.account.book_fill(body["market"], body["units"], body["price"], body["fee"])
        elif kind in ("answer", "risk_rejected"):
            self.account.orders[body["order"] if kind == "answer" else body["client_id"]].status = CANCELLED
        elif kind in ("state_changed", "account"):
            self.account.risk = RiskState.from_body(body)
        elif kind == "alarm":
            self.counts["alarms"] += 1

    def _state_of(self, order: Order, quantity: float, at_ms: int) -> OrderState:
        price = self._limits.get(order.market, 0.0)
        units = quantity if order.buys else -quantity
        return OrderState(order.key, order.market, units, price, "limit", order.purpose, 0.0, at_ms)

    def see(self, markets: Sequence[Market], now_ms: int) -> None:
        """The books as they are now.

        Args:
            markets: of the places, as far as they could be read.
            now_ms: UTC milliseconds.
        """
        self._markets = {market.name: market for market in markets if market.name in self.places}
        for name, market in self._markets.items():
            if len(market.asks.prices) and len(market.bids.prices):
                self.account.prices[name] = float(market.asks.prices[0] + market.bids.prices[0]) / 2
                self.account.seen_ms[name] = now_ms - int(market.asks.age_s * 1000)

    def step(self, now_ms: int) -> None:
        """Take what the venues say, carry the intent on, and begin one where a scan finds a gain.

        Args:
            now_ms: UTC milliseconds.
        """
        self._now_ms = now_ms
        for broker in {id(place.broker): place.broker for place in self.places.values()}.values():
            broker.beat(now_ms)
            for report in broker.poll():
                self._take(report)
        self._mark()
        if self.intent is not None:
            self._carry_on(self.intent)
        if self.intent is None and self.account.risk.mode != HALTED:
            self._look()

    def _mark(self) -> None:
        """Read the account's worth against its limits; a HALT file halts."""
        account, before = self.account, self.account.risk.mode
        if self._is_halted():
            account.risk = fault(account.risk, "HALT file", self._now_ms)
        if account.risk.mode != HALTED and set(account.prices) >= {name for name, one in account.units.items() if one}:
            account.risk, _ = read_equity(account.risk, account.equity, self._now_ms, self.rules.limits)
        if account.risk.mode != before:
            self._write("state_changed", account.risk.to_body())

    def resume(self, who: str, reason: str) -> None:
        """Lead an account that is HALTED or REDUCING back to trading; its loss limits begin anew from here.

        Args:
            who: the operator.
            reason: in words.

        Raises:
            BadParameters: there is no reason, or the HALT file is still there.
        """
        if self._is_halted():
            raise BadParameters("the HALT file is still in the run's folder: remove it, then resume")
        given = {"reset": LOSS_LIMITS}
        self.account.risk = operate(self.account.risk, "resume", who, reason, self._now_ms, given)
        self._write("operator", {"who": who, "reason": reason, **given})
        self._write("state_changed", self.account.risk.to_body())

    def _carry_on(self, intent: Intent) -> None:
        now = self._now_ms / 1000
        waiting, self._waiting = self._waiting, []
        for order in waiting:
            self._send(intent, order)
        intent.at(now)
        while ended := self._ended(intent):
            for order, done in ended:
                for following in intent.answered(order.key, done, now):
                    self._send(intent, following)
        self._take_back(intent)
        if not intent.open_orders and not intent.is_over:
            for order in intent.carry_on(now):
                self._send(intent, order)
        self.used = max(self.used, intent.used)
        if intent.is_over:
            self.intent = None
            self._write("account", self.account.risk.to_body())  # its peak and the day's start outlive the process

    def _ended(self, intent: Intent) -> list[tuple[Order, float]]:
        """Orders of which nothing more can come, and what was filled of each."""
        states = [(order, self.account.orders.get(order.key)) for order in intent.open_orders]
        return [
            (order, min(abs(state.done), order.quantity))
            for order, state in states if state is not None and not state.is_open
        ]  # fmt: skip

    def _take_back(self, intent: Intent) -> None:
        """Cancel what should have been filled by now; until that is answered it may still be."""
        longest_ms = 1000 * self.rules.legs.answer_s * self.rules.rest_share
        for order in intent.open_orders:
            state = self.account.orders.get(order.key)
            if state is not None and self._now_ms - state.sent_ms >= longest_ms:
                self.places[order.market].broker.cancel(order.key, self._now_ms)

    def _look(self) -> None:
        self.counts["scans"] += 1
        found = scan(list(self._markets.values()), self.rules.scan)
        pairs = [one for one in found.found if len(one.legs) == 2]
        self.reasons = found.reasons[:MOST_RECORDED]
        if not pairs:
            return
        self.counts["found"] += 1
        self._open(pairs[0])

    def _open(self, best: Opportunity) -> None:
        steps, price = self._steps(best), best.value / best.legs[0].quantity
        legs = tuple(Leg(leg.market, leg.buys) for leg in best.legs)
        name = f"{self.run}.{self.counts['intents'] + 1}"
        try:
            intent = Intent(
                name, (legs[0], legs[1]), best.legs[0].quantity, price, self.rules.legs, self._record, steps
            )  # fmt: skip
        except BadParameters as error:
            self.reasons = (str(error),)
            return
        self.intent, self.counts["intents"] = intent, self.counts["intents"] + 1
        self._limits = {leg.market: leg.limit_price for leg in best.legs}
        body = {"intent": name, **best._asdict(), "legs": [one._asdict() for one in best.legs]}
        self._write("opportunity", body)
        for order in intent.start(self._now_ms / 1000):
            self._send(intent, order)

    def _steps(self, best: Opportunity) -> Steps:
        of = [self.instruments[leg.market] for leg in best.legs]
        prices = [self.account.prices[leg.market] for leg in best.legs]
        lot = max(one.lot_size for one in of)
        smallest = max(max(one.min_quantity, one.min_notional / price) for one, price in zip(of, prices, strict=True))
        return Steps(lot, max(smallest, lot))

    def _send(self, intent: Intent, order: Order) -> None:
        """Send one order if the gate lets it pass; it is written down already."""
        place, account = self.places[order.market], self.account
        units = order.quantity if order.buys else -order.quantity
        kind = "limit" if order.purpose == "open" else "market"
        price = self._limits[order.market] if kind == "limit" else self._expected(order)
        asked = GateOrder(order.key, order.market, units, price, kind)
        refused = check(asked, account.view(self._now_ms, self.instruments), self.rules.limits)
        if refused is not None:
            self.counts["rejected"] += 1
            if order.purpose == "unwind":
                self._waiting.append(order)
            else:
                self._write("risk_rejected", {**asked._asdict(), **refused._asdict(), "purpose": order.purpose})
                state = self._state_of(order, order.quantity, self._now_ms)
                state.status = REFUSED
                account.orders[order.key] = state
            return
        account.orders[order.key] = OrderState(
            order.key, order.market, units, price, kind, order.purpose, account.prices[order.market], self._now_ms
        )
        account.sent_ms.append(self._now_ms)
        body = {"client_id": order.key, "symbol": place.symbol, "units": units, "price": price, "kind": kind}
        place.broker.submit(body, self._now_ms)

    def _expected(self, order: Order) -> float:
        """Of a market order: the best price of the side that it takes, or the last middle where that is not seen."""
        market = self._markets.get(order.market)
        book = None if market is None else market.asks if order.buys else market.bids
        seen = book is not None and len(book.prices)
        return float(book.prices[0]) if book is not None and seen else self.account.prices.get(order.market, 0.0)

    def _take(self, report: Report) -> None:
        """Bring an order up to date; a fill is written down and counted once."""
        state = self.account.orders.get(report.client_id)
        if state is None:
            return
        units = apply_report(state, report)
        if units:
            self._write("fill", {
                "key": report.client_id, "market": state.symbol, "units": units, "price": report.price,
                "fee": report.fee, "fill_id": report.fill_id,
            })  # fmt: skip
            self.account.book_fill(state.symbol, units, report.price, report.fee)

    def _record(self, kind: str, body: Mapping[str, Any]) -> None:
        self.counts["alarms"] += kind == "alarm"
        self._write(kind, body)

    def _write(self, kind: str, body: Mapping[str, Any]) -> None:
        self._journal.append([Entry(kind, plain(body))], self._now_ms)

    def summary(self) -> dict[str, Any]:
        """For people and programs: what was found, traded and gained, and why nothing was where nothing was."""
        gained = self.account.equity - self.rules.capital
        return {
            **self.counts, **self.account.summary(), "gained": gained,
            "used_of_budget": self.used / self.rules.legs.budget, "under_way": self.intent is not None,
            "reasons": list(self.reasons),
        }  # fmt: skip

    def close(self) -> None:
        """Let another process go on."""
        self._journal.close()
