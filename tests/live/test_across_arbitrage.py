"""Differences between two venues, traded: both legs, refusals, ends of the process, limits, and local servers."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.broker_accounts import PLACE, a_ledger, an_opening
from tests.live.order_server import OrderServer, serve_orders
from tradewind.data.feeds.binance import BinanceRest
from tradewind.data.feeds.book import LocalBook
from tradewind.errors import BadData, BadParameters
from tradewind.live.across.arbitrage import PairTrader
from tradewind.live.across.books import Look, Pair, market_of, polled
from tradewind.live.across.desk import Desk, run_across
from tradewind.live.across.orders import GatedOrders, Place
from tradewind.live.across.rules import ArbitrageRules
from tradewind.live.settings import PaperFills
from tradewind.live.venue.ccxt_broker import open_broker
from tradewind.live.venue.paper import PaperVenue
from tradewind.operations.journal.journal import read
from tradewind.trading.execution.arbitrage.legging import LegRules
from tradewind.trading.execution.costs import Costs
from tradewind.trading.risk.limits import Instrument, RiskLimits
from tradewind.trading.risk.states import ACTIVE, HALTED

PAIR = Pair("BTC", "USDT")
EAST, WEST = "east BTC/USDT", "west BTC/USDT"
RULES = ArbitrageRules(capital=100_000.0, latency_ms=100)
STEPS = Instrument(symbol="BTCUSDT", tick_size=0.01, lot_size=0.001, min_notional=5.0)
Levels = list[tuple[float, float]]


def a_book(middle: float, size: float = 1.0) -> tuple[Levels, Levels]:
    """Three levels a side, the best a dollar from the middle."""
    return [(middle - far, size) for far in (1.0, 2.0, 3.0)], [(middle + far, size) for far in (1.0, 2.0, 3.0)]


class Two:
    """Two paper venues and a trader over them, whose time the test moves on."""

    def __init__(self, folder: Path, rules: ArbitrageRules = RULES) -> None:
        self.folder, self.rules, self.now_ms = folder, rules, 1_000_000
        self.halted = False
        self.books = {"east": LocalBook(), "west": LocalBook()}
        self.open()

    def open(self) -> None:
        fills, costs = PaperFills(latency_ms=self.rules.latency_ms), self.rules.costs
        self.venues = {
            name: PaperVenue(self.folder / f"{name}.jsonl", fills, costs, {"BTCUSDT": STEPS}) for name in self.books
        }
        places = {
            f"{name} BTC/USDT": Place(venue, "BTCUSDT", STEPS.model_copy(update={"symbol": f"{name} BTC/USDT"}))
            for name, venue in self.venues.items()
        }
        rules = self.rules
        self.orders = GatedOrders(
            self.folder / "journal.jsonl", places, rules.limits, rules.capital, self.now_ms, lambda: self.halted
        )
        self.account = self.orders.account
        self.trader = PairTrader(self.orders, rules)

    def close(self) -> None:
        self.orders.close()
        for venue in self.venues.values():
            venue.close()

    def go(self, east: tuple[Levels, Levels], west: tuple[Levels, Levels], ms: int = 200) -> None:
        self.now_ms += ms
        for name, book in (("east", east), ("west", west)):
            self.books[name].replace(*book, self.now_ms)
            self.venues[name].on_book("BTCUSDT", self.books[name], self.now_ms)
        terms = (self.rules.costs.taker_fee_bps, 0.001, 0.0)
        self.orders.see([market_of(name, PAIR, book, terms, 0.0) for name, book in self.books.items()], self.now_ms)
        self.trader.step(self.now_ms)

    def kinds(self) -> list[str]:
        return [record.kind for record in read(self.folder / "journal.jsonl")]

    def units(self) -> dict[str, float]:
        return {name: units for name, units in self.account.money.units.items() if abs(units) > 1e-9}

    def check(self) -> None:
        """What the account says it holds is what the venues do, and every order was written down before it was sent."""
        for name, venue in self.venues.items():
            held = self.account.money.units.get(f"{name} BTC/USDT", 0.0)
            assert held == pytest.approx(venue.standing().positions.get("BTCUSDT", 0.0), abs=1e-9)


def with_limits(**limits: float) -> ArbitrageRules:
    return RULES.model_copy(update={"limits": RiskLimits(**({"max_data_age_s": 2.0, "orders_a_minute": 60} | limits))})


@contextmanager
def two(folder: Path, rules: ArbitrageRules = RULES) -> Iterator[Two]:
    pair = Two(folder, rules)
    try:
        yield pair
    finally:
        pair.close()


LOW, HIGH, SAME = a_book(30_000.0), a_book(30_090.0), a_book(30_045.0)  # 30 bps apart: 10 of fees, 3 of reserves
GONE: tuple[Levels, Levels] = ([(30_000.0, 1.0)], [(30_500.0, 1.0)])  # nobody sells near the price any more


def test_both_legs_are_filled_and_the_gain_is_what_the_ledgers_say(tmp_path: Path) -> None:
    with two(tmp_path) as pair:
        for _ in range(2):
            pair.go(LOW, HIGH)
        for _ in range(6):  # what was begun meanwhile finds nobody any more, and is taken back
            pair.go(SAME, SAME)
        bought = pair.units()[EAST]
        assert 0 < bought == -pair.units()[WEST] and pair.trader.intent is None
        found = pair.trader.summary()
        fees = bought * (30_001 + 30_089) * 5e-4
        assert found["gained"] == pytest.approx(bought * 88.0 - fees) and found["gained"] > 0
        assert bought <= RULES.legs.largest_quantity(30_001.0) and 0 < found["used_of_budget"] <= 1
        pair.check()
        kinds = pair.kinds()
        assert kinds.index("intent") < kinds.index("order") < kinds.index("fill") < kinds.index("end")


def test_where_no_difference_is_worth_its_costs_nothing_is_sent(tmp_path: Path) -> None:
    with two(tmp_path) as pair:
        for shift in range(20):
            pair.go(a_book(30_000.0 + shift), a_book(30_030.0 + shift))  # 10 bps apart, and both legs cost 10
        assert pair.kinds() == ["run_started"] and pair.units() == {}
        pair.go(([], []), HIGH)
        assert any("nothing on this side" in reason for reason in pair.trader.summary()["reasons"])


@pytest.mark.parametrize("hedges", [0, 1])
def test_a_leg_that_is_filled_alone_is_hedged_or_taken_back_within_the_budget(tmp_path: Path, hedges: int) -> None:
    rules = RULES.model_copy(update={"legs": LegRules(hedges=hedges)})
    with two(tmp_path, rules) as pair:
        pair.go(LOW, HIGH)
        gone = ([(30_000.0, 1.0)], HIGH[1])  # west's buyers have gone before the order arrives
        pair.go(LOW, gone)
        assert pair.units() == {EAST: pytest.approx(pair.units()[EAST])}  # alone
        for _ in range(12):
            pair.go(LOW, gone)
        purposes = [record.body["purpose"] for record in read(tmp_path / "journal.jsonl") if record.kind == "order"]
        assert purposes == ["open", "open", "hedge" if hedges else "unwind"]
        assert pair.trader.intent is None and sum(pair.units().values()) == pytest.approx(0.0, abs=1e-9)
        assert 0 < pair.trader.used <= rules.legs.budget
        pair.check()


class Ended(RuntimeError):
    """The process is gone."""


@pytest.mark.parametrize("at", ["before the second order", "after both", "before the unwinding"])
def test_a_process_that_ends_in_the_middle_leaves_nothing_alone_after_its_next_start(
    tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0
    rules = RULES.model_copy(update={"legs": LegRules(hedges=0)})
    gone = ([(30_000.0, 1.0)], HIGH[1])
    submit = PaperVenue.submit

    def dying(self: PaperVenue, order: Mapping[str, Any], now_ms: int) -> None:
        nonlocal sent
        sent += 1
        if sent == {"before the second order": 2, "after both": 99, "before the unwinding": 3}[at]:
            raise Ended
        submit(self, order, now_ms)

    monkeypatch.setattr(PaperVenue, "submit", dying)
    pair = Two(tmp_path, rules)
    try:
        for look in range(2 if at == "after both" else 12):
            pair.go(LOW, HIGH if look == 0 else gone)
    except Ended:
        assert at != "after both"
    pair.close()
    monkeypatch.undo()
    pair.open()
    assert pair.trader.intent is not None and "recovered" in pair.kinds()
    for _ in range(14):
        pair.go(LOW, gone)
    assert pair.trader.intent is None and sum(pair.units().values()) == pytest.approx(0.0, abs=1e-9)
    pair.check()
    equity = pair.account.equity
    pair.close()
    pair.open()  # once more: the account is what its journal says
    pair.go(LOW, gone)
    assert pair.account.equity == pytest.approx(equity)
    pair.close()


def test_a_halt_in_the_middle_stops_the_unwinding_with_an_alarm_until_a_person_resumes(tmp_path: Path) -> None:
    rules = RULES.model_copy(update={"legs": LegRules(hedges=0)})
    gone = ([(30_000.0, 1.0)], HIGH[1])
    with two(tmp_path, rules) as pair:
        pair.go(LOW, HIGH)
        pair.halted = True
        for _ in range(14):
            pair.go(LOW, gone)
        held = pair.units()
        assert pair.account.risk.mode == HALTED and held[EAST] > 0 and WEST not in held
        assert pair.trader.summary()["alarms"] > 0 and pair.trader.summary()["rejected"] > 0
        pair.check()
        with pytest.raises(BadParameters, match="HALT file is still"):
            pair.orders.resume("operator", "checked")
        pair.halted = False
        pair.close()
        pair.open()
        pair.go(LOW, gone)
        assert pair.account.risk.mode == HALTED and pair.units() == held  # it outlives the process
        pair.orders.resume("operator", "checked")
        for _ in range(6):
            pair.go(LOW, gone)
        assert pair.account.risk.mode == ACTIVE and pair.units() == {}


def test_an_intent_is_no_larger_than_what_the_gate_lets_through_of_both_legs(tmp_path: Path) -> None:
    with two(tmp_path, with_limits(max_order_value=1_000.0)) as pair:
        for _ in range(2):
            pair.go(LOW, HIGH)
        for _ in range(6):
            pair.go(SAME, SAME)
        assert "risk_rejected" not in pair.kinds() and pair.trader.summary()["gained"] > 0
        bought = pair.units()[EAST]
        assert bought == -pair.units()[WEST] and 900.0 < bought * 30_089 * 1.02 <= 1_000.0 * (1 + 1e-9) + 31
        pair.check()


@pytest.mark.parametrize(("limits", "why"), [
    ({"max_order_value": 20.0}, "max_value, 20 allowed"), ({"max_position": 0.0001}, "max_position, 10 allowed"),
    ({"orders_a_minute": 5}, "order_rate, 5 more this minute, and an intent may need 6"),
])  # fmt: skip
def test_an_intent_that_the_gate_would_not_let_end_is_not_begun(
    tmp_path: Path, limits: dict[str, float], why: str
) -> None:
    with two(tmp_path, with_limits(**limits)) as pair:
        for _ in range(3):
            pair.go(LOW, HIGH)
        assert pair.kinds() == ["run_started"] and why in pair.trader.summary()["reasons"][0]


@pytest.mark.parametrize(("limits", "code"), [
    ({"max_order_value": 20.0}, "max_value"), ({"max_position": 0.0001}, "max_position"),
    ({"orders_a_minute": 1}, "order_rate"),
])  # fmt: skip
def test_what_the_gate_refuses_is_written_down_and_leaves_nothing_alone(
    tmp_path: Path, limits: dict[str, float], code: str
) -> None:
    """The limits become narrower while an intent is under way: its hedge is refused, the leg is taken back."""
    gone = ([(30_000.0, 1.0)], HIGH[1])
    with two(tmp_path) as pair:
        pair.go(LOW, HIGH)
        pair.orders.limits = pair.orders.limits.model_copy(update=limits)
        for _ in range(8):
            pair.go(LOW, gone)
        for _ in range(330):  # a minute and more: the rate lets the unwinding pass again
            pair.go(SAME, SAME)
        refused = {one.body["code"] for one in read(tmp_path / "journal.jsonl") if one.kind == "risk_rejected"}
        assert code in refused and sum(pair.units().values()) == pytest.approx(0.0, abs=1e-9)
        assert pair.trader.intent is None
        pair.check()


def test_a_run_of_other_markets_and_a_budget_below_the_smallest_order_are_refused(tmp_path: Path) -> None:
    with two(tmp_path, RULES.model_copy(update={"legs": LegRules(budget=1.0)})) as pair:
        pair.go(LOW, HIGH)
        assert "the budget of 1 leaves 0 units" in pair.trader.summary()["reasons"][0] and pair.units() == {}
        places = dict(list(pair.orders.places.items())[:1])
        pair.orders.close()
        with pytest.raises(BadParameters, match="is of east BTC/USDT, west BTC/USDT: choose another"):
            GatedOrders(tmp_path / "journal.jsonl", places, RULES.limits, 1.0, 0)


def test_a_desk_trades_simulated_venues_the_same_way_each_time(tmp_path: Path) -> None:
    lines: list[str] = []
    found = [asyncio.run(run_across(Desk(RULES, tmp_path / name, PAIR, {}, 40.0), lines.append)) for name in ("a", "b")]
    used = [one.pop("used_of_budget") for one in found]  # by clock times, which are sums of floats
    assert used[0] == pytest.approx(used[1]) and 0 < used[0] <= 1
    assert found[0] == found[1] and found[0]["intents"] > 0 and found[0]["gained"] > 0 and found[0]["alarms"] == 0
    assert lines[0].startswith("PAPER account over east and west") and "intents of" in lines[1]
    calm = RULES.model_copy(update={"market": RULES.market.without_dislocations()})
    nothing = asyncio.run(run_across(Desk(calm, tmp_path / "c", PAIR, {}, 40.0), lines.append))
    assert nothing["intents"] == 0 and lines[-1].startswith("nothing to do: ")


# Two local servers that speak Binance's signed protocol


@contextmanager
def two_servers(folder: Path) -> Iterator[tuple[PairTrader, dict[str, OrderServer], Callable[[float], None]]]:
    """A trader over two servers, and how it is run for so many seconds; west pays 40 bps more."""
    with ExitStack() as stack:
        servers, places, books = {}, {}, {}
        for name, price in (("east", 50_000.0), ("west", 50_200.0)):
            ledger = a_ledger()
            ledger.prices["BTCUSDT"] = price
            servers[name] = stack.enter_context(serve_orders(ledger))
            opening = an_opening(servers[name], folder / name, answer_s=3.0, recv_window_ms=3000)
            broker = open_broker(opening, folder / f"{name}.jsonl")
            stack.callback(broker.close)
            instrument = Instrument(symbol=f"{name} BTC/USDT", tick_size=0.01, lot_size=0.001, min_notional=5.0)
            places[instrument.symbol] = Place(broker, "BTCUSDT", instrument)
            book = LocalBook()
            book.replace([(price - 1.0, 1.0)], [(price + 1.0, 1.0)], 0)
            books[name] = book
        rules = RULES.model_copy(update={"costs": Costs(taker_fee_bps=10.0), "capital": 50_000.0})
        now_ms = int(time.time() * 1000)
        orders = GatedOrders(folder / "journal.jsonl", places, rules.limits, rules.capital, now_ms)
        stack.callback(orders.close)
        trader = PairTrader(orders, rules)

        def run(seconds: float) -> None:
            last = time.monotonic() + seconds
            markets = [market_of(name, PAIR, book, (10.0, 0.001, 0.001), 0.0) for name, book in books.items()]
            while time.monotonic() < last and not (trader.counts["intents"] and trader.intent is None):
                now_ms = int(time.time() * 1000)
                orders.see(markets if not trader.counts["intents"] else [markets[0]] * 2, now_ms)
                trader.orders.account.seen_ms |= dict.fromkeys(places, now_ms)  # west's book shows no gain any more
                trader.step(now_ms)
                time.sleep(0.01)

        yield trader, servers, run


@pytest.mark.parametrize(
    "fault", ["", pytest.param("refused", marks=pytest.mark.depth), pytest.param("lost_ack", marks=pytest.mark.depth)]
)
def test_two_local_servers_are_two_venues(tmp_path: Path, fault: str) -> None:
    with two_servers(tmp_path) as (trader, servers, run):
        if fault == "refused":
            servers["west"].misbehave("code", PLACE, times=2, code=-2010, words="Account has insufficient balance.")
        elif fault:
            servers["west"].misbehave(fault, PLACE)
        run(8.0)
        assert trader.intent is None and trader.counts["intents"] == 1
        held = {name: server.ledger.positions().get("BTCUSDT", 0.0) for name, server in servers.items()}
        assert sum(held.values()) == pytest.approx(0.0, abs=0.001)  # but for fees that are taken in the coin
        assert (held["east"] == pytest.approx(0.0, abs=0.001)) == (fault == "refused")
        for name, units in held.items():
            assert trader.orders.account.money.units.get(f"{name} BTC/USDT", 0.0) == pytest.approx(units, abs=1e-8)
        purposes = [record.body["purpose"] for record in read(tmp_path / "journal.jsonl") if record.kind == "order"]
        assert purposes[:2] == ["open", "open"]
        assert purposes[2:] == (["hedge", "unwind"] if fault == "refused" else [])
        assert trader.used <= trader.rules.legs.budget


def test_a_venue_that_does_not_trade_the_pair_is_refused(tmp_path: Path) -> None:
    with serve_orders(a_ledger()) as one, serve_orders(a_ledger()) as other:
        desk = Desk(RULES, tmp_path, Pair("DOGE", "USDT"), {"east": one.url, "west": other.url}, 1.0)
        with pytest.raises(BadData, match=r"DOGEUSDT|Invalid symbol"):
            asyncio.run(run_across(desk, lambda line: None))


def test_a_venue_that_does_not_answer_is_missing_from_a_look_and_no_book_is_made_up() -> None:
    asked: list[str] = []

    def rest(name: str, status: Callable[[int], int]) -> BinanceRest:
        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(str(request.url))
            told = {"bids": [["100.0", "1.0"]], "asks": [["101.0", "2.0"]]}
            return httpx.Response(status(len([one for one in asked if name in one])), json=told)

        made = BinanceRest(f"http://{name}")
        made._client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=f"http://{name}")
        return made

    async def looks() -> list[Look]:
        venues = {
            "east": rest("east", lambda count: 200),
            "west": rest("west", lambda count: 400 if count == 1 else 200),
        }
        rules = RULES.model_copy(update={"every_s": 0.001})
        found = []
        async with aclosing(polled(venues, PAIR, rules, lambda: 7)) as each:
            async for look in each:
                found.append(look)
                if len(found) == 2:
                    break
        return found

    first, second = asyncio.run(looks())
    assert set(first.books) == {"east"} and set(second.books) == {"east", "west"} and second.now_ms == 7
    assert second.books["west"] == ([(100.0, 1.0)], [(101.0, 2.0)]) and "symbol=BTCUSDT" in asked[0]
