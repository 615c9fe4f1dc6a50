"""Recorded prices and funding: what the engine says of them, and that it cannot see what comes later."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.trading.execution.arbitrage.history import deviations_bps, judge_funding, judge_pair
from tradewind.trading.execution.arbitrage.timing import PairCosts

SHARED = Path(__file__).parents[5] / "shared" / "data"
QUARTERS = PairCosts(side_bps=24.0, transfer_steps=1)
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded market data beside the checkout")


def test_a_later_close_changes_no_deviation_before_it() -> None:
    closes = 100 * np.exp(np.random.default_rng(1).normal(0, 1e-3, (2, 300)))
    later = closes.copy()
    later[0, 200:] *= 1.01
    before, after = deviations_bps(*closes, 96), deviations_bps(*later, 96)
    np.testing.assert_array_equal(before[:200], after[:200])
    assert after[200] - before[200] == pytest.approx(1e4 * np.log(1.01)) and np.isnan(before[:96]).all()


def test_planted_dislocations_are_found_and_noise_alone_is_not() -> None:
    generator = np.random.default_rng(2)
    second = 100 * np.exp(np.cumsum(generator.normal(0, 1e-3, 9000)))
    noise = generator.normal(0, 2e-4, 9000)
    quiet = judge_pair(second * np.exp(noise), second, 96, QUARTERS)
    assert quiet.executed == 0 and quiet.says.startswith("nothing to do")
    planted = np.zeros(9000)
    for at in range(200, 8900, 150):
        planted[at : at + 8] = 60e-4
    assert judge_pair(second * np.exp(noise + planted), second, 96, QUARTERS).profit_bps > 1000


def test_funding_that_persists_pays_and_funding_at_random_does_not() -> None:
    generator = np.random.default_rng(3)
    level = np.array([2.0, 1.0, 0.0]) + generator.normal(0, 0.1, (900, 3))
    paid = judge_funding(level, 24.0, generator)
    assert paid.break_even_interval[0] < 12.0 < paid.break_even_interval[1]
    assert paid.break_even == pytest.approx(12.0, rel=0.02)
    noise = judge_funding(generator.normal(0, 1.0, (900, 3)), 24.0, generator)
    assert noise.break_even_interval[1] == np.inf and noise.median_gap_bps > 1
    with pytest.raises(BadData, match="every venue"):
        judge_funding(np.full((900, 2), np.nan), 24.0, generator)


@needs_shared
@pytest.mark.parametrize("symbol", ["BTC", "ETH", "SOL"])
def test_between_coinbase_and_binance_there_is_nothing_to_do(symbol: str) -> None:
    spot = SHARED / "ohlcv_spot"
    coinbase = pd.read_parquet(next(spot.glob(f"coinbase/{symbol}*-15m.parquet"))).set_index("timestamp")["close"]
    fives = pd.read_parquet(spot / f"binance/{symbol}USDT-5m.parquet").set_index("timestamp")["close"]
    ends = fives[fives.index.minute % 15 == 10]
    ends.index = ends.index - pd.Timedelta(minutes=10)
    both = pd.concat([coinbase, ends], axis=1, join="inner").to_numpy()
    assert len(both) > 12_000
    found = judge_pair(both[:, 0], both[:, 1], 96, QUARTERS)
    assert found.executed == 0 and found.says.startswith("nothing to do")


@needs_shared
@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_funding_of_four_venues_takes_long_to_pay(coin: str) -> None:
    funding = SHARED / "funding"
    names = {
        "binance_usdm": f"{coin}USDT", "binance_coinm": f"{coin}USD_PERP", "bybit": f"{coin}USDT", "okx": f"{coin}USDT"
    }  # fmt: skip
    series = []
    for venue, symbol in names.items():
        rows = pd.read_parquet(funding / venue / f"{symbol}.parquet")
        rate = next(name for name in rows if "rate" in name)
        series.append(pd.Series(1e4 * rows[rate].to_numpy(), rows["timestamp"].dt.floor("h")).groupby(level=0).last())
    rates = pd.concat(series, axis=1, join="inner").dropna().to_numpy()
    found = judge_funding(rates, 24.0, np.random.default_rng(4))
    assert 0.9 < found.median_gap_bps < 1.4
    assert found.break_even_interval[0] > 10
