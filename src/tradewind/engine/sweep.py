"""Thousands of accounts over one history: what each set of parameters would have come to."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from tradewind.compute import track
from tradewind.engine.backtest import HOURS_A_YEAR, MARKET, History, fold, order_book
from tradewind.engine.step import terms
from tradewind.errors import BadData
from tradewind.execution.costs import Costs
from tradewind.execution.orders import OrderRules
from tradewind.metrics.risk import MEASURES, measure

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

    `make_target(**parameters)` gives the target position of every bar. The account is that of `backtest`, folded by the
    same compiled code without keeping its bars, on `threads` threads.

    Raises:
        BadData: a target of the wrong length, missing, or beyond the leverage allowed.
    """
    bars, segment = history.matrix()[None], history.segment[None]
    rates, book = terms(costs, rules, bars_per_year), order_book(costs)
    day = ((timestamp - pd.Timedelta(1, unit="ms")).dt.floor("D")).to_numpy()
    starts = np.flatnonzero(np.r_[True, day[1:] != day[:-1]])

    def one(parameters: dict[str, Any]) -> list[float]:
        target = np.ascontiguousarray(make_target(**parameters), dtype=np.float64)
        if len(target) != len(history.close) or not np.all(np.abs(target) <= rules.max_leverage):
            raise BadData(f"the target for {parameters} is missing, too large, or not one for each bar")
        equity, turnover, n_fills = _lived(bars, segment, target[None], rates, book, 1 + costs.latency_bars, starts)
        daily = np.diff(equity, prepend=1.0) / np.maximum(np.r_[1.0, equity[:-1]], 1e-300)
        return [*measure(daily), float(n_fills), turnover]

    with ThreadPoolExecutor(threads) as on:
        done = on.map(one, grid)
        rows = [row for _, row in zip(track(range(len(grid)), "sweep"), done, strict=True)]
    found = pd.DataFrame(rows, columns=[*MEASURES, "fills", "turnover"])
    return pd.concat([pd.DataFrame(list(grid)), found], axis=1)


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
