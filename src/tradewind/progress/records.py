"""Log records while a bar is drawn: above it, or as its text."""

import logging
from typing import Any

from tradewind.progress.run import note


class AboveTheBar(logging.Handler):
    """Prints records above the bar; what only tells of progress (INFO) is the bar's text, unless it is `lasting`."""

    def __init__(self, console: Any) -> None:
        """Records go to the bar's console."""
        super().__init__()
        self._console = console
        self._replaced: list[logging.Handler] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        try:
            if record.levelno > logging.INFO or getattr(record, "lasting", False):
                self._console.print(self.format(record), markup=False, soft_wrap=True)
            else:
                note(record.getMessage())
        except Exception:  # noqa: BLE001 - as logging's own handlers: a record that cannot be shown stops no run
            self.handleError(record)

    def take_over(self) -> None:
        """Stand in for the handlers that write to the terminal: their lines would tear the bar."""
        root = logging.getLogger()
        self._replaced = [one for one in root.handlers if type(one) is logging.StreamHandler]
        for one in self._replaced:
            root.removeHandler(one)
            self.setFormatter(one.formatter)
        root.addHandler(self)

    def give_back(self) -> None:
        """Leave as it was found."""
        root = logging.getLogger()
        root.removeHandler(self)
        for one in self._replaced:
            root.addHandler(one)
