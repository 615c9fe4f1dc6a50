"""Speed against peers: both in one process, in turns, after a warm-up; the ratio is the median of ours over theirs.

Run by `make bench`; the table is printed and written to `data/08_reporting/benchmarks.json`, with the ratio that the
project aims at. What is asserted is that both compute the same; the speed is told, not judged.
"""

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib
import vectorbt

from tradewind.engine.backtest import History, backtest
from tradewind.execution.costs import Costs
from tradewind.features import catalogue, matrix
from tradewind.features.catalogue import FeatureSelection
from tradewind.labels.triple_barrier import find_barriers
from tradewind.market.simulator import SimulationSpec, simulate_market

pytestmark = pytest.mark.benchmark
N_BARS = 525_600
RESULTS: list[dict[str, Any]] = []


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    market = simulate_market(SimulationSpec(n_symbols=1, days=365, timeframe="1m", seed=1))
    raw = market.bars["simulated/SIM1/1m"]
    opened = pd.to_datetime(raw["open_time"], unit="ms", utc=True).dt.as_unit("ms")
    closed = (opened + pd.Timedelta(minutes=1)).dt.as_unit("ms")
    return raw.assign(open_time=opened, timestamp=closed, segment=np.int32(0))


@pytest.fixture(scope="module", autouse=True)
def written_results() -> Iterator[None]:
    yield
    path = Path(__file__).resolve().parents[2] / "data/08_reporting/benchmarks.json"
    path.write_text(json.dumps(RESULTS, indent=1) + "\n")
    for row in RESULTS:
        figures = f"{row['ours']:.3f} s against {row['peer']:.3f} s, ratio {row['ratio']:.2f} (goal {row['goal']})"
        print(f"\n{row['case']}: {figures}", end="")  # noqa: T201
    print(f"\nwritten to {path}")  # noqa: T201


def compare(case: str, ours: Callable[[], Any], peer: Callable[[], Any], goal: float, rounds: int = 5) -> None:
    """Both must give the same numbers; then measure them in turns."""
    mine, theirs = (np.asarray(one(), dtype=np.float64) for one in (ours, peer))
    both = np.isfinite(mine) & np.isfinite(theirs)
    assert both.mean() > 0.95
    np.testing.assert_allclose(mine[both], theirs[both], rtol=1e-3, atol=1e-6)
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        start = perf_counter()
        ours()
        middle = perf_counter()
        peer()
        times.append((middle - start, perf_counter() - middle))
    ratio = statistics.median(first / second for first, second in times)
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    RESULTS.append(
        {
            "case": case,
            "ours": medians[0],
            "peer": medians[1],
            "unit": "s",
            "ratio": ratio,
            "goal": goal,
            "rounds": rounds,
        }
    )


def test_features_against_pandas(bars: pd.DataFrame) -> None:
    """The same 23 windows of three families, ours with all that a feature carries."""
    windows = (12, 24, 72, 168)
    names = [f"sma_distance_{w}" for w in windows] + [f"realised_volatility_{w}" for w in (6, 24, 72, 168)]
    names += [f"log_return_{lag}" for lag in (1, 2, 3, 6, 12, 24, 48, 96, 168)] + ["drawdown_24", "drawdown_168"]
    names += [f"position_in_range_{w}" for w in (24, 72, 168)] + ["volume_z_score_24"]
    chosen = [f for f in catalogue.select(FeatureSelection(), "1m", ()) if f.name in names]
    assert len(chosen) == len(names)
    chunk = matrix.build_chunk(bars, bars, matrix.market_table({"SIM1": bars}), {})
    close, high, low = bars["close"], bars["high"], bars["low"]

    def peer() -> Any:
        logs = np.log(close)
        change = logs.diff()
        columns = {f"sma_distance_{w}": np.log(close / close.rolling(w).mean()) for w in windows}
        columns |= {f"realised_volatility_{w}": np.sqrt((change**2).rolling(w).mean()) for w in (6, 24, 72, 168)}
        columns |= {f"log_return_{lag}": logs.diff(lag) for lag in (1, 2, 3, 6, 12, 24, 48, 96, 168)}
        columns |= {f"drawdown_{w}": np.log(close / high.rolling(w).max()) for w in (24, 168)}
        for w in (24, 72, 168):
            bottom = low.rolling(w).min()
            columns[f"position_in_range_{w}"] = (close - bottom) / (high.rolling(w).max() - bottom)
        volume = np.log1p(bars["volume"])
        columns["volume_z_score_24"] = (volume - volume.rolling(24).mean()) / volume.rolling(24).std(ddof=0)
        return [columns[feature.name] for feature in chosen]

    def ours() -> Any:
        return list(matrix.compute_features(chunk, chosen).values())

    compare("23 features x 525,600 bars, pandas", ours, peer, goal=0.12)


def test_rsi_against_talib(bars: pd.DataFrame) -> None:
    chunk = matrix.build_chunk(bars, bars, matrix.market_table({"SIM1": bars}), {})
    (rsi,) = [f for f in catalogue.select(FeatureSelection(), "1m", ()) if f.name == "rsi_14"]
    close = bars["close"].to_numpy()
    compare("RSI x 525,600 bars, TA-Lib", lambda: rsi.advance(None, chunk)[1], lambda: talib.RSI(close, 14), goal=0.4)


def test_triple_barrier_against_numpy_windows(bars: pd.DataFrame) -> None:
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


def test_backtest_against_vectorbt(bars: pd.DataFrame) -> None:
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
