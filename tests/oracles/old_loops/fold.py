"""The fold of `engine.backtest` as it was: it closes before a gap."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tests.oracles.old_loops.step import (
    ACCEPTED,
    FILL_SIZE,
    HELD,
    LAST_CLOSE,
    LIQUIDATION,
    STATE_SIZE,
    UNITS,
    WORKING,
    Bar,
    Terms,
    rests,
    trade,
)

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def fold(
    bars: Floats, segment: NDArray[np.int32], target: Floats, terms: Terms, book: Floats, delay: int,
    out: Floats, positions: Floats,
) -> Floats:  # fmt: skip
    """Every bar in turn: writes `out` (columns of `ACCOUNT`) and `positions`, returns the fills.

    `bars` has the shape (symbols, 8, bars), NaN where a symbol has no bar; `out` (6, bars) and `positions` (symbols,
    bars) may have no bars: then only the fills are kept. Decisions of another segment are void: the position was
    closed when it ended.
    """
    n_symbols, _, n_rows = bars.shape
    states = np.zeros((n_symbols, STATE_SIZE))
    recent = np.full((n_symbols, delay + 1), -1, dtype=np.int64)  # the last rows at which the symbol had a bar
    fills, count = np.empty((64, FILL_SIZE)), 0
    following = _following(segment)
    equity = 1.0
    kept = out.shape[1] > 0
    for row in range(n_rows):
        before, gross, cost, funding, moved = equity, 0.0, 0.0, 0.0, 0.0
        if before > 0.0:
            for at in range(n_symbols):
                if segment[at, row] >= 0 and states[at, UNITS] != 0.0:
                    moved += states[at, UNITS] * (bars[at, 0, row] - states[at, LAST_CLOSE])
            scale = _scale(segment, target, recent, row, terms.leverage) if n_symbols > 1 else 1.0
            for at in range(n_symbols):
                if segment[at, row] < 0:
                    continue
                for lag in range(delay, 0, -1):
                    recent[at, lag] = recent[at, lag - 1]
                recent[at, 0] = row
                decided = recent[at, delay]
                known = decided >= 0 and segment[at, decided] == segment[at, row]
                wanted = target[at, decided] * scale if known else 0.0
                ends = following[at, row] >= 0 and segment[at, following[at, row]] != segment[at, row]
                opening, close = bars[at, 0, row], bars[at, 3, row]
                if not ends and rests(states, at, wanted, before + moved, opening, bars[at, 1, row], terms):
                    units = states[at, UNITS]
                    if units != 0.0:
                        gross += units * (close - opening)
                        funding += units * opening * bars[at, 7, row] + max(-units, 0.0) * opening * terms.borrow
                        states[at, HELD] += 1.0
                    states[at, LAST_CLOSE] = close
                    continue
                bar = Bar(
                    opening, bars[at, 1, row], bars[at, 2, row], close, bars[at, 4, row],
                    bars[at, 5, decided] if known else 0.0, bars[at, 6, decided] if known else 0.0, bars[at, 7, row],
                )  # fmt: skip
                if count + 4 > len(fills):
                    wider = np.empty((2 * len(fills), FILL_SIZE))
                    wider[:count] = fills[:count]
                    fills = wider
                first = count
                one_gross, one_cost, one_funding, count = trade(
                    states, at, wanted, before + moved, bar, terms, book, ends, fills, count
                )
                for number in range(first, count):
                    fills[number, 0], fills[number, 1], fills[number, 6] = row, at, before
                gross += one_gross
                cost += one_cost
                funding += one_funding
            share = 1.0 / before
            gross, cost, funding = (gross + moved) * share, cost * share, funding * share
            net = gross - cost - funding
            if not net > -1.0 + 1e-12:
                # What a lender would lose beyond the equity is not the account's. The loss is not split into its
                # parts, so that it is the whole account to the last bit.
                gross, cost, funding, net, equity = -1.0, 0.0, 0.0, -1.0, 0.0
                for at in range(n_symbols):
                    if states[at, UNITS] != 0.0:
                        if count + 1 > len(fills):
                            wider = np.empty((2 * len(fills), FILL_SIZE))
                            wider[:count] = fills[:count]
                            fills = wider
                        fills[count] = np.array(
                            [row, at, -states[at, UNITS], states[at, LAST_CLOSE], 0.0, LIQUIDATION, before]
                        )
                        count += 1
                    states[at, UNITS] = states[at, WORKING] = states[at, ACCEPTED] = 0.0
            else:
                equity = before * (1.0 + net)
        if kept:
            value = 0.0
            for at in range(n_symbols):
                if equity > 0.0 and states[at, UNITS] != 0.0:
                    positions[at, row] = states[at, UNITS] * states[at, LAST_CLOSE] / equity
                    value += positions[at, row]
            lived = before > 0.0
            out[0, row] = value
            out[1, row], out[2, row], out[3, row] = (gross, cost, funding) if lived else (0.0, 0.0, 0.0)
            out[4, row] = gross - cost - funding if lived else 0.0
            out[5, row] = equity
    return fills[:count]


@njit(cache=True, nogil=True)
def _following(segment: NDArray[np.int32]) -> NDArray[np.int64]:
    """For each symbol and row the next row at which it has a bar, -1 after its last."""
    out = np.full(segment.shape, -1, dtype=np.int64)
    for at in range(segment.shape[0]):
        following = -1
        for row in range(segment.shape[1] - 1, -1, -1):
            if segment[at, row] >= 0:
                out[at, row] = following
                following = row
    return out


@njit(cache=True, nogil=True)
def _scale(segment: NDArray[np.int32], target: Floats, recent: NDArray[np.int64], row: int, leverage: float) -> float:
    """What brings the sum of the absolute targets now due within the leverage."""
    total, delay = 0.0, recent.shape[1] - 1
    for at in range(segment.shape[0]):
        decided = recent[at, delay - 1] if segment[at, row] >= 0 else recent[at, delay]
        if decided >= 0:
            total += abs(target[at, decided])
    return leverage / total if total > leverage * (1.0 + 1e-12) else 1.0
