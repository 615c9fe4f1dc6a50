"""Thousands of accounts over one history: what each set of parameters would have come to."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from tradewind.compute import track
from tradewind.metrics.risk import MEASURES, measure
from tradewind.trading.engine.account import (
    DECISION_SIZE,
    SEGMENT,
    SYMBOL_SIZE,
    USUAL_VOLUME,
    VOLATILITY,
    begin,
    decide,
    run_account,
    step_bar,
)
from tradewind.trading.engine.backtest import HOURS_A_YEAR, MARKET, History
from tradewind.trading.engine.inputs import check_year, checked_targets, checked_timestamps
from tradewind.trading.engine.step import (
    ACCEPTED,
    FILL_SIZE,
    LAST_CLOSE,
    MOST_FILLS,
    UNITS,
    trading_schedule,
)
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

Floats = NDArray[np.float64]


def sweep(
    history: History,
    timestamp: pd.Series,
    make_target: Callable[..., Floats],
    grid: Sequence[dict[str, Any]],
    costs: Costs,
    rules: OrderRules = MARKET,
    bars_per_year: float = HOURS_A_YEAR,
    threads: int = 2,
) -> pd.DataFrame:
    """One row for each set of parameters: the parameters, the measures of daily net returns, trades and turnover.

    `make_target(**parameters)` gives the target position of every bar. The account is that of `backtest`. Where orders
    are plain (market, whole, without stops or leverage) only the bars on which something happens are worked on, which
    agrees with the account bar by bar to rounding; else that runs. Both on `threads` threads.

    Args:
        history: one symbol's bars as the account reads them.
        timestamp: the close of each bar.
        make_target: gives the target position of every bar from a set of parameters.
        grid: the sets of parameters.
        costs: fees, spread, slippage, impact, funding, latency.
        rules: the order rules.
        bars_per_year: by which borrowing costs are charged.
        threads: sets worked on at once.

    Raises:
        BadData: a target of the wrong length, missing, or beyond the leverage allowed.
    """
    check_year(bars_per_year)
    closes = pd.Series(checked_timestamps(timestamp, len(history.close)))
    bars, segment = history.matrix[None], history.segment[None]
    schedule, book = trading_schedule(costs, rules, bars_per_year), costs.book_shares
    delay = 1 + costs.latency_bars
    plain = is_plain(rules) and costs.borrow_rate_annual == 0
    funding = np.cumsum(bars[0][0] * bars[0][7])  # paid on one unit since the first bar, at the open
    day = ((closes - pd.Timedelta(1, unit="ms")).dt.floor("D")).to_numpy()
    starts = np.flatnonzero(np.r_[True, day[1:] != day[:-1]])

    def one(parameters: dict[str, Any]) -> list[float]:
        target = checked_targets(make_target(**parameters), len(history.close), rules, f"{parameters}: ")
        found = _event_driven(bars, funding, segment, target, schedule, book, delay, starts) if plain else None
        if found is None or not found[3]:
            found = (*_bar_by_bar(begin(1, delay), bars, segment, target[None], schedule, book, starts), True)
        equity, turnover, n_fills, _ = found
        daily = np.diff(equity, prepend=1.0) / np.maximum(np.r_[1.0, equity[:-1]], 1e-300)
        return [*measure(daily), float(n_fills), turnover]

    with ThreadPoolExecutor(threads) as on:
        done = on.map(one, grid)
        rows = [row for _, row in zip(track(range(len(grid)), "sweep"), done, strict=True)]
    found = pd.DataFrame(rows, columns=[*MEASURES, "fills", "turnover"])
    return pd.concat([pd.DataFrame(list(grid)), found], axis=1)


def is_plain(rules: OrderRules) -> bool:
    """Whether every target is filled whole at the next open and nothing but a new target ends a position."""
    return (
        rules.order == "market" and rules.max_leverage <= 1 and rules.maintenance_margin == 0
        and not (rules.stop_loss or rules.take_profit or rules.max_holding_bars or rules.max_participation)
        and rules.min_notional == rules.lot_size == 0
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _event_driven(bars, funding, segment, target, schedule, book, latency, starts):  # type: ignore[no-untyped-def]
    """Equity at the end of each day, turnover, fills, and whether that is all: not if a short came near its end.

    Only bars at which the target due changes, or a gap ends, are stepped. In between the account is cash and
    units, so that its equity follows from the price and the funding paid since.
    """
    high, close = bars[0, 1], bars[0, 3]
    quotes, segments = bars.transpose((2, 0, 1)), segment.T
    n_rows = len(close)
    out, fills = np.empty(len(starts)), np.empty((MOST_FILLS, FILL_SIZE))
    symbol = np.zeros((1, SYMBOL_SIZE + DECISION_SIZE))
    # `at_close` is the equity at the close of bar `since`, the last one stepped.
    at_close, since, units, accepted, danger = 1.0, -1, 0.0, 0.0, np.inf
    turnover, n_fills, day = 0.0, 0, 0
    for row in range(n_rows):
        decided = row - latency
        known = decided >= 0 and segment[0, decided] == segment[0, row]
        due = target[decided] if known else 0.0
        if due != accepted or (units != 0.0 and segment[0, row] != segment[0, row - 1]):
            before = at_close
            if units != 0.0 and row - 1 > since:
                before += units * (close[row - 1] - symbol[0, LAST_CLOSE] - (funding[row - 1] - funding[since]))
                symbol[0, LAST_CLOSE] = close[row - 1]
            # As if it had been decided at the last close: the latency is over.
            symbol[0, SEGMENT] = segment[0, row - 1] if row > 0 else -1
            told = max(decided, 0)  # before the first decision nothing is traded
            decide(symbol, 0, due, bars[0, VOLATILITY, told], bars[0, USUAL_VOLUME, told], 1)
            bar = step_bar(symbol, quotes, segments, 1, before, 1.0, schedule, book, fills, 0, row, row, row)
            if not bar.equity > 0.0:
                return out, turnover, n_fills, False
            at_close, since, units, accepted = bar.equity, row, symbol[0, UNITS], symbol[0, ACCEPTED]
            turnover += bar.traded
            n_fills += bar.n_fills
            # Half way to the price at which nothing is left.
            danger = close[row] + 0.5 * at_close / -units if units < 0.0 else np.inf
        elif high[row] >= danger:
            return out, turnover, n_fills, False
        if row + 1 == (starts[day + 1] if day + 1 < len(starts) else n_rows):
            equity = at_close
            if units != 0.0 and row > since:
                equity += units * (close[row] - symbol[0, LAST_CLOSE] - (funding[row] - funding[since]))
            if not equity > 1e-6:
                return out, turnover, n_fills, False
            out[day] = equity
            day += 1
    return out, turnover, n_fills, True


@njit(cache=True, nogil=True, error_model="numpy")
def _bar_by_bar(state, bars, segment, target, schedule, book, starts):  # type: ignore[no-untyped-def]
    n_rows = bars.shape[2]
    out, positions = np.empty((6, n_rows)), np.empty((1, n_rows))
    fills = run_account(
        state.symbols, state.equity, state.n_bars, bars, segment, target, schedule, book, out, positions
    )
    ends = np.append(starts[1:] - 1, n_rows - 1)
    equity = np.empty(len(ends))
    for at in range(len(ends)):
        equity[at] = out[5, ends[at]]
    turnover = 0.0
    for number in range(len(fills)):
        if fills[number, 6] > 0.0:
            turnover += abs(fills[number, 2]) * fills[number, 3] / fills[number, 6]
    return equity, turnover, len(fills)
