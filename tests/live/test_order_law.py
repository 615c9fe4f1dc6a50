"""Law of orders at a real venue: over any schedule of lost answers, late arrivals, duplicates, kills and restarts there
is one venue order an id at most, and the position is the sum of the fills."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.depth import deep
from tests.live.venue_ledger import Refusal, VenueLedger
from tradewind.data.sources.order_answers import CLOCK, Answer, Assets, VenueOrder, VenueTrade
from tradewind.data.sources.timing import Timing
from tradewind.live.orders.states import CANCELLED, REFUSED, OrderState, Report, apply_report
from tradewind.live.settings import BrokerRules
from tradewind.live.venue.order_ledger import OrderLedger, SentOrder
from tradewind.live.venue.order_recovery import VenueOrders
from tradewind.live.venue.sent_orders import Terms
from tradewind.trading.risk.limits import Instrument

SYMBOLS = {"BTCUSDT": Assets("BTC", "USDT"), "ETHUSDT": Assets("ETH", "USDT")}
PRICES = {"BTCUSDT": 100.0, "ETHUSDT": 50.0, "BNBUSDT": 500.0}
RULES = BrokerRules(recv_window_ms=5000, settle_s=2.0, send_within_s=10.0, poll_s=1.0, start_s=120.0)
LONGEST_LAG_S = 1.5  # until the venue shows what it has accepted; less than `settle_s`


class Killed(BaseException):
    """The process ends here, as by kill -9."""


@dataclass
class Weather:
    """A clock that only waits move, and what goes wrong at the venue by chance; nothing once it is calm."""

    rng: np.random.Generator
    now_s: float = 1_700_000_000.0
    is_calm: bool = False
    arrivals: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def timing(self) -> Timing:
        return Timing(self.wait, lambda: self.now_s, lambda: datetime.fromtimestamp(self.now_s, UTC), self.rng)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        due = [one for one in self.arrivals if one[0] <= self.now_s]
        self.arrivals = [one for one in self.arrivals if one[0] > self.now_s]
        for _, arrive in sorted(due, key=lambda one: one[0]):
            arrive()

    def strikes(self, chance: float) -> bool:
        return not self.is_calm and bool(self.rng.random() < chance)

    def maybe_kill(self) -> None:
        if self.strikes(0.01):
            raise Killed


@dataclass
class StormyAccount:
    """An account whose requests and answers get lost, late, doubled and reordered."""

    ledger: VenueLedger
    weather: Weather
    hidden: dict[str, float] = field(default_factory=dict)  # client id to when the venue shows it
    offset_ms: int = 0  # of this machine's clock, since the venue's was measured

    def resync(self) -> Answer:
        if self.weather.strikes(0.1):
            return Answer("unknown")
        self.offset_ms = 0
        return Answer("accepted", 0)

    def venue_ms(self) -> int:
        return self.real_ms + self.offset_ms

    @property
    def real_ms(self) -> int:
        return int(self.weather.now_s * 1000)

    def _is_off(self, signed_ms: int) -> bool:
        return not -1000 < self.real_ms - signed_ms <= RULES.recv_window_ms

    def place(self, order: Mapping[str, Any]) -> Answer:
        weather = self.weather
        weather.wait(0.05)
        weather.maybe_kill()
        if weather.strikes(0.08):
            return Answer("busy", wait_s=float(weather.rng.choice([1.0, 3.0, 60.0])))
        if weather.strikes(0.05):
            return Answer("unknown", detail="503, not done")
        if weather.strikes(0.08):  # on its way when we have given up
            delay_s, sent_ms = float(weather.rng.uniform(0, 9)), int(order["sent_ms"])
            weather.arrivals.append((weather.now_s + delay_s, lambda: self._arrive(order, sent_ms)))
            return Answer("unknown", detail="timeout")
        if self._is_off(order["sent_ms"]):
            return Answer("refused", None, CLOCK, "outside of the recvWindow")
        try:
            placed = self._accept(order)
        except Refusal as error:
            return Answer("refused", None, error.code, error.words)
        weather.maybe_kill()
        if weather.strikes(0.15):
            self.hidden[placed.client_id] = weather.now_s + float(weather.rng.uniform(0, LONGEST_LAG_S))
            return Answer("unknown", detail="the answer was lost")
        return Answer("accepted", shown(placed, with_trades=not weather.strikes(0.3)))

    def _accept(self, order: Mapping[str, Any]) -> Any:
        side = 1.0 if order["units"] > 0 else -1.0
        size, price = round(abs(order["units"]), 10), order["price"]
        return self.ledger.place(order["symbol"], side, order["kind"], size, price, order["client_id"])

    def _arrive(self, order: Mapping[str, Any], sent_ms: int) -> None:
        """Late: the venue refuses what was signed longer ago than recvWindow."""
        if not self._is_off(sent_ms):
            with suppress(Refusal):
                self._accept(order)

    def cancel(self, symbol: str, client_id: str) -> Answer:
        self.weather.maybe_kill()
        if self._is_off(self.venue_ms()):
            return Answer("refused", None, CLOCK)
        if self.weather.strikes(0.1):
            return Answer("unknown")
        try:
            placed = self.ledger.cancel(symbol, client_id)
        except Refusal as error:
            return Answer("absent", None, error.code, error.words)
        return Answer("unknown") if self.weather.strikes(0.2) else Answer("accepted", shown(placed))

    def find(self, symbol: str, client_id: str) -> Answer:
        self.weather.maybe_kill()
        if self._is_off(self.venue_ms()):
            return Answer("refused", None, CLOCK)
        if self.weather.strikes(0.03):  # this machine's clock is set while the answer is on its way
            self.offset_ms = int(self.weather.rng.choice([-30_000, 30_000]))
        if self.weather.strikes(0.1):
            return Answer(str(self.weather.rng.choice(["unknown", "busy"])), wait_s=2.0)  # type: ignore[arg-type]
        try:
            placed = self.ledger.find(symbol, client_id)
        except Refusal as error:
            return Answer("absent", None, error.code, error.words)
        if self.weather.now_s < self.hidden.get(client_id, 0.0):
            return Answer("absent", None, -2013, "not shown yet")
        return Answer("accepted", shown(placed))

    def trades(self, symbol: str, venue_id: str) -> Answer:
        if self.weather.strikes(0.1):
            return Answer("unknown")
        rows = [one for order in self.ledger.orders if order.number == int(venue_id) for one in order.trades]
        told = [trade_of(one) for one in rows]
        if told and self.weather.strikes(0.2):
            told.append(told[0])  # told twice
        if self.weather.strikes(0.3):
            told = told[::-1]
        if told and self.weather.strikes(0.2):
            told.pop()  # the last one comes later
        return Answer("accepted", told)

    def open_orders(self, symbol: str) -> Answer:
        return Answer("accepted", [one.client_id for one in self.ledger.orders if one.is_open and one.symbol == symbol])

    def balances(self) -> Answer:
        if self._is_off(self.venue_ms()):
            return Answer("refused", None, CLOCK)
        return Answer("unknown") if self.weather.strikes(0.1) else Answer("accepted", dict(self.ledger.balances))

    def price(self, symbol: str) -> Answer:
        return Answer("unknown") if self.weather.strikes(0.2) else Answer("accepted", PRICES[symbol])

    def close(self) -> None:
        """Nothing."""


def trade_of(one: Mapping[str, Any]) -> VenueTrade:
    side = 1.0 if one["isBuyer"] else -1.0
    return VenueTrade(str(one["id"]), side * float(one["qty"]), float(one["price"]), float(one["commission"]),
                      one["commissionAsset"], one["isMaker"])  # fmt: skip


def shown(one: Any, with_trades: bool = False) -> VenueOrder:
    trades = tuple(trade_of(row) for row in one.trades) if with_trades else ()
    return VenueOrder(
        one.client_id, str(one.number), one.symbol, one.status, one.side * one.quantity, one.side * one.done, one.price,
        one.kind, trades,
    )  # fmt: skip


@dataclass
class Run:
    """A session's orders and the venue's, through one schedule."""

    folder: Path
    rng: np.random.Generator
    fault: type[VenueOrders] = VenueOrders

    def __post_init__(self) -> None:
        coin = str(self.rng.choice(["bought", "quote", "BNB"]))
        self.venue = VenueLedger(
            PRICES, {"USDT": 10_000.0, "BTC": 3.0, "BNB": 5.0}, fee_coin=coin, parts=int(self.rng.integers(1, 4)),
            fills_share=float(self.rng.choice([1.0, 0.6])),
        )  # fmt: skip
        self.weather = Weather(self.rng)
        self.states: dict[str, OrderState] = {}  # what the session's journal has
        self.told: list[Report] = []
        self.kills = 0
        self.orders = self._opened()

    def _opened(self) -> VenueOrders:
        instruments = {name: Instrument(symbol=name, tick_size=0.01, lot_size=0.001) for name in SYMBOLS}
        terms = Terms(RULES, SYMBOLS, instruments, self.weather.timing(), lambda: False)
        account = StormyAccount(self.venue, self.weather)
        ledger = OrderLedger(self.folder / "venue.jsonl", RULES.network, terms.timing)
        orders = self.fault(account, ledger, terms, self.told.extend)
        if ledger.baseline is None:
            orders.begin(self.venue.balances)
        return orders

    def restart(self) -> None:
        """Killed: what was told and not taken over is lost; then a start is a recovery, which may be killed, too."""
        self.orders.close()
        self.told.clear()
        self.kills += 1
        try:
            self.orders = self._opened()
            for state in list(self.states.values()):
                if state.is_open:
                    for report in self.orders.history(state.client_id):
                        apply_report(state, report)
            standing = self.orders.standing()
            self.take_over()
            held = Counter[str]()
            for state in self.states.values():
                held[state.symbol] += state.done
            for symbol in SYMBOLS:
                assert standing.positions.get(symbol, 0.0) == pytest.approx(held[symbol], abs=1e-6), "at a start"
            for state in self.states.values():
                assert not state.is_open or state.client_id in standing.orders
        except Killed:
            self.restart()

    def take_over(self) -> None:
        for report in self.told:
            apply_report(self.states[report.client_id], report)
        self.told.clear()

    def step(self, number: int) -> None:
        """One thing that happens."""
        rng = self.rng
        kind = rng.choice(["send", "cancel", "look", "take", "trade", "wait", "kill"],
                          p=[0.2, 0.1, 0.25, 0.15, 0.15, 0.12, 0.03])  # fmt: skip
        if kind == "send":
            symbol, side = str(rng.choice(list(SYMBOLS))), float(rng.choice([1.0, 1.0, -1.0]))
            is_limit = bool(rng.random() < 0.5)
            price = round(PRICES[symbol] * (1 - 0.05 * side), 2) if is_limit else PRICES[symbol]
            units = side * round(int(rng.integers(100, 900)) * 0.001, 3)
            body = {"client_id": f"{number}-0-law", "symbol": symbol, "units": units, "price": price,
                    "kind": "limit" if is_limit else "market"}  # fmt: skip
            self.states[body["client_id"]] = OrderState(**body, purpose="", decided=price, sent_ms=0)
            queued_s = self.weather.now_s
            while not self.orders.send(body, queued_s):
                self.weather.wait(0.5)
        elif kind == "cancel":
            living = [name for name, one in self.states.items() if one.is_open]
            if living:
                self.orders.unwanted.add(str(rng.choice(living)))
        elif kind == "take":
            self.take_over()
        elif kind == "trade":
            self.venue.trade(str(rng.choice(list(SYMBOLS))), float(rng.choice([0.3, 1.0])))
        elif kind == "kill":
            raise Killed
        self.look(float(rng.uniform(0, 2)))

    def look(self, seconds: float) -> None:
        self.orders.heard = self.weather.now_s
        last = self.weather.now_s + seconds
        while self.weather.now_s < last:
            self.weather.wait(max(self.orders.look(), 0.05))

    def finish(self) -> None:
        """The weather calms down; everything that lives is taken back or filled."""
        self.weather.is_calm = True
        self.orders.unwanted.update(self.states)
        for _ in range(400):
            self.look(5.0)
            self.take_over()
            if not any(one.is_open for one in self.states.values()):
                break

    def problems(self) -> list[str]:
        """What the law forbids."""
        found = []
        there = Counter(one.client_id for one in self.venue.orders)
        found += [f"{number} venue orders of {name}" for name, number in there.items() if number > 1]
        found += [f"{name} is {one.status} for ever" for name, one in self.states.items() if one.is_open]
        found += [f"{one.client_id} is open at the venue" for one in self.venue.orders if one.is_open]
        held = Counter[str]()
        for name, state in self.states.items():
            held[state.symbol] += state.done
            if state.status == REFUSED and name in there:
                found.append(f"{name} was called refused, and the venue has it")
            if (
                state.status == CANCELLED
                and not state.done
                and any(one.done for one in self.venue.orders if one.client_id == name)
            ):
                found.append(f"{name} was called dead, and was filled")
        for symbol in SYMBOLS:
            if abs(held[symbol] - self.venue.positions().get(symbol, 0.0)) > 1e-6:
                found.append(f"{symbol}: fills {held[symbol]:g}, the venue {self.venue.positions().get(symbol, 0.0):g}")
        return found


def lived(folder: Path, seed: int, steps: int = 30, fault: type[VenueOrders] = VenueOrders) -> Run:
    folder.mkdir()
    run = Run(folder, np.random.default_rng([21, seed]), fault)
    for number in range(steps):
        try:
            run.step(number)
        except Killed:
            run.restart()
    run.finish()
    run.orders.close()
    return run


@pytest.mark.parametrize("schedules", [100, deep(10_000)])
@pytest.mark.timeout(7200)
def test_one_venue_order_an_id_and_the_position_is_the_sum_of_the_fills(folder: Path, schedules: int) -> None:
    orders = kills = unknown = 0
    for seed in range(schedules):
        run = lived(folder / str(seed), seed)
        assert run.problems() == [], f"schedule {seed}"
        orders, kills = orders + len(run.venue.orders), kills + run.kills
        ledger = (folder / str(seed) / "venue.jsonl").read_text()
        unknown += ledger.count('"what":"unknown"')
        (folder / str(seed) / "venue.jsonl").unlink()
    assert orders > 4 * schedules and kills > schedules / 2 and unknown > schedules / 4


class TakesUnknownForDead(VenueOrders):
    """Planted: no answer is a refusal."""

    def _leave_open(self, order: SentOrder, answer: Answer) -> None:
        self._say([self._report(order, "refused", reason="no answer")])


class SendsAgain(VenueOrders):
    """Planted: what was not answered is sent once more."""

    def _leave_open(self, order: SentOrder, answer: Answer) -> None:
        super()._leave_open(order, answer)
        if order.tries == 1:
            self._send_once(order)


class BelievesTooEarly(VenueOrders):
    """Planted: what the venue does not know at once is dead."""

    def _cannot_live(self, order: SentOrder) -> bool:
        return True


class TrustsItsClock(VenueOrders):
    """Planted: the venue's clock is not measured again before an order is called dead."""

    def _cannot_live(self, order: SentOrder) -> bool:
        last_ms = order.sent_ms + RULES.recv_window_ms + int(RULES.settle_s * 1000)
        return not order.was_shown and self.account.venue_ms() > last_ms


class CountsTwice(VenueOrders):
    """Planted: each telling of a trade is a fill of its own."""

    told = itertools.count()

    def _fill(self, order: SentOrder, trade: VenueTrade) -> Report:
        said = super()._fill(order, trade)
        order.trades.clear()
        return said._replace(fill_id=f"{said.fill_id}-{next(self.told)}")


@pytest.mark.parametrize("fault", [TakesUnknownForDead, SendsAgain, BelievesTooEarly, TrustsItsClock, CountsTwice])
def test_a_planted_fault_breaks_the_law(folder: Path, fault: type[VenueOrders]) -> None:
    for seed in range(300):
        try:
            problems: Sequence[str] = lived(folder / str(seed), seed, fault=fault).problems()
        except AssertionError as error:  # seen at a start already
            problems = [str(error)]
        if problems:
            return
    raise AssertionError(f"{fault.__name__} was not seen")
