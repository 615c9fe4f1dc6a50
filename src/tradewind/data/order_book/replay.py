"""The order book rebuilt from a snapshot and the changes to it, and what it looks like at the end of each second."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Columns of a second before its depths: best bid and ask, quantities there, time-weighted spread (bps), changes, and
# whether the book was whole (from a snapshot on, without a lost update).
STATE = ("bid", "ask", "bid_qty", "ask_qty", "mean_spread_bps", "updates", "is_whole")

# What is known of a book besides its levels: number of the last change, whether it is whole, updates that were lost.
LAST_ID, IS_WHOLE, LOST = range(3)


class Updates(NamedTuple):
    """The rows of a depth stream, in the order received, (rows,) each.

    A snapshot replaces the book, and changes that came before it but are numbered after it are made again (Binance's
    rule for keeping a local book).

    Attributes:
        time_ms: UTC milliseconds, never falling.
        first_id: number of the first change in the row's update.
        final_id: number of the last one.
        snapshot: whether the row belongs to a snapshot.
        side: above 0 for a bid, else an ask.
        rank: place of the row's price in `prices`.
        qty: new quantity of the level, 0 removes it.
        prices: every price, rising, (prices,).
    """

    time_ms: Ints
    first_id: Ints
    final_id: Ints
    snapshot: Flags
    side: npt.NDArray[np.int8]
    rank: Ints
    qty: Floats
    prices: Floats


class Levels(NamedTuple):
    """A book: quantity at each of the stream's prices, ranks of the best bid and ask, and `LAST_ID` to `LOST`."""

    bids: Floats
    asks: Floats
    best: Ints
    state: Ints


@njit(cache=True, nogil=True)
def empty_levels(count: int) -> Levels:
    """A book without a level."""
    return Levels(np.zeros(count), np.zeros(count), np.array([-1, count]), np.array([-1, 0, 0]))


@njit(cache=True, nogil=True)
def end_of_update(updates: Updates, row: int) -> int:
    """The row after the last one of the update that begins at `row`."""
    stop = row + 1
    while (
        stop < len(updates.time_ms)
        and updates.final_id[stop] == updates.final_id[row]
        and updates.snapshot[stop] == updates.snapshot[row]
    ):
        stop += 1
    return stop


@njit(cache=True, nogil=True)
def apply_update(updates: Updates, row: int, stop: int, contiguous: bool, levels: Levels) -> None:
    """Change the book by one update; one that is older than the book changes nothing.

    Args:
        updates: the stream.
        row: where the update begins.
        stop: the row after its last.
        contiguous: whether numbers follow each other without a hole, so that a hole is a lost update.
        levels: is changed.
    """
    state, final_id = levels.state, updates.final_id
    if updates.snapshot[row]:
        levels.bids[:], levels.asks[:] = 0.0, 0.0
        levels.best[0], levels.best[1] = -1, len(updates.prices)
        _apply(updates, row, stop, levels)
        for earlier in range(row):
            if not updates.snapshot[earlier] and final_id[earlier] > final_id[row]:
                _apply(updates, earlier, earlier + 1, levels)
        state[IS_WHOLE], state[LAST_ID] = 1, max(state[LAST_ID], final_id[row])
    elif final_id[row] > state[LAST_ID]:
        if contiguous and state[IS_WHOLE] and updates.first_id[row] > state[LAST_ID] + 1:
            state[IS_WHOLE], state[LOST] = 0, state[LOST] + 1
        _apply(updates, row, stop, levels)
        state[LAST_ID] = final_id[row]


