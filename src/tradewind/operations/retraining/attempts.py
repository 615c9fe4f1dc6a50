"""Every retraining there was, from a journal: which step is under way and why, and how each ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from tradewind import clock
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.journal.records import Record, plain
from tradewind.operations.registry.records import Environment

JOURNAL = "journal.jsonl"
Outcome = Literal["canary", "kept", "registered", "first", "unchanged"]


class Begun(NamedTuple):
    """What a retraining was started with.

    Attributes:
        because: manual, scheduled, drift or degraded.
        why: in words.
        environment: of the registry.
        champion, canary: its versions then, None for none.
        tune: whether parameters are searched anew.
    """

    because: str
    why: str
    environment: Environment
    champion: int | None
    canary: int | None
    tune: bool


class Ended(NamedTuple):
    """How a retraining ended.

    Attributes:
        outcome: `canary`: its version is on trial; `kept`: nothing was registered; `registered`: it is, and no trial
            could begin; `first`: there was no champion, and it is; `unchanged`: it is the champion's own version.
        why: in words.
        version: None where nothing was registered.
    """

    outcome: Outcome
    why: str
    version: int | None = None


@dataclass(frozen=True)
class Attempt:
    """One retraining.

    Attributes:
        number: from 1.
        seq: of its first record.
        begun_at, last_at: of its first and last record.
        begun: what it was started with.
        done: steps that need not be made again.
        step: under way; empty between two.
        judged: what was found of its candidate, as JSON.
        stopped: the error that stopped it last; empty once it goes on.
        ended: None while it is unfinished.
        abandoned: whether nobody goes on with it any more.
    """

    number: int
    seq: int
    begun_at: datetime
    last_at: datetime
    begun: Begun
    done: tuple[str, ...] = ()
    step: str = ""
    judged: Mapping[str, Any] = field(default_factory=dict)
    stopped: str = ""
    ended: Ended | None = None
    abandoned: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it can be gone on with."""
        return self.ended is None and not self.abandoned


class HeldBack(NamedTuple):
    """A retraining that was asked for and not begun: when, because of what, and why not."""

    at: datetime
    because: str
    why: str


class History(NamedTuple):
    """All that the journal tells, oldest first."""

    attempts: tuple[Attempt, ...]
    held_back: tuple[HeldBack, ...]


def history_of(records: Iterable[Record]) -> History:
    """The history that records tell."""
    attempts: dict[int, Attempt] = {}
    held: list[HeldBack] = []
    for one in records:
        at = datetime.fromtimestamp(one.at_ms / 1000, UTC)
        if one.kind == "held_back":
            held.append(HeldBack(at, one.body["because"], one.body["why"]))
        elif one.kind == "begun":
            attempts[one.seq] = Attempt(len(attempts) + 1, one.seq, at, at, Begun(**one.body))
        else:
            attempts[one.cause] = replace(_after(attempts[one.cause], one), last_at=at)
    return History(tuple(attempts.values()), tuple(held))


def _after(attempt: Attempt, record: Record) -> Attempt:
    body = record.body
    if record.kind == "step":
        return replace(attempt, step=body["step"], stopped="")
    if record.kind == "done":
        return replace(attempt, done=(*attempt.done, body["step"]), step="")
    if record.kind == "judged":
        return replace(attempt, judged=body)
    if record.kind == "stopped":
        return replace(attempt, stopped=body["error"], done=() if body["begins_anew"] else attempt.done)
    if record.kind == "ended":
        return replace(attempt, ended=Ended(**body), step="")
    return replace(attempt, abandoned=True)


class Attempts:
    """The one writer of a retraining's journal."""

    def __init__(self, folder: Path) -> None:
        """Open the journal of this folder, which is made if it is not there.

        Raises:
            BadData: a record is not what was written.
            BadParameters: another process has it open, or it may not be written.
            TemporaryOutage: the disk is full or fails.
        """
        self._journal = Journal(folder / JOURNAL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    @property
    def history(self) -> History:
        """What there was up to now."""
        return history_of(read(self._journal.path))

    @property
    def unfinished(self) -> Attempt | None:
        """The retraining that can be gone on with, if there is one."""
        attempts = self.history.attempts
        return attempts[-1] if attempts and attempts[-1].is_open else None

    def begin(self, begun: Begun) -> Attempt:
        """A new retraining."""
        self._append("begun", begun._asdict(), 0)
        return self.history.attempts[-1]

    def step(self, attempt: Attempt, step: str, why: str) -> None:
        """A step is under way.

        Args:
            attempt: whose step it is.
            step: its name.
            why: it is made, in words.
        """
        self._append("step", {"step": step, "why": why}, attempt.seq)

    def done(self, attempt: Attempt, step: str) -> None:
        """A step is done and need not be made again."""
        self._append("done", {"step": step}, attempt.seq)

    def judged(self, attempt: Attempt, found: Mapping[str, Any]) -> None:
        """What was found of the candidate."""
        self._append("judged", plain(found), attempt.seq)

    def stopped(self, attempt: Attempt, error: str, begins_anew: bool) -> None:
        """An error stopped it; the next command goes on.

        Args:
            attempt: that was stopped.
            error: in one line.
            begins_anew: with the first step, whatever was done.
        """
        self._append("stopped", {"error": error, "begins_anew": begins_anew}, attempt.seq)

    def abandon(self, attempt: Attempt) -> None:
        """Nobody goes on with it."""
        self._append("abandoned", {}, attempt.seq)

    def end(self, attempt: Attempt, ended: Ended) -> None:
        """It is over."""
        self._append("ended", ended._asdict(), attempt.seq)

    def hold_back(self, because: str, why: str) -> None:
        """One that was asked for is not begun."""
        self._append("held_back", {"because": because, "why": why}, 0)

    def _append(self, kind: str, body: Mapping[str, Any], cause: int) -> None:
        self._journal.append([Entry(kind, body, cause)], int(clock.now().timestamp() * 1000))
