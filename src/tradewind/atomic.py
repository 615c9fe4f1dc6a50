"""Writes that leave either the old file or the new one, whatever happens in between."""

import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tradewind.errors import BadParameters, TemporaryOutage

# What the system says when it has no room, or a limit on a file's size, or a disk that fails.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# A name that is a mount of its own, or lies on another disk than the folder around it, cannot be renamed over.
_OTHER_MOUNT = (errno.EXDEV, errno.EBUSY)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_PARTIAL = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-[0-9a-f]{8}\.partial")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, which becomes `path` when the block ends without an error.

    The content reaches the disk before the name does: the file is synced, renamed over `path`, then the folder is
    synced, so that a killed process or a power cut leaves the old content or the new. On an error the temporary
    file is removed and `path` is untouched. Folders are made as needed.

    Raises:
        TemporaryOutage: the disk is full or fails.
        BadParameters: this user may not write there.
    """
    with _prepared(path) as temporary:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        sync_folder(path.parent)


@contextmanager
def first_file(path: Path) -> Iterator[Path]:
    """As `atomic_file`, but a `path` that is there by the end of the block stays: of several writers the first wins.

    Raises:
        TemporaryOutage: the disk is full or fails.
        BadParameters: this user may not write there, or the file system knows no hard links.
    """
    with _prepared(path) as temporary:
        yield temporary
        _sync(temporary)
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            raise BadParameters(
                f"{path} cannot be made: its file system knows no hard links (FAT, some shares): keep it elsewhere"
            ) from error
        sync_folder(path.parent)


@contextmanager
def _prepared(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        make_folder(path.parent)
        _remove_abandoned(path)
        yield temporary
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in (temporary, path, *path.parents):
            raise  # not of this write
        raise explain(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def explain(path: Path, error: OSError) -> Exception:
    """What the operator can do about `error` at writing `path`; the error itself where that is not known."""
    if error.errno in NO_ROOM:
        return TemporaryOutage(
            f"{path} cannot be written: {os.strerror(error.errno)}. What was there is unharmed; free space (or raise "
            "the quota) and run again"
        )
    if error.errno in _NOT_ALLOWED:
        return BadParameters(f"{path} may not be written by this user: change its permissions or choose another folder")
    if error.errno in _OTHER_MOUNT:
        return BadParameters(
            f"{path} cannot be replaced: it is a mount of its own, or on another disk than {path.parent}: mount the "
            "whole folder instead"
        )
    return error


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, each known to the disk when this returns.

    Raises:
        BadParameters: this user may not make it, the disk is read-only, or a link leads to what is not there.
        TemporaryOutage: the disk is full.
    """
    if not folder.is_dir():
        if folder.is_symlink():
            raise BadParameters(
                f"{folder} is a link to {folder.readlink()}, where there is no folder: mount that disk, or correct it"
            )
        make_folder(folder.parent)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise explain(folder, error) from error
        sync_folder(folder.parent)


@contextmanager
def new_folder(place: Path, contents: Mapping[str, bytes]) -> Iterator[Path]:
    """A temporary folder beside `place` with these files, each on the disk, which the block renames to `place`.

    What the block has not renamed is removed afterwards.

    Args:
        place: the folder to be.
        contents: of its files, by name.

    Raises:
        TemporaryOutage: the disk is full or fails, here or in the block.
        BadParameters: this user may not write there.
    """
    try:
        make_folder(place.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=place.parent))
        try:
            for name, content in contents.items():
                with (temporary / name).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise explain(place, error) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def rename(source: Path, target: Path) -> None:
    """Give a complete file another name in the same folder, for good.

    Raises:
        BadParameters: this user may not, or `target` is a mount of its own.
        TemporaryOutage: the disk is full or fails.
    """
    try:
        source.replace(target)
    except OSError as error:
        raise explain(target, error) from error
    sync_folder(target.parent)


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


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk when this returns, where its file system can: some shares cannot, and have
    their own ways of keeping names."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
