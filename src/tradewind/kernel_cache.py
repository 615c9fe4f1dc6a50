"""Where compiled kernels are kept, so that a project that may not write to itself starts all the same.

numba keeps them beside their sources, or in the user's cache folder; where it may write to neither, it refuses to
import the function. A hardened service is such a place. Nothing slow is imported: every command comes by here.
"""

import atexit
import os
import secrets
import shutil
from pathlib import Path

FOLDER = "NUMBA_CACHE_DIR"  # numba's own variable
PREFIX = "tradewind-kernels-"


def require_folder(package: Path) -> None:
    """See to it that numba finds a folder.

    Where there is none it gets one that goes with this process, whose name nobody can know beforehand: numba runs what
    it finds there. Kernels are then compiled at each start, which `kedro doctor` says.

    Args:
        package: the folder of the sources.
    """
    if os.environ.get(FOLDER) or os.access(package, os.W_OK) or _can_be_made(_of_the_user()):
        return
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"{PREFIX}{secrets.token_hex(16)}"  # noqa: S108 - see above
    os.environ[FOLDER] = str(folder)
    atexit.register(_remove, folder, os.getpid())


def is_temporary() -> bool:
    """Whether kernels are compiled at each start."""
    return Path(os.environ.get(FOLDER, "")).name.startswith(PREFIX)


def _of_the_user() -> Path:
    kept = os.environ.get("XDG_CACHE_HOME")
    return Path(kept) if kept else Path("~").expanduser() / ".cache"


def _can_be_made(folder: Path) -> bool:
    """Whether it can be written to, or made: its nearest parent that is there says so."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a fork is not the end
        shutil.rmtree(folder, ignore_errors=True)
