"""Many portfolios stepped in one call: several symbols that share one account's cash, each by `engine.step.trade`."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tests.oracles.old_loops.step import (
    ACCEPTED,
    ENTRY,
    FILL_SIZE,
    HELD,
    LAST_CLOSE,
    UNITS,
    WORKING,
    Bar,
    Terms,
    trade,
)

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# A portfolio's account: equity, its peak, cost so far, the scale of its costs, the instant, the first, the last one.
EQUITY, PEAK, COST, COST_SCALE, ROW, BEGUN, END = range(7)
ACCOUNT_SIZE = 7
# What the last step told, as shares of the equity before the bar.
NET, GROSS, PAID, FUNDING, TURNOVER, EXPOSURE = range(6)
TOLD = ("net", "gross", "cost", "funding", "turnover", "exposure")
SEEN_EACH = ("position", "unrealised_profit", "time_in_trade")
SEEN_ALL = ("drawdown", "cost_so_far", "exposure")
RUINED, OVER = 1, 2
LAST = 8


@njit(cache=True, nogil=True)
def limited(wanted: Floats, before: Floats, leverage: float, turnover: float) -> Floats:
    """Weights within the limits: scaled down together where their absolute sum passes the leverage, then moved from
    those before by no more than `turnover` in all; what stays between two allowed ones is allowed, too."""
    total = np.abs(wanted).sum()
    out = wanted * (leverage / total) if total > leverage else wanted.copy()
    moved = np.abs(out - before).sum()
    if moved > turnover:
        out = before + (out - before) * (turnover / moved)
        total = np.abs(out).sum()
        if total > leverage:  # by rounding
            out *= leverage / total
    return out


@njit(cache=True, nogil=True)
def begin_portfolio(
    accounts: Floats, states: Floats, pending: Floats, at: int, row: int, end: int, tape: Floats, scale: float
) -> None:
    """Portfolio `at` begins at the closes of instant `row`, without positions, with an equity of 1."""
    states[at], pending[at], accounts[at] = 0.0, 0.0, 0.0
    states[at, :, LAST_CLOSE] = tape[row, :, 3]
    accounts[at, EQUITY] = accounts[at, PEAK] = 1.0
    accounts[at, COST_SCALE], accounts[at, ROW], accounts[at, BEGUN], accounts[at, END] = scale, row, row, end


@njit(cache=True, nogil=True)
def step_portfolios(
    accounts: Floats, states: Floats, pending: Floats, weights: Floats, tape: Floats, terms: Terms, book: Floats,
    told: Floats, done: Rows,
) -> None:  # fmt: skip
    """Every portfolio lives through its next instant with the weights it has decided on; writes `told` and `done`.

    `states` (portfolios, symbols, 6) are the engine's, `pending` (portfolios, delay, symbols) the decided weights that
    are not yet due, the newest first, `tape` (instants, symbols, 9). All symbols are marked at the open, then each
    trades with the whole account's equity, as in `engine.backtest.portfolio`: equal weights give equal equity (tested
    to 1e-12).
    """
    fills = np.empty((4, FILL_SIZE))
    n_symbols, delay = states.shape[1], pending.shape[1]
    for at in range(len(accounts)):
        account = accounts[at]
        row = int(account[ROW]) + 1
        for lag in range(delay - 1, 0, -1):
            pending[at, lag] = pending[at, lag - 1]
        pending[at, 0] = weights[at]
        decided = row - delay
        known = decided >= account[BEGUN]
        before, moved, gross, cost, funding, turned = account[EQUITY], 0.0, 0.0, 0.0, 0.0, 0.0
        for symbol in range(n_symbols):
            state = states[at, symbol]
            if state[UNITS] != 0.0:
                moved += state[UNITS] * (tape[row, symbol, 0] - state[LAST_CLOSE])
        for symbol in range(n_symbols):
            bar = Bar(
                tape[row, symbol, 0], tape[row, symbol, 1], tape[row, symbol, 2], tape[row, symbol, 3],
                tape[row, symbol, 4], tape[decided, symbol, 5] if known else 0.0,
                tape[decided, symbol, 6] if known else 0.0, tape[row, symbol, 7],
            )  # fmt: skip
            wanted = pending[at, delay - 1, symbol] if known else 0.0
            one_gross, one_cost, one_funding, count = trade(
                states[at], symbol, wanted, before + moved, bar, terms, book, tape[row, symbol, LAST] > 0.0, fills, 0
            )
            for number in range(count):
                turned += abs(fills[number, 2]) * fills[number, 3]
            gross += one_gross
            cost += one_cost
            funding += one_funding
        share = 1.0 / before
        gross, cost, funding = (gross + moved) * share, cost * share * account[COST_SCALE], funding * share
        net = gross - cost - funding
        if not net > -1.0 + 1e-12:
            gross, cost, funding, net = -1.0, 0.0, 0.0, -1.0
            states[at, :, UNITS] = states[at, :, ACCEPTED] = states[at, :, WORKING] = 0.0
            account[EQUITY] = 0.0
        else:
            account[EQUITY] = before * (1.0 + net)
        account[PEAK] = max(account[PEAK], account[EQUITY])
        account[COST] += cost
        account[ROW] = row
        told[at, NET], told[at, GROSS], told[at, PAID], told[at, FUNDING] = net, gross, cost, funding
        told[at, TURNOVER] = turned * share
        told[at, EXPOSURE] = 0.0
        if account[EQUITY] > 0.0:
            for symbol in range(n_symbols):
                told[at, EXPOSURE] += abs(states[at, symbol, UNITS]) * states[at, symbol, LAST_CLOSE] / account[EQUITY]
        done[at] = (RUINED if account[EQUITY] <= 0.0 else 0) | (OVER if row >= account[END] else 0)


@njit(cache=True, nogil=True)
def look_portfolios(
    accounts: Floats, states: Floats, tape: Floats, features: NDArray[np.float32], told: Floats,
    seen: NDArray[np.float32],
) -> None:  # fmt: skip
    """Writes what each portfolio sees: for each symbol its features and `SEEN_EACH`, then `SEEN_ALL` (units as in
    `rules.EnvironmentRules`; exposure is the absolute positions' sum, a share of equity)."""
    n_symbols, width = features.shape[1], features.shape[2]
    each = width + 3
    for at in range(len(accounts)):
        row, equity = int(accounts[at, ROW]), accounts[at, EQUITY]
        share = 1.0 / equity if equity > 0.0 else 0.0
        for symbol in range(n_symbols):
            place = symbol * each
            units, close = states[at, symbol, UNITS], tape[row, symbol, 3]
            for column in range(width):
                seen[at, place + column] = features[row, symbol, column]
            seen[at, place + width] = units * close * share
            profit = 100.0 * units * (close - states[at, symbol, ENTRY]) * share if units != 0.0 else 0.0
            seen[at, place + width + 1] = np.sign(profit) * np.log1p(abs(profit))
            seen[at, place + width + 2] = np.log1p(states[at, symbol, HELD]) / 5.0 if units != 0.0 else 0.0
        place = n_symbols * each
        seen[at, place] = 10.0 * max(1.0 - equity / accounts[at, PEAK], 0.0)
        seen[at, place + 1] = np.log1p(100.0 * accounts[at, COST])
        seen[at, place + 2] = told[at, EXPOSURE]
