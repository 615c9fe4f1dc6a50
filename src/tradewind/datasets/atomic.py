"""Writes that leave either the old file or the new one, whatever happens in between."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-[0-9a-f]{8}\.partial")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, which becomes `path` when the block ends without an error.

    The content reaches the disk before the name does: the file is synced, renamed over `path`, then the folder is
    synced, so that a killed process or a power cut leaves the old content or the new. On an error the temporary
    file is removed and `path` is untouched. Folders are made as needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def rename(source: Path, target: Path) -> None:
    """Give a complete file another name in the same folder, for good."""
    source.replace(target)
    _sync(target.parent)


def is_partial(path: Path) -> bool:
    """Whether `path` is a temporary file of this module."""
    return _PARTIAL.fullmatch(path.name) is not None


def is_abandoned(path: Path) -> bool:
    """Whether `path` is a temporary file whose writer no longer runs on this machine."""
    found = _PARTIAL.fullmatch(path.name)
    return found is not None and not _is_running(int(found["pid"]))


def _remove_abandoned(path: Path) -> None:
    for partial in path.parent.glob(f".{_escape(path.name)}.*.partial"):
        if is_abandoned(partial):
            partial.unlink(missing_ok=True)


def _escape(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs, under another user
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
