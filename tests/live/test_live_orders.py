"""Sessions whose orders go to a venue: end to end over a replay, by the desk, and killed again and again."""

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.depth import deep
from tests.live.broker_accounts import KEYS, QUICK
from tests.live.conftest import session_of, simulated, whole_book
from tests.live.order_server import KEY, SECRET, OrderServer, serve_orders
from tests.live.test_session import by_time
from tests.live.venue_ledger import VenueLedger
from tradewind.data.feeds.binance import BinanceFeed
from tradewind.data.feeds.items import BookChanged, ClosedBar, Item
from tradewind.errors import BadParameters
from tradewind.learning.features.assembly import Bar
from tradewind.live.accounts.later import backtest_again, differences, lived_through
from tradewind.live.desk import DeskOptions, Plan, run_desk
from tradewind.live.orders.executors import Quote
from tradewind.live.process import Process
from tradewind.live.runtime import JOURNAL, Runtime, Start
from tradewind.live.session.events import market_event
from tradewind.live.session.session import Session
from tradewind.live.settings import BrokerRules, ExecutorRules, PaperRules
from tradewind.live.venue.ccxt_broker import Opening, open_broker
from tradewind.market.universe import Universe
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.halt_file import write_halt_file
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.states import ACTIVE, HALTED

NAMES = ("SIM1", "SIM2", "SIM3")
PAST = 60
FORK = multiprocessing.get_context("fork")


def a_session(**settings: Any) -> Session:
    session = session_of(NAMES, **settings)
    spot = {name: one.model_copy(update={"can_be_short": False}) for name, one in session.instruments.items()}
    return replace(session, instruments=spot)


def bars_of_days(days: int) -> tuple[list[Bar], list[list[Bar]]]:
    """The past, and what comes after it by timestamp."""
    bars, _ = simulated(days=days, outages=0)
    first = sorted({one.timestamp for one in bars})[PAST]
    return [one for one in bars if one.timestamp <= first], by_time([one for one in bars if one.timestamp > first])


def a_venue(past: Sequence[Bar], **settings: Any) -> VenueLedger:
    prices = {one.symbol: round(one.close, 2) for one in past}
    return VenueLedger(prices, {"USDT": 150_000.0, "SIM2": 7.0}, **settings)


def opened(folder: Path, server: OrderServer, session: Session, past: Sequence[Bar], **rules: Any) -> Runtime:
    chosen = BrokerRules(base_url=server.url, **(QUICK | {"reconcile_s": 600.0} | rules))
    opening = Opening(chosen, KEYS, folder, session.instruments, session.capital)
    broker = open_broker(opening, folder / "venue.jsonl")
    try:
        return Runtime(folder, session, broker, Start({"broker": "testnet"}, past, (), past[-1].timestamp))
    except BaseException:
        broker.close()
        raise


def live_step(runtime: Runtime, now: Sequence[Bar], seconds: float = 6.0) -> None:
    """One timestamp; then the broker's reports are taken until no order is on its way."""
    at = now[0].timestamp
    for minute in (0, 1):
        quotes = {
            one.symbol: Quote(round(one.close - 0.01, 2), round(one.close + 0.01, 2), one.close, at + 60_000 * minute)
            for one in now
        }
        runtime.handle(market_event(at + 60_000 * minute, () if minute else now, (), quotes))
        last = time.monotonic() + seconds
        while any(one.is_open for one in runtime.state.orders.values()) and time.monotonic() < last:
            runtime.watch_broker()
            time.sleep(0.002)


