"""The experiment's outcomes on disk: one line each, so that a killed experiment goes on where it stopped."""

import json
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from tradewind.compute import ExecutorKind, executor, track
from tradewind.errors import BadData
from tradewind.validation.cases import Case

logger = logging.getLogger(__name__)
Outcome = dict[str, Any]


def run_cases(
    wanted: Sequence[Case],
    judge: Callable[[Case], Outcome],
    path: Path,
    identity: str = "",
    workers: int = 2,
    kind: ExecutorKind = "processes",
    seconds: float = math.inf,
) -> list[Outcome]:
    """The outcomes of the cases, in their order: what `path` has is taken from there, the rest is added to it.

    `identity` names what `judge` judges by: outcomes of another one do not count.

    Each outcome reaches the disk as soon as its market is judged, and those before it.

    Args:
        wanted: the cases, in the order of the result.
        judge: gives a case's outcome; called in another process.
        path: a file of JSON lines.
        identity: names what `judge` judges by; outcomes of another identity do not count.
        workers: cases judged at once.
        kind: of the executor.
        seconds: after which no other case is begun; the result then has the first cases only.

    Raises:
        BadData: a line of the file is damaged, other than a last one that was cut off.
    """
    done = {outcome["key"]: outcome for outcome in read(path) if outcome["identity"] == identity}
    missing = [case for case in wanted if case.key not in done]
    logger.info("truth: %d of %d markets are judged already", len(wanted) - len(missing), len(wanted))
    path.parent.mkdir(parents=True, exist_ok=True)
    if missing:
        with executor(kind, workers) as on:
            ahead = 1 if kind == "serial" else 2 * workers
            results = _until(time.monotonic() + seconds, on, judge, missing, ahead)
            for _, outcome in zip(track(range(len(missing)), "truth: markets"), results, strict=False):
                done[outcome["key"]] = outcome | {"identity": identity}
                append(path, done[outcome["key"]])
    return [done[case.key] for case in wanted if case.key in done]


def _until(
    end: float, on: Executor, judge: Callable[[Case], Outcome], missing: Sequence[Case], ahead: int
) -> Iterator[Outcome]:
    """Outcomes in order; nothing is begun after the end."""
    waiting, pending = deque(missing), deque[Future[Outcome]]()
    while waiting or pending:
        while waiting and len(pending) < ahead and time.monotonic() < end:
            pending.append(on.submit(judge, waiting.popleft()))
        if not pending:
            return
        yield pending.popleft().result()


def read(path: Path) -> list[Outcome]:
    """The outcomes in the file; a last line that was cut off is taken away from it.

    Raises:
        BadData: another line is damaged.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    outcomes = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            outcomes.append(json.loads(line))
        except ValueError as error:
            raise BadData(f"{path}, line {number} is damaged ({error}): move the file away and begin anew") from error
    if lines[-1]:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - len(lines[-1]))
    return outcomes


def append(path: Path, outcome: Outcome) -> None:
    """One line more, on the disk before this returns."""
    with path.open("ab") as file:
        file.write(json.dumps(outcome, sort_keys=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
