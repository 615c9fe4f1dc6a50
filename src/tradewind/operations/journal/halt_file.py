"""The HALT file of a run: whoever puts it there stops all orders, even while the process hangs. Light to import."""

import os
import threading
from pathlib import Path

from tradewind.atomic import explain
from tradewind.errors import BadParameters, TradewindError

HALT_FILE = "HALT"
_LONGEST_REASON = 500  # characters


def write_halt_file(folder: Path, reason: str) -> Path:
    """Halt the run in `folder` from outside: its broker looks for the file before it sends an order.

    The file never stands there without its reason, but where the disk has no room for one: an empty file halts, too.

    Raises:
        TradewindError: the folder may not be written.
    """
    path = folder / HALT_FILE
    partial = folder / f".{HALT_FILE}.{os.getpid()}-{threading.get_ident()}.partial"
    try:
        try:
            partial.write_text(reason + "\n")
            partial.replace(path)
        except OSError:
            path.touch()
            partial.unlink(missing_ok=True)
    except OSError as error:
        found = explain(path, error)
        raise found if isinstance(found, TradewindError) else BadParameters(f"{path}: {error}") from error
    return path


def is_halted(folder: Path) -> bool:
    """Whether someone has put a HALT file into the run's folder."""
    return os.path.lexists(folder / HALT_FILE)


def halt_reason(folder: Path) -> str:
    """What the HALT file says; its name where it says nothing or cannot be read."""
    try:
        return (folder / HALT_FILE).read_text().strip()[:_LONGEST_REASON] or "HALT file"
    except (OSError, UnicodeDecodeError):
        return "HALT file"
