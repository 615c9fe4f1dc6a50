"""Restoring a backup: everything is checked in a folder of its own before anything takes its place."""

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from pydantic import ValidationError

from tradewind import clock
from tradewind.atomic import explain, make_folder
from tradewind.errors import BadData, BadParameters
from tradewind.folder_lock import locked
from tradewind.operations.backup.collecting import (
    DATABASE,
    JOURNALS,
    check_bundles,
    registry_facts,
)
from tradewind.operations.backup.envelope import opened
from tradewind.operations.backup.making import CONTENTS
from tradewind.operations.backup.plan import NAME, Key, Part
from tradewind.operations.journal.anchors import read_anchors
from tradewind.operations.journal.journal import is_in_use, read
from tradewind.parameters import faults

_BESIDE = ("-wal", "-shm", "-journal")  # of a SQLite file that was not closed: they belong to it alone


class Rules(NamedTuple):
    """What a restore may do.

    Attributes:
        replace: what is there is put aside.
        accept_older: the records after the backup are lost, knowingly.
    """

    replace: bool = False
    accept_older: bool = False


class Restored(NamedTuple):
    """What was restored: part by path, state by part, and what was put aside."""

    paths: dict[str, Path]
    contents: dict[str, Any]
    aside: tuple[Path, ...]


