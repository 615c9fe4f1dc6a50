"""Trades make the bars that a slow loop over decimals makes."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import BadData
from tradewind.market import trade_bars
from tradewind.market.trade_bars import bars_from_trades

MINUTE_US = 60_000_000
START_US = 1_704_067_200_000_000


def random_trades(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    at = START_US + np.sort(rng.integers(0, 30 * MINUTE_US, rows))
    return at, np.round(rng.uniform(0.01, 70_000, rows), 2), np.round(rng.exponential(1.0, rows), 5)


def slow_bars(at: np.ndarray, price: np.ndarray, amount: np.ndarray, minutes: int) -> pd.DataFrame:
    """Trade by trade, in exact decimals, in the order of time and arrival."""
    bars: dict[int, list] = {}
    for row in sorted(range(len(at)), key=lambda row: (at[row], row)):
        opened = int(at[row]) // (minutes * MINUTE_US) * minutes * MINUTE_US // 1000
        paid, size = price[row], Decimal(repr(float(amount[row])))
        bar = bars.setdefault(opened, [paid, paid, paid, paid, Decimal(0), Decimal(0), 0])
        bar[1], bar[2], bar[3] = max(bar[1], paid), min(bar[2], paid), paid
        bar[4] += size
        bar[5] += size * Decimal(repr(float(paid)))
        bar[6] += 1
    rows = [[opened, *map(float, bar)] for opened, bar in sorted(bars.items())]
    return pd.DataFrame(rows, columns=["open_time", *trade_bars.COLUMNS])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 200), minutes=st.sampled_from([1, 5, 15]))
def test_bars_are_those_of_a_slow_exact_loop(seed: int, rows: int, minutes: int) -> None:
    at, price, amount = random_trades(seed, rows)
    order = np.random.default_rng(seed + 1).permutation(rows)
    found = bars_from_trades(at[order], price[order], amount[order], f"{minutes}m")
    expected = slow_bars(at[order], price[order], amount[order], minutes)
    exact = ["open_time", "open", "high", "low", "close", "trades"]
    pd.testing.assert_frame_equal(found[exact], expected[exact], check_dtype=False)
    # A sum of doubles is compensated; a product is rounded once, as in every exchange's books.
    np.testing.assert_array_max_ulp(found["volume"].to_numpy(), expected["volume"].to_numpy(), 1)
    np.testing.assert_allclose(found["quote_volume"], expected["quote_volume"], rtol=1e-15 * 4)


def test_a_million_small_amounts_add_up() -> None:
    at = np.full(1_000_000, START_US)
    found = bars_from_trades(at, np.ones(1_000_000), np.full(1_000_000, 0.1), "1m")
    assert found["volume"].tolist() == [100_000.0]
    assert np.full(1_000_000, 0.1).cumsum()[-1] != 100_000.0  # what a plain sum says


def test_nobody_trades_no_bar() -> None:
    at = START_US + np.array([0, 5 * MINUTE_US])
    found = bars_from_trades(at, np.array([1.0, 2.0]), np.array([1.0, 0.0]), "1m")
    assert found["open_time"].tolist() == [START_US // 1000, START_US // 1000 + 300_000]
    empty = bars_from_trades(np.empty(0, np.int64), np.empty(0), np.empty(0), "1m")
    assert list(empty.columns) == list(found.columns)
    assert empty.empty


def test_a_week_opens_on_monday() -> None:
    wednesday = np.array([START_US + 2 * 24 * 60 * MINUTE_US])
    assert bars_from_trades(wednesday, np.ones(1), np.ones(1), "1w")["open_time"].tolist() == [START_US // 1000]


@pytest.mark.parametrize(("price", "amount"), [(0.0, 1.0), (-1.0, 1.0), (np.nan, 1.0), (1.0, -1.0), (1.0, np.inf)])
def test_an_unsound_trade_is_told(price: float, amount: float) -> None:
    at = np.array([START_US, START_US])
    with pytest.raises(BadData, match="row 1 holds"):
        bars_from_trades(at, np.array([1.0, price]), np.array([1.0, amount]), "1m")
    with pytest.raises(BadData, match="found 2, 1 and 2"):
        bars_from_trades(at, np.ones(1), np.ones(2), "1m")


def test_the_oracle_catches_trades_that_are_half_a_second_late() -> None:
    at, price, amount = random_trades(3, 500)
    expected = slow_bars(at, price, amount, 1)
    found = bars_from_trades(at + 500_000, price, amount, "1m")
    with pytest.raises(AssertionError):
        pd.testing.assert_frame_equal(found[["open_time", "trades"]], expected[["open_time", "trades"]])


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_real_trades_make_the_exchanges_own_candle(symbol: str, shared_data: Path) -> None:
    """The trades of Binance, 2024-08-08 23:55 to 24:00, against its five-minute candle: equal to the last bit."""
    trades = pd.read_parquet(shared_data / f"l2_trades/binance/{symbol}_20240808.parquet")
    candles = pd.read_parquet(shared_data / f"ohlcv_spot/binance/{symbol}-5m.parquet").set_index("timestamp")
    at_us = trades["timestamp"].dt.as_unit("us").astype("int64").to_numpy()
    bars = bars_from_trades(at_us, trades["price"].to_numpy(), trades["qty"].to_numpy(), "5m")
    opened = pd.Timestamp("2024-08-08 23:55", tz="UTC")
    bar = bars.loc[bars["open_time"] == opened.timestamp() * 1000].iloc[0]
    for name in ("open", "high", "low", "close", "volume"):
        assert bar[name] == candles.loc[opened, name]
    assert bar["trades"] > 5_000
