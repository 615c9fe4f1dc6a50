"""Where work runs: one standard executor for symbols, folds, trials and seeds."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Literal, TypeVar

from tradewind.errors import BadParameters

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
ExecutorKind = Literal["serial", "threads", "processes"]


class SerialExecutor(Executor):
    """Runs every call at once, in the caller's thread: the easiest to debug."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a future carries whatever its call raised
            future.set_exception(error)
        return future


def executor(kind: ExecutorKind, workers: int = 2) -> Executor:
    """A `concurrent.futures.Executor` of the asked kind.

    Threads suit numba kernels, which release the interpreter lock; processes suit pure Python.

    Raises:
        BadParameters: unknown kind, or fewer than one worker.
    """
    if workers < 1:
        raise BadParameters(f"compute.workers must be at least 1, found {workers}")
    match kind:
        case "serial":
            return SerialExecutor()
        case "threads":
            return ThreadPoolExecutor(max_workers=workers)
        case "processes":
            return ProcessPoolExecutor(max_workers=workers)
    raise BadParameters(f"compute.executor must be one of serial, threads, processes, found {kind!r}")


def map_partitions(
    function: Callable[..., Any], *partitions: Iterable[Any], on: Executor | None = None
) -> Iterator[Any]:
    """Results of `function` over the partitions, in their order; serial unless an executor is given."""
    if on is None:
        return iter(list(map(function, *partitions)))
    return on.map(function, *partitions)


def track(items: Sequence[Item], task: str) -> Iterator[Item]:
    """The items one by one, with progress: a bar on a terminal, elsewhere a log line for every tenth done."""
    total = len(items)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, description=task, total=total, console=Console(stderr=True), transient=True)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if done == total or done * 10 // total > (done - 1) * 10 // total:
            logger.info("%s: %d of %d", task, done, total)