def check(folder: Path, server: OrderServer) -> None:
    """Every order that was sent is in the journal first and at the venue once at most; fills and positions agree."""
    assert verify(folder / JOURNAL).records > 0
    ours = list(read(folder / JOURNAL))
    sent = Counter(one.body["client_id"] for one in ours if one.kind == "intent")
    there = Counter(one.client_id for one in server.ledger.orders)
    assert set(sent.values()) <= {1} and set(there.values()) <= {1} and set(there) <= set(sent)
    told = {one.body["fill_id"]: one.body["units"] for one in ours
            if one.kind == "report" and one.body["what"] == "fill"}  # fmt: skip
    trades = {f"{one.symbol}-{row['id']}" for one in server.ledger.orders for row in one.trades}
    assert set(told) == trades and len(trades) > 5
    assert not [one for one in ours if one.kind == "position_differs"]


@dataclass
class Replay:
    """A feed of recorded bars; between two of them the orders have a moment."""

    server: OrderServer
    bars: list[list[Bar]]
    rests_s: float = 0.1

    async def items(self) -> AsyncGenerator[Item, None]:
        for now in self.bars:
            at = now[0].timestamp
            for bar in now:
                self.server.ledger.prices[bar.symbol] = round(bar.close, 2)
                yield Item(at, BookChanged(bar.symbol, whole_book(round(bar.close, 2))))
            for bar in now:
                yield Item(at, ClosedBar(*bar))
            for later in (60_000, 120_000):
                await asyncio.sleep(self.rests_s)
                for bar in now:
                    yield Item(at + later, BookChanged(bar.symbol, whole_book(round(bar.close, 2))))

    def last_seen_ms(self, symbol: str) -> int:
        return 0


class Told:
    """The feed's time is the time."""

    def read(self, at_ms: int) -> tuple[int, int]:
        return at_ms, 0


@pytest.mark.parametrize(("kind", "coin"), [("market", "bought"), ("limit", "quote")])
def test_a_session_trades_at_a_venue(folder: Path, kind: str, coin: str) -> None:
    """The twin is the later backtest, positions are the venue's, and no target was short."""
    past, rest = bars_of_days(5)
    session = a_session(executor=ExecutorRules(kind=kind, patience_s=60))
    with serve_orders(a_venue(past, fee_coin=coin, parts=2)) as server:
        server.misbehave("lost_ack", "POST /api/v3/order")
        runtime = opened(folder, server, session, past)
        process = Process(runtime, runtime.broker, Replay(server, rest[:16]), Told())  # type: ignore[arg-type]
        asyncio.run(process.run(60))
        for _ in range(200):
            runtime.watch_broker()
            if not any(one.is_open for one in runtime.state.orders.values()):
                break
            time.sleep(0.02)
        state = runtime.state
        assert process.failure == "" and state.risk.mode == ACTIVE and state.counts["unknown"] >= 1
        held = {name: units for name, units in state.paper.units.items() if units}
        assert held == pytest.approx(server.ledger.positions(), abs=1e-7) and min(held.values(), default=0.0) >= 0.0
        assert runtime.broker.standing().positions == pytest.approx(held, abs=1e-7)
        lived = lived_through(read(folder / JOURNAL))
        assert differences(lived.twin, backtest_again(session, lived)) == []
        acted = {one.body["guardrail"] for one in read(folder / JOURNAL) if one.kind == "guardrail"}
        assert "no_short" in acted, "the rule wanted to be short"
        # What was paid to the cent, fees included.
        spent = server.ledger.before["USDT"] - server.ledger.balances["USDT"]
        assert session.capital - state.paper.cash == pytest.approx(spent, abs=0.01)
        runtime.operate("flatten", "ann", "drill")
        for _ in range(300):
            runtime.handle(market_event(state.now_ms + 60_000, (), (), {
                name: Quote(round(one.bid, 2), round(one.ask, 2), one.last, state.now_ms + 60_000)
                for name, one in state.quotes.items()
            }))  # fmt: skip
            time.sleep(0.01)
            if state.risk.mode == HALTED:
                break
        assert state.risk.mode == HALTED and max(server.ledger.positions().values(), default=0.0) < 0.001 * 2
        runtime.broker.close()  # type: ignore[attr-defined]
        runtime.close()
        check(folder, server)


