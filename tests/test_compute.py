"""Work runs the same wherever it runs."""

import logging
import operator
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tradewind.compute import ComputeRules, ExecutorKind, executor, lazily, split, track
from tradewind.errors import BadParameters


@pytest.mark.parametrize("kind", ["serial", "threads", "processes"])
def test_results_keep_the_order_of_the_partitions(kind: str) -> None:
    with executor(kind, workers=2) as on:
        assert list(on.map(operator.add, range(20), range(20))) == [2 * i for i in range(20)]


def test_an_error_reaches_the_caller() -> None:
    with executor("serial") as on, pytest.raises(ZeroDivisionError):
        list(on.map(operator.truediv, [1], [0]))


def test_threads_do_run_side_by_side() -> None:
    meeting = threading.Barrier(
        2, timeout=20
    )  # each call waits there for the other: one after the other would break it
    with executor("threads", workers=2) as on:
        assert sorted(on.map(lambda _: meeting.wait(), range(2))) == [0, 1]


def answer_to_interrupt(_: int) -> tuple[bool, bool]:
    """Whether this process hears Ctrl-C, and dies of it without a word."""
    deaf_to = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return signal.SIGINT not in deaf_to, signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_ctrl_c_ends_workers_though_their_server_does_not_hear_it() -> None:
    with executor("processes", workers=2) as on:
        assert set(on.map(answer_to_interrupt, range(4))) == {(True, True)}
    assert answer_to_interrupt(0)[0]  # starting the server has left this process as it was


WITH_A_WORKER = """
import os, time
from tradewind.compute import executor

if __name__ == "__main__":
    on = executor("processes", workers=1)
    print(on.submit(os.getpid).result(), flush=True)
    on.submit(time.sleep, 600).result()
"""


def lives(process: int) -> bool:
    """Whether it is there, and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are looked up in /proc")
def test_workers_end_with_a_process_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(WITH_A_WORKER)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        assert lives(worker)
        process.kill()
    until = time.monotonic() + 30
    while lives(worker) and time.monotonic() < until:
        time.sleep(0.02)
    assert not lives(worker)


@pytest.mark.parametrize(("kind", "workers"), [("cluster", 2), ("serial", 0)])
def test_an_unknown_kind_or_no_workers_is_refused(kind: str, workers: int) -> None:
    with pytest.raises(BadParameters, match="compute"):
        executor(kind, workers)


def test_progress_is_one_log_line_for_every_tenth(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tradewind.compute"):
        assert list(track(range(200), "bars")) == list(range(200))
    assert len(caplog.messages) == 10
    assert caplog.messages[-1] == "bars: 200 of 200"


@pytest.mark.parametrize("kind", ["serial", "threads"])
def test_no_more_than_the_workers_items_are_under_way(kind: ExecutorKind) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item * item

    calls = lazily(work, {str(item): (item,) for item in range(6)}, ComputeRules(executor=kind, workers=2))
    assert not begun
    for item, call in enumerate(calls.values()):
        assert call() == item * item
        assert len(begun) <= item + (1 if kind == "serial" else 2)
    with pytest.raises(BadParameters, match="out of order or twice"):
        calls["3"]()


def test_a_failing_item_ends_the_work() -> None:
    calls = lazily(operator.truediv, {"a": (1, 1), "b": (1, 0)}, ComputeRules(executor="threads"))
    assert calls["a"]() == 1
    with pytest.raises(ZeroDivisionError):
        calls["b"]()


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(BadParameters, match="no Dask scheduler answers at 'tcp://127.0.0.1:1'"):
        executor("dask", address="tcp://127.0.0.1:1")


def test_several_results_come_apart_and_are_held_once() -> None:
    large, small = split(divmod, {name: (value, 4) for name, value in (("b", 9), ("a", 7))}, ComputeRules(), results=2)
    assert [large[name]() for name in large] == [1, 2]
    assert [small[name]() for name in small] == [3, 1]
    with pytest.raises(KeyError):
        small["a"]()
