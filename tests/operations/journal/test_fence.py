"""One writer ever: whenever a primary is frozen, killed or cut off, the standby acts in time and never both."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from tradewind.errors import BadData, TemporaryOutage, TradewindError
from tradewind.operations.journal import fence as fence_module
from tradewind.operations.journal import journal as journal_module
from tradewind.operations.journal.anchors import verify
from tradewind.operations.journal.fence import Fence, Fenced, Turn, Watcher, adopt
from tradewind.operations.journal.journal import Entry, Journal, read

AFTER_S, LOOK_S, LONGEST_S = 15.0, 0.5, 30.0


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one: what is tested with it needs no disk."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(prefix="tradewind-test-", dir=memory) as name:
        yield Path(name)


def test_a_turn_is_one_process_alone(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence")
    assert fence.present() == 0
    first = fence.claim(0, "a")
    assert first is not None and fence.claim(0, "b") is None and fence.present() == 1
    first.check()
    second = fence.claim(1, "b")
    assert second is not None
    with pytest.raises(Fenced, match="turn 1 .* is over"):
        first.check()
    with pytest.raises(Fenced):
        first.beat(3)
    second.beat(1)
    (tmp_path / "fence").rename(tmp_path / "away")
    with pytest.raises(Fenced, match="cannot be seen"):
        second.check()


def test_a_journal_whose_turn_is_over_takes_nothing(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence")
    path = tmp_path / "journal.jsonl"
    turn = fence.claim(0)
    journal = Journal(path, turn)
    journal.append([Entry("a", {})], 1)
    fence.claim(1)
    size = path.stat().st_size
    with pytest.raises(Fenced):
        journal.append([Entry("b", {})], 2)
    assert path.stat().st_size == size
    with pytest.raises(TemporaryOutage):
        journal.append([Entry("b", {})], 2)


def test_what_was_written_while_another_took_over_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn was this process's own before the write, and is looked at again afterwards."""
    fence = Fence(tmp_path / "fence")
    journal = Journal(tmp_path / "journal.jsonl", fence.claim(0))
    write = journal._write

    def slowly(content: bytes) -> None:
        write(content)
        fence.claim(1)

    monkeypatch.setattr(journal, "_write", slowly)
    with pytest.raises(Fenced):
        journal.append([Entry("a", {})], 1)
    assert journal.head[0] == 0


def test_the_watcher_asks_its_own_clock_alone(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence")
    watcher = Watcher(fence, AFTER_S)
    assert watcher.gone(100.0) is None and watcher.gone(115.0) == 0  # nobody ever began
    turn = fence.claim(0)
    assert turn is not None
    turn.beat(1)
    assert watcher.gone(120.0) is None and watcher.gone(134.9) is None
    turn.beat(2)
    assert watcher.gone(135.0) is None and watcher.gone(149.9) is None and watcher.gone(150.0) == 1
    turn.release()
    assert watcher.gone(150.1) is None and watcher.gone(1e9) is None  # ended in order


def test_a_takeover_leaves_out_an_unfinished_last_line_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append([Entry("a", {"number": one}) for one in range(3)], 1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:90])  # a killed writer's half of a record
    turn = Fence(tmp_path / "fence").claim(0)
    assert turn is not None
    seq, digest = adopt(path, turn)
    assert path.read_bytes() == whole and (seq, digest) == (3, [one.hash for one in read(path)][-1])
    assert (tmp_path / "journal.jsonl.before-1").read_bytes() == whole + whole[:90]


def test_a_damaged_journal_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append([Entry("a", {"number": one}) for one in range(5)], 1)
    path.write_bytes(path.read_bytes().replace(b'"number":2', b'"number":3'))
    turn = Fence(tmp_path / "fence").claim(0)
    assert turn is not None
    with pytest.raises(BadData, match="record 3 is not what was written"):
        adopt(path, turn)


# Schedules: a primary that is stopped at one of its steps, while the standby lives on ---------------------------

MOMENTS = ("before a turn is checked", "while it writes", "written", "on the disk", "recorded", "sent", "between")
FATES = ("frozen", "killed", "cut off")


class Killed(BaseException):
    """The process is gone in the middle of what it did."""


class Machine:
    """Journal and ledger of one process, as a paper account has them, on a simulated clock."""

    def __init__(self, folder: Path, turn: Turn, step: Callable[[str], None]) -> None:
        self.turn, self._step = turn, step
        self.journal = Journal(folder / "journal.jsonl", turn)
        self.ledger = Journal(folder / "venue.jsonl", turn)

    def order(self, now_s: float) -> None:
        """Record an intent, then send it: the ledger is the venue."""
        seq = self.journal.head[0] + 1
        self.journal.append([Entry("intent", {"turn": self.turn.epoch, "at": now_s}),
                             Entry("because", {"turn": self.turn.epoch}, -1)], int(now_s * 1000))  # fmt: skip
        self._step("recorded")
        self.ledger.append([Entry("order", {"turn": self.turn.epoch, "intent": seq, "at": now_s})], int(now_s * 1000))
        self._step("sent")

    def close(self) -> None:
        self.journal.close()
        self.ledger.close()