def test_a_position_changed_by_hand_halts_while_running_and_at_a_start(folder: Path) -> None:
    past, rest = bars_of_days(4)
    session = a_session()
    with serve_orders(a_venue(past, fee_coin="quote")) as server:
        runtime = opened(folder, server, session, past, reconcile_s=0.05)
        for now in rest[:6]:
            live_step(runtime, now)
        assert runtime.state.risk.mode == ACTIVE and runtime.state.counts["fills"]
        server.ledger.balances["SIM1"] = server.ledger.balances.get("SIM1", 0.0) + 3.0
        for _ in range(300):
            runtime.watch_broker()
            if runtime.state.risk.mode == HALTED:
                break
            time.sleep(0.01)
        assert runtime.state.risk.mode == HALTED and "the venue holds" in runtime.state.risk.reason
        runtime.operate("resume", "ann", "looked at", {"reset": ["daily_loss", "drawdown"]})
        runtime.end("drill")
        runtime.broker.close()  # type: ignore[attr-defined]
        again = opened(folder, server, session, past)
        assert again.state.risk.mode == HALTED and "SIM1" in again.state.risk.reason
        again.broker.close()  # type: ignore[attr-defined]
        again.close()


def test_an_order_that_waits_is_not_sent_after_a_halt(folder: Path) -> None:
    past, rest = bars_of_days(4)
    with serve_orders(a_venue(past)) as server:
        runtime = opened(folder, server, a_session(), past)
        server.misbehave("429", "POST /api/v3/order", times=50, retry_after="1")
        now = rest[0]
        quotes = {one.symbol: Quote(one.close, one.close, one.close, one.timestamp) for one in now}
        for now in rest[:5]:
            quotes = {one.symbol: Quote(one.close, one.close, one.close, one.timestamp) for one in now}
            runtime.handle(market_event(now[0].timestamp, now, (), quotes))
        write_halt_file(folder, "drill")
        runtime.watch_halt_file()
        for _ in range(400):
            runtime.watch_broker()
            if not any(one.is_open for one in runtime.state.orders.values()):
                break
            time.sleep(0.01)
        ended = [one.body["what"] for one in read(folder / JOURNAL) if one.kind == "report"]
        assert ended and set(ended) <= {"refused", "cancelled"} and server.ledger.orders == []
        runtime.broker.close()  # type: ignore[attr-defined]
        runtime.close()


def live(
    folder: Path, server: OrderServer, session: Session, past: list[Bar], rest: list[list[Bar]], ready: Any
) -> None:
    """In a process of its own: recover and go on to the end."""
    runtime = opened(folder, server, session, past)
    ready.send(1)
    for now in rest:
        if now[0].timestamp > runtime.state.done_ms:
            live_step(runtime, now)
    runtime.end("all bars are lived through")
    os._exit(0)  # without closing: what rests is taken back at the next start


@pytest.mark.parametrize("kills", [3, deep(100)])
@pytest.mark.timeout(7200)
def test_a_process_that_is_killed_loses_no_order_and_sends_none_twice(folder: Path, kills: int) -> None:
    past, rest = bars_of_days(4)
    session, rng, done = a_session(), np.random.default_rng(8), 0
    while done < kills:
        place = folder / str(done)
        with serve_orders(a_venue(past, parts=2)) as server:
            server.misbehave("lost_ack", "POST /api/v3/order", times=2)
            for turn in range(4):
                ours, theirs = FORK.Pipe(duplex=False)
                process = FORK.Process(target=live, args=(place, server, session, past, rest[:8], theirs))
                process.start()
                theirs.close()
                if turn < 3:
                    assert ours.poll(60) and ours.recv()
                    time.sleep(float(rng.uniform(0, 0.4)))
                    os.kill(process.pid or 0, signal.SIGKILL)
                process.join()
                ours.close()
                assert process.exitcode in (0, -signal.SIGKILL)
                done += process.exitcode != 0
            runtime = opened(place, server, session, past)
            assert runtime.state.risk.mode == ACTIVE and runtime.state.done_ms == rest[7][0].timestamp
            held = {name: units for name, units in runtime.state.paper.units.items() if units}
            assert held == pytest.approx(server.ledger.positions(), abs=1e-7)
            runtime.broker.close()  # type: ignore[attr-defined]
            runtime.close()
            check(place, server)