def restore(backup: Path, key: Key, into: Path, rules: Rules | None = None) -> Restored:
    """Restore a backup below a folder.

    Args:
        backup: the file.
        key: that it was sealed with.
        into: the project's folder, or another one.
        rules: what may be done; by default nothing that is there is touched.

    Raises:
        BadData: the backup is damaged, forged, or older than what is there or was anchored there.
        BadParameters: the wrong key, something is there, or it is in use.
        TemporaryOutage: the disk is full.
    """
    allowed = rules or Rules()
    try:
        make_folder(into)
        staging = Path(tempfile.mkdtemp(prefix=".restoring-", dir=into))
    except OSError as error:
        raise explain(into, error) from error
    try:
        with opened(backup, key) as stream:
            found = _unpack(stream, staging, backup)
        contents = _checked(staging, found, backup)
        parts = {name: _part(name, facts, backup) for name, facts in contents["parts"].items()}
        for name, part in parts.items():
            _check_part(staging / name, part, contents["parts"][name], backup)
        with _alone(into, parts):
            for name, part in parts.items():
                _check_target(into, part, staging / name, allowed)
            with ExitStack() as near:
                sources = {name: _near(staging / name, into / part.path, near) for name, part in parts.items()}
                return _put(sources, into, parts, contents)
    except OSError as error:
        raise explain(into, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _alone(into: Path, parts: dict[str, Part]) -> Iterator[None]:
    """While no run of the project writes to the folders that the parts are in."""
    with ExitStack() as stack:
        for first in sorted({PurePosixPath(part.path).parts[0] for part in parts.values()}):
            if (into / first).is_dir():
                stack.enter_context(locked(into / first, "restoring a backup"))
        yield


def _unpack(stream: IO[bytes], staging: Path, backup: Path) -> dict[str, list[Any]]:
    """Plain files alone; their sizes and hashes."""
    found: dict[str, list[Any]] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                source = archive.extractfile(member) if member.isreg() else None
                if source is None or path.is_absolute() or ".." in path.parts or member.name in found:
                    raise BadData(f"{backup} holds {member.name!r}, which no backup does: take another one")
                make_folder(staging / path.parent)
                digest, size = hashlib.sha256(), 0
                with (staging / path).open("xb") as file:
                    while part := source.read(1 << 20):
                        file.write(part)
                        digest.update(part)
                        size += len(part)
                    file.flush()
                    os.fsync(file.fileno())
                found[member.name] = [size, digest.hexdigest()]
    except tarfile.TarError as error:
        raise BadData(f"{backup} is damaged ({error}): take another one") from error
    return found


def _checked(staging: Path, found: dict[str, list[Any]], backup: Path) -> dict[str, Any]:
    """What the backup says of itself, if the files are those that it names."""
    try:
        contents: dict[str, Any] = json.loads((staging / CONTENTS).read_bytes())
        files, parts = contents["files"], contents["parts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{backup} does not say what it holds: take another one") from error
    del found[CONTENTS]
    if files != found or not isinstance(parts, dict):
        raise BadData(f"{backup} does not hold what it says: take another one")
    return contents


def _part(name: str, facts: dict[str, Any], backup: Path) -> Part:
    known = {one: facts[one] for one in Part.model_fields if one in facts}
    if not re.fullmatch(NAME, name):
        raise BadData(f"{backup}: {name!r} is no part's name")
    try:
        return Part.model_validate(known)
    except ValidationError as error:
        raise BadData(f"{backup}: part {name}: {faults(error)}") from error


def _journals(path: Path, part: Part) -> list[Path]:
    if part.kind == "run":
        return [path / one for one in JOURNALS if (path / one).is_file()]
    return [path] if part.kind == "journal" and path.is_file() else []


def _check_part(path: Path, part: Part, facts: dict[str, Any], backup: Path) -> None:
    """Whether the part has the head, or the registry, that was noted when it was copied."""
    for number, journal in enumerate(_journals(path, part)):
        head = _head(journal)
        if number == 0 and list(head) != facts["head"]:
            raise BadData(f"{backup}: the journal of {part.path} is not the one that was copied")
    if part.kind == "registry":
        if registry_facts(path / DATABASE)[0] != facts["registry"]:
            raise BadData(f"{backup}: the registry is not the one that was copied")
        check_bundles(path)


def _head(journal: Path) -> tuple[int, str]:
    head = (0, "0" * 64)
    for record in read(journal):
        head = (record.seq, record.hash)
    return head


def _check_target(into: Path, part: Part, staged: Path, rules: Rules) -> None:
    target = into / part.path
    for journal in _journals(target, part):
        if is_in_use(journal):
            raise BadParameters(
                f"{target} belongs to a running system: end it first (systemctl stop tradewind-paper), or restore into "
                "another folder with --into"
            )
    if part.kind in ("run", "journal") and not rules.accept_older:
        _refuse_older(into, target, part, _journals(staged, part)[0])
    if target.is_mount():
        raise BadParameters(f"{target} is a mount of its own, which cannot be put aside: restore elsewhere with --into")
    if target.exists() and not rules.replace:
        raise BadParameters(
            f"{target} is there: restore into another folder with --into, or give --replace, which puts it aside"
        )


def _refuse_older(into: Path, target: Path, part: Part, staged: Path) -> None:
    """Refuse a journal that ends before the one that is there, or before an anchor, or that is another one."""
    hashes = {record.seq: record.hash for record in read(staged)}
    last = max(hashes, default=0)
    known = [(str(journal), *_head(journal)) for journal in _journals(target, part)[:1]]
    if part.anchors:
        known += [(str(into / part.anchors), one.seq, one.hash) for one in read_anchors(into / part.anchors)]
    for where, seq, digest in known:
        if seq > last:
            raise BadData(
                f"{where} knows record {seq}, the backup ends at {last}: take a newer backup, or give --accept-older "
                f"to lose {seq - last} records or more"
            )
        if seq and hashes[seq] != digest:
            raise BadData(f"{where} is of another journal than the backup's: restore into another folder with --into")


def _near(source: Path, target: Path, open_until: ExitStack) -> Path:
    """What is restored, on the disk of its target, so that it is renamed into place: a data folder may be a mount."""
    real = target.resolve()
    make_folder(real.parent)
    if not source.exists():  # an empty folder leaves no file behind
        source.mkdir()
    if source.stat().st_dev == real.parent.stat().st_dev:
        return source
    copy = Path(open_until.enter_context(tempfile.TemporaryDirectory(prefix=".restoring-", dir=real.parent))) / "part"
    if source.is_file():
        shutil.copy2(source, copy)
    else:
        shutil.copytree(source, copy)
    for file in (copy, *copy.rglob("*")):
        if file.is_file():
            with file.open("rb") as copied:
                os.fsync(copied.fileno())
    return copy


def _put(sources: dict[str, Path], into: Path, parts: dict[str, Part], contents: dict[str, Any]) -> Restored:
    stamp, aside, paths = f"{clock.now():%Y%m%dT%H%M%S}", [], {}
    for name, part in parts.items():
        target = (into / part.path).resolve()  # where a link leads: the link stays
        for beside in ("", *(_BESIDE if part.kind == "sqlite" else ())):
            present = target.with_name(target.name + beside)
            if present.exists():
                aside.append(present.rename(target.with_name(f"{target.name}.before-{stamp}{beside}")))
        sources[name].rename(target)
        paths[name] = into / part.path
    return Restored(paths, contents, tuple(aside))