class Schedule:
    """One schedule: at which step of which order the primary is stopped, how, and for how long."""

    def __init__(self, folder: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.folder, self.rng, self.now_s = folder, rng, 0.0
        self.fate, self.moment = FATES[seed % 3], MOMENTS[(seed // 3) % len(MOMENTS)]
        self.orders_before = int(rng.integers(1, 6))
        self.frozen_s = float(rng.uniform(16, 200))
        self.which, self.left = str(rng.choice(["journal", "ledger"])), 0
        self.acting: list[tuple[float, int]] = []
        self.primary: Machine | None = None
        self.standby: Machine | None = None
        self.is_cut = False
        self.fence = Fence(folder / "fence")
        self.armed = self.done = False
        self.phase_s = float(rng.uniform(0, LOOK_S))

    def step(self, moment: str) -> None:
        """The primary is at this moment; it may be stopped here."""
        if not self.armed or self.done or self.standby is not None or moment != self.moment:
            return
        if self.left:
            self.left -= 1
            return
        self.done = True
        stopped = self.now_s
        if self.fate == "cut off":
            self.is_cut = True
        if self.fate != "killed":
            self.standby_lives(stopped)
            return
        raise Killed

    def standby_lives(self, stopped_s: float) -> None:
        """The standby's part, while the primary does nothing."""
        watcher = Watcher(self.fence, AFTER_S)
        cut, self.is_cut = self.is_cut, False  # it sees everything
        self.now_s += self.phase_s
        watcher.gone(stopped_s)  # it has been looking all the time
        turn = None
        while turn is None:
            self.now_s += LOOK_S
            gone = watcher.gone(self.now_s)
            turn = self.fence.claim(gone) if gone is not None else None
        adopt(self.folder / "journal.jsonl", turn)
        adopt(self.folder / "venue.jsonl", turn)
        self.standby = Machine(self.folder, turn, lambda moment: None)
        self.settle(self.standby)
        for _ in range(3):
            self.standby.order(self.now_s)
            self.acting.append((self.now_s - stopped_s, turn.epoch))
            self.now_s += 1.0
        self.now_s += self.frozen_s
        self.is_cut = cut

    def settle(self, machine: Machine) -> None:
        """What a start does: intents that the venue does not know are sent, as one of this turn."""
        known = {one.body["intent"] for one in read(self.folder / "venue.jsonl")}
        for one in list(read(self.folder / "journal.jsonl")):
            if one.kind == "intent" and one.seq not in known:
                body = {"turn": machine.turn.epoch, "intent": one.seq, "at": self.now_s}
                machine.ledger.append([Entry("order", body)], int(self.now_s * 1000))

    def run(self) -> None:
        turn = self.fence.claim(0)
        assert turn is not None
        turn.beat(0)
        self.primary = Machine(self.folder, turn, self.step)
        try:
            for number in range(40):
                if self.done and self.standby is None:
                    break
                self.armed = number >= self.orders_before
                self.now_s += float(self.rng.uniform(0.1, 2))
                if number % 2 == 0 and not self.is_cut:
                    turn.beat(number + 1)
                self.step("between")
                self.primary.order(self.now_s)
        except (Killed, TradewindError, OSError):
            pass
        finally:
            if self.fate == "killed":
                self.primary.close()
        if self.standby is None:
            self.standby_lives(self.now_s)

    def close(self) -> None:
        for one in (self.primary, self.standby):
            if one is not None:
                one.close()

    def faults(self) -> list[str]:
        """What must never be, from the files that count."""
        out = []
        verify(self.folder / "journal.jsonl")
        verify(self.folder / "venue.jsonl")
        journal, ledger = (list(read(self.folder / name)) for name in ("journal.jsonl", "venue.jsonl"))
        turns = [one.body["turn"] for one in journal]
        if turns != sorted(turns) or [one.body["turn"] for one in ledger] != sorted(one.body["turn"] for one in ledger):
            out.append("both wrote")
        sent = [one.body["intent"] for one in ledger]
        if len(sent) != len(set(sent)):
            out.append("an order was sent twice")
        intents = {one.seq for one in journal if one.kind == "intent"}
        if set(sent) - intents:
            out.append("an order without an intent")
        if {one.body["turn"] for one in ledger} == {1} or not self.acting:
            out.append("the standby did not act")
        elif self.acting[0][0] > LONGEST_S:
            out.append(f"the standby acted after {self.acting[0][0]:.1f} s")
        return out


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Schedule], None]]:
    """Let a schedule see every step inside `append`, and cut the primary off from the disk."""

    def install(schedule: Schedule) -> None:
        check, sync, write = Turn.check, os.fdatasync, os.write

        def is_primary() -> bool:
            return schedule.standby is None

        def checked(turn: Turn) -> None:
            if turn.epoch == 1:
                schedule.step("before a turn is checked")
                if schedule.is_cut:
                    raise Fenced("cannot be seen")
            check(turn)

        def written(descriptor: int, content: Any) -> int:
            halves = schedule.moment == "while it writes" and schedule.armed and not schedule.done
            if is_primary() and len(content) > 60 and halves:
                done = write(descriptor, bytes(content)[: len(content) // 2])
                schedule.step("while it writes")
                return done
            done = write(descriptor, content)
            if is_primary():
                schedule.step("written")
            return done

        def synced(descriptor: int) -> None:
            if schedule.is_cut:
                raise OSError(5, "cut off")
            sync(descriptor)
            if is_primary():
                schedule.step("on the disk")

        monkeypatch.setattr(fence_module.Turn, "check", checked)
        monkeypatch.setattr(journal_module.os, "write", written)
        monkeypatch.setattr(journal_module.os, "fdatasync", synced)

    yield install
    monkeypatch.undo()


def one_schedule(folder: Path, seed: int, stepped: Callable[[Schedule], None], monkeypatch: Any) -> list[str]:
    schedule = Schedule(folder, seed)
    with monkeypatch.context():
        stepped(schedule)
        try:
            schedule.run()
        finally:
            schedule.close()
            monkeypatch.undo()
    assert schedule.done, f"{schedule.fate} {schedule.moment} never came"
    return [f"{schedule.fate}, {schedule.moment}: {one}" for one in schedule.faults()]


def test_two_hundred_schedules(
    folder: Path, stepped: Callable[[Schedule], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [one for seed in range(200) for one in one_schedule(folder / str(seed), seed, stepped, monkeypatch)]
    assert wrong == []


def test_a_writer_that_does_not_look_afterwards_is_noticed(
    folder: Path, stepped: Callable[[Schedule], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: the copy is not made, and turns are not looked at."""
    wrong = []
    for seed in range(21):
        with monkeypatch.context() as planted:
            planted.setattr(Journal, "_check_turn", lambda self: None)
            planted.setattr(sys.modules[__name__], "adopt", lambda path, turn: None)
            planted.setattr(journal_module.fcntl, "flock", lambda *_: None)
            schedule = Schedule(folder / str(seed), seed)
            stepped(schedule)
            try:
                schedule.run()
                wrong += schedule.faults()
            except TradewindError as error:
                wrong.append(str(error))
            finally:
                schedule.close()
                monkeypatch.undo()
    assert len(wrong) > 5


# Real processes ---------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, time
from pathlib import Path
from tradewind.operations.journal.fence import Fence, Fenced, Watcher, adopt
from tradewind.operations.journal.journal import Entry, Journal, read
folder, role = Path(sys.argv[1]), sys.argv[2]
fence, path = Fence(folder / "fence"), folder / "journal.jsonl"
if role == "primary":
    turn = fence.claim(fence.present(), role)
else:
    watcher, turn = Watcher(fence, 1.5), None
    print("standing by", flush=True)
    while turn is None:
        gone = watcher.gone(time.monotonic())
        turn = fence.claim(gone, role) if gone is not None else None
        time.sleep(0.05)
    adopt(path, turn)
journal = Journal(path, turn)
try:
    for number in range(100000):
        if number % 5 == 0:
            turn.beat(number)
        journal.append([Entry("order", {"turn": turn.epoch, "number": number, "note": "x" * 3000})], number)
        if number == 3:
            print("at work", flush=True)
        time.sleep(0.01)
except Fenced:
    print("fenced", flush=True)
    sys.exit(7)
"""


def process(folder: Path, role: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), role], stdout=subprocess.PIPE, text=True)


def said(one: "subprocess.Popen[str]") -> str:
    assert one.stdout is not None
    return one.stdout.readline().strip()


@pytest.mark.parametrize("fate", FATES)
def test_real_processes(fate: str, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    seen = tmp_path / "seen"  # the primary's own way to the folder, which is cut
    seen.symlink_to(shared)
    primary, standby = process(seen, "primary"), process(shared, "standby")
    try:
        assert said(primary) == "at work" and said(standby) == "standing by"
        stopped = time.monotonic()
        if fate == "cut off":
            seen.unlink()
        else:
            primary.send_signal(signal.SIGSTOP if fate == "frozen" else signal.SIGKILL)
        assert said(standby) == "at work"
        assert time.monotonic() - stopped < LONGEST_S
        if fate == "frozen":
            primary.send_signal(signal.SIGCONT)
        assert primary.wait(20) == (-signal.SIGKILL if fate == "killed" else 7)
        head = verify(shared / "journal.jsonl").records
        deadline = time.monotonic() + 20
        while verify(shared / "journal.jsonl").records < head + 5:
            assert time.monotonic() < deadline, "the standby stopped"
            time.sleep(0.05)
    finally:
        for one in (primary, standby):
            one.kill()
            one.wait()
            assert one.stdout is not None
            one.stdout.close()
    turns = [one.body["turn"] for one in read(shared / "journal.jsonl")]
    assert turns == sorted(turns) and set(turns) == {1, 2}
