"""How far a task is that several threads work on."""

import logging
import sys
import threading
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger(__name__)


class Progress:
    """A bar on a terminal, elsewhere a log line for every tenth done (as `compute.track`)."""

    def __init__(self, total: int, task: str) -> None:
        self._total, self._task, self._done = total, task, 0
        self._lock = threading.Lock()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and self._total:
            from rich import progress
            from rich.console import Console

            columns = (*progress.Progress.get_default_columns(), progress.MofNCompleteColumn())
            self._bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._bar.add_task(self._task, total=self._total)
        return self

    def advance(self, by: int) -> None:
        """`by` more are done."""
        with self._lock:
            before, self._done = self._done, min(self._done + by, self._total)
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done)
            elif self._total and self._done * 10 // self._total > before * 10 // self._total:
                logger.info("%s: %d of %d", self._task, self._done, self._total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