def a_plan(folder: Path, server: OrderServer, past: Sequence[Bar], broker: BrokerRules | None) -> Plan:
    session = a_session()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in NAMES:
        own = [one for one in past if one.symbol == name]
        server.klines[name] = [
            [
                one.open_time,
                one.open,
                one.high,
                one.low,
                one.close,
                one.volume,
                one.timestamp - 1,
                "0",
                0,
                "0",
                "0",
                "0",
            ]
            for one in own
        ]
    server.offset_ms = past[-1].timestamp + 1 - int(time.time() * 1000)  # the venue lives in the bars' time
    paper = PaperRules(folder="run", anchors="anchors.jsonl", port=port, broker=broker)
    rules = session.rules.model_copy(update={"warmup_bars": PAST})
    universe = Universe(venue="binance", symbols=NAMES, timeframe="1h")
    return Plan(paper, rules, session.setup, universe, session.decider, "a rule", {}, folder, keys=KEYS)


def test_the_desk_says_testnet_everywhere_and_shows_no_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """From parameters to a venue's ledger: the whole account, its pages, its end, and that it is no paper account."""
    caplog.set_level("DEBUG")
    past, rest = bars_of_days(4)
    said, pages = list[str](), list[str]()
    with serve_orders(a_venue(past, fee_coin="quote")) as server:
        plan = a_plan(folder, server, past, BrokerRules(base_url=server.url, **QUICK))

        async def items(feed: BinanceFeed) -> AsyncGenerator[Item, None]:
            async for item in Replay(server, rest[:6]).items():
                yield item
            address = json.loads((folder / "run" / "address.json").read_text())["address"]
            async with httpx.AsyncClient() as client:
                pages.extend([(await client.get(address + name)).text for name in ("", "orders", "v1/state")])
            await asyncio.sleep(60)

        monkeypatch.setattr(BinanceFeed, "items", items)
        monkeypatch.setattr("tradewind.live.desk.WallClock", Told)
        found = asyncio.run(run_desk(plan, DeskOptions("binance", seconds=4.0), said.append))
        assert found["failure"] == "" and found["fills"] > 0 and server.ledger.orders
        told = "\n".join(said)
        assert "TESTNET account opened (orders go to the venue's test network: no real money)" in told
        assert "TESTNET account, summary" in told and "PAPER" not in told
        assert "<b>TESTNET</b>" in pages[0] and "· TESTNET ·" in pages[0] and "PAPER" not in pages[0]
        assert json.loads(pages[2])["account"] == "TESTNET" and not json.loads(pages[2])["paper"]
        assert next(read(folder / "run" / JOURNAL)).body["broker"] == "testnet"
        seen = [
            told,
            *pages,
            caplog.text,
            *(one.read_text("utf-8", "replace") for one in folder.rglob("*") if one.is_file()),
        ]
        assert KEY not in "\n".join(seen) and SECRET not in "\n".join(seen)
        for other, options, why in (
            (None, DeskOptions("binance"), "is a TESTNET account, and PAPER is configured"),
            (plan.paper.broker, DeskOptions("simulated"), "prices of the simulated exchange are none there"),
        ):
            wrong = replace(plan, paper=plan.paper.model_copy(update={"broker": other}))
            monkeypatch.setattr("tradewind.live.desk.addresses", lambda _: (server.url, ""))
            with pytest.raises(BadParameters, match=why):
                asyncio.run(run_desk(wrong, options, said.append))
