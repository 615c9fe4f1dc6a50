"""One writer at a time on this machine, for stores that cannot see to it themselves."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_writer(name: str) -> Iterator[None]:
    """While no other thread or process of this user is here with the same `name`; one that is killed lets go."""
    folder = Path(tempfile.gettempdir()) / f"tradewind-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    with (folder / digest).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
