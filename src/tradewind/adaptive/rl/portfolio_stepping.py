"""Many portfolios stepped in one call: several symbols that share one account's cash, as `engine.account` has it."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tradewind.trading.engine.account import CLOSE, USUAL_VOLUME, VOLATILITY, decide, share_of, step_bar
from tradewind.trading.engine.step import ENTRY, FILL_SIZE, HELD, LAST_CLOSE, MOST_FILLS, UNITS, TradingSchedule

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# A portfolio's account: equity, its peak, cost so far, the scale of its costs, the instant, the first, the last one.
EQUITY, PEAK, COST, COST_SCALE, ROW, START, END = range(7)
ACCOUNT_SIZE = 7
# The account over the last bar, as shares of the equity before the bar.
NET, GROSS, PAID, FUNDING, TURNOVER, EXPOSURE = range(6)
STEP_FIELDS = ("net", "gross", "cost", "funding", "turnover", "exposure")
SYMBOL_FEATURES = ("position", "unrealised_profit", "time_in_trade")
PORTFOLIO_FEATURES = ("drawdown", "cost_so_far", "exposure")
TERMINATED, TRUNCATED = 1, 2


@njit(cache=True, nogil=True)
def limit_weights(weights: Floats, before: Floats, leverage: float, turnover: float) -> Floats:
    """Weights within the limits: scaled down together beyond the leverage, then moved by at most `turnover` in all.

    Args:
        weights: shape (symbols,), the weights asked for, as shares of equity.
        before: shape (symbols,), the present weights, which are within the leverage.
        leverage: the largest sum of absolute weights.
        turnover: the largest sum of absolute changes.
    """
    total = np.abs(weights).sum()
    out = weights * (leverage / total) if total > leverage else weights.copy()
    moved = np.abs(out - before).sum()
    if moved > turnover:
        out = before + (out - before) * (turnover / moved)
        total = np.abs(out).sum()
        if total > leverage:  # by rounding
            out *= leverage / total
    return out


@njit(cache=True, nogil=True)
def begin_portfolio(accounts: Floats, states: Floats, at: int, row: int, end: int, bars: Floats, scale: float) -> None:
    """Begins portfolio `at` at the closes of instant `row`, without positions, with an equity of 1.

    Args:
        accounts: shape (portfolios, ACCOUNT_SIZE), written.
        states: shape (portfolios, symbols, ...), written; each portfolio's as in `account.AccountState`.
        at: the portfolio's row.
        row: the instant at whose closes it begins.
        end: the instant at which it ends.
        bars: shape (instants, symbols, 8) in the order of `engine.step.Bar`.
        scale: the multiple of the run's costs.
    """
    states[at], accounts[at] = 0.0, 0.0
    states[at, :, LAST_CLOSE] = bars[row, :, CLOSE]
    accounts[at, EQUITY] = accounts[at, PEAK] = 1.0
    accounts[at, COST_SCALE], accounts[at, ROW], accounts[at, START], accounts[at, END] = scale, row, row, end


@njit(cache=True, nogil=True)
def step_portfolios(
    accounts: Floats, states: Floats, weights: Floats, bars: Floats, delay: int, schedule: TradingSchedule,
    book: Floats, last_step: Floats, done: Rows,
) -> None:  # fmt: skip
    """Steps every portfolio over its next instant with the weights decided; writes `last_step` and `done`.

    Args:
        accounts: shape (portfolios, ACCOUNT_SIZE).
        states: shape (portfolios, symbols, ...), each portfolio's as in `account.AccountState`.
        weights: shape (portfolios, symbols), shares of equity.
        bars: shape (instants, symbols, 8) in the order of `engine.step.Bar`.
        delay: bars from a decision to its fill.
        schedule: costs and order rules.
        book: the measured order book.
        last_step: shape (portfolios, len(STEP_FIELDS)), written.
        done: shape (portfolios,), flags `TERMINATED` and `TRUNCATED`.
    """
    n_symbols = states.shape[1]
    fills = np.empty((MOST_FILLS * n_symbols, FILL_SIZE))
    segments = np.zeros((1, n_symbols), dtype=np.int32)  # a run stays within one segment
    for at in range(len(accounts)):
        account, symbols = accounts[at], states[at]
        row = int(account[ROW])
        for symbol in range(n_symbols):
            decide(
                symbols, symbol, weights[at, symbol], bars[row, symbol, VOLATILITY], bars[row, symbol, USUAL_VOLUME],
                delay,
            )  # fmt: skip
        row += 1
        bar = step_bar(
            symbols, bars, segments, delay, account[EQUITY], account[COST_SCALE], schedule, book, fills, 0, row, 0, row
        )
        account[EQUITY], account[ROW] = bar.equity, row
        account[PEAK] = max(account[PEAK], bar.equity)
        account[COST] += bar.cost
        last_step[at, NET], last_step[at, GROSS], last_step[at, PAID], last_step[at, FUNDING] = (
            bar.net,
            bar.gross,
            bar.cost,
            bar.funding,
        )
        last_step[at, TURNOVER] = bar.traded
        last_step[at, EXPOSURE] = 0.0
        for symbol in range(n_symbols):
            last_step[at, EXPOSURE] += abs(share_of(symbols, symbol, bar.equity))
        done[at] = (TERMINATED if bar.equity <= 0.0 else 0) | (TRUNCATED if row >= account[END] else 0)


@njit(cache=True, nogil=True)
def observe_portfolios(
    accounts: Floats, states: Floats, bars: Floats, features: NDArray[np.float32], last_step: Floats,
    observations: NDArray[np.float32],
) -> None:  # fmt: skip
    """Writes each portfolio's observation: each symbol's features and `SYMBOL_FEATURES`, then `PORTFOLIO_FEATURES`.

    Units are those of `rules.EnvironmentRules`; exposure is the sum of absolute positions, a share of equity.

    Args:
        accounts: shape (portfolios, ACCOUNT_SIZE).
        states: shape (portfolios, symbols, ...), each portfolio's as in `account.AccountState`.
        bars: shape (instants, symbols, 8) in the order of `engine.step.Bar`.
        features: float32, shape (instants, symbols, features).
        last_step: shape (portfolios, len(STEP_FIELDS)).
        observations: float32, shape (portfolios, symbols * (features + 3) + 3), written.
    """
    n_symbols, width = features.shape[1], features.shape[2]
    each = width + 3
    for at in range(len(accounts)):
        row, equity = int(accounts[at, ROW]), accounts[at, EQUITY]
        share = 1.0 / equity if equity > 0.0 else 0.0
        for symbol in range(n_symbols):
            place = symbol * each
            units, close = states[at, symbol, UNITS], bars[row, symbol, 3]
            for column in range(width):
                observations[at, place + column] = features[row, symbol, column]
            observations[at, place + width] = units * close * share
            profit = 100.0 * units * (close - states[at, symbol, ENTRY]) * share if units != 0.0 else 0.0
            observations[at, place + width + 1] = np.sign(profit) * np.log1p(abs(profit))
            observations[at, place + width + 2] = np.log1p(states[at, symbol, HELD]) / 5.0 if units != 0.0 else 0.0
        place = n_symbols * each
        observations[at, place] = 10.0 * max(1.0 - equity / accounts[at, PEAK], 0.0)
        observations[at, place + 1] = np.log1p(100.0 * accounts[at, COST])
        observations[at, place + 2] = last_step[at, EXPOSURE]
