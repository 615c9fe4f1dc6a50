"""A journal: records that are only ever added, each chained to the one before by its hash.

What `append` returned from is on the disk. A process that dies while writing leaves part of a batch, which nobody has
acted on; `Journal` cuts it off when it is opened again, keeps it in a file beside, and says so.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tradewind.atomic import explain, make_folder, sync_folder
from tradewind.errors import BadData, BadParameters, TemporaryOutage
from tradewind.operations.journal.fence import Fenced, Turn
from tradewind.operations.journal.records import FIRST, LONGEST_LINE, Record, line_of, read_line

_STEP = 1 << 20


class Entry(NamedTuple):
    """What is to be recorded: its kind, its body, and the number of the record that it follows from.

    A cause below 0 counts within the batch: -1 is its first entry.
    """

    kind: str
    body: Mapping[str, Any]
    cause: int = 0


class Journal:
    """The one writer of a journal. Only one process has it open at a time."""

    def __init__(self, path: Path, turn: Turn | None = None) -> None:
        """Open `path`, which is made if it is not there.

        Args:
            path: of the journal.
            turn: the writer's, which is over when another process takes over; None: nobody does.

        Raises:
            BadData: a record is not what was written.
            BadParameters: another process has it open, or it may not be written.
            TemporaryOutage: the disk is full or fails.
        """
        self.path, self._turn = path, turn
        self._is_broken = False
        try:
            make_folder(path.parent)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
            sync_folder(path.parent)
        except OSError as error:
            raise explain(path, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise BadParameters(f"{path} is in use by another process: end it first, or choose another run") from error
        try:
            self.torn_bytes = self._cut_torn_tail()
            self._seq, self._hash = 0, FIRST
            for record in read(path):
                self._seq, self._hash = record.seq, record.hash
        except BaseException:
            os.close(self._file)
            raise

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the last record; (0, zeros) of an empty journal."""
        return self._seq, self._hash

    def append(self, entries: Sequence[Entry], at_ms: int) -> list[Record]:
        """Record entries as one batch; they are on the disk when this returns.

        Raises:
            BadData: a body that has no place in a journal; nothing is written.
            TemporaryOutage: the disk is full or fails. Nothing more can be written: open it anew.
            Fenced: another process has taken over; these entries do not count.
        """
        if self._is_broken:
            raise TemporaryOutage(f"{self.path} could not be written before: stop, see to the disk, start again")
        self._check_turn()
        lines, records, first = [], [], self._seq + 1
        seq, digest = self._seq, self._hash
        for entry in entries:
            seq += 1
            cause = first - 1 - entry.cause if entry.cause < 0 else entry.cause
            line, digest = line_of(digest, seq, at_ms, entry.kind, cause, entry.body)
            lines.append(line)
            records.append(Record(seq, at_ms, entry.kind, cause, entry.body, digest))
        try:
            self._write(b"".join(lines))
        except OSError as error:
            self._is_broken = True
            raise explain(self.path, error) from error
        self._check_turn()  # after they are on the disk: whoever has taken over before this has not seen them
        self._seq, self._hash = seq, digest
        return records

    def _check_turn(self) -> None:
        if self._turn is None:
            return
        try:
            self._turn.check()
        except Fenced:
            self._is_broken = True
            raise

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._file, content) :]
        os.fdatasync(self._file)

    def _cut_torn_tail(self) -> int:
        """Cut off what follows the last line's end; how many bytes that were."""
        size = os.fstat(self._file).st_size
        end = size - unfinished_bytes(self._file)
        if end < size:
            with self.path.with_name(f"{self.path.name}.torn-{end}").open("wb") as torn:
                for start in range(end, size, _STEP):
                    torn.write(os.pread(self._file, min(_STEP, size - start), start))
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        return size - end

    def close(self) -> None:
        """Let another process open it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(path: Path, after: int = 0) -> Iterator[Record]:
    """The records after number `after`, each checked against the one before it; an unfinished last line is left out.

    Raises:
        BadData: a record is not what was written, or one was removed, added or moved.
    """
    before, seq = FIRST, 0
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                if not line.endswith(b"\n"):
                    if any(b"\n" in part for part in iter(lambda: file.read(_STEP), b"")):
                        raise BadData(f"{path}: record {seq + 1} is longer than any that is written there")
                    return
                seq += 1
                record = read_line(line[:-1], before, seq, str(path))
                before = record.hash
                if seq > after:
                    yield record
    except FileNotFoundError as error:
        raise BadData(f"{path} is not there: name the folder of a run") from error


def unfinished_bytes(file: int) -> int:
    """How many bytes follow the last line's end, of an open file of any size.

    Args:
        file: its descriptor.
    """
    size = end = os.fstat(file).st_size
    while end > 0:
        start = max(end - _STEP, 0)
        place = os.pread(file, end - start, start).rfind(b"\n")
        if place >= 0:
            return size - (start + place + 1)
        end = start
    return size


def is_in_use(journal: Path) -> bool:
    """Whether a process has the journal open for writing."""
    try:
        descriptor = os.open(journal, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
