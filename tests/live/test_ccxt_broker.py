"""The broker of ccxt against a local server that speaks Binance's signed protocol: what becomes of each fault."""

import errno
import logging
import re
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from tests.live.order_server import KEY, SECRET, OrderServer, serve_orders
from tests.live.venue_ledger import CLIENT_ID, VenueLedger
from tradewind.data.sources.ccxt_account import HOSTS, Access, CcxtAccount, Keys, exact
from tradewind.data.sources.order_answers import Assets, classify
from tradewind.data.sources.timing import Timing
from tradewind.errors import BadParameters, TemporaryOutage, TradewindError
from tradewind.live.orders.states import CANCELLED, FILLED, REFUSED, UNKNOWN, WORKING, OrderState, Report, apply_report
from tradewind.live.settings import BrokerRules
from tradewind.live.venue.ccxt_broker import CcxtBroker, Opening, _require_own_coins, open_broker
from tradewind.live.venue.choice import MODES, addresses, keys_of, mode_of, mode_of_run, require_same_mode
from tradewind.operations.journal.fence import Fence, Fenced
from tradewind.operations.journal.halt_file import write_halt_file
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.limits import Instrument

PLACE, CANCEL, FIND = ("POST /api/v3/order", "DELETE /api/v3/order", "GET /api/v3/order")
KEYS = Keys(api_key=SecretStr(KEY), api_secret=SecretStr(SECRET))
QUICK = {
    "recv_window_ms": 400, "settle_s": 0.1, "answer_s": 0.4, "send_within_s": 3.0, "poll_s": 0.05, "start_s": 5.0,
    "heartbeat_s": 30.0, "reconcile_s": 0.1, "close_s": 2.0,
}  # fmt: skip
SYMBOLS = ("BTCUSDT", "ETHUSDT")
STANDS_S = 0.05  # the longest time that a call may take from the session's loop


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What got no answer is asked for again sooner."""
    monkeypatch.setattr("tradewind.live.venue.sent_orders.FIRST_WAIT_S", 0.1)


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


@pytest.mark.parametrize(("coin", "fee", "whats"), [
    ("bought", 5.0, ["accepted", "fill", "fill", "whole"]), ("quote", 5.0, ["accepted", "fill", "fill"]),
    ("BNB", 5.0, ["accepted", "fill", "fill"]),
])  # fmt: skip
def test_a_market_order_and_its_fee_in_each_coin(folder: Path, coin: str, fee: float, whats: list[str]) -> None:
    """Bought for 5,000: a fee in the coin itself leaves fewer units; one in a third coin is valued at its price."""
    with an_account(folder, a_ledger(fee_coin=coin, parts=2)) as account:
        state = account.send("1-0-a", 0.1)
        account.ends("1-0-a", FILLED)
        account.until(lambda: len(account.told) == len(whats))
        assert account.whats("1-0-a") == whats
        fills = [one for one in account.told if one.what == "fill"]
        assert sum(one.fee for one in fills) == pytest.approx(fee)
        assert state.done == pytest.approx(0.0999 if coin == "bought" else 0.1)
        assert [one.reason for one in fills] == (["a fee of 0.005 BNB"] * 2 if coin == "BNB" else ["", ""])
        # What was paid is what is gone, to the cent (BNB at its price).
        spent = sum(one.units * one.price + one.fee for one in fills)
        ledger = account.server.ledger
        gone = ledger.before["USDT"] - ledger.balances["USDT"] + 500.0 * (1.0 - ledger.balances["BNB"])
        assert spent == pytest.approx(gone)
        account.check()


def test_a_fee_whose_price_is_not_known_is_said(folder: Path) -> None:
    ledger = a_ledger(fee_coin="BNB")
    with an_account(folder, ledger) as account:
        account.server.misbehave("dropped", "GET /api/v3/ticker/price")
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", FILLED)
        fill = next(one for one in account.told if one.what == "fill")
        assert fill.fee == 0.0 and "price is not known" in fill.reason


def test_a_resting_order_is_filled_in_parts_and_taken_back(folder: Path) -> None:
    with an_account(folder, a_ledger(fee_coin="quote")) as account:
        state = account.send("1-0-a", 0.1, "limit", 49_000.0)
        account.ends("1-0-a", WORKING)
        account.server.ledger.trade("BTCUSDT", 0.4)
        account.until(lambda: state.done)
        assert state.done == 0.04 and [one.is_maker for one in account.told if one.what == "fill"] == [True]
        account.server.ledger.trade("BTCUSDT", 0.5)  # fills just before the cancellation
        account.broker.cancel("1-0-a", 2)
        account.ends("1-0-a", CANCELLED)
        assert state.done == pytest.approx(0.07) and account.whats("1-0-a")[-1] == "cancelled"
        account.check()


@pytest.mark.parametrize("fault", ["lost_ack", "slow", "garbage", "503_done"])
def test_an_order_that_was_accepted_without_an_answer_is_found(folder: Path, fault: str) -> None:
    """Never sent again, never called dead; the symbol is frozen until the venue shows it."""
    with an_account(folder, a_ledger(fee_coin="quote")) as account:
        account.server.misbehave(fault, PLACE)
        account.send("1-0-a", 0.1)
        account.until(lambda: account.states["1-0-a"].status == UNKNOWN)
        account.ends("1-0-a", FILLED)
        assert account.whats("1-0-a") == ["unknown", "accepted", "fill"]
        assert account.server.asked.count(PLACE) == 1
        account.check()


@pytest.mark.parametrize("fault", ["dropped", "503"])
def test_an_order_that_never_arrived_is_dead_only_when_it_can_no_longer_come(folder: Path, fault: str) -> None:
    with an_account(folder) as account:
        account.server.misbehave(fault, PLACE)
        began = time.monotonic()
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", CANCELLED)
        assert time.monotonic() - began > 0.5, "recvWindow and the venue's own delay have passed"
        assert account.whats("1-0-a") == ["unknown", "missing"]
        assert account.server.asked.count(PLACE) == 1
        account.check()


def test_answers_to_questions_that_get_lost_change_nothing(folder: Path) -> None:
    with an_account(folder, a_ledger(fee_coin="quote")) as account:
        account.server.misbehave("lost_ack", PLACE)
        account.server.misbehave("dropped", FIND)
        account.server.misbehave("503", FIND, times=2)
        account.server.misbehave("garbage", "GET /api/v3/myTrades")
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", FILLED)
        account.send("1-1-a", -0.1, "limit", 51_000.0)
        account.ends("1-1-a", WORKING)
        account.server.misbehave("lost_ack", CANCEL)
        account.broker.cancel("1-1-a", 2)
        account.ends("1-1-a", CANCELLED)
        account.check()


def test_a_venue_that_asks_to_wait_is_waited_for(folder: Path) -> None:
    with an_account(folder, a_ledger(fee_coin="quote")) as account:
        account.server.misbehave("429", PLACE, retry_after="1")
        began = time.monotonic()
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", FILLED)
        assert time.monotonic() - began >= 1.0 and account.server.asked.count(PLACE) == 2
        account.check()


def test_an_order_is_not_sent_after_a_ban(folder: Path) -> None:
    """Two minutes are longer than a price is good for: refused now, and nothing more is asked meanwhile."""
    with an_account(folder) as account:
        account.server.misbehave("418", PLACE, retry_after="120")
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", REFUSED)
        assert "asks to wait for 120 s" in account.told[-1].reason
        before = len(account.server.asked)
        account.send("1-1-a", 0.1)
        account.ends("1-1-a", REFUSED)
        time.sleep(0.3)
        assert len(account.server.asked) == before and account.server.ledger.orders == []


@pytest.mark.parametrize(("units", "kind", "price", "code"), [
    (-5.0, "market", 50_000.0, "-2010 Account has insufficient balance"),
    (0.001, "limit", 100.0, "-1013 Filter failure: NOTIONAL"),
    (0.0015, "market", 50_000.0, "-1013 Filter failure: LOT_SIZE"),
    (0.1, "limit", 49_000.001, "-1013 Filter failure: PRICE_FILTER"),
])  # fmt: skip
def test_a_refusal_has_its_code(folder: Path, units: float, kind: str, price: float, code: str) -> None:
    with an_account(folder) as account:
        account.send("1-0-a", units, kind, price)
        account.ends("1-0-a", REFUSED)
        assert account.told[-1].reason.startswith(code) and account.server.asked.count(PLACE) == 1
        account.check()


def test_a_clock_that_was_set_is_measured_again(folder: Path) -> None:
    with an_account(folder, a_ledger(fee_coin="quote")) as account:
        account.server.offset_ms = 3_600_000
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", FILLED)
        assert account.server.asked.count(PLACE) == 2
        account.check()


def test_an_order_is_signed_as_of_its_record_in_the_ledger(folder: Path) -> None:
    """However long it waits for its turn, a frozen process included: the venue refuses it as too late."""
    with an_account(folder, a_ledger(fee_coin="quote")) as account:
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", FILLED)
        ledger = [one.body for one in read(folder / "venue.jsonl") if one.kind == "order"]
        assert account.server.signed[PLACE] == [ledger[0]["sent_ms"]]
        at = account.broker._orders.account
        late = {"client_id": "1-1-a", "symbol": "BTCUSDT", "units": 0.1, "price": 1.0, "kind": "market",
                "sent_ms": at.venue_ms() - 500}  # fmt: skip
        answer = at.place(late)
        assert (answer.outcome, answer.code) == ("refused", -1021) and len(account.server.ledger.orders) == 1


def test_the_same_id_is_sent_once(folder: Path) -> None:
    with an_account(folder, a_ledger(fee_coin="quote")) as account:
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", FILLED)
        account.broker.submit(
            {"client_id": "1-0-a", "symbol": "BTCUSDT", "units": 0.1, "price": 1.0, "kind": "market"}, 2
        )
        time.sleep(0.2)
        assert account.server.asked.count(PLACE) == 1
        account.server.misbehave("code", PLACE, code=-2010, words="Duplicate order sent.")
        account.send("1-1-a", 0.1)  # a duplicate says that one lives: no refusal
        account.until(lambda: "unknown" in account.whats("1-1-a"))


def test_the_halt_file_stops_what_waits_and_takes_back_what_rests_while_the_loop_stands(folder: Path) -> None:
    with an_account(folder, poll_s=30.0) as account:
        account.send("1-0-a", 0.1, "limit", 49_000.0)
        account.ends("1-0-a", WORKING)
        account.server.misbehave("429", PLACE, retry_after="1")
        account.send("1-1-a", 0.1)
        write_halt_file(folder, "drill")
        last = time.monotonic() + 4.0
        while any(one.is_open for one in account.server.ledger.orders) and time.monotonic() < last:
            time.sleep(0.01)  # the session's loop does nothing
        assert [one.status for one in account.server.ledger.orders] == ["CANCELED"]
        account.ends("1-1-a", REFUSED)
        assert account.told[-1].reason == "HALT file" or "HALT file" in {one.reason for one in account.told}


def test_what_rests_is_taken_back_when_the_loop_shows_no_sign_of_life(folder: Path) -> None:
    with an_account(folder, heartbeat_s=0.3) as account:
        account.send("1-0-a", 0.1, "limit", 49_000.0)
        account.ends("1-0-a", WORKING)
        for _ in range(10):
            account.broker.beat(1)
            time.sleep(0.05)
        account.until(lambda: True)
        assert account.states["1-0-a"].status == WORKING
        time.sleep(0.8)
        assert [one.status for one in account.server.ledger.orders] == ["CANCELED"]


def test_the_end_takes_back_what_rests_and_the_next_start_learns_it(folder: Path) -> None:
    with serve_orders(a_ledger(fee_coin="quote")) as server:
        opening = an_opening(server, folder)
        first = Account(open_broker(opening, folder / "venue.jsonl"), server)
        first.send("1-0-a", 0.1, "limit", 49_000.0)
        first.ends("1-0-a", WORKING)
        server.ledger.trade("BTCUSDT", 0.4)
        first.broker.close()
        assert [one.status for one in server.ledger.orders] == ["CANCELED"]
        again = open_broker(opening, folder / "venue.jsonl")
        state = first.states["1-0-a"]
        for report in again.history("1-0-a"):
            apply_report(state, report)
        assert state.status == CANCELLED and state.done == 0.04
        assert [one.what for one in again.history("9-9-none")] == ["missing"]
        standing = again.standing()
        assert standing.orders == () and standing.positions == {"BTCUSDT": 0.04}  # the 0.25 of before are not ours
        again.close()


def test_a_start_waits_for_proof_and_not_for_ever(folder: Path) -> None:
    with serve_orders(a_ledger()) as server:
        opening = an_opening(server, folder, start_s=0.5)
        first = Account(open_broker(opening, folder / "venue.jsonl"), server)
        server.misbehave("503", FIND, times=100)
        server.misbehave("lost_ack", PLACE)
        first.send("1-0-a", 0.1)
        first.until(lambda: first.states["1-0-a"].status == UNKNOWN)
        first.broker.close()
        again = open_broker(opening, folder / "venue.jsonl")
        with pytest.raises(TemporaryOutage, match="does not say what became of order 1-0-a"):
            again.history("1-0-a")
        server._faults.clear()
        assert [one.what for one in again.history("1-0-a")] == ["accepted", "fill", "whole"]
        again.close()


def test_a_position_that_was_changed_by_hand_is_told_once_it_is_sure(folder: Path) -> None:
    with an_account(folder, a_ledger(fee_coin="quote")) as account:
        account.send("1-0-a", 0.1)
        account.ends("1-0-a", FILLED)
        time.sleep(0.5)
        account.broker.beat(2)
        assert account.broker.differs() is None, "the fills are the position"
        account.server.ledger.balances["BTC"] -= 0.05
        last = time.monotonic() + 4.0
        while (found := account.broker.differs()) is None and time.monotonic() < last:
            account.until(lambda: True)
            time.sleep(0.01)
        assert found is not None and found.positions == {"BTCUSDT": 0.05}


def test_a_thread_that_ends_is_heard_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with an_account(folder) as account:

        def broken() -> float:
            raise RuntimeError(f"with {SECRET} in its text")

        monkeypatch.setattr(account.broker._orders, "look", broken)
        account.broker.beat(1)
        with pytest.raises(Exception, match="the thread of the orders ended") as caught:
            account.until(lambda: False)
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_process_whose_turn_is_over_sends_nothing(folder: Path) -> None:
    """A standby has taken over: the ledger says so before anything leaves, and this process ends."""
    fence = Fence(folder / "fence")
    turn = fence.claim(0, "start")
    assert turn is not None
    with serve_orders(a_ledger()) as server:
        account = Account(open_broker(an_opening(server, folder), folder / "venue.jsonl", turn), server)
        assert fence.claim(turn.epoch, "standby") is not None
        account.send("1-0-a", 0.1)
        with pytest.raises(Fenced):
            account.until(lambda: False)
        assert PLACE not in server.asked and server.ledger.orders == []
        account.broker.close()


def test_a_ledger_that_cannot_be_written_stops_before_anything_is_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_account(folder) as account:

        def full(journal: Any, content: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("tradewind.operations.journal.journal.Journal._write", full)
        account.send("1-0-a", 0.1)
        with pytest.raises(TradewindError, match="disk|space"):
            account.until(lambda: False)
        assert PLACE not in account.server.asked and account.server.ledger.orders == []


def test_no_key_is_ever_shown(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A canary secret: in no log, ledger, report, representation, message, traceback; also of keys that are refused."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with an_account(folder, a_ledger(fee_coin="BNB")) as account:
        for number, fault in enumerate(["", "lost_ack", "garbage", "503", "429", "slow"]):
            if fault:
                account.server.misbehave(fault, PLACE, retry_after="9" if fault == "429" else "")
            account.send(f"{number}-0-a", 0.001, "limit", 49_000.0)
            account.until(lambda name=f"{number}-0-a": account.whats(name))
        account.server.misbehave("code", FIND, code=-1100, words=f"echoes {KEY} and {SECRET}")
        time.sleep(0.3)
        account.until(lambda: True)
        said += [repr(account.broker), repr(account.broker._orders.account), repr(account.told), repr(KEYS)]
        said.append(repr(an_opening(account.server, folder)))
        for wrong in ({"api_key": SecretStr(KEY), "api_secret": SecretStr("other")},
                      {"api_key": SecretStr("other"), "api_secret": SecretStr(SECRET)}):  # fmt: skip
            opening = an_opening(account.server, folder)
            with pytest.raises(BadParameters, match="-2015|-1022") as caught:
                open_broker(Opening(opening.rules, Keys(**wrong), folder, opening.instruments, 1.0), folder / "x.jsonl")
            said += traceback.format_exception(caught.value)
    said += [caplog.text, *(one.read_text() for one in folder.rglob("*.jsonl"))]
    told = "\n".join(said)
    assert "1-0-a" in told and KEY not in told and SECRET not in told and "signature=" not in told


def test_what_an_answer_proves() -> None:
    assert classify(400, -2010, "Account has insufficient balance") == "refused"
    assert classify(401, -2015, "Invalid API-key") == "refused"
    assert {classify(status, 0, "") for status in (429, 418)} == {"busy"}
    unsure = [(0, 0, ""), (500, -1000, ""), (503, -1003, ""), (403, 0, "<html>"), (400, 0, "not JSON"), (200, 0, ""),
              (400, -1006, ""), (400, -1007, ""), (400, -1001, ""), (400, -2010, "Duplicate order sent."),
              (302, 0, "")]  # fmt: skip
    assert {classify(*one) for one in unsure} == {"unknown"}
    assert classify(400, -2013, "Order does not exist.") == classify(400, -2011, "Unknown order sent.") == "absent"
    assert classify(400, -2011, "Order was not canceled due to cancel restrictions.") == "refused"


def test_numbers_are_written_exactly() -> None:
    assert [exact(one) for one in (0.1 + 0.2, 1e-5, 50_000.0, 0.29, 1e-8, 123456.789)] == [
        "0.3", "0.00001", "50000", "0.29", "0.00000001", "123456.789"
    ]  # fmt: skip


def test_client_ids_fit_the_venue() -> None:
    """As `session.trading` makes them; 36 characters of a few kinds are allowed."""
    for number in (1, 10**9):
        assert CLIENT_ID.match(f"{number}-{10**4}-{'f' * 12}")


# No real money by accident


def test_real_money_is_said_twice() -> None:
    assert BrokerRules().network == "testnet" and BrokerRules().account == "binance_testnet"
    for wrong in ({"network": "live"}, {"real_money": True}):
        with pytest.raises(ValidationError, match="real_money: true"):
            BrokerRules(**wrong)
    for elsewhere in ("https://api.binance.com", "http://127.0.0.1.example.com", "http://localhost@example.com"):
        with pytest.raises(ValidationError, match="base_url"):  # the real venue under the name of the test network
            BrokerRules(base_url=elsewhere)
    both = BrokerRules(network="live", real_money=True)
    assert both.account == "binance_live" and mode_of(both).label == "LIVE" and "REAL MONEY" in mode_of(both).means
    assert mode_of(None).label == "PAPER" and mode_of(BrokerRules()).label == "TESTNET"
    assert mode_of_run({}) == MODES["paper"]  # of a run that was begun before there was a choice


def test_an_account_asks_one_host_alone() -> None:
    """The keys of the test network cannot reach the real one, whatever ccxt makes of its addresses."""
    for network, host in HOSTS.items():
        account = CcxtAccount(Access(network=network), KEYS, Timing())
        for api in ("public", "private"):
            assert re.match(rf"https://{re.escape(host)}/", account._exchange.urls["api"][api])
        account._exchange.urls["api"]["private"] = "https://example.com/api/v3"
        answer = account.balances()
        assert answer.outcome == "refused" and "a request to example.com was stopped" in answer.detail
        assert not account._session.was_sent
        account.close()
    assert {addresses(BrokerRules())[0], addresses(BrokerRules(network="live", real_money=True))[0]} == {
        f"https://{one}" for one in HOSTS.values()
    }  # prices and orders are of one network


def test_keys_are_those_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    given = {"binance_live": {"api_key": "a", "api_secret": "b"}}
    assert keys_of(BrokerRules(), given) is None and keys_of(None, given) is None
    found = keys_of(BrokerRules(network="live", real_money=True), given)
    assert found is not None and found.api_secret.get_secret_value() == "b"
    with pytest.raises(BadParameters, match="binance_testnet.*api_secret") as caught:
        keys_of(BrokerRules(), {"binance_testnet": {"api_key": SECRET}})
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "binance_testnet.json").write_text('{"api_key": "c", "api_secret": "d"}')
    found = keys_of(BrokerRules(), {"binance_testnet": {"api_key": "a", "api_secret": "b"}})
    assert found is not None and found.api_key.get_secret_value() == "c"
    (tmp_path / "binance_testnet.json").write_text(f"{SECRET} is no JSON")
    with pytest.raises(BadParameters, match="is not JSON") as caught:
        keys_of(BrokerRules(), {})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_account_that_does_not_fit_is_refused(folder: Path) -> None:
    with serve_orders(a_ledger()) as server:
        other = {"NONE": Instrument(symbol="NONE", tick_size=0.01, lot_size=0.001)}
        for changed, said in (
            ({"keys": None}, "needs the keys of binance_testnet"), ({"instruments": other}, "Invalid symbol"),
            ({"capital": 2e5}, "holds 100000 USDT, and trading.execution.capital is 200000"),
        ):  # fmt: skip
            opening = an_opening(server, folder)
            parts = {name: getattr(opening, name) for name in ("rules", "keys", "folder", "instruments", "capital")}
            with pytest.raises(BadParameters, match=said):
                open_broker(Opening(**(parts | changed)), folder / "venue.jsonl")
        assert server.ledger.orders == []
    for shared in (
        {"BTCUSDT": Assets("BTC", "USDT"), "BTCEUR": Assets("BTC", "EUR")},
        {"BTCUSDT": Assets("BTC", "USDT"), "ETHBTC": Assets("ETH", "BTC")},
    ):
        with pytest.raises(BadParameters, match="need a coin of their own and the same currency"):
            _require_own_coins(shared)
    with pytest.raises(BadParameters, match="a TESTNET account, and LIVE is configured"):
        require_same_mode({"broker": "testnet"}, MODES["live"], folder)
    with pytest.raises(BadParameters, match="a PAPER account, and TESTNET is configured"):
        require_same_mode({}, MODES["testnet"], folder)
    require_same_mode(None, MODES["live"], folder)
