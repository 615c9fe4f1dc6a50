"""A process that is killed anywhere, any number of times, loses no order and sends none twice."""

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.conftest import session_of, simulated
from tests.live.test_session import by_time, records, step_bars
from tradewind.learning.features.assembly import Bar
from tradewind.live.runtime import JOURNAL, Runtime, Start
from tradewind.live.session.events import EVENTS
from tradewind.live.session.session import Session
from tradewind.live.settings import ExecutorRules
from tradewind.live.venue.paper import PaperVenue
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.journal import read
from tradewind.operations.journal.records import canonical
from tradewind.trading.risk.states import ACTIVE

Make = Callable[..., Runtime]
READY_S = 5.0
FORK = multiprocessing.get_context("fork")  # what is imported is not imported again at each start


@dataclass
class Life:
    """What a process lives through."""

    session: Session
    past: list[Bar]
    rest: list[list[Bar]]

    def opened(self, place: Path) -> Runtime:
        rules, costs = self.session.rules.fills, self.session.setup.costs
        venue = PaperVenue(place / "venue.jsonl", rules, costs, self.session.instruments)
        return Runtime(place, self.session, venue, Start({"model": "rule"}, self.past, (), self.past[-1].timestamp))

    def live(self, place: Path, ready: Any) -> None:
        """In a process of its own: recover, say how long that took, and go on to the end."""
        began = time.monotonic()
        runtime = self.opened(place)
        ready.send(time.monotonic() - began)
        for now in self.rest:
            if now[0].timestamp > runtime.state.done_ms:
                step_bars(runtime, now)
        runtime.end("all bars are lived through")


def life_of(days: int) -> Life:
    bars, _ = simulated(days=days, outages=0)
    first = sorted({one.timestamp for one in bars})[60]
    rules = ExecutorRules(kind="twap", duration_s=900, slices=3)  # orders between the bars, too
    session = session_of(("SIM1", "SIM2", "SIM3"), executor=rules)
    past = [one for one in bars if one.timestamp <= first]
    return Life(session, past, by_time([one for one in bars if one.timestamp > first]))


def killed(life: Life, place: Path, after_s: float, at_start: bool) -> tuple[bool, float]:
    """One process that is killed so long after it is ready (or began): whether it was alive, and when it was ready."""
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=life.live, args=(place, theirs))
    process.start()
    theirs.close()
    ready_s = 0.0
    try:
        if not at_start:
            assert ours.poll(60), "it did not come back"
            ready_s = ours.recv()
        time.sleep(after_s)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.join()
        ours.close()
    assert process.exitcode in (0, -signal.SIGKILL), f"it ended with {process.exitcode}"
    return process.exitcode != 0, ready_s


def check(place: Path) -> None:
    """No order was lost or sent twice, and what is held is the sum of the fills here and there."""
    assert verify(place / JOURNAL).records > 0
    ours, ledger = list(read(place / JOURNAL)), list(read(place / "venue.jsonl"))
    sent = Counter(one.body["client_id"] for one in ours if one.kind == "intent")
    there = Counter(one.body["client_id"] for one in ledger if one.kind == "order")
    assert set(sent.values()) <= {1} and set(there.values()) <= {1}
    assert set(there) <= set(sent), "an order that was not in the journal first"
    lost = {one.body["client_id"] for one in ours if one.kind == "report" and one.body["what"] == "missing"}
    lost |= {one.body["client_id"] for one in ours if one.kind == "order_missing"}
    assert set(sent) - set(there) <= lost, "an order of which nobody says what became of it"
    assert not lost & set(there)
    decided = Counter((one.body["symbol"], one.body["timestamp"]) for one in ours if one.kind == "decision")
    assert set(decided.values()) == {1}
    fills = [
        {one.body["fill_id"]: (one.body["client_id"], one.body["units"]) for one in told
         if one.kind == "report" and one.body["what"] == "fill"} for told in (ours, ledger)
    ]  # fmt: skip
    assert fills[0] == fills[1] and len(fills[0]) > 20
    assert not [one for one in ours if one.kind == "position_differs"]


def kill_often(life: Life, folder: Path, times: int, seed: int) -> tuple[int, list[float]]:
    """How often it was killed while alive, and the seconds that each start took."""
    live_whole(life, folder / "warm", life.rest[:2])  # compiles and loads here what the processes will not have to
    rng, done, took, number = np.random.default_rng(seed), 0, list[float](), 0
    while done < times:
        place = folder / f"run{number}"
        number += 1
        is_alive = True
        while done < times and is_alive:
            at_start = bool(rng.random() < 0.15)
            longest = 0.15 if at_start else 0.3
            is_alive, ready_s = killed(life, place, float(rng.uniform(0, longest)), at_start)
            done += is_alive
            took += [] if at_start else [ready_s]
        ours, theirs = FORK.Pipe(duplex=False)
        last = FORK.Process(target=life.live, args=(place, theirs))
        last.start()
        last.join()
        assert last.exitcode == 0
        check(place)
        runtime = life.opened(place)
        assert runtime.state.risk.mode == ACTIVE and runtime.state.done_ms == life.rest[-1][0].timestamp
        runtime.close()
        runtime.broker.close()  # type: ignore[attr-defined]
        ours.close()
    return done, took


