"""Orders through the broker of ccxt against a local server: what becomes of each fault and refusal."""

import time
from pathlib import Path

import pytest

from tests.live.broker_accounts import CANCEL, FIND, PLACE, a_ledger, an_account
from tradewind.live.orders.states import CANCELLED, FILLED, REFUSED, UNKNOWN, WORKING

pytestmark = pytest.mark.usefixtures("quick")


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
