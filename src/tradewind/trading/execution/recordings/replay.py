"""Our own orders inside a recorded order book: queue position, consumed levels, latency; many executions in one pass.

Others do not react to our orders: there is no impact beyond the levels that we take. The rules are those of the paper
venue (`live.venue.paper`), and the tests hold both to the same fills: a level that we consumed stays consumed until the
book shows another quantity there; a resting order stands behind a share of its level, never behind more than the whole
level, and gets what is traded there once those before it are served, or what is traded beyond its price; a book that
crosses its price meets it there.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from tradewind.data.order_book.replay import (
    IS_WHOLE,
    Floats,
    Ints,
    Levels,
    Updates,
    apply_update,
    empty_levels,
    end_of_update,
    is_open,
)
from tradewind.trading.execution.recordings.forms import (
    AHEAD,
    ARRIVE,
    CANCEL,
    DONE,
    DONE_MS,
    DRIFT,
    END,
    FILLABLE,
    HALF_SPREAD,
    HOLE,
    LAND,
    LAST_MIDDLE,
    MAKER,
    MAKER_VALUE,
    MIDDLE,
    NEAR_BPS,
    NOT_OPEN,
    NOT_WHOLE,
    OPPORTUNITY,
    OTHER_NEAR,
    OTHER_QTY,
    OWN_NEAR,
    OWN_QTY,
    PENDING,
    POST,
    QUANTITY,
    RESULT,
    SEEN,
    SPREAD,
    STALE,
    STATUS,
    TAKE,
    TAKER,
    TAKER_VALUE,
    WALK,
    WALK_NOW,
    Actions,
    Executions,
    Replayed,
    Trades,
    Venue,
)  # fmt: skip

TINY = 1e-9


class _Mine(NamedTuple):
    """The state of executions: quantity left, resting quantity and price, its queue (-1: not there), slots of what we
    consumed, quantities consumed and the level's quantity then, and the ranks between which that is."""

    left: Floats
    resting: Floats
    price: Floats
    ahead: Floats
    slot: Ints
    consumed: Floats
    shown: Floats
    reach: Ints


@njit(cache=True, nogil=True)
def replay_orders(
    updates: Updates, trades: Trades, venue: Venue, executions: Executions, actions: Actions, slots: int
) -> Replayed:
    """Carry out executions inside a recording, each as if it were alone.

    Trades of an instant come before the changes of the book that they cause.

    Args:
        updates: the depth stream.
        trades: the trades.
        venue: how the book is read.
        executions: sides and values.
        actions: what they do, in order of time.
        slots: how many executions are under way at once, at most.
    """
    count = len(executions.side)
    result, seen = np.zeros((count, len(RESULT))), np.full((count, len(SEEN)), np.nan)
    result[:, STATUS] = PENDING
    levels = empty_levels(len(updates.prices))
    mine = _Mine(
        np.zeros(count), np.zeros(count), np.zeros(count), np.full(count, -1.0), np.full(count, -1),
        np.zeros((slots, len(updates.prices))), np.zeros((slots, len(updates.prices))), np.zeros((slots, 2), np.int64),
    )  # fmt: skip
    live, free = np.empty(slots, np.int64), np.arange(slots)
    alive, row, trade, action = 0, 0, 0, 0
    last_ms = np.int64(-1)
    never = np.int64(2**62)
    while action < len(actions.time_ms):
        depth_ms = updates.time_ms[row] if row < len(updates.time_ms) else never
        trade_ms = trades.time_ms[trade] if trade < len(trades.time_ms) else never
        event_ms, now = min(depth_ms, trade_ms), actions.time_ms[action]
        if now <= event_ms:
            number = actions.number[action]
            if actions.what[action] == ARRIVE:
                mine.slot[number] = free[alive]
                live[alive] = number
                alive += 1
            if result[number, STATUS] == PENDING:
                _act(actions.what[action], actions.share[action], number, now, last_ms, updates, levels, venue,
                     executions, mine, result, seen)  # fmt: skip
            if actions.what[action] == END:
                alive = _leave(number, live, free, alive, mine)
            action += 1
            continue
        if event_ms - last_ms > venue.max_age_ms:
            for place in range(alive):
                if result[live[place], STATUS] == PENDING:
                    result[live[place], STATUS] = HOLE
        last_ms = event_ms
        if trade_ms <= depth_ms:
            for place in range(alive):
                _traded(live[place], trades.price[trade], trades.qty[trade], event_ms, updates, levels, venue,
                        executions, mine, result)  # fmt: skip
            trade += 1
            continue
        stop = end_of_update(updates, row)
        apply_update(updates, row, stop, venue.contiguous, levels)
        for place in range(alive):
            _shown_again(live[place], row, stop, updates, levels, executions, mine)
            _met(live[place], event_ms, updates, levels, venue, executions, mine, result)
        row = stop
    return Replayed(result, seen)


