"""Backtests, sweeps and the statistics page against peers; see `conftest` for how."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import vectorbt

from tradewind.metrics import sharpe as ratios
from tradewind.metrics.comparison import sign_flip
from tradewind.metrics.overfitting import probability_of_overfitting
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import measure
from tradewind.metrics.significance import bootstrap_intervals
from tradewind.metrics.superiority import superior_ability
from tradewind.trading.engine.backtest import History, run
from tradewind.trading.engine.sweep import sweep
from tradewind.trading.engine.trades import trade_table
from tradewind.trading.execution.costs import Costs

pytestmark = pytest.mark.benchmark
COSTS = Costs(taker_fee_bps=5, half_spread_bps=1, slippage_share_of_volatility=0)
COMBINATIONS = 1000


@pytest.fixture(scope="module")
def market(minute_bars: pd.DataFrame) -> dict[str, Any]:
    n = len(minute_bars)
    rng = np.random.default_rng(0)
    target = np.repeat(rng.integers(-1, 2, n // 100 + 1), 100)[:n].astype(float)
    history = History.from_bars(minute_bars, np.full(n, 6e-4))
    index = pd.RangeIndex(n)  # a time-zone-aware index would slow the peer down for nothing
    close, opening = (pd.Series(minute_bars[name].to_numpy(), index=index) for name in ("close", "open"))
    return {
        "history": history, "target": target, "close": close, "open": opening, "timestamp": minute_bars["timestamp"],
    }  # fmt: skip


def sizes(target: np.ndarray) -> np.ndarray:
    """What vectorbt is told: the new target where it changes, one bar later."""
    changed = np.concatenate([[True], np.diff(target) != 0])
    return np.concatenate([[np.nan], np.where(changed, target, np.nan)[:-1]])


def test_backtest_with_trades_and_metrics(market: dict[str, Any], compare: Callable[..., None]) -> None:
    def ours() -> Any:
        result = run(market["history"], market["target"], COSTS)
        trades = trade_table(result, market["history"])
        measure(daily_returns(market["timestamp"], result.account["net"].to_numpy()))
        assert len(trades) > 2000
        return result.account["equity"].to_numpy()

    def peer() -> Any:
        portfolio = vectorbt.Portfolio.from_orders(
            market["close"], sizes(market["target"]), price=market["open"], size_type="targetpercent", fees=6e-4,
            freq="1min",
        )  # fmt: skip
        assert len(portfolio.trades.records) > 2000
        portfolio.sharpe_ratio(), portfolio.sortino_ratio(), portfolio.max_drawdown(), portfolio.total_return()
        return portfolio.value().to_numpy() / 100

    compare("backtest x 525,600 bars with trades and metrics, vectorbt", ours, peer, goal=0.25)


def test_sweep(market: dict[str, Any], compare: Callable[..., None]) -> None:
    """A thousand thresholds on a signal; the peer takes fifty columns at a time, else its memory would not suffice."""
    n = 100_000
    history = market["history"].rows(np.arange(len(market["close"])) < n)
    close, opening = market["close"].to_numpy()[:n], market["open"].to_numpy()[:n]
    signal = np.concatenate([np.zeros(240), np.log(close[240:] / close[:-240])])
    thresholds = np.linspace(0.001, 0.02, COMBINATIONS)

    def target(threshold: float) -> np.ndarray:
        return np.where(signal > threshold, 1.0, np.where(signal < -threshold, -1.0, 0.0))

    def ours() -> Any:
        grid = [{"threshold": value} for value in thresholds]
        return sweep(history, market["timestamp"].iloc[:n], target, grid, COSTS)["total_return"].to_numpy()

    def peer() -> Any:
        totals = []
        for start in range(0, COMBINATIONS, 50):
            columns = np.column_stack([sizes(target(value)) for value in thresholds[start : start + 50]])
            portfolio = vectorbt.Portfolio.from_orders(
                pd.DataFrame(np.broadcast_to(close[:, None], columns.shape)), columns, price=opening[:, None],
                size_type="targetpercent", fees=6e-4, freq="1min",
            )  # fmt: skip
            totals.append(portfolio.total_return().to_numpy())
            portfolio.sharpe_ratio(), portfolio.max_drawdown()
        return np.concatenate(totals)

    compare(f"sweep of {COMBINATIONS:,} combinations x {n:,} bars, vectorbt", ours, peer, goal=0.05, rounds=1)


def test_backtesting_py(market: dict[str, Any], compare: Callable[..., None]) -> None:
    backtesting = pytest.importorskip("backtesting")
    n = 50_000
    wanted = market["target"][:n]
    opening, close = market["open"].to_numpy()[:n], market["close"].to_numpy()[:n]
    table = pd.DataFrame(
        {"Open": opening, "High": np.maximum(opening, close), "Low": np.minimum(opening, close), "Close": close},
        index=pd.date_range("2024-01-01", periods=n, freq="min"),
    )

    class Given(backtesting.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None: ...

        def next(self) -> None:
            row = len(self.data) - 1
            if wanted[row] != wanted[row - 1]:
                self.position.close()
                if wanted[row]:
                    (self.buy if wanted[row] > 0 else self.sell)(size=0.99)

    def ours() -> Any:
        history = market["history"].rows(np.arange(len(market["close"])) < n)
        result = run(history, 0.99 * wanted, COSTS)
        return len(trade_table(result, history))

    def peer() -> Any:
        return len(backtesting.Backtest(table, Given, cash=1e9, commission=6e-4).run()["_trades"])

    compare(f"backtest x {n:,} bars, backtesting.py", ours, peer, goal=0.05, rounds=2, same=False)


def test_the_statistics_page(results: list[dict[str, Any]]) -> None:
    """50 strategies over 50,000 bars: every interval, deflation, overfitting, superiority, permutation."""
    rng = np.random.default_rng(1)
    timestamp = pd.Series(pd.date_range("2018-01-01 01:00", periods=50_000, freq="h", tz="UTC").as_unit("ms"))
    net = 0.002 * rng.standard_normal((50, 50_000)) + 1e-6
    start = perf_counter()
    daily = np.column_stack([daily_returns(timestamp, one) for one in net])
    for at in range(50):
        one = np.ascontiguousarray(daily[:, at])
        bootstrap_intervals(one, np.random.default_rng(7))
        ratios.deflated_sharpe(one, 50, 1e-4)
        ratios.autocorrelation_factor(one)
        ratios.minimum_track_record(one)
        sign_flip(one, np.random.default_rng(7))
    probability_of_overfitting(daily, 14)
    superior_ability(daily, np.random.default_rng(7))
    seconds = perf_counter() - start
    row = {
        "case": "statistics of 50 strategies x 50,000 bars, in seconds against a bound of 20",
        "unit": "s",
        "rounds": 1,
    }
    results.append({**row, "ours": seconds, "peer": 20.0, "ratio": seconds / 20.0, "goal": 1.0})