def test_a_process_that_is_killed_again_and_again(folder: Path) -> None:
    done, took = kill_often(life_of(6), folder, 4, 1)
    assert done == 4 and max(took) < READY_S


@pytest.mark.depth
@pytest.mark.timeout(7200)
def test_five_hundred_kills(folder: Path) -> None:
    done, took = kill_often(life_of(8), folder, 500, 2)
    print(f"{done} kills; ready again after {np.median(took):.2f} s (median), {max(took):.2f} s (longest)")  # noqa: T201
    assert done == 500 and max(took) < READY_S


def cut_and_back(life: Life, place: Path, content: tuple[bytes, bytes], at: int) -> Runtime:
    """The run whose journal ends after so many bytes, as a kill inside a write leaves it."""
    place.mkdir()
    (place / JOURNAL).write_bytes(content[0][:at])
    (place / "venue.jsonl").write_bytes(content[1])
    return life.opened(place)


def batch_at(content: bytes) -> tuple[int, list[int]]:
    """Where the first batch with orders begins, and where each of its records ends."""
    ends = [at + 1 for at, byte in enumerate(content) if byte == 10]
    kinds = [json.loads(line.partition(b" ")[2])["kind"] for line in content.splitlines()]
    first = min(at for at, kind in enumerate(kinds) if kind == "market" and "intent" in kinds[at : at + 12])
    after = next((at for at in range(first + 1, len(kinds)) if kinds[at] in EVENTS), len(kinds))
    return ends[first - 1], ends[first:after]


def test_a_write_that_is_torn_between_its_records_is_made_whole_and_nothing_of_it_was_sent(folder: Path) -> None:
    life = life_of(5)
    runtime = life.opened(folder / "whole")
    runtime.broker.submit = lambda order, now_ms: None  # type: ignore[method-assign]
    step_bars(runtime, life.rest[0])
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]
    content = tuple((folder / "whole" / name).read_bytes() for name in (JOURNAL, "venue.jsonl"))
    begin, ends = batch_at(content[0])
    intents = len(records(runtime, "intent"))
    assert intents and len(ends) > 4
    for number, at in enumerate([*ends[:6], begin + 1, ends[1] + 7, ends[0] - 1]):
        again = cut_and_back(life, folder / f"cut{number}", (content[0], content[1]), at)
        assert again.state.risk.mode == ACTIVE and not any(again.state.paper.units.values())
        assert not [one for one in again.state.orders.values() if one.is_open]
        again.close()
        again.broker.close()  # type: ignore[attr-defined]
        third = life.opened(folder / f"cut{number}")
        assert third.state.to_bytes(life.session.decider) == again.state.to_bytes(life.session.decider)
        third.close()
        third.broker.close()  # type: ignore[attr-defined]


def test_a_first_write_that_is_torn(folder: Path) -> None:
    life = life_of(5)
    runtime = life.opened(folder / "whole")
    state = runtime.state.to_bytes(life.session.decider)
    runtime.close()
    runtime.broker.close()  # type: ignore[attr-defined]
    content = (folder / "whole" / JOURNAL).read_bytes()
    for number, at in enumerate((0, 10, content.index(b"\n") + 1, content.index(b"\n") + 99)):
        again = cut_and_back(life, folder / f"cut{number}", (content, b""), at)
        assert again.state.to_bytes(life.session.decider) == state
        step_bars(again, life.rest[0])
        assert again.state.counts["decisions"] == 3
        again.close()
        again.broker.close()  # type: ignore[attr-defined]


def bytes_but_for_times(path: Path) -> list[bytes]:
    return [canonical(one._replace(at_ms=0, hash="")._asdict()) for one in read(path)]


def live_whole(life: Life, place: Path, rest: Sequence[list[Bar]]) -> Path:
    runtime = life.opened(place)
    for now in rest:
        step_bars(runtime, now)
    runtime.end("done")
    runtime.broker.close()  # type: ignore[attr-defined]
    return place


def test_the_same_bars_give_the_same_bytes_but_for_times(folder: Path) -> None:
    life = life_of(6)
    one, two = (live_whole(life, folder / name, life.rest[:30]) for name in ("one", "two"))
    for name in (JOURNAL, "venue.jsonl"):
        told = bytes_but_for_times(one / name)
        assert len(told) > 50 and told == bytes_but_for_times(two / name)
    other = live_whole(life, folder / "other", life.rest[1:31])
    assert bytes_but_for_times(other / JOURNAL) != bytes_but_for_times(one / JOURNAL)
