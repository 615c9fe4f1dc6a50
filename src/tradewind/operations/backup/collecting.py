"""Consistent copies of what is being written meanwhile."""

import hashlib
import io
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from tradewind.atomic import is_partial
from tradewind.errors import BadData, BadModel, TemporaryOutage
from tradewind.operations.bundle.sealing import MANIFEST, place_of, read_bundle
from tradewind.operations.journal.halt_file import HALT_FILE
from tradewind.operations.journal.records import FIRST, read_line

JOURNALS = ("journal.jsonl", "venue.jsonl")
SNAPSHOTS = "snapshots"
DATABASE, BUNDLES = "registry.sqlite", "bundles"
_STILL_S = 20.0  # how long a moment is looked for at which nothing is half written
Head = tuple[int, str]


class Copied(NamedTuple):
    """One file of a backup: its path, size and SHA-256."""

    name: str
    bytes: int
    sha256: str


class Archive:
    """A tar stream that keeps what it was given."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.copied: list[Copied] = []

    def add(self, name: str, size: int, read: Callable[[int], bytes]) -> None:
        """Add a file of exactly `size` bytes.

        Args:
            name: its path in the archive.
            size: in bytes.
            read: gives at most so many of its next bytes.

        Raises:
            TemporaryOutage: there is less to read than that.
        """
        counted = _Counted(read, size)
        about = tarfile.TarInfo(name)
        about.size, about.mode = size, 0o600
        try:
            self._tar.addfile(about, counted)
        except OSError as error:
            if counted.left:
                raise TemporaryOutage(f"{name} became shorter while it was copied: run again") from error
            raise
        self.copied.append(Copied(name, size, counted.digest.hexdigest()))

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file with this content."""
        self.add(name, len(content), io.BytesIO(content).read)

    def add_file(self, name: str, path: Path) -> None:
        """Add a file as it is when it is opened; no link is followed.

        Raises:
            FileNotFoundError: it is gone.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            self.add(name, os.fstat(descriptor).st_size, file.read)


class _Counted:
    def __init__(self, read: Callable[[int], bytes], size: int) -> None:
        self._read, self.left, self.digest = read, size, hashlib.sha256()

    def read(self, most: int = -1) -> bytes:
        part = self._read(min(most, self.left) if most >= 0 else self.left)
        self.left -= len(part)
        self.digest.update(part)
        return part


def cut(paths: Sequence[Path], patience_s: float = _STILL_S) -> list[int]:
    """The sizes of files that only grow, all at one moment at which none is half written.

    A process that acts on one file after the other is seen as if it had been killed at that moment: the first file is
    looked at again after the last.

    Raises:
        TemporaryOutage: there was no such moment.
    """
    until = time.monotonic() + patience_s
    while True:
        before, after = _ends(paths), _ends(paths)
        if before == after and all(whole for _, whole in before):
            return [size for size, _ in before]
        if time.monotonic() > until:
            raise TemporaryOutage(f"{paths[0].parent} is written to without a pause: back it up again")
        time.sleep(0.001)


def _ends(paths: Sequence[Path]) -> list[tuple[int, bool]]:
    out = []
    for path in paths:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            out.append((size, file.read(1) in (b"", b"\n")))
    return out


class _Chain:
    """Reads the first bytes of a journal, checking every record before it is given away."""

    def __init__(self, file: IO[bytes], where: str) -> None:
        self._file, self._where, self._rest = file, where, b""
        self.head: Head = (0, FIRST)

    def read(self, most: int) -> bytes:
        while not self._rest:
            line = self._file.readline()
            if not line.endswith(b"\n"):
                return b""
            record = read_line(line[:-1], self.head[1], self.head[0] + 1, self._where)
            self.head, self._rest = (record.seq, record.hash), line
        part, self._rest = self._rest[:most], self._rest[most:]
        return part


def add_journal(archive: Archive, name: str, path: Path, size: int) -> Head:
    """Add the first `size` bytes of a journal, each record checked; its head.

    Args:
        archive: takes it.
        name: its path there.
        path: the journal.
        size: see `cut`.

    Raises:
        BadData: a record is not what was written.
    """
    with path.open("rb") as file:
        chain = _Chain(file, str(path))

        def read(most: int) -> bytes:
            parts, left = [], most
            while left and (part := chain.read(left)):
                parts.append(part)
                left -= len(part)
            return b"".join(parts)

        archive.add(name, size, read)
    return chain.head


def add_run(archive: Archive, name: str, folder: Path) -> Head:
    """Add a paper account's run: its journals as they were at one moment, and the snapshots of before it.

    The dashboard's token and address are no part of it.

    Args:
        archive: takes it.
        name: its path there.
        folder: of the run.

    Returns:
        The head of the run's journal.
    """
    journals = [folder / one for one in JOURNALS if (folder / one).is_file()]
    sizes = cut(journals)
    heads = [add_journal(archive, f"{name}/{path.name}", path, size)
             for path, size in zip(journals, sizes, strict=True)]  # fmt: skip
    head = heads[0]
    for path in sorted((folder / SNAPSHOTS).glob("*.state")):
        if int(path.stem.partition("-")[0]) <= head[0]:
            with suppress(FileNotFoundError):  # older ones are removed meanwhile
                archive.add_file(f"{name}/{SNAPSHOTS}/{path.name}", path)
    for path in (folder / HALT_FILE, *sorted((folder / "fence").glob("epoch-*"))):
        if path.is_file():
            archive.add_file(f"{name}/{path.relative_to(folder)}", path)
    return head


@contextmanager
def sqlite_copy(path: Path) -> Iterator[Path]:
    """A copy of a SQLite file as it is between two transactions, beside it, for as long as the block lasts.

    Raises:
        TemporaryOutage: it is locked for too long.
        BadData: it is damaged.
    """
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=path.parent) as folder:
        copy = Path(folder) / path.name
        try:
            source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)
            with closing(source), closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                found = target.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise TemporaryOutage(f"{path}: {error}; back it up again") from error
        except sqlite3.DatabaseError as error:
            raise BadData(f"{path} is damaged ({error}): restore it from an older backup") from error
        if found != "ok":
            raise BadData(f"{path} is damaged ({found}): restore it from an older backup")
        yield copy


def add_registry(archive: Archive, name: str, folder: Path) -> str:
    """Add the registry and every bundle that it names.

    Args:
        archive: takes it.
        name: its path there.
        folder: of the registry.

    Returns:
        The hash of all that it says.

    Raises:
        BadModel: a bundle is not what was registered.
    """
    with sqlite_copy(folder / DATABASE) as copy:
        archive.add_file(f"{name}/{DATABASE}", copy)
        facts, identities = registry_facts(copy)
    for identity in identities:  # a bundle is there before the registry names it, and stays
        place = place_of(folder / BUNDLES, identity)
        files = read_bundle(place, identity)
        files[MANIFEST] = (place / MANIFEST).read_bytes()
        for one, content in files.items():
            archive.add_bytes(f"{name}/{BUNDLES}/{place.name}/{one}", content)
    return facts


def registry_facts(database: Path) -> tuple[str, list[str]]:
    """The hash of every version, role and move of a registry, and the identities of its bundles.

    Raises:
        BadData: it is no registry.
    """
    digest = hashlib.sha256()
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as base:
            for table, order in (("versions", "version"), ("roles", "environment, role"), ("moves", "seq")):
                for row in base.execute(f"SELECT * FROM {table} ORDER BY {order}"):  # noqa: S608 - of this tuple
                    digest.update(repr(row).encode() + b"\n")
            identities = [row[0] for row in base.execute("SELECT identity FROM versions ORDER BY version")]
    except sqlite3.DatabaseError as error:
        raise BadData(f"{database} is no registry: {error}") from error
    return digest.hexdigest(), identities


def check_bundles(folder: Path) -> None:
    """Check every bundle that the registry in `folder` names.

    Raises:
        BadModel: one is missing or altered.
    """
    for identity in registry_facts(folder / DATABASE)[1]:
        place = place_of(folder / BUNDLES, identity)
        if not place.is_dir():
            raise BadModel(f"the bundle {place.name} that the registry names is not there")
        read_bundle(place, identity)


def add_folder(archive: Archive, name: str, folder: Path) -> None:
    """Add every file of a folder that is replaced whole or never; a table's log goes before what it names.

    Args:
        archive: takes it.
        name: its path there.
        folder: of the files.

    Raises:
        BadData: there is a link or something else that is no plain file.
        TemporaryOutage: a file vanished meanwhile.
    """
    paths = sorted(folder.rglob("*"), key=lambda one: (one.parent.name != "_delta_log", one))
    for path in paths:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BadData(f"{path} is no plain file: a backup holds none; remove it")
        if path.is_dir() or is_partial(path) or path.name == ".lock":
            continue
        try:
            archive.add_file(f"{name}/{path.relative_to(folder).as_posix()}", path)
        except FileNotFoundError as error:
            raise TemporaryOutage(f"{path} was removed meanwhile: back it up again") from error
