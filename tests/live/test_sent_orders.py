"""Orders at a venue, one answer at a time and without a thread: what each proves, and what is told of it."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tradewind.data.sources.order_answers import CLOCK, Answer, Assets, VenueOrder, VenueTrade
from tradewind.data.sources.timing import Timing
from tradewind.errors import BadParameters, TemporaryOutage
from tradewind.live.orders.states import Report
from tradewind.live.settings import BrokerRules
from tradewind.live.venue.ccxt_broker import _balances, _require_own_coins
from tradewind.live.venue.order_ledger import OrderLedger
from tradewind.live.venue.order_recovery import VenueOrders
from tradewind.live.venue.sent_orders import Terms
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.limits import Instrument

SYMBOLS = {"BTCUSDT": Assets("BTC", "USDT")}
RULES = BrokerRules(recv_window_ms=5000, settle_s=2.0, send_within_s=10.0, poll_s=1.0, heartbeat_s=30.0)
BODY = {"client_id": "1-0-a", "symbol": "BTCUSDT", "units": 1.0, "price": 100.0, "kind": "limit"}
UNKNOWN, ABSENT = Answer("unknown"), Answer("absent")


@dataclass
class Scripted:
    """An account that answers as it is told to; what is asked beside the script is not known there."""

    folder: Path
    script: dict[str, list[Answer]] = field(default_factory=dict)
    now_s: float = 1000.0
    asked: list[str] = field(default_factory=list)
    in_the_ledger: list[int] = field(default_factory=list)
    held: dict[str, float] = field(default_factory=lambda: {"BTC": 2.0, "USDT": 1000.0})

    def _answer(self, what: str, otherwise: Answer = ABSENT) -> Answer:
        self.asked.append(what)
        waiting = self.script.get(what, [])
        return waiting.pop(0) if waiting else otherwise

    def resync(self) -> Answer:
        return self._answer("resync", Answer("accepted", 0))

    def venue_ms(self) -> int:
        return int(self.now_s * 1000)

    def place(self, order: Mapping[str, Any]) -> Answer:
        self.in_the_ledger.append(sum(one.kind in ("order", "again") for one in read(self.folder / "venue.jsonl")))
        return self._answer("place")

    def cancel(self, symbol: str, client_id: str) -> Answer:
        return self._answer("cancel")

    def find(self, symbol: str, client_id: str) -> Answer:
        return self._answer("find")

    def trades(self, symbol: str, venue_id: str) -> Answer:
        return self._answer("trades", Answer("accepted", []))

    def open_orders(self, symbol: str) -> Answer:
        return self._answer("open_orders", Answer("accepted", []))

    def balances(self) -> Answer:
        return self._answer("balances", Answer("accepted", dict(self.held)))

    def price(self, symbol: str) -> Answer:
        return self._answer("price", Answer("accepted", 500.0))

    def close(self) -> None:
        """Nothing."""


@dataclass
class Desk:
    """Orders with their account, and what was told."""

    account: Scripted
    orders: VenueOrders
    told: list[Report]
    halted: list[bool]

    def send(self, **changed: Any) -> bool:
        return self.orders.send(BODY | changed, self.account.now_s)

    def look(self, seconds: float = 0.0) -> float:
        self.account.now_s += seconds
        self.orders.heard = max(self.orders.heard, self.account.now_s if seconds < 20 else 0.0)
        return self.orders.look()

    def whats(self) -> list[str]:
        return [one.what for one in self.told]


def desk_of(folder: Path, network: str = "testnet", **script: list[Answer]) -> Desk:
    account, told, halted = Scripted(folder, dict(script)), list[Report](), [False]
    timing = Timing(lambda _: None, lambda: account.now_s, lambda: datetime.fromtimestamp(account.now_s, UTC))
    instruments = {"BTCUSDT": Instrument(symbol="BTCUSDT", tick_size=0.01, lot_size=0.001)}
    terms = Terms(RULES, SYMBOLS, instruments, timing, lambda: halted[0])
    orders = VenueOrders(account, OrderLedger(folder / "venue.jsonl", network, timing), terms, told.extend)
    if orders.ledger.baseline is None:
        orders.begin(account.held)
    return Desk(account, orders, told, halted)


def shown(status: str = "NEW", done: float = 0.0, trades: tuple[VenueTrade, ...] = ()) -> Answer:
    return Answer("accepted", VenueOrder("1-0-a", "77", "BTCUSDT", status, 1.0, done, 100.0, "limit", trades))


def trade(number: int, units: float, fee: float = 0.0, coin: str = "USDT") -> VenueTrade:
    return VenueTrade(str(number), units, 100.0, fee, coin, True)


def test_an_order_is_in_the_ledger_before_it_is_sent(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, place=[shown()])
    assert desk.send() and desk.whats() == ["accepted"]
    assert desk.account.in_the_ledger == [1]


def test_an_order_without_an_answer_is_neither_sent_again_nor_dead(tmp_path: Path) -> None:
    """Unknown to the venue: missing only when what was on its way would be refused as too late (7 s), and no sooner."""
    desk = desk_of(tmp_path, place=[UNKNOWN])
    assert desk.send() and desk.whats() == ["unknown"]
    assert desk.send(), "handed over again it is known already"
    while desk.account.now_s <= 1007.0:
        assert desk.whats() == ["unknown"]
        desk.look(0.5)
    for _ in range(8):
        desk.look(1.0)
    assert desk.whats() == ["unknown", "missing"]
    assert desk.account.asked.count("place") == 1


@pytest.mark.parametrize(("passed_s", "is_gone"), [(5.1, False), (7.0, False), (7.002, True)])
def test_an_order_may_still_come_until_window_and_the_venues_own_delay_have_passed(
    tmp_path: Path, passed_s: float, is_gone: bool
) -> None:
    desk = desk_of(tmp_path, place=[UNKNOWN])
    desk.send()
    desk.look(passed_s)  # the first question after its end
    assert desk.whats() == (["unknown", "missing"] if is_gone else ["unknown"])


def test_an_order_that_the_venue_has_shown_is_never_missing(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, place=[shown()])
    desk.send()
    for _ in range(30):
        desk.look(5.0)
    assert desk.whats() == ["accepted"]
    desk.account.script["find"] = [shown("CANCELED")]
    for _ in range(40):
        desk.look(1.0)
    assert desk.whats() == ["accepted", "cancelled"]


def test_questions_without_an_answer_are_asked_ever_more_seldom(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, place=[shown()], find=[UNKNOWN] * 100)
    desk.send()
    moments = []
    for _ in range(4000):
        before = desk.account.asked.count("find")
        desk.look(0.05)
        if desk.account.asked.count("find") > before:
            moments.append(desk.account.now_s)
    waits = [second - first for first, second in itertools.pairwise(moments)]
    assert waits[:6] == pytest.approx([0.5, 1, 2, 4, 8, 16], abs=0.1) and max(waits) == pytest.approx(30, abs=0.1)


def test_nothing_is_sent_under_a_halt_file_and_nothing_that_is_old(tmp_path: Path) -> None:
    desk = desk_of(tmp_path)
    desk.halted[0] = True
    desk.send()
    desk.halted[0] = False
    desk.account.now_s += 60.0
    desk.orders.send(BODY | {"client_id": "old"}, desk.account.now_s - RULES.send_within_s - 0.001)
    desk.orders.unwanted.add("taken")
    desk.send(client_id="taken")
    assert [(one.what, one.reason) for one in desk.told] == [
        ("refused", "HALT file"), ("refused", "not sent within 10 s"), ("cancelled", "taken back before it was sent"),
    ]  # fmt: skip
    assert "place" not in desk.account.asked
    desk.account.script["place"] = [shown()]
    assert desk.orders.send(BODY | {"client_id": "young"}, desk.account.now_s - RULES.send_within_s)
    assert desk.whats()[-1] == "accepted"


@pytest.mark.parametrize("why", ["halt", "silence"])
def test_what_rests_is_taken_back_under_a_halt_and_when_the_session_is_silent(tmp_path: Path, why: str) -> None:
    desk = desk_of(tmp_path, place=[shown()], find=[shown()] * 99, cancel=[shown("CANCELED")])
    desk.send()
    for _ in range(28):
        desk.look(1.0)
    assert "cancel" not in desk.account.asked
    desk.halted[0] = why == "halt"
    for _ in range(4):
        desk.account.now_s += 1.0 if why == "halt" else RULES.heartbeat_s / 2
        desk.orders.look()
    assert desk.whats() == ["accepted", "cancelled"]


def test_an_order_ends_when_its_trades_are_told_each_once(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, place=[shown()])
    desk.send()
    both = [trade(1, 0.4), trade(2, 0.6)]
    desk.account.script["find"] = [shown("PARTIALLY_FILLED", 0.4), shown("FILLED", 1.0), shown("FILLED", 1.0)]
    desk.account.script["trades"] = [
        Answer("accepted", both[:1]), Answer("accepted", both[:1] * 2), Answer("accepted", [both[1], *both])
    ]  # fmt: skip
    desk.look(1.0)
    assert desk.whats() == ["accepted", "fill"]
    desk.look(1.0)
    assert desk.orders.ledger.orders["1-0-a"].has_ended is False, "a trade of it is still to be told"
    desk.look(1.0)
    assert [one.units for one in desk.told if one.what == "fill"] == [0.4, 0.6]
    assert desk.orders.ledger.orders["1-0-a"].has_ended and desk.orders.ledger.positions == {"BTCUSDT": 1.0}
    assert desk.whats() == ["accepted", "fill", "fill"]


@pytest.mark.parametrize(
    ("coin", "fee", "units", "money"), [("USDT", 0.3, 1.0, 0.3), ("BTC", 0.002, 0.998, 0.2), ("BNB", 0.002, 1.0, 1.0)]
)
def test_a_fee_is_money_in_whatever_coin_it_is_paid(
    tmp_path: Path, coin: str, fee: float, units: float, money: float
) -> None:
    desk = desk_of(tmp_path, place=[shown("FILLED", 1.0, (trade(1, 1.0, fee, coin),))])
    desk.send()
    fill = next(one for one in desk.told if one.what == "fill")
    assert (fill.units, fill.fee) == pytest.approx((units, money))
    assert desk.whats()[-1] == ("whole" if coin == "BTC" else "fill")


def test_the_venues_wait_is_kept_by_all(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, place=[Answer("busy", wait_s=5.0), shown()])
    assert desk.send() is False
    begun = len(desk.account.asked)
    for _ in range(4):
        desk.account.now_s += 1.0
        assert desk.orders.send(BODY, 1000.0) is False
        desk.orders.look()
    assert len(desk.account.asked) == begun, "nothing at all is asked meanwhile"
    desk.account.now_s += 1.5
    assert desk.orders.send(BODY, 1000.0) and desk.whats() == ["accepted"]
    assert desk.account.in_the_ledger == [1, 2]


def test_a_shorter_wait_does_not_end_a_longer_one(tmp_path: Path) -> None:
    desk = desk_of(tmp_path)
    desk.orders._hold(Answer("busy", wait_s=20.0))
    desk.orders._hold(Answer("busy", wait_s=2.0))
    assert desk.orders._held_until == pytest.approx(1020.0)


def test_a_clock_that_is_off_is_measured_once_and_the_order_sent_again(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, place=[Answer("refused", code=CLOCK), Answer("refused", code=CLOCK, detail="off")])
    assert desk.send() is False and desk.account.asked == ["place", "resync"]
    assert desk.send() and [(one.what, one.reason) for one in desk.told] == [("refused", "off")]


def test_a_restart_goes_on_with_what_was_filled_and_tells_nothing_twice(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, place=[shown("PARTIALLY_FILLED", 0.4, (trade(1, 0.4, 0.001, "BTC"),))])
    desk.send()
    desk.orders.close()
    again = desk_of(tmp_path)
    order = again.orders.ledger.orders["1-0-a"]
    assert (order.gross, order.net, order.trades) == (pytest.approx(0.4), pytest.approx(0.399), {"1"})
    assert again.orders.ledger.positions == {"BTCUSDT": pytest.approx(0.399)}
    before = len(list(read(tmp_path / "venue.jsonl")))
    for report in [one for one in desk.told if one.what == "fill"]:
        again.orders.ledger.record(report, 0.4)
    assert again.orders.ledger.positions == {"BTCUSDT": pytest.approx(0.399)}
    assert len(list(read(tmp_path / "venue.jsonl"))) == before
    again.account.script["find"] = [shown("FILLED", 1.0, (trade(1, 0.4, 0.001, "BTC"), trade(2, 0.6)))]
    again.look(1.0)
    assert [one.units for one in again.told if one.what == "fill"] == [0.6]
    again.orders.close()
    with pytest.raises(BadParameters, match="begun at testnet, and live is configured: start with --new-run"):
        desk_of(tmp_path, "live")


def test_what_the_account_held_before_is_not_the_runs(tmp_path: Path) -> None:
    desk = desk_of(tmp_path)
    assert desk.orders.standing().positions == {}
    desk.account.held["BTC"] = 2.5
    assert desk.orders.standing().positions == {"BTCUSDT": 0.5}


@pytest.mark.parametrize("assets", [("BTC", "BTC"), ("BTC", "USDT"), ("USDT", "ETH")])
def test_symbols_of_one_account_have_coins_of_their_own(assets: tuple[str, str]) -> None:
    """Positions are read from balances: what two symbols share belongs to neither, whatever they are priced in."""
    shared = {f"S{at}": Assets(base, "USDT") for at, base in enumerate(assets)}
    with pytest.raises(BadParameters, match="need a coin of their own and the same currency"):
        _require_own_coins(shared)
    with pytest.raises(BadParameters, match="are in EUR, USDT"):
        _require_own_coins({"A": Assets("BTC", "USDT"), "B": Assets("ETH", "EUR")})
    _require_own_coins({"A": Assets("BTC", "USDT"), "B": Assets("ETH", "USDT")})


def test_a_run_begins_with_no_more_than_the_account_holds(tmp_path: Path) -> None:
    account = Scripted(tmp_path)
    assert _balances(account, SYMBOLS, 1000.0) == {"BTC": 2.0, "USDT": 1000.0}  # type: ignore[arg-type]
    with pytest.raises(BadParameters, match="the account holds 1000 USDT, and trading.execution.capital is 1000.01"):
        _balances(account, SYMBOLS, 1000.01)  # type: ignore[arg-type]
    account.script["balances"] = [UNKNOWN, Answer("refused", detail="no")]
    with pytest.raises(TemporaryOutage):
        _balances(account, SYMBOLS, 1.0)  # type: ignore[arg-type]
    with pytest.raises(BadParameters, match="refuses to say what the account holds: no"):
        _balances(account, SYMBOLS, 1.0)  # type: ignore[arg-type]
