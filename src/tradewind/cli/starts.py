"""What every command's start costs, kept down: garbage is not looked for while modules and settings are loaded."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


class _Frozen:
    """Whether what this process loaded first has been set aside; once, for later starts would set aside garbage."""

    done = False


@contextmanager
def without_collection() -> Iterator[None]:
    """Python's collector of cycles waits: what a start loads is kept, and looking through it again and again takes a
    third of its time. After the first start of a process the collector never looks at what that has loaded."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not _Frozen.done:
            _Frozen.done = True
            gc.freeze()
        gc.enable()
