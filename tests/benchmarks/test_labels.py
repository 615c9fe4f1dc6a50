"""Labels against peers; see `conftest` for how."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.labels.triple_barrier import find_barriers

pytestmark = pytest.mark.benchmark
N_LABELS = 525_600  # a year of minutes


@pytest.fixture(scope="module")
def bars(minute_bars: pd.DataFrame) -> pd.DataFrame:
    return minute_bars


def test_triple_barrier_against_numpy_windows(bars: pd.DataFrame, compare: Callable[..., None]) -> None:
    opening, high, low = (np.ascontiguousarray(bars[name])[:N_LABELS] for name in ("open", "high", "low"))
    horizon, segment, side = 24, np.zeros(N_LABELS, dtype=np.int32), np.zeros(N_LABELS, dtype=np.int8)
    volatility = np.random.default_rng(0).uniform(3e-4, 9e-4, N_LABELS)
    view = np.lib.stride_tricks.sliding_window_view

    def ours() -> Any:
        return find_barriers((opening, high, low), segment, volatility, side, horizon, (0.75, 0.75, 0.0))[1][:-horizon]

    def peer() -> Any:
        entry = opening[1:][: N_LABELS - horizon]
        width = volatility[: len(entry)] * np.sqrt(horizon)
        highs, lows = view(high[1:], horizon)[: len(entry)], view(low[1:], horizon)[: len(entry)]
        above = highs >= (entry * np.exp(0.75 * width))[:, None]
        below = lows <= (entry * np.exp(-0.75 * width))[:, None]
        up = np.where(above.any(axis=1), above.argmax(axis=1), horizon - 1)
        down = np.where(below.any(axis=1), below.argmax(axis=1), horizon - 1)
        return np.arange(len(entry)) + 1 + np.minimum(up, down)

    compare(f"triple barrier x {N_LABELS:,} rows, numpy sliding windows", ours, peer, goal=0.2)


def test_triple_barrier_against_a_pandas_loop(bars: pd.DataFrame, compare: Callable[..., None]) -> None:
    """A row's cost in the loop over pandas slices that mlfinpy runs (Lopez de Prado's snippet 3.2).

    mlfinpy itself needs a numpy of before 2.0 and cannot be installed beside this project.
    """
    n_rows, few, horizon = N_LABELS, 1000, 24
    opening, close = bars["open"].to_numpy()[:n_rows].copy(), bars["close"].set_axis(bars["timestamp"])[:n_rows]
    path = np.ascontiguousarray(close)
    opening[1:] = path[:-1]  # the peer enters at the close and looks at closes alone
    segment, side, volatility = np.zeros(n_rows, dtype=np.int32), np.zeros(n_rows, dtype=np.int8), np.full(n_rows, 6e-4)
    prices = (opening, path, path)
    target = 0.75 * 6e-4 * np.sqrt(horizon)

    def ours() -> Any:
        return find_barriers(prices, segment, volatility, side, horizon, (0.75, 0.75, 0.0))[1]

    def peer() -> Any:
        exits = []
        for row in range(few):
            slice_ = close.iloc[row : row + horizon + 1]
            returns = slice_ / close.iloc[row] - 1
            stop = returns[returns < np.exp(-target) - 1].index.min()
            profit = returns[returns > np.exp(target) - 1].index.min()
            exits.append(pd.Series([stop, profit, slice_.index[-1]]).min())
        return close.index.get_indexer(pd.DatetimeIndex(exits))

    np.testing.assert_array_equal(ours()[:few], peer())
    case = f"triple barrier, {n_rows / few:.0f} times as many rows as a loop over pandas slices (mlfinpy's)"
    compare(case, ours, peer, goal=n_rows / few / 3000, same=False)
