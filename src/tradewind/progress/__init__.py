"""How far a run is: a bar on a terminal, plain lines elsewhere, and never a long silence."""

from tradewind.progress.run import RunProgress, note, started

__all__ = ["RunProgress", "note", "started"]
