"""A fault drill: faults are planted in copies of what is in production, and each must be met as it should be."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradewind.errors import BadData, TradewindError
from tradewind.operations.backup.collecting import JOURNALS, cut
from tradewind.operations.backup.making import make_backup
from tradewind.operations.backup.plan import BackupPlan, Key
from tradewind.operations.backup.restoring import restore
from tradewind.operations.journal.anchors import drop_anchor, verify
from tradewind.operations.journal.fence import Fence, Fenced, adopt
from tradewind.operations.journal.journal import Entry, Journal


class _Failed(Exception):
    """A fault was not met as it should be."""


def hold_drill(project: Path, run: str, plan: BackupPlan, key: Key) -> list[dict[str, Any]]:
    """Hold the drill beside a running system, which is not touched.

    Args:
        project: the project's folder.
        run: folder of the account's run, from there.
        plan: of backups; its run is the account's.
        key: of backups.

    Returns:
        One `{name, passed, detail}` for each step.
    """
    with tempfile.TemporaryDirectory(prefix="tradewind-drill-") as folder:
        place = Path(folder)
        backup = place / "backups"
        steps: dict[str, Callable[[], str]] = {
            "a backup comes back with the same journal": lambda: _comes_back(project, run, plan, key, place),
            "a damaged backup is refused": lambda: _damaged(backup, key, place),
            "an edited journal is found": lambda: _edited(project / run, place),
            "a cut journal is found by its anchor": lambda: _cut(project / run, place),
            "a writer whose turn is over is refused": lambda: _fenced(project / run, place),
        }
        return [_held(name, step) for name, step in steps.items()]


def _held(name: str, step: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"name": name, "passed": True, "detail": step()}
    except (_Failed, TradewindError, OSError) as error:
        return {"name": name, "passed": False, "detail": str(error)[:500]}


def _comes_back(project: Path, run: str, plan: BackupPlan, key: Key, place: Path) -> str:
    made = make_backup(project, plan, key, place / "backups")
    kept = [said for said in made.contents["parts"].values() if said["path"] == run]
    if not kept:
        raise _Failed(f"the plan of backups does not keep {run}: add it")
    restore(made.path, key, place / "restored")
    found = verify(place / "restored" / run / JOURNALS[0])
    if [found.records, found.hash] != kept[0]["head"]:
        raise _Failed("the restored journal has another head")
    return f"head {found.records} {found.hash}"


def _damaged(backups: Path, key: Key, place: Path) -> str:
    (path,) = backups.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    try:
        restore(path, key, place / "damaged")
    except BadData as error:
        return str(error)[:200]
    raise _Failed("it was restored")


def _copied(run: Path, place: Path, name: str) -> Path:
    """The journal up to a moment at which it is whole."""
    journal, copy = run / JOURNALS[0], place / name
    size = cut([journal])[0]
    with journal.open("rb") as source, copy.open("wb") as target:
        left = size
        while left and (part := source.read(min(left, 1 << 20))):
            target.write(part)
            left -= len(part)
    return copy


def _edited(run: Path, place: Path) -> str:
    copy = _copied(run, place, "edited.jsonl")
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    try:
        verify(copy)
    except BadData as error:
        return str(error)[:200]
    raise _Failed("the edit was not noticed")


def _cut(run: Path, place: Path) -> str:
    copy, anchors = _copied(run, place, "cut.jsonl"), place / "anchors.jsonl"
    found = verify(copy)
    drop_anchor(anchors, (found.records, found.hash), 0)
    whole = copy.read_bytes()
    copy.write_bytes(whole[: whole.rstrip(b"\n").rfind(b"\n") + 1])
    try:
        verify(copy, anchors)
    except BadData as error:
        return str(error)[:200]
    raise _Failed("the cut was not noticed")


def _fenced(run: Path, place: Path) -> str:
    """A standby takes a copy over from a writer that goes on writing."""
    copy, fence = _copied(run, place, "fenced.jsonl"), Fence(place / "fence")
    first = fence.claim(0, "drill")
    with Journal(copy, first) as journal:
        second = fence.claim(1, "drill")
        if first is None or second is None:
            raise _Failed("a turn could not be claimed")
        head = adopt(copy, second)
        try:
            journal.append([Entry("drill", {})], 0)
        except Fenced as error:
            if verify(copy).records != head[0]:
                raise _Failed("the first writer's record is in the journal") from error
            return str(error)[:200]
    raise _Failed("both could write")
