"""Whose turn it is to write a run: the one that starts it, or a standby that takes over when that one is gone."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tradewind.errors import BadParameters
from tradewind.live.runtime import JOURNAL
from tradewind.operations.journal.fence import Fence, Turn, Watcher, adopt
from tradewind.operations.journal.journal import is_in_use

FENCE, LEDGER = "fence", "venue.jsonl"
LOOK_S = 0.5


def take_turn(folder: Path) -> Turn:
    """The next turn, for a process that begins or goes on with a run; the journal's lock tells whether one runs.

    Raises:
        BadParameters: another process has the run.
    """
    fence = Fence(folder / FENCE)
    if is_in_use(folder / JOURNAL):
        raise BadParameters(f"{folder / JOURNAL} is in use by another process: end it first, or choose another run")
    turn = fence.claim(fence.present(), "start")
    if turn is None:
        raise BadParameters(f"another process has just begun with {folder}: look at `tradewind status`")
    return turn


async def take_over(folder: Path, after_s: float, say: Callable[[str], None]) -> Turn:
    """Wait until whoever has the run has shown nothing for `after_s` seconds; then its journals are this process's.

    Args:
        folder: of the run, which both processes see.
        after_s: of this machine's own clock.
        say: takes lines for people.

    Raises:
        BadData: a journal is not what was written: nobody may go on with it.
        TemporaryOutage: the disk is full or fails.
    """
    fence = Fence(folder / FENCE)
    watcher = Watcher(fence, after_s)
    say(f"standing by for {folder}: takes over {after_s:g} s after the last sign of life")
    while True:
        gone = watcher.gone(time.monotonic())
        turn = fence.claim(gone, "standby") if gone is not None else None
        if turn is not None:
            break
        await asyncio.sleep(LOOK_S)
    head = adopt(folder / JOURNAL, turn)
    adopt(folder / LEDGER, turn)
    say(f"took over as turn {turn.epoch} at record {head[0]}")
    return turn
