"""Work in a forked process: killed at any moment, or on a disk that is full."""

import os
import resource
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress


def said_in_fork(work: Callable[[], str], limit_bytes: int | None = None) -> str:
    """What `work` says in a forked process, or the error that ended it.

    With a limit its files may not grow beyond it: the kernel writes short up to there and then refuses, as at the end
    of a disk.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            if limit_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
            said = work()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def killed_after(work: Callable[[Callable[[], None]], None], seconds: float) -> tuple[int, bool]:
    """How often `work` called what it was given before it was killed, and whether it had not ended by then.

    The clock starts at the first call: what comes before is the way there.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            os.close(reading)
            work(lambda: os.write(writing, b".") and None)
            status = 0
        os._exit(status)
    os.close(writing)
    calls = os.read(reading, 1)  # empty if it ended without a call
    until = time.monotonic() + seconds
    while calls and (wait := until - time.monotonic()) > 0 and select.select([reading], [], [], wait)[0]:
        more = os.read(reading, 4096)
        calls += more
        if not more:
            break
    os.kill(child, signal.SIGKILL)
    while more := os.read(reading, 4096):
        calls += more
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise AssertionError("the work failed before it was killed")
    return len(calls), os.WIFSIGNALED(status)
