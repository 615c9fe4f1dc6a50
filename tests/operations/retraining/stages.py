"""A project whose stages are small files, in which a retraining can be killed at any of its writes."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tests.operations.bundles import bundle_files, made_later
from tradewind.operations.bundle.contents import Bundle, essence
from tradewind.operations.journal.journal import Journal
from tradewind.operations.registry.records import Reason
from tradewind.operations.registry.registry import Registry
from tradewind.operations.retraining.attempts import Attempts, Ended, History
from tradewind.operations.retraining.beside import Beside
from tradewind.operations.retraining.course import Asked, Course
from tradewind.operations.retraining.judgement import Candidate
from tradewind.operations.retraining.rules import RetrainingRules

RULES = RetrainingRules(
    environment="staging",
    tune=True,
    at_least="go",
    cool_down_days=5,
    most_a_month=4,
    resume_hours=48,
    push_to="",
    push_endpoint="",
)
KILLED = 9
Point = Callable[[], None]


def verdict(said: str = "go", strategy: str = "linear") -> dict[str, Any]:
    return {"verdict": said, "strategy": strategy, "reasons": ["it beats luck", "it pays its costs"],
            "passed": [said == "go", True]}  # fmt: skip


class Stages:
    """Each makes only what is missing, notes it last, and is killed between any two writes."""

    def __init__(self, folder: Path, candidate: Candidate, point: Point = lambda: None) -> None:
        self.folder, self.registry, self.point = folder, Registry(folder / "registry"), point
        self.found, self.fetched, self.summary = candidate, 0, dict[str, Any]()
        self.drift = pd.DataFrame()
        self.fault: Exception | None = None
        self.now: Beside | None = None

    def watched(self) -> tuple[pd.DataFrame, Mapping[str, object]]:
        return self.drift, self.summary

    def fetch(self) -> str:
        self._make("bars", "bars")
        return ""

    def make_data(self) -> None:
        if self.fault is not None:
            raise self.fault
        self._make("data", (self.folder / "bars").read_text() + " with features")

    def train(self, tune: bool) -> None:
        self._make("models", (self.folder / "data").read_text() + f", tuned: {tune}")

    def candidate(self) -> Candidate:
        return self.found

    def beside(self, champion: Bundle) -> Beside | None:
        return self.now

    def deploy(self) -> int:
        noted = self.folder / "deployed"
        if not noted.exists():
            count = len(list(self.folder.glob("begun-*"))) + 1
            self._make(f"begun-{count}", "a deployment")
            number = self.registry.register(made_later(bundle_files(seed=2), count)).version
            self.point()
            self._make("deployed", str(number))
        return int(noted.read_text())

    def _make(self, name: str, content: str) -> None:
        if not (self.folder / name).exists():
            (self.folder / name).write_text(content)
            self.point()


def candidate(said: str = "go", sharpe: float = 1.4, log_loss: float = 0.84) -> Candidate:
    return Candidate("linear", verdict(said), sharpe, sharpe - 1, sharpe + 1, log_loss)


def with_champion(folder: Path) -> Path:
    """A folder whose registry has a champion in staging."""
    registry = Registry(folder / "registry")
    registry.register(bundle_files(seed=1))
    registry.move("staging", "champion", 1, None, Reason("test", "the first"))
    return folder


def retrain(
    stages: Stages, asked: Asked | None = None, rules: RetrainingRules = RULES
) -> tuple[Ended | None, list[str]]:
    """One command; how it ended, and what it said."""
    said: list[str] = []
    with Attempts(stages.folder / "retraining") as attempts:
        course = Course(attempts, stages, stages.registry, rules, said.append)
        return course.go(asked or Asked("manual"), str), said


def history(stages: Stages) -> History:
    with Attempts(stages.folder / "retraining") as attempts:
        return attempts.history


def in_a_process(folder: Path, found: Candidate, kill_at: int) -> int:
    """One command in a process that dies at its write number `kill_at` (0: never); the number of its writes, or -1."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def point() -> None:
            nonlocal count
            count += 1
            if count == kill_at:
                os._exit(KILLED)

        _stop_after(Journal, "append", point)
        _stop_after(Registry, "move", point)
        try:
            retrain(Stages(folder, found, point))
            os.write(write, str(count).encode())
        finally:
            os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    said = os.read(read, 20)
    os.close(read)
    assert os.waitstatus_to_exitcode(status) == (KILLED if kill_at and not said else 0)
    return int(said or -1)


def _stop_after(kind: Any, name: str, point: Point) -> None:
    whole = getattr(kind, name)

    def stopping(*given: Any, **named: Any) -> Any:
        out = whole(*given, **named)
        point()
        return out

    setattr(kind, name, stopping)


def state(folder: Path) -> dict[str, Any]:
    """All that a retraining leaves but times: the stages' bytes, versions, roles, moves, and how it ended."""
    registry = Registry(folder / "registry")
    with Attempts(folder / "retraining") as attempts:
        known = attempts.history.attempts
    return {
        "files": {name: (folder / name).read_bytes() for name in ("bars", "data", "models")},
        "versions": [(one.version, one.name, one.evidence_sha256) for one in registry.versions()],
        "bundles": [essence(registry.read(one.version)) for one in registry.versions()],
        "folders": len(list((folder / "registry/bundles").iterdir())),
        "roles": registry.roles("staging"),
        "moves": [(one.role, one.action, one.before, one.after, one.why) for one in registry.history()],
        "attempts": [(one.begun, one.ended) for one in known],
    }
