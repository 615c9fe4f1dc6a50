"""A halt stops orders within milliseconds: raced by many, from outside, cheaply, and while the process hangs."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.test_kills import FORK, Life, life_of, live_whole
from tests.live.test_session import step_bars
from tradewind.live.runtime import JOURNAL, Runtime
from tradewind.live.session.events import market_event
from tradewind.operations.journal.halt_file import write_halt_file
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.states import HALTED

LATEST_S = 0.05
HALT_CPU_S = 0.5


class Timed:
    """Notes when each order reached the venue."""

    def __init__(self, runtime: Runtime) -> None:
        self.sent: list[float] = []
        submit = runtime.broker.submit

        def timed(order: Any, now_ms: int) -> None:
            self.sent.append(time.monotonic())
            submit(order, now_ms)

        runtime.broker.submit = timed  # type: ignore[method-assign]


def raced(life: Life, place: Path, threads: int) -> tuple[float, int]:
    """Seconds from the trip to the last order (negative: none after it), with so many threads that halt at once."""
    runtime = life.opened(place)
    timed, tripped, done = Timed(runtime), list[float](), threading.Event()

    def halt(number: int) -> None:
        done.wait()
        write_halt_file(runtime.folder, f"thread {number}")
        tripped.append(time.monotonic())

    racing = [threading.Thread(target=halt, args=(number,)) for number in range(threads)]
    for one in racing:
        one.start()
    for number, now in enumerate(life.rest[:12]):
        if number == 6:
            done.set()
        step_bars(runtime, now)
        runtime.watch_halt_file()
    for one in racing:
        one.join()
    assert runtime.state.risk.mode == HALTED and runtime.state.risk.reason.startswith("thread")
    halts = [one for one in read(runtime.folder / JOURNAL) if one.kind == "operator" and one.body["action"] == "halt"]
    assert len(halts) == 1, "raced by many, it halts once"
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]
    return max(timed.sent) - min(tripped), len(timed.sent)


def test_fifty_threads_that_halt_at_once(folder: Path) -> None:
    life = life_of(5)
    late, sent = raced(life, folder / "run", 50)
    assert sent > 5 and late < LATEST_S


@pytest.mark.depth
@pytest.mark.timeout(7200)
def test_a_hundred_races(folder: Path) -> None:
    life = life_of(5)
    late = [raced(life, folder / f"run{number}", 50)[0] for number in range(100)]
    print(f"last order after the trip, ms: {1000 * np.median(late):.2f} (median), {1000 * max(late):.2f} (latest)")  # noqa: T201
    assert max(late) < LATEST_S


def test_a_halted_account_decides_and_sends_nothing(folder: Path) -> None:
    life = life_of(5)
    runtime = life.opened(folder / "run")
    for now in life.rest[:3]:
        step_bars(runtime, now)
    runtime.operate("halt", "ann", "drill")
    before = runtime.journal.head[0]
    now = life.rest[3]
    runtime.handle(market_event(now[0].timestamp, now, skew_ms=0))
    assert {one.kind for one in read(runtime.folder / JOURNAL, before)} >= {"decision"}
    assert "intent" not in {one.kind for one in read(runtime.folder / JOURNAL, before)}
    runtime.close()


def test_the_command_halt_needs_little_processor_time(folder: Path) -> None:
    (folder / "run").mkdir()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "tradewind", "halt", "--reason", "drill", "--folder", str(folder / "run")]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert (folder / "run" / "HALT").read_text().endswith("drill\n") and spent < HALT_CPU_S


def test_a_process_that_hangs_sends_nothing_when_it_goes_on(folder: Path) -> None:
    """Stopped by the system in the middle of its work, halted from outside, and woken again."""
    life, place = life_of(6), folder / "run"
    live_whole(life, folder / "warm", life.rest[:2])
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=life.live, args=(place, theirs))
    process.start()
    assert ours.poll(60) and process.pid is not None
    ledger = place / "venue.jsonl"
    while ledger.read_bytes().count(b'"order"') < 3:  # at work: how long that takes depends on the machine
        assert process.is_alive()
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "it was over before it was stopped"
    write_halt_file(place, "it hangs")
    before = sum(one.kind == "order" for one in read(ledger))
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    ours.close()
    assert process.exitcode == 0
    after = sum(one.kind == "order" for one in read(ledger))
    # One at most: that which had passed the file's check when the process was stopped.
    assert after - before <= 1
    kinds = [one.body for one in read(place / JOURNAL) if one.kind == "state_changed"]
    assert kinds[-1]["mode"] == HALTED and kinds[-1]["reason"] == "it hangs"
