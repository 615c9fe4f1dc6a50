"""Making a backup while everything runs."""

import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

from tradewind import __version__, clock
from tradewind.errors import BadParameters
from tradewind.operations.backup.collecting import (
    DATABASE,
    JOURNALS,
    Archive,
    add_folder,
    add_journal,
    add_registry,
    add_run,
    cut,
    sqlite_copy,
)
from tradewind.operations.backup.envelope import seal
from tradewind.operations.backup.plan import BackupPlan, Key, Part
from tradewind.operations.journal.records import canonical

CONTENTS = "contents.json"
_OWN = re.compile(r"(?:.*/)?tradewind-(\d{8}T\d{6}Z)(?:-(\d+))?\.backup")


class Made(NamedTuple):
    """A backup that was made: where, what each part's state is, and the parts that were not there."""

    path: Path
    contents: dict[str, Any]
    absent: tuple[str, ...]


def make_backup(project: Path, plan: BackupPlan, key: Key, target: Path, keep: int | None = None) -> Made:
    """Make a backup of every part of the plan that is there, in a new file.

    Args:
        project: the folder that the parts' paths are relative to.
        plan: what is kept.
        key: seals it.
        target: folder of backups; best on another disk or machine.
        keep: so many of the newest backups stay there; None: all.

    Raises:
        BadParameters: no part is there.
        BadData: a part is damaged: no backup is made of it as if it were sound.
        TemporaryOutage: the disk is full, or a part was locked for too long.
    """
    absent = tuple(name for name, part in plan.parts.items() if not _is_there(project / part.path, part))
    if len(absent) == len(plan.parts):
        raise BadParameters(f"none of the plan's parts is in {project}: run it in the project's folder")
    stamp = f"tradewind-{clock.now():%Y%m%dT%H%M%SZ}"
    path, number = target / f"{stamp}.backup", 1
    while path.exists():
        path, number = target / f"{stamp}-{number}.backup", number + 1
    contents: dict[str, Any] = {"format": 1, "at": clock.now().isoformat(), "code": __version__, "parts": {}}

    def write(stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            archive = Archive(tar)
            for name, part in plan.parts.items():
                if name not in absent:
                    facts = _add(archive, name, project / part.path, part)
                    contents["parts"][name] = part.model_dump(mode="json") | facts
            contents["files"] = {one.name: [one.bytes, one.sha256] for one in archive.copied}
            archive.add_bytes(CONTENTS, canonical(contents))

    seal(path, key, write)
    for old in in_order(one.name for one in target.iterdir())[:-keep] if keep else ():
        (target / old).unlink()
    return Made(path, contents, absent)


def in_order(names: Iterable[str]) -> list[str]:
    """Those names that backups have, the oldest first; of one second in the order in which they were made."""
    found = [(one, match) for one in names if (match := _OWN.fullmatch(one))]
    return [one for one, match in sorted(found, key=lambda each: (each[1][1], int(each[1][2] or 0), each[0]))]


def _is_there(path: Path, part: Part) -> bool:
    if part.kind == "run":
        return (path / JOURNALS[0]).is_file()
    if part.kind == "registry":
        return (path / DATABASE).is_file()
    return path.is_dir() if part.kind == "folder" else path.is_file()


def _add(archive: Archive, name: str, path: Path, part: Part) -> dict[str, Any]:
    if part.kind == "run":
        return {"head": list(add_run(archive, name, path))}
    if part.kind == "journal":
        return {"head": list(add_journal(archive, name, path, cut([path])[0]))}
    if part.kind == "registry":
        return {"registry": add_registry(archive, name, path)}
    if part.kind == "sqlite":
        with sqlite_copy(path) as copy:
            archive.add_file(name, copy)
    else:
        add_folder(archive, name, path)
    return {}
