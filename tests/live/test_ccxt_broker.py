"""The broker of ccxt itself: its ledger, halts, restarts, threads and keys, against a local server."""

import errno
import logging
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.live.broker_accounts import (
    FIND,
    KEYS,
    PLACE,
    Account,
    a_ledger,
    an_account,
    an_opening,
)
from tests.live.order_server import KEY, SECRET, serve_orders
from tradewind.data.sources.ccxt_account import Keys
from tradewind.errors import BadParameters, TemporaryOutage, TradewindError
from tradewind.live.orders.states import CANCELLED, FILLED, REFUSED, UNKNOWN, WORKING, apply_report
from tradewind.live.venue.ccxt_broker import Opening, open_broker
from tradewind.operations.journal.fence import Fence, Fenced
from tradewind.operations.journal.halt_file import write_halt_file
from tradewind.operations.journal.journal import read

pytestmark = pytest.mark.usefixtures("quick")


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
