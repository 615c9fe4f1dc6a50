"""One writer at a time on this machine, for stores that cannot see to it themselves."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tradewind.errors import BadParameters
from tradewind.folder_lock import open_inside


@contextmanager
def one_writer(name: str) -> Iterator[None]:
    """While no other thread or process of this user is here with the same `name`; one that is killed lets go.

    Raises:
        BadParameters: others may write to the folder of the locks, or somebody has put a link there.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    descriptor = open_inside(_own_folder(), digest)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # Also for a process that was forked meanwhile, which has the descriptor, too.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _own_folder() -> Path:
    """The user's own folder for locks: never one that is shared with other users, such as the temporary folder."""
    cache = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(cache) if cache else Path.home() / ".cache") / "tradewind" / "locks"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise BadParameters(
            f"{folder} cannot be made ({error.strerror}): set XDG_CACHE_HOME to a folder of your own, for locks"
        ) from error
    if folder.is_symlink() or about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise BadParameters(
            f"{folder} can be written to by others: remove it, or set XDG_CACHE_HOME to one of your own"
        )
    return folder
