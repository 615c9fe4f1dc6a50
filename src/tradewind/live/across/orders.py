"""Orders of one account over several venues: each through the risk gate and in the journal before it is sent."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tradewind.errors import BadParameters
from tradewind.live.accounts.paper import PaperState
from tradewind.live.across.account import PairAccount
from tradewind.live.orders.states import CANCELLED, REFUSED, OrderState, Report, apply_report
from tradewind.live.venue.paper import Broker
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.journal.records import Record, plain
from tradewind.trading.execution.arbitrage.markets import Market
from tradewind.trading.risk.gate import Order, Rejected, check
from tradewind.trading.risk.limits import Instrument, RiskLimits
from tradewind.trading.risk.sizing import Allowed, largest_allowed, rate_is_free_ms
from tradewind.trading.risk.states import HALTED, LOSS_LIMITS, RiskState, fault, operate, read_equity


class Place(NamedTuple):
    """Where a market is traded: its broker, the symbol there, and the venue's steps."""

    broker: Broker
    symbol: str
    instrument: Instrument


class GatedOrders:
    """The account, its journal and its brokers, as everything that trades over several venues uses them."""

    def __init__(self, journal: Path, places: Mapping[str, Place], limits: RiskLimits, capital: float, now_ms: int,
                 is_halted: Callable[[], bool] = lambda: False) -> None:  # fmt: skip
        """Begin, or go on where the journal ends.

        Args:
            journal: its path.
            places: by market.
            limits: of the risk gate; a market at a venue is a symbol of its own.
            capital: that a new run begins with, in the quote coin.
            now_ms: UTC milliseconds.
            is_halted: whether a HALT file is there.

        Raises:
            BadParameters: the run was begun with other markets.
        """
        self.places, self.limits, self._is_halted = dict(places), limits, is_halted
        self.instruments = {name: place.instrument for name, place in places.items()}
        self.account, self.capital = PairAccount(PaperState(capital)), capital
        self.markets: dict[str, Market] = {}
        self.counts = {"rejected": 0, "alarms": 0}
        self.now_ms = now_ms
        self._journal = Journal(journal)
        try:
            self.records = list(read(journal))
            self._begin(journal)
        except BaseException:
            self._journal.close()
            raise

    def _begin(self, path: Path) -> None:
        if not self.records:
            self.run = secrets.token_hex(3)
            self.write("run_started", {"run": self.run, "markets": sorted(self.places), "capital": self.capital})
            return
        about = self.records[0].body
        if about["markets"] != sorted(self.places):
            raise BadParameters(f"{path} is of {', '.join(about['markets'])}: choose another folder")
        self.run, self.capital = about["run"], about["capital"]
        self.account.money.cash = self.capital
        for record in self.records:
            self._replay(record)

    def _replay(self, record: Record) -> None:
        kind, body, account = record.kind, record.body, self.account
        if kind == "sending":
            named = {name: body[name] for name in ("client_id", "symbol", "units", "price", "kind", "purpose")}
            account.orders[body["client_id"]] = OrderState(**named, decided=body["decided"], sent_ms=record.at_ms)
        elif kind == "fill":
            account.orders[body["key"]].fill_ids.append(body["fill_id"])
            account.orders[body["key"]].done += body["units"]
            account.book_fill(body["key"], body["market"], body["units"], body["price"], body["fee"])
        elif kind == "ended" and body["key"] in account.orders:
            account.orders[body["key"]].status = CANCELLED
        elif kind in ("state_changed", "account"):
            account.risk = RiskState.from_body(body)
        elif kind == "alarm":
            self.counts["alarms"] += 1

    def see(self, markets: Sequence[Market], now_ms: int) -> None:
        """The books as they are now.

        Args:
            markets: of the places, as far as they could be read.
            now_ms: UTC milliseconds.
        """
        self.markets = {market.name: market for market in markets if market.name in self.places}
        for name, market in self.markets.items():
            if len(market.asks.prices) and len(market.bids.prices):
                self.account.money.marks[name] = float(market.asks.prices[0] + market.bids.prices[0]) / 2
                self.account.seen_ms[name] = now_ms - int(market.asks.age_s * 1000)

    def poll(self, now_ms: int) -> None:
        """Take what the venues say, and read the account's worth against its limits; a HALT file halts.

        Args:
            now_ms: UTC milliseconds.
        """
        self.now_ms = now_ms
        for broker in {id(place.broker): place.broker for place in self.places.values()}.values():
            broker.beat(now_ms)
            for report in broker.poll():
                self._take(report)
        account, before = self.account, self.account.risk.mode
        if self._is_halted():
            account.risk = fault(account.risk, "HALT file", now_ms)
        held = {name for name, units in account.money.units.items() if units}
        if account.risk.mode != HALTED and set(account.seen_ms) >= held:
            account.risk, _ = read_equity(account.risk, account.equity, now_ms, self.limits)
        if account.risk.mode != before:
            self.write("state_changed", account.risk.to_body())

    def allowed(self, ask: Callable[[float], Order], units: float) -> Allowed:
        """The largest order that the gate would let through now.

        Args:
            ask: the order of so many units.
            units: that are wanted (sold: negative).
        """
        return largest_allowed(ask, units, self.account.view(self.now_ms, self.instruments), self.limits)

    @property
    def rate_is_free_ms(self) -> int:
        """When the next order is within the gate's rate, UTC milliseconds."""
        return rate_is_free_ms(self.account.view(self.now_ms, self.instruments), self.limits)

    @property
    def room_in_rate(self) -> int:
        """Orders that the gate's rate lets through now."""
        return self.limits.orders_a_minute - len(self.account.view(self.now_ms, self.instruments).sent_ms)

    def send(self, order: Order, purpose: str) -> Rejected | None:
        """Send an order if the gate lets it pass, once it is written down; else why not.

        Args:
            order: its symbol is the market.
            purpose: what it is for.
        """
        account, place = self.account, self.places[order.symbol]
        refused = check(order, account.view(self.now_ms, self.instruments), self.limits)
        if refused is not None:
            self.counts["rejected"] += 1
            return refused
        state = OrderState(
            order.client_id, order.symbol, order.units, order.price, order.kind, purpose,
            account.money.marks[order.symbol], self.now_ms,
        )  # fmt: skip
        self.write("sending", {**order._asdict(), "purpose": purpose, "decided": state.decided})
        account.orders[order.client_id] = state
        account.sent_ms.append(self.now_ms)
        place.broker.submit({**order._asdict(), "symbol": place.symbol}, self.now_ms)
        return None

    def refuse(self, order: Order, purpose: str, why: Rejected) -> None:
        """Write down that the gate refused an order, which ends it.

        Args:
            order: that was not sent.
            purpose: what it was for.
            why: of `send`.
        """
        self.write("risk_rejected", {**order._asdict(), **why._asdict(), "purpose": purpose})
        self.account.orders[order.client_id] = OrderState(
            order.client_id, order.symbol, order.units, order.price, order.kind, purpose, 0.0, self.now_ms, REFUSED
        )

    def cancel(self, client_id: str) -> None:
        """Take back what is not filled of an order; until that is answered it may still be."""
        self.places[self.account.orders[client_id].symbol].broker.cancel(client_id, self.now_ms)

    def ask(self, client_id: str) -> None:
        """What became of an order of an earlier process; one that the venue never got is ended."""
        for report in self.places[self.account.orders[client_id].symbol].broker.history(client_id):
            self._take(report)

    def expected(self, market: str, buys: bool) -> float:
        """The best price of the side that a market order takes, or the last middle where that is not seen.

        Args:
            market: where.
            buys: or sells.
        """
        seen = self.markets.get(market)
        book = None if seen is None else seen.asks if buys else seen.bids
        if book is not None and len(book.prices):
            return float(book.prices[0])
        return self.account.money.marks.get(market, 0.0)

    def _take(self, report: Report) -> None:
        """Bring an order up to date; a fill is written down and counted once."""
        state = self.account.orders.get(report.client_id)
        if state is None:
            return
        was_open, units = state.is_open, apply_report(state, report)
        if units:
            self.write("fill", {
                "key": report.client_id, "market": state.symbol, "units": units, "price": report.price,
                "fee": report.fee, "fill_id": report.fill_id,
            })  # fmt: skip
            self.account.book_fill(report.client_id, state.symbol, units, report.price, report.fee)
        if was_open and not state.is_open:
            self.write("ended", {"key": report.client_id, "status": state.status, "reason": report.reason})

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
        self.account.risk = operate(self.account.risk, "resume", who, reason, self.now_ms, given)
        self.write("operator", {"who": who, "reason": reason, **given})
        self.write("state_changed", self.account.risk.to_body())

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        """Add to the journal; on the disk when this returns. An alarm is counted.

        Args:
            kind: what happened.
            body: what is recorded.
        """
        self.counts["alarms"] += kind == "alarm"
        self._journal.append([Entry(kind, plain(body))], self.now_ms)

    def close(self) -> None:
        """Let another process go on."""
        self._journal.close()
