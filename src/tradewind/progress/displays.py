"""Where the progress of a run is shown: a bar on a terminal, lines of the log elsewhere."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

logger = logging.getLogger("tradewind.progress")


class Display(Protocol):
    """Something that shows how far a run is."""

    last_shown: float

    def open(self) -> None:
        """Begin."""

    def node(self, line: str) -> None:
        """A node has ended."""

    def stage(self, line: str) -> None:
        """A stage has ended."""

    def still(self, line: str) -> None:
        """Nothing has been shown for a while."""

    def close(self) -> None:
        """End."""


def is_terminal() -> bool:
    """Whether somebody looks on: standard error is a terminal that can move its cursor."""
    if not sys.stderr.isatty():
        return False
    from rich.console import Console

    return not Console(stderr=True).is_dumb_terminal


class Lines:
    """Lines of the log: one a node, one a stage, one in ten quiet seconds."""

    def __init__(self) -> None:
        """Nothing has been shown yet."""
        self.last_shown = time.monotonic()

    def open(self) -> None:
        """The first line follows the first node."""

    def node(self, line: str) -> None:
        """A node has ended."""
        self._show(line)

    def stage(self, line: str) -> None:
        """A stage has ended."""
        self._show(f"-- {line} --")

    def still(self, line: str) -> None:
        """Nothing has been shown for a while."""
        self._show(line)

    def close(self) -> None:
        """Nothing is left open."""

    def _show(self, line: str) -> None:
        self.last_shown = time.monotonic()
        logger.info(line)


class Bar:
    """One bar below the lines of the stages, drawn anew four times a second."""

    def __init__(self, state: Callable[[], dict[str, Any]]) -> None:
        """A bar of what `state` says (`RunProgress.state`)."""
        from rich.console import Console

        self._state = state
        self.console = Console(stderr=True, highlight=False)
        self._live: Any = None
        self._records: Any = None
        self.last_shown = float("inf")  # the bar moves by itself

    def open(self) -> None:
        """Draw the bar."""
        from rich.live import Live

        from tradewind.progress.records import AboveTheBar

        self._records = AboveTheBar(self.console)
        self._records.take_over()
        self._live = Live(
            get_renderable=self.drawn, console=self.console, refresh_per_second=4, transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )  # fmt: skip
        self._live.start()

    def node(self, line: str) -> None:
        """The bar has counted it."""

    def stage(self, line: str) -> None:
        """A line above the bar."""
        self.console.print(f"[green]✓[/green] {line}")

    def still(self, line: str) -> None:
        """The bar shows it."""

    def close(self) -> None:
        """Take the bar away; the lines stay."""
        if self._live is not None:
            self._live.stop()
            self._records.give_back()
            self._live = None

    def drawn(self) -> Any:
        """The bar and, below it, what is being done."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        from tradewind.progress.run import in_words

        state = self._state()
        place = " ".join(state["node"].split(".")[:-1]) or "starting"
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        for _ in range(2):
            row.add_column(no_wrap=True, justify="right")
        row.add_row(
            Text(place, style="bold"),
            ProgressBar(total=1.0, completed=state["share"]),
            Text(f"{state['count']} {state['share']:.0%}"),
            Text(f"{clock(state['elapsed'])}, {in_words(state['left'])} left"),
        )
        doing = state["doing"] or state["node"].rpartition(".")[2].replace("_", " ")
        return Group(row, Text(f"  {doing}", style="dim", no_wrap=True, overflow="ellipsis"))


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
