"""Small tables of bars with known faults."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import check_bars, type_bars
from tradewind.data.quality.counts import count_rows, join_rows
from tradewind.market.segments import assign_segments
from tradewind.market.timeframes import bar_duration_ms

HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01
KEY = BarKey(venue="v", symbol="S", timeframe="1h")
NOW = datetime(2030, 1, 1, tzinfo=UTC)

Checked = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def delivered(hours: int = 2000, seed: int = 1) -> pd.DataFrame:
    """Clean hourly rows as a source delivers them, with a quote volume and trades."""
    close = 100 * np.exp(np.random.default_rng(seed).normal(0, 0.01, hours).cumsum())
    opened = np.r_[100.0, close[:-1]]
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    volume = np.random.default_rng(seed + 1).lognormal(2, 0.5, hours)
    return pd.DataFrame(
        {
            "open_time": START + np.arange(hours, dtype=np.int64) * HOUR,
            "open": opened, "high": high, "low": low, "close": close, "volume": volume,
            "quote_volume": volume * (high + low) / 2, "trades": 7.0,
        }
    )  # fmt: skip


def received(rows: pd.DataFrame, key: BarKey = KEY) -> Checked:
    """Checked bars, row counts and rejected rows, as the data stage makes them."""
    typed, untyped = type_bars(rows, key)
    bars, rejected = check_bars(typed, key, NOW)
    rejected = join_rows([untyped, rejected])
    opened = bars["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    bars = bars.assign(segment=assign_segments(opened, bar_duration_ms(key.timeframe), 12))
    return bars, count_rows(key, len(rows), len(bars), len(rejected)), rejected


@pytest.fixture
def real_bars(shared_data: Path) -> Callable[..., pd.DataFrame]:
    """Checked bars of a real file, such as `("ohlcv_spot", "binance", "BTCUSDT", "1h")`."""

    def load(kind: str, venue: str, symbol: str, timeframe: str) -> pd.DataFrame:
        rows = pd.read_parquet(shared_data / kind / venue / f"{symbol}-{timeframe}.parquet")
        rows = rows.rename(columns={"timestamp": "open_time"})
        bars, _, _ = received(rows, BarKey(venue=venue, symbol=symbol, timeframe=timeframe))
        return bars

    return load
