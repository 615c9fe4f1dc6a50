"""A place for whole objects under names: a folder on a disk (here) or a bucket (`s3_objects`)."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tradewind.atomic import atomic_file, is_abandoned, write_bytes
from tradewind.errors import BadParameters, TemporaryOutage


class Objects(Protocol):
    """Names are paths below the place, with slashes. An object is there as a whole or not at all.

    `threads` is how many objects are worth reading at a time.
    """

    threads: int

    def names(self, folder: str) -> list[str]:
        """The objects below the folder, at any depth, but for hidden ones; none where there is no such folder."""

    def read(self, name: str) -> bytes:
        """The object.

        Raises:
            FileNotFoundError: there is none by that name, or no longer.
        """

    def read_at_most(self, name: str, most: int) -> bytes:
        """The object's first `most` + 1 bytes: more than `most` says that it is larger, at no more cost.

        Raises:
            FileNotFoundError: there is none by that name, or no longer.
        """

    def write(self, name: str, content: bytes) -> None:
        """Put the object there, durably."""

    def send(self, name: str, file: Path) -> None:
        """Put a file's content there, durably, without holding it in memory: whole or not at all."""

    def receive(self, name: str, file: Path, size: int) -> None:
        """Write the object's first bytes to a new file, without holding them in memory.

        Args:
            name: of the object.
            file: to be written, whole or not at all.
            size: so many bytes; what the object has beyond them is left there.

        Raises:
            FileNotFoundError: there is none by that name, or no longer.
            TemporaryOutage: the disk is full, or the place does not answer.
        """

    def size(self, name: str) -> int:
        """How many bytes the object has.

        Raises:
            FileNotFoundError: there is none by that name, or no longer.
        """

    def remove(self, names: Iterable[str]) -> None:
        """Take the objects away; those that are gone already are no matter."""

    def tidy(self, folder: str) -> None:
        """Take away what killed writers left behind."""

    def where(self, name: str) -> str:
        """What to call the object when speaking to the operator."""

    def close(self) -> None:
        """Give back connections."""


class LocalObjects:
    """Objects as files below `root`, written atomically."""

    threads = min(os.cpu_count() or 1, 8)

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, folder: str) -> list[str]:
        """The files below the folder; names that begin with a dot or an underscore are not ours to read."""
        collected = []
        for place, folders, files in os.walk(self._root / folder, onerror=self._explain_walk):
            folders[:] = [name for name in folders if not name.startswith((".", "_"))]
            below = Path(place).relative_to(self._root)
            collected += [(below / name).as_posix() for name in files if not name.startswith((".", "_"))]
        return sorted(collected)

    def read(self, name: str) -> bytes:
        """The file's content."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._explain(self.where(name), error) from error

    def read_at_most(self, name: str, most: int) -> bytes:
        """The file's first bytes, one more than `most` at most."""
        try:
            with (self._root / name).open("rb") as file:
                return file.read(most + 1)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._explain(self.where(name), error) from error

    def write(self, name: str, content: bytes) -> None:
        """Write the file, to the disk, under its name once it is whole."""
        write_bytes(self._root / name, content)

    def send(self, name: str, file: Path) -> None:
        """Copy the file here, under its name once it is whole."""
        with atomic_file(self._root / name) as temporary:
            shutil.copyfile(file, temporary)

    def receive(self, name: str, file: Path, size: int) -> None:
        """Copy the file's first bytes from here.

        Args:
            name: of the object.
            file: to be written, whole or not at all.
            size: so many bytes.
        """
        try:
            source = (self._root / name).open("rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._explain(self.where(name), error) from error
        with source, atomic_file(file) as temporary, temporary.open("wb") as target:
            while size > 0 and (part := source.read(min(size, 1 << 20))):
                target.write(part)
                size -= len(part)

    def size(self, name: str) -> int:
        """The file's size."""
        try:
            return (self._root / name).stat().st_size
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._explain(self.where(name), error) from error

    def remove(self, names: Iterable[str]) -> None:
        """Delete the files."""
        for name in names:
            (self._root / name).unlink(missing_ok=True)

    def tidy(self, folder: str) -> None:
        """Delete the temporary files of writers that no longer run."""
        for partial in (self._root / folder).glob(".*.partial"):
            if is_abandoned(partial):
                partial.unlink(missing_ok=True)

    def where(self, name: str) -> str:
        """The file's path."""
        return str(self._root / name)

    def close(self) -> None:
        """Nothing: no file stays open."""

    def _explain_walk(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # a folder that does not exist has no objects
            raise self._explain(str(error.filename), error) from error

    @staticmethod
    def _explain(path: str, error: OSError) -> Exception:
        if isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError):
            return BadParameters(f"{path} cannot be read ({error.strerror}): correct the path or its permissions")
        return TemporaryOutage(f"{path} cannot be read ({error.strerror}): see that its disk is there and run again")
