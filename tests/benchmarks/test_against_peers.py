"""Labels and the backtest against peers; see `conftest` for how."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import vectorbt

from tradewind.engine.backtest import History, backtest
from tradewind.execution.costs import Costs
from tradewind.labels.triple_barrier import find_barriers

pytestmark = pytest.mark.benchmark
N_BARS = 525_600


@pytest.fixture(scope="module")
def bars(minute_bars: pd.DataFrame) -> pd.DataFrame:
    return minute_bars


def test_triple_barrier_against_numpy_windows(bars: pd.DataFrame, compare: Callable[..., None]) -> None:
    prices = np.ascontiguousarray(bars[["open", "high", "low", "close"]].to_numpy())[:200_000]
    horizon, segment = 24, np.zeros(200_000, dtype=np.int32)
    volatility = np.full(200_000, 6e-4)

    def peer() -> Any:
        view = np.lib.stride_tricks.sliding_window_view
        entry = prices[1:, 0][: 200_000 - horizon]
        width = volatility[: len(entry)] * np.sqrt(horizon)
        high, low = (view(prices[1:, column], horizon)[: len(entry)] for column in (1, 2))
        above = high >= (entry * np.exp(0.75 * width))[:, None]
        below = low <= (entry * np.exp(-0.75 * width))[:, None]
        up = np.where(above.any(axis=1), above.argmax(axis=1), horizon - 1)
        down = np.where(below.any(axis=1), below.argmax(axis=1), horizon - 1)
        return np.arange(len(entry)) + 1 + np.minimum(up, down)

    compare(
        "triple barrier x 200,000 rows, numpy sliding windows",
        lambda: find_barriers(prices, segment, volatility, horizon, (0.75, 0.75))[1][: 200_000 - horizon],
        peer,
        goal=0.2,
    )


def test_backtest_against_vectorbt(bars: pd.DataFrame, compare: Callable[..., None]) -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(rng.integers(-1, 2, N_BARS // 100 + 1), 100)[:N_BARS].astype(float)
    history = History.from_bars(bars, np.full(N_BARS, 6e-4))
    index = pd.RangeIndex(N_BARS)  # a time-zone-aware index would slow the peer down for nothing
    close, opening = (pd.Series(bars[name].to_numpy(), index=index) for name in ("close", "open"))
    changed = np.concatenate([[True], np.diff(target) != 0])
    size = pd.Series(np.where(changed, target, np.nan), index=index).shift()

    def peer() -> Any:
        portfolio = vectorbt.Portfolio.from_orders(
            close, size, price=opening, size_type="targetpercent", fees=6e-4, freq="1min"
        )
        return portfolio.value().to_numpy() / 100

    costs = Costs(taker_fee_bps=5, half_spread_bps=1, slippage_share_of_volatility=0)
    compare("backtest x 525,600 bars, vectorbt", lambda: backtest(history, target, costs)["equity"], peer, goal=0.25)
