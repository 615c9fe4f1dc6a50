"""Where work runs: one standard executor for symbols, folds, trials and seeds."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from tradewind import progress
from tradewind.errors import BadParameters
from tradewind.parameters import Parameters

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
ExecutorKind = Literal["serial", "threads", "processes", "dask"]


class ComputeRules(Parameters):
    """Where the symbols of a stage are worked on (`params:compute`).

    `serial` holds one symbol's tables at a time, the others up to `workers`. `dask` needs the `cluster` extra and
    sends the work to the scheduler at `address`, or to a cluster on this machine if that is empty. A symbol's
    features take `threads` threads wherever they are computed.
    """

    executor: ExecutorKind = "serial"
    workers: Annotated[int, Field(ge=1, le=1024)] = 2
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    address: str = ""


class SerialExecutor(Executor):
    """Runs every call at once, in the caller's thread: the easiest to debug."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is already done.

        Args:
            fn: called at once.
            *args: its arguments.
            **kwargs: its named arguments.

        Returns:
            Holds the result, or the error that was raised.
        """
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a future carries whatever its call raised
            future.set_exception(error)
        return future


# The server of worker processes is started once, by whoever asks for processes first, and what it has imported no
# worker imports again: whoever trains has it import what takes seconds (torch, stable-baselines3), for all trainings.
# Optimisers import torch._dynamo when they are made: 4 s of CPU a worker. What is not installed it passes over.
TRAINING_MODULES = (
    "tradewind.learning.models.sequence.forecaster",
    "tradewind.adaptive.rl.agents",
    "tradewind.adaptive.rl.loaded_kernels",
    "torch._dynamo",
    "onnxruntime",
)


def executor(kind: ExecutorKind, workers: int = 2, address: str = "", preload: Sequence[str] = ()) -> Executor:
    """A `concurrent.futures.Executor` of the asked kind.

    Threads suit numba kernels, which release the interpreter lock; processes suit pure Python; Dask suits many
    machines.

    Args:
        kind: serial, threads, processes or dask.
        workers: how many at once.
        address: of Dask's scheduler, such as `tcp://10.0.0.5:8786`.
        preload: modules that worker processes need and that are slow to import: imported once, for all worker processes
            of this one.

    Returns:
        To be shut down by whoever asked for it.

    Raises:
        BadParameters: unknown kind, fewer than one worker, or Dask is not installed or not there.
    """
    if workers < 1:
        raise BadParameters(f"compute.workers must be at least 1, found {workers}")
    match kind:
        case "serial":
            return SerialExecutor()
        case "threads":
            return ThreadPoolExecutor(max_workers=workers)
        case "processes":
            # A process forked from one whose threads hold locks (Arrow's, numba's) waits for them for ever.
            start_worker_server(preload)
            return ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver"), initializer=_begin_worker)
        case "dask":
            return _dask_executor(workers, address)
    raise BadParameters(f"compute.executor must be one of serial, threads, processes, dask, found {kind!r}")


def start_worker_server(preload: Sequence[str]) -> None:
    """Start the server of worker processes, which imports `preload` meanwhile; where it is running, nothing happens.

    Ctrl-C reaches every process of the terminal. The first one says it; the server, which may be importing still, does
    not hear it and ends with the first.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(["__main__", *preload])
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)


def _begin_worker() -> None:
    """A worker ends with whoever asked for it, and by Ctrl-C without a word.

    It begins as deaf to Ctrl-C as the server. A pool whose process was killed tells its workers nothing: they would
    finish their work and wait for more for ever, each with what it has imported.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _end_with(parent: BaseProcess | None) -> None:
    if parent is not None:
        parent.join()
        os._exit(1)


def _dask_executor(workers: int, address: str) -> Executor:
    try:
        from distributed import Client
    except ImportError as error:
        raise BadParameters(
            "compute.executor is dask: install the extra first, pip install 'tradewind[cluster]'"
        ) from (error)
    try:
        client = (
            Client(address, timeout=10)
            if address
            else Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        )
    except (OSError, ValueError) as error:
        raise BadParameters(f"compute.address: no Dask scheduler answers at {address!r} ({error})") from error

    class Closing(type(client.get_executor())):  # type: ignore[misc]
        """Dask's executor, which also ends the client (and a cluster of its own) when it is shut down."""

        def shutdown(self, wait: bool = True, **options: Any) -> None:
            super().shutdown(wait=wait, **options)
            client.close()
            if client.cluster is not None:
                client.cluster.close()

    return Closing(client)


