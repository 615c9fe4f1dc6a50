"""The process against an exchange that speaks Binance's protocol over real sockets, with planted faults."""

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from tests.live.conftest import CALM, HOUR_MS, session_of
from tradewind.data.feeds.binance import BinanceFeed, BinanceRest
from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.live.accounts.later import backtest_again, differences, lived_through
from tradewind.live.exchange.server import FAULTS, Exchange
from tradewind.live.exchange.world import simulated_world
from tradewind.live.process import PacedClock, Process, summary, summary_lines
from tradewind.live.runtime import JOURNAL, Runtime, Start
from tradewind.live.venue.paper import PaperVenue
from tradewind.market.simulation.simulator import SimulationSpec
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.risk.states import HALTED

PAST = 60


class Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


async def soak(folder: Path, bars: int, faults: list[tuple[int, str]]) -> tuple[Process, Exchange]:
    """The process lives through so many bars of an exchange with planted faults (after so many bars, kind)."""
    spec = SimulationSpec(days=(PAST + bars) // 24 + 3, seed=11, edge=4.0, start="2024-01-01")
    exchange = Exchange(simulated_world(spec, PAST), speed=0.0)
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
        symbols, "1h", HOUR_MS, rest, address.replace("http", "ws"), silent_after_s=1.0, extra=("!side",),
        first_wait_s=0.05,
    )  # fmt: skip
    feed.begin_after(dict.fromkeys(symbols, begin_ms))
    session = session_of(symbols, side=("funding",), limits=CALM)
    session.instruments.update(
        {name: Instrument(symbol=name, **one) for name, one in (await rest.instruments(symbols)).items()}
    )
    past = [Bar(*one) for name in symbols for one in await rest.klines(name, "1h", 0, begin_ms)]
    side = [SideValue(row[1], row[2], row[0], row[3]) for row in await rest.get("/sim/side", endTime=begin_ms)]
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
        return runtime.state.done_ms >= last_ms

    await process.run(seconds=1200, until=lived)
    world.cancel()
    await rest.close()
    await exchange.stop()
    server.should_exit = True
    await serving
    return process, exchange


def check(process: Process, bars: int) -> None:
    runtime, state = process.runtime, process.runtime.state
    assert process.failure == ""
    decided = state.counts["decisions"]
    assert decided >= 0.995 * 3 * bars - 3, f"{decided} decisions of {3 * bars}"
    there = runtime.broker.standing().positions
    assert there == pytest.approx({name: one for name, one in state.paper.units.items() if one})
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
    assert counts["quarantined"] >= 3 and counts["feed_refused"] >= 1 and counts["clock_faults"] >= 1


@pytest.mark.depth
def test_thirty_days_with_two_hundred_faults(folder: Path) -> None:
    rng = np.random.default_rng(4)
    faults = [(int(at), str(kind)) for at, kind in zip(rng.integers(2, 715, 200), rng.choice(FAULTS, 200), strict=True)]
    process, exchange = asyncio.run(soak(folder, 720, faults))
    check(process, 720)
    assert sum(exchange.shown.values()) > 190
    assert process.speed() > 1000