@njit(cache=True, nogil=True)
def _leave(number: int, live: Ints, free: Ints, alive: int, mine: _Mine) -> int:
    """Give back the slot of an execution that is over; how many are left."""
    slot = mine.slot[number]
    mine.consumed[slot, mine.reach[slot, 0] : mine.reach[slot, 1]] = 0.0
    mine.reach[slot] = 0
    place = 0
    while live[place] != number:
        place += 1
    live[place], free[alive - 1] = live[alive - 1], slot
    return alive - 1


@njit(cache=True, nogil=True)
def why_not(levels: Levels, updates: Updates, venue: Venue) -> int:
    """Why the book has no price that can be believed; `DONE` where it has.

    Args:
        levels: the book.
        updates: the stream, for its prices.
        venue: how the book is read.
    """
    if venue.needs_snapshot and not levels.state[IS_WHOLE]:
        return NOT_WHOLE
    return DONE if is_open(levels.best, updates.prices) else NOT_OPEN


@njit(cache=True, nogil=True)
def _middle(levels: Levels, updates: Updates) -> float:
    return (updates.prices[levels.best[0]] + updates.prices[levels.best[1]]) / 2.0


@njit(cache=True, nogil=True)
def _act(
    what: int, share: float, number: int, now: int, last_ms: int, updates: Updates, levels: Levels, venue: Venue,
    executions: Executions, mine: _Mine, result: Floats, seen: Floats,
) -> None:  # fmt: skip
    why = why_not(levels, updates, venue)
    if why == DONE and now - last_ms > venue.max_age_ms:
        why = STALE
    if what == CANCEL:
        mine.resting[number], mine.ahead[number] = 0.0, -1.0
        return
    if why != DONE:
        result[number, STATUS] = why
        return
    middle, side = _middle(levels, updates), executions.side[number]
    if what == ARRIVE:
        result[number, MIDDLE] = middle
        units = executions.value[number] / (venue.contract if venue.contract > 0.0 else middle)
        mine.left[number] = np.floor(units) if venue.contract > 0.0 else units
        result[number, QUANTITY] = mine.left[number]
        _look(number, middle, updates, levels, executions, mine, seen)
    elif what == POST:
        mine.price[number] = updates.prices[levels.best[0 if side > 0 else 1]]
        mine.resting[number] = min(mine.left[number], share * result[number, QUANTITY])
    elif what == LAND:
        before = mine.left[number]
        _take(number, mine.resting[number], True, now, updates, levels, executions, mine, result)
        mine.resting[number] = max(mine.resting[number] - (before - mine.left[number]), 0.0)
        mine.ahead[number] = venue.queue_ahead * _standing(number, updates, levels, executions, mine)
        result[number, AHEAD] = mine.ahead[number]
    elif what == TAKE:
        _take(number, min(mine.left[number], share * result[number, QUANTITY]), False, now, updates, levels,
              executions, mine, result)  # fmt: skip
    else:
        result[number, STATUS], result[number, LAST_MIDDLE] = DONE, middle
        unfilled = mine.left[number] / result[number, QUANTITY] if result[number, QUANTITY] > 0.0 else 1.0
        result[number, OPPORTUNITY] = 1e4 * unfilled * side * (middle / result[number, MIDDLE] - 1.0)


@njit(cache=True, nogil=True)
def _standing(number: int, updates: Updates, levels: Levels, executions: Executions, mine: _Mine) -> float:
    """Quantity at our limit price, on our side."""
    place = np.searchsorted(updates.prices, mine.price[number])
    return levels.bids[place] if executions.side[number] > 0 else levels.asks[place]


