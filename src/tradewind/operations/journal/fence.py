"""One writer ever: turns that are claimed in a folder, and journals that are taken over from a writer that is gone.

A turn is a number whose file only one process can make. A writer looks, after its records are on the disk and before
anything is done about them, whether a later turn has been claimed. Whoever claims a turn copies the journal after that
and puts the copy in its place: what an earlier writer has acted on is in the copy, and what it writes later, however
long it was frozen, goes into a file that no longer has the name.
"""

import json
import os
import socket
from pathlib import Path
from typing import NamedTuple

from tradewind.atomic import atomic_file, explain, make_folder, sync_folder
from tradewind.errors import BadData, TradewindError
from tradewind.operations.journal.records import FIRST, read_line

ENDED = b"ended"


class Fenced(TradewindError):
    """Another process has taken over: this one must end, and nothing that it has not yet sent may be sent."""


class Fence:
    """The turns of one run, in a folder that every process that may write can see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def present(self) -> int:
        """The latest turn that was claimed, 0 if none was."""
        if not self.folder.is_dir():
            return 0
        return max((int(one.name.partition("-")[2]) for one in self.folder.glob("epoch-*")), default=0)

    def claim(self, after: int, who: str = "") -> "Turn | None":
        """The turn after `after`, or None if somebody else has it.

        Raises:
            TemporaryOutage: the disk is full or fails.
        """
        path = self._epoch(after + 1)
        document = {"who": who, "host": socket.gethostname(), "process": os.getpid()}
        try:
            make_folder(self.folder)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            try:
                os.write(descriptor, json.dumps(document).encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self.folder)
        except FileExistsError:
            return None
        except OSError as error:
            raise explain(path, error) from error
        return Turn(self, after + 1)

    def heartbeat(self, epoch: int) -> bytes:
        """What the holder of a turn has last shown of itself; empty if nothing."""
        try:
            return self._beat(epoch).read_bytes()
        except OSError:
            return b""

    def _epoch(self, number: int) -> Path:
        return self.folder / f"epoch-{number:08d}"

    def _beat(self, epoch: int) -> Path:
        return self.folder / f"heartbeat-{epoch:08d}"


class Turn(NamedTuple):
    """The right to write, until somebody claims the next turn."""

    fence: Fence
    epoch: int

    def check(self) -> None:
        """Nothing, while it is this turn.

        Raises:
            Fenced: another turn has been claimed, or the folder cannot be seen any more.
        """
        own, following = self.fence._epoch(self.epoch), self.fence._epoch(self.epoch + 1)
        if following.exists() or not own.exists():
            raise Fenced(
                f"turn {self.epoch} of {self.fence.folder.parent} is over or cannot be seen: another process may have "
                "taken over; end this one, and look at `tradewind status`"
            )

    def beat(self, count: int) -> None:
        """Show that this process is alive.

        Raises:
            Fenced: another turn has been claimed.
            TemporaryOutage: the disk is full or fails.
        """
        self.check()
        self._show(str(count).encode())

    def release(self) -> None:
        """Say that the run was ended in order: nobody takes over."""
        self._show(ENDED)

    def _show(self, content: bytes) -> None:
        path = self.fence._beat(self.epoch)
        partial = path.with_suffix(".new")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        except FileNotFoundError as error:
            raise Fenced(f"{self.fence.folder} cannot be seen any more: end this process") from error
        except OSError as error:
            raise explain(path, error) from error


class Watcher:
    """Whether the holder of the present turn is gone, by this machine's own clock alone."""

    def __init__(self, fence: Fence, after_s: float) -> None:
        """Gone is who has shown nothing new for `after_s` seconds."""
        self._fence, self._after_s = fence, after_s
        self._seen: tuple[int, bytes] | None = None
        self._since = 0.0

    def gone(self, now_s: float) -> int | None:
        """The turn whose holder is gone, else None; 0: there never was one.

        Args:
            now_s: of a clock that is never put back.
        """
        epoch = self._fence.present()
        seen = (epoch, self._fence.heartbeat(epoch))
        if seen != self._seen:
            self._seen, self._since = seen, now_s
        if seen[1] == ENDED or now_s - self._since < self._after_s:
            return None
        return epoch


def adopt(path: Path, turn: Turn) -> tuple[int, str]:
    """Put a copy of a journal in its place, every record checked; its head. The old file is kept beside.

    An unfinished last line is left out: nobody acted on it.

    Args:
        path: of the journal; nothing is done where there is none.
        turn: that was claimed before.

    Raises:
        BadData: a record is not what was written.
        TemporaryOutage: the disk is full or fails.
    """
    if not path.is_file():
        return 0, FIRST
    head = (0, FIRST)
    with path.open("rb") as source, atomic_file(path) as temporary:
        with temporary.open("wb") as target:
            for line in source:
                if not line.endswith(b"\n"):
                    break
                record = read_line(line[:-1], head[1], head[0] + 1, str(path))
                head = (record.seq, record.hash)
                target.write(line)
        old = path.with_name(f"{path.name}.before-{turn.epoch}")
        if old.exists():
            raise BadData(f"{old} is there: turn {turn.epoch} has been used before")
        old.hardlink_to(path)
        turn.check()
    return head
