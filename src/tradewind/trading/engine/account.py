"""The account: the only loop over its bars, for one symbol or many that share their cash.

An account is carried on from where it stopped: `begin` makes a state, `advance` steps over bars with it, and bars
cut anywhere and given one part after the other come to the same account, to the last bit. Backtest, sweep, episodes
and portfolios of agents all step a bar by `step_bar`.

An account does not know that a gap follows. It learns of one when the first bar after it arrives, closes the position
at that bar's open, at cost, and forgets the decisions of the segment before.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.trading.engine.inputs import check_rows
from tradewind.trading.engine.step import (
    ACCEPTED,
    END,
    FILL_SIZE,
    HELD,
    LAST_CLOSE,
    LIQUIDATION,
    MOST_FILLS,
    STATE_SIZE,
    UNITS,
    WORKING,
    Bar,
    TradingSchedule,
    in_place,
    is_idle,
    one_bar,
    record_fill,
    taker_cost,
    trade,
)

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Segments = NDArray[np.int32]

ACCOUNT = ["position", "gross", "cost", "funding", "net", "equity"]
# What is known of a symbol besides `step`'s state: its last bar's segment, how many decisions were made in it, where
# the next one is kept, and the target due now. Then, counted from the row's end, the decisions that are not yet due:
# so many as an order's delay has bars, each a target with the volatility and the usual volume known at it.
SEGMENT, DECIDED, SLOT, DUE = range(STATE_SIZE, STATE_SIZE + 4)
SYMBOL_SIZE = STATE_SIZE + 4
DECISION_SIZE = 3
# The bar in `quotes`, in the order of `step.Bar`.
OPEN, HIGH, LOW, CLOSE, VOLUME, VOLATILITY, USUAL_VOLUME, FUNDING_RATE = range(8)


class AccountState(NamedTuple):
    """All that an account remembers between two bars.

    `symbols` has shape (symbols, SYMBOL_SIZE + DECISION_SIZE * delay), `equity` (1,) in units of the starting capital,
    `n_bars` (1,) the number of bars so far.
    """

    symbols: Floats
    equity: Floats
    n_bars: Rows


class AccountRows(NamedTuple):
    """What `advance` writes: `account` (6, bars) in the order of `ACCOUNT`, shares of the equity before the bar;
    `positions` (symbols, bars), shares of the equity at the close; and the fills (`step.FILL_SIZE`)."""

    account: Floats
    positions: Floats
    fills: Floats


class BarResult(NamedTuple):
    """A bar of an account: gross, cost, funding, net and the value traded as shares of the equity before; the equity
    after; and the number of fills so far."""

    gross: float
    cost: float
    funding: float
    net: float
    traded: float
    equity: float
    n_fills: int


def begin(n_symbols: int, delay: int) -> AccountState:
    """An account with an equity of 1 and no positions, whose decisions are filled `delay` bars later (1: next open)."""
    symbols = np.zeros((n_symbols, SYMBOL_SIZE + DECISION_SIZE * delay))
    symbols[:, SEGMENT] = -1.0
    return AccountState(symbols, np.ones(1), np.zeros(1, dtype=np.int64))


def advance(
    state: AccountState, bars: Floats, segment: Segments, target: Floats, schedule: TradingSchedule, book: Floats
) -> AccountRows:
    """Steps the account over the bars; its state is updated in place.

    Args:
        state: from `begin`, or as the last call left it.
        bars: shape (symbols, 8, bars) in the order of `step.Bar`, NaN where a symbol has no bar.
        segment: shape (symbols, bars); -1 where a symbol has no bar.
        target: shape (symbols, bars), shares of equity decided at each close.
        schedule: costs and order rules.
        book: the measured order book, shape (2, points), values and shares.

    Returns:
        The bars' rows, and the fills; their bar is counted from the account's beginning.

    Raises:
        BadData: shapes that do not agree, or a price, rate or target that is missing where there is a bar.
    """
    check_rows(bars, segment, target)
    out, positions = np.empty((len(ACCOUNT), bars.shape[2])), np.zeros((bars.shape[0], bars.shape[2]))
    fills = run_account(
        state.symbols, state.equity, state.n_bars, bars, segment, target, schedule, book, out, positions
    )
    return AccountRows(out, positions, fills)


@in_place
def decide(symbols: Floats, at: int, target: float, volatility: float, usual_volume: float, delay: int) -> None:
    """Symbol `at` has decided on a target at a close, with what is known there; it is due `delay` bars later.

    Args:
        symbols: the state of each symbol, written; see `AccountState`.
        at: the symbol's row in `symbols`.
        target: the position decided on, a share of equity.
        volatility: known at the close, log-return per bar.
        usual_volume: known at the close, units a bar.
        delay: bars from a decision to its fill.
    """
    slot = int(symbols[at, SLOT])
    place = symbols.shape[1] - DECISION_SIZE * (slot + 1)
    symbols[at, place], symbols[at, place + 1], symbols[at, place + 2] = target, volatility, usual_volume
    symbols[at, SLOT] = slot + 1 if slot + 1 < delay else 0
    symbols[at, DECIDED] += 1.0


@in_place
def share_of(symbols: Floats, at: int, equity: float) -> float:
    """The position's value at the last close as a share of equity.

    Args:
        symbols: the state of each symbol; see `AccountState`.
        at: the symbol's row in `symbols`.
        equity: the account's, at the same close.
    """
    return float(symbols[at, UNITS] * symbols[at, LAST_CLOSE] / equity) if equity > 0.0 else 0.0


@in_place
def step_bar(
    symbols: Floats, quotes: Floats, segments: Segments, delay: int, before: float, cost_scale: float,
    schedule: TradingSchedule, book: Floats, fills: Floats, count: int, row: int,
    here: int, number: int,
) -> BarResult:  # fmt: skip
    """Steps the account over one bar with the targets decided before it.

    All symbols are marked at their open; then each trades with the whole account's equity there. What a lender would
    lose beyond the equity is not the account's.

    Args:
        symbols: the state of each symbol; see `AccountState`.
        quotes: shape (bars, symbols, 8 or more), in the order of `step.Bar`.
        segments: shape (bars, symbols), -1 where a symbol has no bar.
        delay: bars from a decision to its fill.
        before: the equity before the bar.
        cost_scale: a multiple of all costs.
        schedule: costs and order rules, by name.
        book: the measured order book.
        fills: from row `count` on fills are recorded; the caller sees to it that `MOST_FILLS` a symbol have room.
        count: fills so far.
        row: the bar's place in `quotes`.
        here: the bar's place in `segments`.
        number: the bar's number, recorded with its fills.

    Returns:
        The bar's money, as shares of the equity before it.
    """
    if not before > 0.0:
        return BarResult(0.0, 0.0, 0.0, 0.0, 0.0, before, count)
    n_symbols, width, first = segments.shape[1], symbols.shape[1], count
    moved = gross = cost = funding = traded = asked = 0.0
    for at in range(n_symbols):
        if segments[here, at] >= 0:
            if symbols[at, UNITS] != 0.0:
                moved += symbols[at, UNITS] * (quotes[row, at, OPEN] - symbols[at, LAST_CLOSE])
            due = width - DECISION_SIZE * (int(symbols[at, SLOT]) + 1)
            if symbols[at, SEGMENT] != segments[here, at]:
                if symbols[at, SEGMENT] >= 0.0:
                    if symbols[at, UNITS] != 0.0:
                        paid, count = _close_after_gap(symbols, quotes, row, at, due, schedule, book, fills, count)
                        cost += paid
                    symbols[at, UNITS] = symbols[at, WORKING] = symbols[at, ACCEPTED] = symbols[at, DECIDED] = 0.0
                symbols[at, SEGMENT] = segments[here, at]
            symbols[at, DUE] = symbols[at, due] if symbols[at, DECIDED] >= delay else 0.0
        asked += abs(symbols[at, DUE])
    # More than the leverage is scaled down in proportion; one symbol alone asks for no more than is allowed.
    scale = 1.0
    if n_symbols > 1 and asked > schedule.leverage * (1.0 + 1e-12):
        scale = schedule.leverage / asked
    for at in range(n_symbols):
        if segments[here, at] < 0:
            continue
        wanted, opening, close = symbols[at, DUE] * scale, quotes[row, at, OPEN], quotes[row, at, CLOSE]
        if is_idle(symbols, at, wanted, before + moved, opening, quotes[row, at, HIGH], schedule):
            units = symbols[at, UNITS]
            if units != 0.0:
                gross += units * (close - opening)
                funding += (
                    units * opening * quotes[row, at, FUNDING_RATE] + max(-units, 0.0) * opening * schedule.borrow
                )
                symbols[at, HELD] += 1.0
            symbols[at, LAST_CLOSE] = close
        else:
            one_gross, one_cost, one_funding, count = _trade(
                symbols, quotes, row, at, wanted, before + moved, delay, schedule, book, fills, count
            )
            gross += one_gross
            cost += one_cost
            funding += one_funding
    for one in range(first, count):
        fills[one, 0], fills[one, 6] = number, before
        traded += abs(fills[one, 2]) * fills[one, 3]
    share = 1.0 / before
    gross, cost, funding = (gross + moved) * share, cost * share * cost_scale, funding * share
    net = gross - cost - funding
    if net > -1.0 + 1e-12:
        return BarResult(gross, cost, funding, net, traded * share, before * (1.0 + net), count)
    # The loss is not split into its parts, so that it is the whole account to the last bit.
    for at in range(n_symbols):
        if symbols[at, UNITS] != 0.0:
            count = record_fill(fills, count, -symbols[at, UNITS], symbols[at, LAST_CLOSE], 0.0, LIQUIDATION)
            fills[count - 1, 0], fills[count - 1, 1], fills[count - 1, 6] = number, at, before
        symbols[at, UNITS] = symbols[at, WORKING] = symbols[at, ACCEPTED] = 0.0
    return BarResult(-1.0, 0.0, 0.0, -1.0, traded * share, 0.0, count)


@one_bar
def _close_after_gap(
    symbols: Floats, quotes: Floats, row: int, at: int, due: int, schedule: TradingSchedule, book: Floats,
    fills: Floats, count: int,
) -> tuple[float, int]:  # fmt: skip
    # At the open, as soon as the gap is known of; at the cost that the volatility known at the last decision implies.
    price, units = quotes[row, at, OPEN], symbols[at, UNITS]
    bar = Bar(price, price, price, price, quotes[row, at, VOLUME], symbols[at, due + 1], symbols[at, due + 2], 0.0)
    paid = taker_cost(schedule, book, bar, -units, price)
    count = record_fill(fills, count, -units, price, paid, END)
    fills[count - 1, 1] = at
    return paid, count


@one_bar
def _trade(
    symbols: Floats, quotes: Floats, row: int, at: int, wanted: float, equity: float, delay: int,
    schedule: TradingSchedule, book: Floats, fills: Floats, count: int,
) -> tuple[float, float, float, int]:  # fmt: skip
    # A function of its own: its many variables would cost every bar that only holds.
    known = symbols[at, DECIDED] >= delay
    due = symbols.shape[1] - DECISION_SIZE * (int(symbols[at, SLOT]) + 1)
    bar = Bar(
        quotes[row, at, OPEN], quotes[row, at, HIGH], quotes[row, at, LOW], quotes[row, at, CLOSE],
        quotes[row, at, VOLUME], symbols[at, due + 1] if known else 0.0, symbols[at, due + 2] if known else 0.0,
        quotes[row, at, FUNDING_RATE],
    )  # fmt: skip
    first = count
    gross, cost, funding, count = trade(symbols, at, wanted, equity, bar, schedule, book, fills, count)
    for number in range(first, count):
        fills[number, 1] = at
    return gross, cost, funding, count


@njit(cache=True, nogil=True, error_model="numpy")
def run_account(
    symbols: Floats, equity: Floats, n_bars: Rows, bars: Floats, segment: Segments, target: Floats,
    schedule: TradingSchedule, book: Floats, out: Floats, positions: Floats,
) -> Floats:  # fmt: skip
    """The loop of `advance`, which has the arguments: writes `out` and `positions` and returns the fills.

    `out` and `positions` may have no bars: then only the fills are kept.

    Args:
        symbols: the state of each symbol, written; see `AccountState`.
        equity: shape (1,), written.
        n_bars: shape (1,), bars since the account's beginning, written.
        bars: shape (symbols, 8, bars) in the order of `step.Bar`, NaN where a symbol has no bar.
        segment: shape (symbols, bars); -1 where a symbol has no bar.
        target: shape (symbols, bars), shares of equity decided at each close.
        schedule: costs and order rules.
        book: the measured order book, shape (2, points), values and shares.
        out: shape (len(ACCOUNT), bars) or (len(ACCOUNT), 0), written.
        positions: shape (symbols, bars) or (symbols, 0), written.
    """
    n_symbols, _, n_rows = bars.shape
    delay = (symbols.shape[1] - SYMBOL_SIZE) // DECISION_SIZE
    fills, count, worth = np.empty((max(64, MOST_FILLS * n_symbols), FILL_SIZE)), 0, equity[0]
    kept = out.shape[1] > 0
    quotes, segments = bars.transpose((2, 0, 1)), segment.T
    for row in range(n_rows):
        if count + MOST_FILLS * n_symbols > len(fills):
            wider = np.empty((2 * len(fills), FILL_SIZE))
            wider[:count] = fills[:count]
            fills = wider
        bar = step_bar(
            symbols, quotes, segments, delay, worth, 1.0, schedule, book, fills, count, row, row, n_bars[0] + row
        )
        worth, count = bar.equity, bar.n_fills
        for at in range(n_symbols):
            if segment[at, row] >= 0:
                decide(symbols, at, target[at, row], bars[at, VOLATILITY, row], bars[at, USUAL_VOLUME, row], delay)
        if kept:
            value = 0.0
            for at in range(n_symbols):
                if symbols[at, UNITS] != 0.0:
                    positions[at, row] = share_of(symbols, at, worth)
                    value += positions[at, row]
            out[0, row], out[1, row], out[2, row], out[3, row] = value, bar.gross, bar.cost, bar.funding
            out[4, row], out[5, row] = bar.net, worth
    equity[0] = worth
    n_bars[0] += n_rows
    return fills[:count]
