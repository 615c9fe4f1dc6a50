"""The run that is under way: what its nodes are doing, shown as a bar or as lines."""

import atexit
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tradewind.progress.displays import Bar, Display, Lines, is_terminal
from tradewind.progress.plan import RunPlan, keep_seconds, read_seconds

QUIET_S = 10.0  # the longest silence

_under_way: "RunProgress | None" = None


def started() -> "RunProgress | None":
    """The run that is under way in this process, or None."""
    return _under_way


def note(text: str) -> bool:
    """Tell the run that is under way what it is doing now; False where there is none, and the caller logs it."""
    if _under_way is None:
        return False
    _under_way.note(text)
    return True


class RunProgress:
    """Follows a run from its first node to its last.

    On a terminal there is one bar over the whole run with stage, model, what is being done and an estimate, and a line
    for each stage that has ended. Elsewhere each node is a line with its time, and a line says what goes on after ten
    quiet seconds.
    """

    def __init__(self, nodes: Sequence[str], seconds_file: Path | None = None, display: Display | None = None) -> None:
        """A run of these nodes; what they take is read from and kept in `seconds_file`."""
        self._file = seconds_file
        self.plan = RunPlan(nodes, read_seconds(seconds_file) if seconds_file else None)
        self._begun: dict[str, float] = {}
        self._compiling: list[str] = []
        self._compiled_s = 0.0
        self._compile_began = 0.0
        self._doing = ""
        self._lock = threading.RLock()
        self._began = time.monotonic()
        self._closed = threading.Event()
        self.display = display or (Bar(self.state) if is_terminal() else Lines())

    def open(self) -> None:
        """Begin to tell; a run before it that was broken off without a word is over."""
        global _under_way
        if _under_way is not None:
            _under_way.close()
        _under_way = self
        self.display.open()
        watch_compilation()
        threading.Thread(target=self._break_silence, name="progress", daemon=True).start()
        atexit.register(self.close)

    def begin(self, node: str) -> None:
        """A node begins to load what it reads."""
        with self._lock:
            if node not in self._begun and node not in self.plan.took:
                self._begun[node] = time.monotonic()
                self._doing = ""

    def finish(self, node: str) -> None:
        """A node has saved what it made."""
        with self._lock:
            if node not in self._begun:
                return
            seconds = time.monotonic() - self._begun.pop(node)
            stage = self.plan.finish(node, seconds)
            self._doing = ""
            self.display.node(f"{node}: {seconds:.1f} s ({self.plan.done} of {self.plan.total})")
            if stage is not None:
                count, took = self.plan.of_stage(stage)
                compiled = f", {self._compiled_s:.0f} s of it compiling" if self._compiled_s >= 1 else ""
                self._compiled_s = 0.0
                self.display.stage(f"{stage}: {count} {'node' if count == 1 else 'nodes'}, {took:.1f} s{compiled}")

    def note(self, text: str) -> None:
        """What the node that is under way is doing."""
        self._doing = text

    def compiling(self, name: str) -> None:
        """A kernel is being compiled; kernels that it calls are compiled within."""
        with self._lock:
            if not self._compiling:
                self._compile_began = time.monotonic()
            self._compiling.append(name)

    def compiled(self) -> None:
        """The newest kernel is compiled."""
        with self._lock:
            if self._compiling:
                self._compiling.pop()
                if not self._compiling:
                    self._compiled_s += time.monotonic() - self._compile_began

    def close(self) -> None:
        """End the bar, and keep the times for the next run's estimate; a second call does nothing."""
        global _under_way
        if self._closed.is_set():
            return
        self._closed.set()
        atexit.unregister(self.close)
        _under_way = None
        self.display.close()
        if self._file is not None and self.plan.took:
            keep_seconds(self._file, self.plan.took)

    def state(self) -> dict[str, Any]:
        """What a bar shows: the node's place, what it is doing, the share that is done, seconds so far and to come."""
        with self._lock:
            now = time.monotonic()
            running = {name: now - began for name, began in self._begun.items()}
            node = next(reversed(running), "")
            return {
                "node": node,
                "doing": self._what(),
                "share": self.plan.share(running),
                "count": f"{self.plan.done}/{self.plan.total}",
                "elapsed": now - self._began,
                "left": self.plan.seconds_left(running),
            }

    def _what(self) -> str:
        if self._compiling:
            return f"compiling {self._compiling[0]} (once; later runs load it)"
        return self._doing or ("" if self._begun else "opening what is needed")

    def _break_silence(self) -> None:
        while not self._closed.wait(
            timeout=min(max(self.display.last_shown + QUIET_S - time.monotonic(), 0.2), QUIET_S)
        ):
            if time.monotonic() - self.display.last_shown < QUIET_S:
                continue
            state = self.state()
            doing = f", {state['doing']}" if state["doing"] else ""
            began = self._begun.get(state["node"], self._began)
            where = state["node"] or "between nodes"
            self.display.still(
                f"{where}{doing}: {time.monotonic() - began:.0f} s so far; "
                f"{state['share']:.0%} of the run, {in_words(state['left'])} left"
            )


def in_words(seconds: float) -> str:
    """A length of time as an estimate is said: about 40 s, about 3 min."""
    if seconds < 90:
        return f"about {max(round(seconds / 5) * 5, 5)} s"
    return f"about {round(seconds / 60)} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


_watching: Any = None


def watch_compilation() -> None:
    """Let numba say what it compiles; once for the process."""
    global _watching
    if _watching is not None:
        return
    from numba.core import event

    class Compilations(event.Listener):
        """Told when a kernel is compiled that no file holds."""

        def on_start(self, event: Any) -> None:
            kernel = event.data["dispatcher"].py_func
            if _under_way is not None:
                _under_way.compiling(f"{kernel.__module__.removeprefix('tradewind.')}.{kernel.__name__}")

        def on_end(self, event: Any) -> None:
            if _under_way is not None:
                _under_way.compiled()

    _watching = Compilations()
    event.register("numba:compile", _watching)
