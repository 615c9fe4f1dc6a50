"""A whole paper account ends when its time is over: nothing is left that its process would wait for."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import session_of
from tradewind.data.feeds.binance import BinanceFeed, BinanceRest
from tradewind.live.desk import DeskOptions, Plan, run_desk
from tradewind.live.settings import PaperRules
from tradewind.market.universe import Universe

SYMBOLS = ("SIM1", "SIM2", "SIM3")
LONGEST_END_S = 30.0  # of closing alone, on a machine that does other things, too


def plan_of(folder: Path) -> Plan:
    session = session_of(SYMBOLS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paper = PaperRules(folder="run", anchors="anchors.jsonl", port=port, speed=36_000.0)
    rules = session.rules.model_copy(update={"warmup_bars": 60})
    universe = Universe(venue="simulated", symbols=SYMBOLS, timeframe="1h")
    return Plan(paper, rules, session.setup, universe, session.decider, "a rule", {}, folder)


class Restless:
    """A connection on which a message is always there already, and time passes while it is read."""

    async def recv(self) -> str:
        told = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: told.done() or told.set_result("{}"))
        return str(await told)


def test_a_feed_ends_when_it_is_cancelled_on_a_stream_that_never_rests() -> None:
    """Cancelled in the very moment in which a message comes, it must not read on."""

    async def follow(feed: BinanceFeed) -> None:
        async for _ in feed._read(Restless()):
            pass

    async def live() -> int:
        ended = 0
        for turns in range(12):
            feed = BinanceFeed(SYMBOLS, "1h", 3_600_000, BinanceRest("http://127.0.0.1:1"))
            task = asyncio.create_task(follow(feed))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task], timeout=2)
            ended += task.cancelled()
            task.cancel()
        return ended

    assert asyncio.run(live()) == 12


@pytest.mark.parametrize("seconds", [2.5, None], ids=["its time is over", "it is asked to end"])
def test_nothing_is_left_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: float | None) -> None:
    """Neither the stream of the feed, nor a task, nor a thread: each of them would keep the process."""
    streams, said, told_at = list[AsyncGenerator[Any, None]](), list[str](), list[float]()
    opened, before = BinanceFeed.items, set(threading.enumerate())

    def items(feed: BinanceFeed) -> AsyncGenerator[Any, None]:
        streams.append(opened(feed))
        return streams[-1]

    def say(line: str) -> None:
        said.append(line)
        told_at.append(time.monotonic())
        if seconds is None and line.startswith("Dashboard"):  # systemd ends it so, while it is at work
            asyncio.get_running_loop().call_later(1.5, os.kill, os.getpid(), signal.SIGTERM)

    async def live() -> tuple[dict[str, Any], set[str]]:
        found = await run_desk(plan_of(folder), DeskOptions(seconds=seconds), say)
        for _ in range(50):  # a server's tasks end by themselves a moment after it
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                break
            await asyncio.sleep(0.1)
        return found, {repr(task) for task in left}

    monkeypatch.setattr(BinanceFeed, "items", items)
    found, left = asyncio.run(live())
    assert time.monotonic() - told_at[-1] < LONGEST_END_S, "since the summary was told"
    assert "PAPER account, summary" in said[-1]
    assert found["failure"] == ""
    assert left == set()
    assert [stream.ag_frame for stream in streams] == [None], "the stream was left and not closed"
    assert {one for one in set(threading.enumerate()) - before if not one.daemon} == set()
