"""Thousands of accounts over one history: what each set of parameters would have come to."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from tradewind.compute import track
from tradewind.errors import BadData
from tradewind.metrics.risk import MEASURES, measure
from tradewind.trading.engine.backtest import HOURS_A_YEAR, MARKET, History, fold, order_book
from tradewind.trading.engine.step import Bar, taking, terms
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
    agrees with the fold to rounding; else the fold itself runs. Both on `threads` threads.

    Raises:
        BadData: a target of the wrong length, missing, or beyond the leverage allowed.
    """
    bars, segment = history.matrix[None], history.segment[None]
    rates, book = terms(costs, rules, bars_per_year), order_book(costs)
    plain = is_plain(rules) and costs.borrow_rate_annual == 0
    funding = np.cumsum(bars[0][0] * bars[0][7])  # paid on one unit since the first bar, at the open
    day = ((timestamp - pd.Timedelta(1, unit="ms")).dt.floor("D")).to_numpy()
    starts = np.flatnonzero(np.r_[True, day[1:] != day[:-1]])

    def one(parameters: dict[str, Any]) -> list[float]:
        target = np.ascontiguousarray(make_target(**parameters), dtype=np.float64)
        if len(target) != len(history.close) or not np.all(np.abs(target) <= rules.max_leverage):
            raise BadData(f"the target for {parameters} is missing, too large, or not one for each bar")
        found = (
            _skim(bars[0], funding, segment[0], target, rates, book, 1 + costs.latency_bars, starts) if plain else None
        )
        if found is None or not found[3]:
            found = (*_lived(bars, segment, target[None], rates, book, 1 + costs.latency_bars, starts), True)
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


@njit(cache=True, nogil=True)
def _skim(bars, funding, segment, target, rates, book, delay, starts):  # type: ignore[no-untyped-def]
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
def _lived(bars, segment, target, rates, book, delay, starts):  # type: ignore[no-untyped-def]
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
