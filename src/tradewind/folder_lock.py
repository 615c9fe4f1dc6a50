"""One run at a time in a data folder, and who is in the way; a lock whose process has died is free.

The lock is one of the operating system's (POSIX record locks), which it takes back when the process ends, however it
ends; a process that was forked from the owner does not own it. The file only says who holds it.
"""

import errno
import fcntl
import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tradewind import clock
from tradewind.atomic import explain, make_folder
from tradewind.errors import BadParameters, FolderInUse

NAME = ".lock"
_MOST = 4096
_held: set[tuple[int, int, int]] = set()  # device and inode of each folder that is taken, and the process
_entering = threading.Lock()


def open_inside(folder: Path, name: str) -> int:
    """A descriptor of the file `name` of `folder`, made where it is missing; no link is followed.

    Raises:
        BadParameters: a link, or something else than a file of its own, has that name, or the folder is not writable.
    """
    make_folder(folder)
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(name, flags, 0o600, dir_fd=inside)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_file(folder / name) from error
        raise explain(folder / name, error) from error
    finally:
        os.close(inside)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
        os.close(descriptor)
        raise _no_file(folder / name)
    return descriptor


def _no_file(path: Path) -> BadParameters:
    return BadParameters(f"{path} is not a plain file: remove it, the next run makes its own")


@contextmanager
def locked(folder: Path, purpose: str) -> Iterator[None]:
    """While nobody else, in this process or another, has `folder`.

    Args:
        folder: made where it is missing.
        purpose: what is done there, for whoever is turned away.

    Raises:
        FolderInUse: somebody else has it; says who, since when and for what.
        BadParameters: the lock file is not a plain file, or this user may not write to the folder.
    """
    make_folder(folder)
    about = folder.stat()
    key = (about.st_dev, about.st_ino, os.getpid())
    with _entering:
        if key in _held:  # before the file is opened: the system drops a process's lock when it closes any descriptor
            raise FolderInUse(f"{folder} is in use by another run of this process ({os.getpid()}): wait for it")
        _held.add(key)
    try:
        descriptor = open_inside(folder, NAME)
        try:
            _claim(folder, descriptor, purpose)
            yield
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)
    finally:
        _held.discard(key)


def _claim(folder: Path, descriptor: int, purpose: str) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise BadParameters(
                f"{folder} cannot be locked: its file system has no locks (some shares): keep the data on another disk"
            ) from error
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise explain(folder / NAME, error) from error
        who = _by(os.pread(descriptor, _MOST, 0))
        raise FolderInUse(f"{folder} is in use {who}: wait for it, or end it") from error
    content = json.dumps({"pid": os.getpid(), "since": f"{clock.now():%Y-%m-%d %H:%M:%S} UTC", "purpose": purpose})
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content.encode()[:_MOST], 0)
    except OSError as error:
        raise explain(folder / NAME, error) from error


def _by(content: bytes) -> str:
    """Who has the lock, as the file says it."""
    try:
        holder = json.loads(content)
        return f"by process {int(holder['pid'])} since {str(holder['since'])[:40]} ({str(holder['purpose'])[:200]})"
    except (ValueError, KeyError, TypeError):
        return "by a process that has only just begun"
