"""Many portfolios stepped in one call: several symbols that share one account's cash, as `engine.account` has it."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.trading.engine.account import CLOSE, USUAL_VOLUME, VOLATILITY, decide, live_bar, share_of
from tradewind.trading.engine.step import ENTRY, FILL_SIZE, HELD, LAST_CLOSE, MOST_FILLS, UNITS, TradingSchedule

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
def begin_portfolio(accounts: Floats, states: Floats, at: int, row: int, end: int, tape: Floats, scale: float) -> None:
    """Portfolio `at` begins at the closes of instant `row`, without positions, with an equity of 1."""
    states[at], accounts[at] = 0.0, 0.0
    states[at, :, LAST_CLOSE] = tape[row, :, CLOSE]
    accounts[at, EQUITY] = accounts[at, PEAK] = 1.0
    accounts[at, COST_SCALE], accounts[at, ROW], accounts[at, BEGUN], accounts[at, END] = scale, row, row, end


@njit(cache=True, nogil=True)
def step_portfolios(
    accounts: Floats, states: Floats, weights: Floats, tape: Floats, delay: int, schedule: TradingSchedule,
    book: Floats, told: Floats, done: Rows,
) -> None:  # fmt: skip
    """Every portfolio lives through its next instant with the weights it has decided on; writes `told` and `done`.

    Args:
        accounts: shape (portfolios, ACCOUNT_SIZE).
        states: shape (portfolios, symbols, ...), each portfolio's as in `account.AccountState`.
        weights: shape (portfolios, symbols), shares of equity.
        tape: shape (instants, symbols, 8) in the order of `engine.step.Bar`.
        delay: bars from a decision to its fill.
        schedule: costs and order rules.
        book: the measured order book.
        told: shape (portfolios, len(TOLD)).
        done: shape (portfolios,), flags `RUINED` and `OVER`.
    """
    n_symbols = states.shape[1]
    fills = np.empty((MOST_FILLS * n_symbols, FILL_SIZE))
    segments = np.zeros((1, n_symbols), dtype=np.int32)  # a run stays within one segment
    for at in range(len(accounts)):
        account, symbols = accounts[at], states[at]
        row = int(account[ROW])
        for symbol in range(n_symbols):
            decide(
                symbols, symbol, weights[at, symbol], tape[row, symbol, VOLATILITY], tape[row, symbol, USUAL_VOLUME],
                delay,
            )  # fmt: skip
        row += 1
        bar = live_bar(
            symbols, tape, segments, delay, account[EQUITY], account[COST_SCALE], schedule, book, fills, 0, row, 0, row
        )
        account[EQUITY], account[ROW] = bar.equity, row
        account[PEAK] = max(account[PEAK], bar.equity)
        account[COST] += bar.cost
        told[at, NET], told[at, GROSS], told[at, PAID], told[at, FUNDING] = bar.net, bar.gross, bar.cost, bar.funding
        told[at, TURNOVER] = bar.traded
        told[at, EXPOSURE] = 0.0
        for symbol in range(n_symbols):
            told[at, EXPOSURE] += abs(share_of(symbols, symbol, bar.equity))
        done[at] = (RUINED if bar.equity <= 0.0 else 0) | (OVER if row >= account[END] else 0)


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
