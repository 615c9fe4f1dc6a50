"""The process against an exchange that speaks Binance's protocol over real sockets, with planted faults."""

import asyncio
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import uvicorn

from tests.live.conftest import CALM, HOUR_MS, session_of
from tradewind.data.feeds.binance import SIDE, BinanceFeed, BinanceRest
from tradewind.data.feeds.items import ClosedBar, Item
from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.live.accounts.later import backtest_again, differences, lived_through
from tradewind.live.exchange.server import FAULTS, Exchange
from tradewind.live.exchange.world import simulated_world
from tradewind.live.process import PacedClock, Process, WallClock, summary, summary_lines
from tradewind.live.runtime import JOURNAL, Runtime, Start
from tradewind.live.venue.paper import PaperVenue
from tradewind.market.simulation.simulator import SimulationSpec
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.risk.states import ACTIVE, HALTED

PAST = 60
IN_TIME_MS = 60_000
MOST_MB_A_DAY = 1.0


class Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def resident_mb() -> float:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def soak(
    folder: Path,
    bars: int,
    faults: list[tuple[int, str]],
    memory: list[float] | None = None,
    speed: float = 0.0,
    first_wait_s: float = 0.05,
    outages: int = 0,
    longest_s: float = 1200.0,
) -> tuple[Process, Exchange]:
    """The process lives through so many bars of an exchange with planted faults (after so many bars, kind).

    `memory` gets the resident megabytes of each simulated day; positions are compared with the venue's then, too.
    """
    spec = SimulationSpec(days=(PAST + bars) // 24 + 3, seed=11, edge=4.0, outages=outages, start="2024-01-01")
    exchange = Exchange(simulated_world(spec, PAST), speed)
    exchange.planned = deque((exchange.now_ms + at * HOUR_MS, kind) for at, kind in sorted(faults))
    config = uvicorn.Config(
        exchange.app(), host="127.0.0.1", port=0, log_level="error", ws="websockets-sansio", lifespan="off"
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    rest = BinanceRest(address)
    symbols, begin_ms = exchange.world.symbols, exchange.now_ms
    feed = BinanceFeed(
        symbols, "1h", HOUR_MS, rest, address.replace("http", "ws"),
        silent_after_s=max(3600 / speed if speed else 0.0, 1.0),  # a bar without a message; the exchange has ten a bar
        extra=(SIDE,), first_wait_s=first_wait_s,
    )  # fmt: skip
    session = session_of(symbols, side=("funding",), limits=CALM)
    session.instruments.update(
        {name: Instrument(symbol=name, **one) for name, one in (await rest.instruments(symbols)).items()}
    )
    past = [Bar(*one) for name in symbols for one in await rest.klines(name, "1h", 0, begin_ms)]
    side = [SideValue(*one) for one in await rest.published(-1, begin_ms)]
    feed.begin_after(dict.fromkeys(symbols, begin_ms), {(one.series, one.symbol): one.known_at for one in side})
    venue = PaperVenue(folder / "venue.jsonl", session.rules.fills, session.setup.costs, session.instruments)
    past.sort(key=lambda one: (one.timestamp, one.symbol))
    runtime = Runtime(folder, session, venue, Start({"model": "rule"}, past, side, begin_ms))
    process = Process(runtime, venue, feed, PacedClock(HOUR_MS, begin_ms))
    last_ms = begin_ms + bars * HOUR_MS
    world = asyncio.create_task(exchange.run(bars))

    def lived() -> bool:
        halted = runtime.state.risk.mode == HALTED
        if halted and "clocks" in runtime.state.risk.reason:
            runtime.operate("resume", "test", "the clock was set", {"reset": ["daily_loss", "drawdown"]})
        if memory is not None and runtime.state.done_ms >= begin_ms + (len(memory) + 1) * 24 * HOUR_MS:
            memory.append(resident_mb())
            check_positions(process)
        return runtime.state.done_ms >= last_ms

    await process.run(seconds=2 * bars * 3600 / speed if speed else longest_s, until=lived)
    world.cancel()
    await rest.close()
    await exchange.stop()
    server.should_exit = True
    await serving
    return process, exchange


def check_positions(process: Process) -> None:
    """The position is the sum of the fills, and the venue's."""
    state = process.runtime.state
    there = process.runtime.broker.standing().positions
    assert there == pytest.approx({name: one for name, one in state.paper.units.items() if one})
    sums: dict[str, float] = {}
    for told in process.venue._history.values():
        for report in told:
            if report.what == "fill":
                symbol = process.venue._symbols[report.client_id]
                sums[symbol] = sums.get(symbol, 0.0) + report.units
    assert {name: one for name, one in sums.items() if abs(one) > 1e-6} == pytest.approx(there)


def on_time(process: Process, bars: int) -> float:
    """Share of the decisions that were taken within `IN_TIME_MS` of the close of their bar, by the venue's time."""
    told = {one.seq: one for one in read(process.runtime.folder / JOURNAL)}
    late = [
        told[one.cause].body["now_ms"] - one.body["timestamp"] for one in told.values() if one.kind == "decision"
    ]  # fmt: skip
    return sum(one <= IN_TIME_MS for one in late) / (3 * bars)


def check(process: Process, bars: int) -> None:
    runtime, state = process.runtime, process.runtime.state
    assert process.failure == ""
    decided = state.counts["decisions"]
    assert decided >= 0.995 * 3 * bars - 3, f"{decided} decisions of {3 * bars}"
    check_positions(process)
    lived = lived_through(read(runtime.folder / JOURNAL))
    assert differences(lived.twin, backtest_again(runtime.session, lived)) == []
    assert verify(runtime.folder / JOURNAL, runtime.anchors).records > 10 * bars


def test_a_quiet_day_over_real_sockets(folder: Path) -> None:
    process, _ = asyncio.run(soak(folder, 24, []))
    check(process, 24)
    state = process.runtime.state
    assert state.counts["fills"] > 5 and state.counts.get("quarantined", 0) == 0
    told = "\n".join(summary_lines(summary(process)))
    assert "bit for bit on 24 bars" in told and "journal head" in told
    # The exchange shows its bars as they are: what was journalled is what the simulated market made.
    bars = [one for one in read(process.runtime.folder / JOURNAL) if one.kind == "market" and one.body["bars"]]
    assert len(bars) == 72


def test_a_day_with_every_fault(folder: Path) -> None:
    faults = [(2 + number, kind) for number, kind in enumerate(FAULTS)]
    process, exchange = asyncio.run(soak(folder, 24, faults))
    check(process, 24)
    assert set(exchange.shown) == set(FAULTS)
    counts = process.runtime.state.counts
    assert counts["feed_stale"] >= 1 and counts["feed_gap"] >= 3 and counts["feed_backfilled"] >= 1
    assert counts["quarantined"] >= 2 and counts["feed_refused"] >= 1 and counts["clock_faults"] >= 1


def test_a_candle_that_does_not_come_is_asked_for_in_time(folder: Path) -> None:
    """The feed loses a candle, or holds it back: the venue is asked, and all decisions are taken in time."""
    process, exchange = asyncio.run(soak(folder, 24, [(3, "hole"), (7, "late"), (11, "hole"), (15, "late")]))
    check(process, 24)
    assert exchange.shown == {"hole": 2, "late": 2} and on_time(process, 24) == 1.0
    assert process.runtime.state.counts["feed_backfilled"] >= 4


def test_an_outage_of_the_market_halts_nothing(folder: Path) -> None:
    """For hours the exchange has nothing to tell but the time. Where it does not (planted), two leaps halt for good."""
    process, exchange = asyncio.run(soak(folder, 24, [], outages=4, longest_s=60.0))
    world, state = exchange.world, process.runtime.state
    begin_ms = world.begin_ms
    opened = [int(row[0]) for row in world.rows("SIM1", begin_ms, begin_ms + 24 * HOUR_MS)]
    assert max(np.diff(opened)) == 7 * HOUR_MS and len(opened) == 18
    assert process.failure == "" and state.risk.mode == ACTIVE and state.counts.get("clock_faults", 0) == 0
    assert state.counts["decisions"] == 3 * len(opened)
    check_positions(process)


def test_bars_that_closed_during_a_break_are_taken_and_no_clock_is_doubted(folder: Path) -> None:
    """A break of many bars: they are fetched, decided in their order, and nothing is traded on them."""
    process, exchange = asyncio.run(soak(folder, 24, [(4, "disconnect")], speed=36_000, first_wait_s=1.0))
    check(process, 24)
    assert exchange.shown == {"disconnect": 1}
    assert process.runtime.state.counts.get("clock_faults", 0) == 0
    (fetched,) = [
        int(one.body["detail"].split()[0])
        for one in read(process.runtime.folder / JOURNAL)
        if one.kind == "feed" and one.body["what"] == "backfilled"
    ]
    assert fetched >= 3 * 5


@pytest.mark.parametrize("is_fetched", [True, False])
def test_a_bar_of_hours_ago_is_no_fault_of_the_clocks_where_it_was_fetched(
    folder: Path, is_fetched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: bars that are taken for messages of now halt the account, and are lost."""

    class Caught:
        async def items(self) -> Any:
            for bar in bars:
                yield Item(bar.timestamp, ClosedBar(*bar), is_fetched)
            await asyncio.sleep(60)

    world = simulated_world(SimulationSpec(days=5, seed=11, start="2024-01-01"), PAST)
    symbols, hours = world.symbols, range(5)
    rows = {name: world.rows(name, world.begin_ms, world.begin_ms + 5 * HOUR_MS) for name in symbols}
    bars = [Bar(name, int(rows[name][at][0]), int(rows[name][at][0]) + HOUR_MS, *rows[name][at][1:6].tolist())
            for at in hours for name in symbols]  # fmt: skip
    now = pd.Timestamp(world.begin_ms + 6 * HOUR_MS, unit="ms", tz="UTC").to_pydatetime()
    monkeypatch.setattr("tradewind.clock.now", lambda: now)
    session = session_of(symbols)
    venue = PaperVenue(folder / "venue.jsonl", session.rules.fills, session.setup.costs, session.instruments)
    runtime = Runtime(folder, session, venue, Start({"model": "rule"}, [], [], world.begin_ms))
    process = Process(runtime, venue, Caught(), WallClock())  # type: ignore[arg-type]
    asyncio.run(process.run(seconds=1.0))
    counts = runtime.state.counts
    assert (counts.get("clock_faults", 0) == 0) == is_fetched
    assert counts.get("decisions", 0) == (3 * 5 if is_fetched else 0)
    assert (runtime.state.risk.mode == HALTED) == (not is_fetched)


def test_a_listener_that_hangs_does_not_stop_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradewind.live.exchange.server.SLOWEST_S", 0.05)

    async def tell() -> tuple[int, int]:
        exchange = Exchange(simulated_world(SimulationSpec(days=4, seed=1, start="2024-01-01"), 24))
        hangs, reads = asyncio.Queue[str | None](2), asyncio.Queue[str | None](100)
        exchange._listeners += [hangs, reads]
        async with asyncio.timeout(5):
            for number in range(10):
                await exchange._raw(str(number))
        return len(exchange._listeners), reads.qsize()

    assert asyncio.run(tell()) == (1, 10)


@pytest.mark.depth
@pytest.mark.timeout(7200)
def test_thirty_days_with_two_hundred_faults(folder: Path) -> None:
    rng, memory = np.random.default_rng(4), list[float]()
    faults = [(int(at), str(kind)) for at, kind in zip(rng.integers(2, 715, 200), rng.choice(FAULTS, 200), strict=True)]
    process, exchange = asyncio.run(soak(folder, 720, faults, memory))
    check(process, 720)
    days = np.arange(len(memory))
    slope = float(np.polyfit(days[8:], memory[8:], 1)[0])  # the kept records fill up in the first days
    share, counts = on_time(process, 720), process.runtime.state.counts
    print(  # noqa: T201
        f"30 days at {process.speed():.0f} times real time, {sum(exchange.shown.values())} faults: {share:.2%} of "
        f"{counts['decisions']} decisions on time, {counts['fills']} fills, "
        f"{slope:+.3f} MB a day of {memory[-1]:.0f} MB"
    )
    assert sum(exchange.shown.values()) > 190
    assert process.speed() > 1000
    assert share >= 0.995 and len(memory) == 30 and slope < MOST_MB_A_DAY


@pytest.mark.depth
@pytest.mark.timeout(7200)
def test_an_hour_in_real_time(folder: Path) -> None:
    """At the speed of the world: `SOAK_S` real seconds (default 60; `make soak` takes 3600) of one-minute messages."""
    seconds, speed = float(os.environ.get("SOAK_S", "60")), 60.0  # an hourly bar a minute
    memory = list[float]()
    process, _ = asyncio.run(soak(folder, max(int(seconds * speed / 3600), 1), [], memory, speed))
    check(process, max(int(seconds * speed / 3600), 1))
    print(f"{time.monotonic() - process.started:.0f} real seconds, {process.runtime.state.counts}")  # noqa: T201
