"""A session's side of the broker of ccxt, before a local server that speaks Binance's signed protocol."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.live.order_server import KEY, SECRET, OrderServer, serve_orders
from tests.live.venue_ledger import VenueLedger
from tradewind.data.sources.ccxt_account import Keys
from tradewind.live.orders.states import OrderState, Report, apply_report
from tradewind.live.settings import BrokerRules
from tradewind.live.venue.ccxt_broker import CcxtBroker, Opening, open_broker
from tradewind.trading.risk.limits import Instrument

PLACE, CANCEL, FIND = ("POST /api/v3/order", "DELETE /api/v3/order", "GET /api/v3/order")

PLACE, CANCEL, FIND = ("POST /api/v3/order", "DELETE /api/v3/order", "GET /api/v3/order")
KEYS = Keys(api_key=SecretStr(KEY), api_secret=SecretStr(SECRET))
QUICK = {
    "recv_window_ms": 400, "settle_s": 0.1, "answer_s": 0.4, "send_within_s": 3.0, "poll_s": 0.05, "start_s": 5.0,
    "heartbeat_s": 30.0, "reconcile_s": 0.1, "close_s": 2.0,
}  # fmt: skip
SYMBOLS = ("BTCUSDT", "ETHUSDT")
STANDS_S = 0.05  # the longest time that a call may take from the session's loop


def a_ledger(**changed: Any) -> VenueLedger:
    prices = {"BTCUSDT": 50_000.0, "ETHUSDT": 2000.0, "BNBUSDT": 500.0}
    return VenueLedger(prices, {"USDT": 100_000.0, "BTC": 0.25, "BNB": 1.0}, **changed)


def an_opening(server: OrderServer, folder: Path, **changed: Any) -> Opening:
    rules = BrokerRules(base_url=server.url, **(QUICK | changed))
    instruments = {name: Instrument(symbol=name, tick_size=0.01, lot_size=0.001, min_notional=5.0) for name in SYMBOLS}
    return Opening(rules, KEYS, folder, instruments, 50_000.0)


@dataclass
class Account:
    """A session's side of the broker: what it sent, and what was told."""

    broker: CcxtBroker
    server: OrderServer
    states: dict[str, OrderState] = field(default_factory=dict)
    told: list[Report] = field(default_factory=list)

    def send(self, client_id: str, units: float, kind: str = "market", price: float = 50_000.0) -> OrderState:
        body = {"client_id": client_id, "symbol": "BTCUSDT", "units": units, "price": price, "kind": kind}
        state = self.states[client_id] = OrderState(**body, purpose="target", decided=price, sent_ms=0)
        began = time.monotonic()
        self.broker.submit(body, 1)
        assert time.monotonic() - began < STANDS_S
        return state

    def until(self, is_so: Callable[[], Any], seconds: float = 5.0) -> None:
        """Take reports until something is so."""
        last = time.monotonic() + seconds
        while True:
            for report in self.broker.poll():
                self.told.append(report)
                apply_report(self.states[report.client_id], report)
            if is_so():
                return
            assert time.monotonic() < last, f"not within {seconds} s: {self.told}, {self.server.asked[-5:]}"
            time.sleep(0.005)

    def ends(self, client_id: str, status: str) -> OrderState:
        self.until(lambda: self.states[client_id].status == status)
        return self.states[client_id]

    def whats(self, client_id: str) -> list[str]:
        return [one.what for one in self.told if one.client_id == client_id]

    def check(self) -> None:
        """One venue order an id at most, and the position is the sum of the fills."""
        there = [one.client_id for one in self.server.ledger.orders]
        assert len(there) == len(set(there))
        held = sum(one.done for one in self.states.values())
        assert held == pytest.approx(self.server.ledger.positions().get("BTCUSDT", 0.0), abs=1e-9)


@contextmanager
def an_account(folder: Path, ledger: VenueLedger | None = None, **changed: Any) -> Iterator[Account]:
    with serve_orders(ledger or a_ledger()) as server:
        broker = open_broker(an_opening(server, folder, **changed), folder / "venue.jsonl")
        try:
            yield Account(broker, server)
        finally:
            broker.close()