@njit(cache=True, nogil=True)
def replay(
    updates: Updates, contiguous: bool, contract: float, depth_bps: Floats, sizes: Floats
) -> tuple[Ints, Floats, Floats, Floats, int]:
    """The book at the end of each second, from the changes of its levels.

    Args:
        updates: the stream.
        contiguous: whether numbers follow each other without a hole, so that a hole is a lost update.
        contract: quote value of a contract; 0 where quantities are of the base asset.
        depth_bps: distances from the mid within which depth is summed, basis points.
        sizes: orders to walk the book with, quote currency.

    Returns:
        Per second with a book its end (UTC milliseconds), `STATE`, depth (bid then ask by `depth_bps`, quote currency)
        and the cost of walking it (basis points beyond the mid; buy then sell by `sizes`, NaN where the book is too
        thin); and how many updates were lost.
    """
    time_ms, prices = updates.time_ms, updates.prices
    seconds = int(time_ms[-1] // 1000 - time_ms[0] // 1000 + 1)
    ends, states = np.empty(seconds, np.int64), np.empty((seconds, 7))
    depths, walks = np.empty((seconds, 2 * len(depth_bps))), np.empty((seconds, 2 * len(sizes)))
    levels = empty_levels(len(prices))
    bids, asks, best = levels.bids, levels.asks, levels.best
    count, row = 0, 0
    for end in range((time_ms[0] // 1000 + 1) * 1000, time_ms[-1] + 1, 1000):  # only seconds that are over
        changes, weighted, open_for, since = 0.0, 0.0, 0, end - 1000
        while row < len(time_ms) and time_ms[row] < end:
            stop = end_of_update(updates, row)
            if is_open(best, prices):
                weighted += _spread_bps(best, prices) * (time_ms[row] - since)
                open_for += time_ms[row] - since
            since = time_ms[row]
            apply_update(updates, row, stop, contiguous, levels)
            changes += stop - row
            row = stop
        if not is_open(best, prices):
            continue  # there is no mid-price
        bid, ask = prices[best[0]], prices[best[1]]
        weighted, open_for = weighted + _spread_bps(best, prices) * (end - since), open_for + end - since
        ends[count] = end
        states[count, 0], states[count, 1] = bid, ask
        states[count, 2], states[count, 3] = bids[best[0]], asks[best[1]]
        states[count, 4], states[count, 5], states[count, 6] = weighted / open_for, changes, levels.state[IS_WHOLE]
        _depth(bids, prices, best[0], -1, (bid + ask) / 2, contract, depth_bps, depths[count, : len(depth_bps)])
        _depth(asks, prices, best[1], 1, (bid + ask) / 2, contract, depth_bps, depths[count, len(depth_bps) :])
        _walk(asks, prices, best[1], 1, (bid + ask) / 2, contract, sizes, walks[count, : len(sizes)])
        _walk(bids, prices, best[0], -1, (bid + ask) / 2, contract, sizes, walks[count, len(sizes) :])
        count += 1
    return ends[:count], states[:count], depths[:count], walks[:count], levels.state[LOST]


@njit(cache=True, nogil=True)
def _apply(updates: Updates, start: int, stop: int, levels: Levels) -> None:
    """Each row sets the quantity at its price; the best prices follow."""
    bids, asks, best = levels.bids, levels.asks, levels.best
    for row in range(start, stop):
        place = updates.rank[row]
        if updates.side[row] > 0:
            bids[place] = updates.qty[row]
            if updates.qty[row] > 0.0:
                best[0] = max(best[0], place)
        else:
            asks[place] = updates.qty[row]
            if updates.qty[row] > 0.0:
                best[1] = min(best[1], place)
    while best[0] >= 0 and bids[best[0]] <= 0.0:
        best[0] -= 1
    while best[1] < len(asks) and asks[best[1]] <= 0.0:
        best[1] += 1


@njit(cache=True, nogil=True)
def is_open(best: Ints, prices: Floats) -> bool:
    """Whether both sides stand and are not crossed, so that there is a mid-price."""
    return 0 <= best[0] < best[1] < len(prices)


@njit(cache=True, nogil=True)
def _spread_bps(best: Ints, prices: Floats) -> float:
    bid, ask = prices[best[0]], prices[best[1]]
    return 2e4 * (ask - bid) / (ask + bid)


@njit(cache=True, nogil=True)
def _depth(
    levels: Floats, prices: Floats, begin: int, step: int, mid: float, contract: float, depth_bps: Floats, out: Floats
) -> None:
    """Quote value that rests within each distance of the mid-price."""
    for number in range(len(depth_bps)):
        reach, total, place = mid * depth_bps[number] * 1e-4, 0.0, begin
        while 0 <= place < len(levels) and abs(prices[place] - mid) <= reach:
            total += levels[place] * (contract if contract > 0.0 else prices[place])
            place += step
        out[number] = total


@njit(cache=True, nogil=True)
def _walk(
    levels: Floats, prices: Floats, begin: int, step: int, mid: float, contract: float, sizes: Floats, out: Floats
) -> None:
    """Basis points beyond the mid-price that a market order of each quote value pays on average."""
    for number in range(len(sizes)):
        left, paid, bought, place = sizes[number], 0.0, 0.0, begin
        while left > 0.0 and 0 <= place < len(levels):
            value = levels[place] * (contract if contract > 0.0 else prices[place])
            taken = min(value, left)
            paid += taken
            bought += taken / prices[place]
            left -= taken
            place += step
        out[number] = np.nan if left > 0.0 else 1e4 * step * (paid / bought / mid - 1.0)