def lazily(
    function: Callable[..., Result], items: Mapping[str, tuple[Any, ...]], rules: ComputeRules
) -> dict[str, Callable[[], Result]]:
    """For each item a call that gives `function(*arguments)`, in order and each once.

    Nothing runs before the first call. Then at most `workers` items are under way or wait to be fetched, so that
    memory does not grow with their number; with the serial executor it is the one that is asked for. The executor is
    started by the first call and shut down with the last, or when a call fails.

    Args:
        function: what is done with each item.
        items: its arguments by name.
        rules: executor and workers.

    Returns:
        By name the call; asked out of order or twice, it raises BadParameters.
    """
    pending: deque[tuple[str, Future[Result]]] = deque()
    waiting = deque(items.items())
    total, done = len(items), 0
    started: list[Executor] = []
    ahead = 1 if rules.executor == "serial" else rules.workers

    def fetch(name: str) -> Result:
        nonlocal done
        if not started:
            started.append(executor(rules.executor, rules.workers, rules.address))
        while waiting and len(pending) < ahead:
            following, arguments = waiting.popleft()
            pending.append((following, started[0].submit(function, *arguments)))
        found, future = pending.popleft() if pending else ("", None)
        try:
            if future is None or found != name:
                raise BadParameters(f"{name} was asked for out of order or twice: items are given in order, once")
            result = future.result()
        except BaseException:
            started[0].shutdown(cancel_futures=True)
            raise
        done += 1
        if not progress.note(f"{name}: {done} of {total}"):
            logger.info("%s: %d of %d", name, done, total)
        if done == total:
            started[0].shutdown()
        return result

    return {name: partial(fetch, name) for name in items}


def split(
    function: Callable[..., tuple[Any, ...]], items: Mapping[str, tuple[Any, ...]], rules: ComputeRules, results: int
) -> tuple[dict[str, Callable[[], Any]], ...]:
    """As `lazily`, for a function with several results: one mapping for each of them.

    The items are worked on in the order of their names, as the calls of the first mapping ask for them; what the other
    mappings give waits until it is asked for, once. So the first should be the large one.

    Args:
        function: gives a tuple.
        items: its arguments by name.
        rules: executor and workers.
        results: how many it gives.

    Returns:
        One mapping a result, in their order.
    """
    ordered = {name: items[name] for name in sorted(items)}
    calls = lazily(function, ordered, rules)
    waiting: dict[tuple[str, int], Any] = {}

    def first(name: str) -> Any:
        large, *others = calls[name]()
        waiting.update({(name, position): other for position, other in enumerate(others, start=1)})
        return large

    others: list[dict[str, Callable[[], Any]]] = [
        {name: partial(waiting.pop, (name, position)) for name in ordered} for position in range(1, results)
    ]
    return {name: partial(first, name) for name in ordered}, *others


def track(items: Sequence[Item], task: str) -> Iterator[Item]:
    """The items one by one, with progress: told to the run that is under way, else a bar on a terminal, elsewhere a log
    line for every tenth done."""
    total = len(items)
    if progress.started() is not None:
        for done, item in enumerate(items, start=1):
            progress.note(f"{task}: {done} of {total}")
            yield item
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, description=task, total=total, console=Console(stderr=True), transient=True)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if done == total or done * 10 // total > (done - 1) * 10 // total:
            logger.info("%s: %d of %d", task, done, total)
