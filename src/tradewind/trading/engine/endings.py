"""The end of a symbol: what is held when its bars are over is closed at its last close, at cost.

A symbol ends where that is known: its delisting is stated (`Universe.members`), or the history that is handed over is
over while those of other symbols go on. On the first instant after it the account gets one more bar, at the last
close, which begins a segment of its own: so the position is closed as after a gap, and its decisions are forgotten, so
that no target of it counts any more.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def closing_bar(last_close: float) -> Floats:
    """The bar at which an ended symbol is closed, in the order of `step.Bar`: nothing moves, any size is filled."""
    return np.array([last_close, last_close, last_close, last_close, np.inf, 0.0, 0.0, 0.0])


def add_closing_bars(
    instants: NDArray[Any], bars: Floats, segment: NDArray[np.int32], names: list[str], ends: Mapping[str, Any] | None
) -> None:
    """Writes the closing bar of every symbol that ends before the last instant.

    Args:
        instants: of all bars together, rising.
        bars: shape (symbols, 8, instants), NaN where a symbol has no bar; written.
        segment: shape (symbols, instants), -1 where a symbol has no bar; written.
        names: of the symbols, in the order of `bars`.
        ends: by symbol the instant after which it has no bars; None: each ends with its last bar.
    """
    for at, name in enumerate(names):
        there = np.flatnonzero(segment[at] >= 0)
        if not len(there) or (ends is not None and name not in ends):
            continue
        last = int(there[-1])
        row = last + 1 if ends is None else max(int(np.searchsorted(instants, ends[name], side="right")), last + 1)
        if row < len(instants):
            bars[at, :, row] = closing_bar(float(bars[at, 3, last]))
            segment[at, row] = segment[at, last] + 1