@njit(cache=True, nogil=True)
def _look(number: int, middle: float, updates: Updates, levels: Levels, executions: Executions, mine: _Mine,
          seen: Floats) -> None:  # fmt: skip
    """What the book shows at arrival."""
    side, prices = executions.side[number], updates.prices
    out, wanted = seen[number], mine.left[number]
    for is_other in range(2):
        step = side if is_other else -side
        stands = levels.asks if step > 0 else levels.bids
        place = levels.best[1 if step > 0 else 0]
        out[OTHER_QTY if is_other else OWN_QTY] = stands[place]
        near, left, worse, best = 0.0, wanted, 0.0, prices[place]
        while 0 <= place < len(prices) and (left > 0.0 or abs(prices[place] / middle - 1.0) <= NEAR_BPS * 1e-4):
            if abs(prices[place] / middle - 1.0) <= NEAR_BPS * 1e-4:
                near += stands[place]
            part = min(left, stands[place])
            left, worse = left - part, worse + part * step * (prices[place] - best)
            place += step
        out[OTHER_NEAR if is_other else OWN_NEAR] = near
        if is_other:
            out[HALF_SPREAD] = 1e4 * abs(best / middle - 1.0)
            filled = wanted - left
            out[WALK_NOW] = 1e4 * worse / filled / middle if filled > 0.0 else 0.0
            out[FILLABLE] = filled / wanted if wanted > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _take(number: int, units: float, is_limited: bool, now: int, updates: Updates, levels: Levels,
          executions: Executions, mine: _Mine, result: Floats) -> None:  # fmt: skip
    """Take what stands on the other side, as far as the limit if there is one; it stays consumed."""
    step, prices = executions.side[number], updates.prices
    stands = levels.asks if step > 0 else levels.bids
    place = levels.best[1 if step > 0 else 0]
    best, middle, slot = prices[place], _middle(levels, updates), mine.slot[number]
    consumed, shown, reach = mine.consumed[slot], mine.shown[slot], mine.reach[slot]
    while units > TINY and 0 <= place < len(prices):
        if is_limited and step * (prices[place] - mine.price[number]) > TINY:
            break
        part = min(units, stands[place] - consumed[place])
        if part > 0.0:
            consumed[place], shown[place] = consumed[place] + part, stands[place]
            reach[0] = place if reach[1] == 0 else min(reach[0], place)
            reach[1] = max(reach[1], place + 1)
            units -= part
            resting = mine.ahead[number] >= 0.0
            price = mine.price[number] if resting else prices[place]
            _fill(number, part, price, best, middle, resting, now, executions, mine, result)
        place += step


@njit(cache=True, nogil=True)
def _fill(number: int, units: float, price: float, best: float, middle: float, is_maker: bool, now: int,
          executions: Executions, mine: _Mine, result: Floats) -> None:  # fmt: skip
    """Count a fill, split into what it paid against the middle, beyond the best price, and since arrival."""
    out, side = result[number], executions.side[number]
    part = 1e4 * units / out[QUANTITY] / out[MIDDLE]
    mine.left[number] -= units
    out[MAKER if is_maker else TAKER] += units
    out[MAKER_VALUE if is_maker else TAKER_VALUE] += part * price
    reached = price if is_maker else best
    out[SPREAD] += part * side * (reached - middle)
    out[WALK] += part * side * (price - reached)
    out[DRIFT] += part * side * (middle - out[MIDDLE])
    if is_maker:
        mine.resting[number] -= units
    if mine.left[number] <= TINY * out[QUANTITY]:
        mine.left[number], mine.resting[number], out[DONE_MS] = 0.0, 0.0, now


@njit(cache=True, nogil=True)
def _traded(number: int, price: float, qty: float, now: int, updates: Updates, levels: Levels, venue: Venue,
            executions: Executions, mine: _Mine, result: Floats) -> None:  # fmt: skip
    """Others traded: what rests gets what is left behind its queue, or what went beyond its price."""
    if result[number, STATUS] != PENDING or mine.ahead[number] < 0.0 or mine.resting[number] <= 0.0:
        return
    side = executions.side[number]
    if side * (price - mine.price[number]) > TINY:
        return
    if abs(price - mine.price[number]) <= TINY:
        passed = min(mine.ahead[number], qty)
        mine.ahead[number] -= passed
        qty -= passed
    part = min(qty, mine.resting[number])
    if part <= TINY:
        return
    why = why_not(levels, updates, venue)
    if why != DONE:
        result[number, STATUS] = why
        return
    _fill(number, part, mine.price[number], 0.0, _middle(levels, updates), True, now, executions, mine, result)


@njit(cache=True, nogil=True)
def _shown_again(number: int, row: int, stop: int, updates: Updates, levels: Levels, executions: Executions,
                 mine: _Mine) -> None:  # fmt: skip
    """What we consumed of a level comes back where the book shows another quantity there."""
    slot = mine.slot[number]
    consumed, shown, reach = mine.consumed[slot], mine.shown[slot], mine.reach[slot]
    if reach[1] == 0:
        return
    stands = levels.asks if executions.side[number] > 0 else levels.bids
    if updates.snapshot[row]:
        for place in range(reach[0], reach[1]):
            if stands[place] != shown[place]:
                consumed[place] = 0.0
        return
    for at in range(row, stop):
        place = updates.rank[at]
        if reach[0] <= place < reach[1] and stands[place] != shown[place]:
            consumed[place] = 0.0


@njit(cache=True, nogil=True)
def _met(number: int, now: int, updates: Updates, levels: Levels, venue: Venue, executions: Executions, mine: _Mine,
         result: Floats) -> None:  # fmt: skip
    """The book changed: what rests is met where it crosses, and its queue is no longer than its level."""
    if result[number, STATUS] != PENDING or mine.ahead[number] < 0.0 or mine.resting[number] <= 0.0:
        return
    if why_not(levels, updates, venue) != DONE:
        return
    _take(number, mine.resting[number], True, now, updates, levels, executions, mine, result)
    mine.ahead[number] = min(mine.ahead[number], _standing(number, updates, levels, executions, mine))
