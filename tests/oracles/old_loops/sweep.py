"""The event-driven account of `engine.sweep` as it was: it closes before a gap."""

import numpy as np
from numba import njit

from tests.oracles.old_loops.fold import fold
from tests.oracles.old_loops.step import Bar, taking


@njit(cache=True, nogil=True)
def skim(bars, funding, segment, target, rates, book, delay, starts):  # type: ignore[no-untyped-def]
    """Equity at the end of each day, turnover, fills, and whether that is all: not if a short came near its end.

    Between two fills the account is cash and units, so that its equity follows from the price alone.
    """
    opening, high, close = bars[0], bars[1], bars[3]
    n_rows = len(close)
    out = np.empty(len(starts))
    cash, units, accepted, since = 1.0, 0.0, 0.0, 0.0
    turnover, n_fills, day, equity = 0.0, 0, 0, 1.0
    danger = np.inf
    for row in range(n_rows):
        decided = row - delay
        known = decided >= 0 and segment[decided] == segment[row]
        wanted = target[decided] if known else 0.0
        ends = row + 1 < n_rows and segment[row + 1] != segment[row]
        if wanted != accepted or (ends and units != 0.0):
            before = row - 1 if row > 0 else row
            last = cash + units * (close[before] - (funding[before] - since)) if units != 0.0 else cash
            bar = Bar(
                opening[row], high[row], bars[2, row], close[row], bars[4, row], bars[5, decided] if known else 0.0,
                bars[6, decided] if known else 0.0, bars[7, row],
            )  # fmt: skip
            if wanted != accepted:
                # `since` is the funding already paid: up to the bar before, this bar's is paid on what is held then.
                paid_until = funding[before] if row > 0 else 0.0
                cash -= units * paid_until - units * since
                worth = cash + units * opening[row]
                aim = wanted * max(worth, 0.0) / opening[row]
                change = aim - units
                if change != 0.0:
                    cost = taking(rates, book, bar, change, opening[row])
                    turnover += abs(change) * opening[row] / max(last, 1e-300)
                    cash -= change * opening[row] + cost
                    units, n_fills = aim, n_fills + 1
                accepted, since = wanted, paid_until
                value = cash + units * opening[row]
                # Half way to the price at which nothing is left.
                danger = opening[row] + 0.5 * value / -units if units < 0.0 else np.inf
            if ends:
                if units != 0.0:
                    cost = taking(rates, book, bar, -units, close[row])
                    turnover += abs(units) * close[row] / max(last, 1e-300)
                    cash += units * close[row] - cost - units * (funding[row] - since)
                    units, n_fills = 0.0, n_fills + 1
                accepted, danger = 0.0, np.inf
        if high[row] >= danger:
            return out, turnover, n_fills, False
        if row + 1 == (starts[day + 1] if day + 1 < len(starts) else n_rows):
            equity = cash + units * (close[row] - (funding[row] - since)) if units != 0.0 else cash
            if not equity > 1e-6:
                return out, turnover, n_fills, False
            out[day] = equity
            day += 1
    return out, turnover, n_fills, True


@njit(cache=True, nogil=True)
def lived(bars, segment, target, rates, book, delay, starts):  # type: ignore[no-untyped-def]
    n_rows = bars.shape[2]
    out, positions = np.empty((6, n_rows)), np.empty((1, n_rows))
    fills = fold(bars, segment, target, rates, book, delay, out, positions)
    ends = np.append(starts[1:] - 1, n_rows - 1)
    equity = np.empty(len(ends))
    for at in range(len(ends)):
        equity[at] = out[5, ends[at]]
    turnover = 0.0
    for number in range(len(fills)):
        if fills[number, 6] > 0.0:
            turnover += abs(fills[number, 2]) * fills[number, 3] / fills[number, 6]
    return equity, turnover, len(fills)
