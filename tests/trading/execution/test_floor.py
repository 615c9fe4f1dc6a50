"""Floors: nothing that came later is in them, they hold as often as stated, and are sharper than past lows alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.metrics.resampling import draw_totals
from tradewind.trading.execution.floor import FloorRules, Floors, forecast_floors, pinball

SHARED = Path(__file__).parents[4] / "shared" / "data" / "ohlcv_spot" / "binance"
SHORT = FloorRules(horizon_bars=6, spans=(6, 24), refit_bars=200, first_fit_bars=300, window=300)
SYMBOLS = ("ADA", "BTC", "DOGE", "ETH", "LINK", "LTC", "SOL", "XRP")


def _bars(count: int, seed: int = 1) -> pd.DataFrame:
    """Bars whose volatility comes in waves."""
    generator = np.random.default_rng(seed)
    scale = 1e-3 * np.exp(1.2 * np.sin(np.arange(count) / 150))
    ticks = np.cumsum(scale[:, None] * generator.standard_normal((count, 8)) / np.sqrt(8), axis=None)
    prices = 100 * np.exp(ticks.reshape(count, 8))
    opened = np.concatenate([[100.0], prices[:-1, -1]])
    both = np.column_stack([opened, prices])
    return pd.DataFrame({"open": opened, "high": both.max(axis=1), "low": both.min(axis=1), "close": prices[:, -1]})


@pytest.mark.parametrize("at", [900, 1100, 1399])
def test_a_later_bar_changes_no_floor_before_it(at: int) -> None:
    bars = _bars(1400)
    later = bars.copy()
    later.loc[at:] *= 0.7
    before, after = forecast_floors(bars, SHORT), forecast_floors(later, SHORT)
    for name in ("floor", "historical", "volatility"):
        ours, theirs = getattr(before, name), getattr(after, name)
        assert np.isfinite(ours[:at]).sum() > 100 and np.isfinite(ours[-1])  # the last bar has a floor, too
        np.testing.assert_array_equal(ours[:at], theirs[:at])
        assert name == "historical" or not np.array_equal(ours[at:], theirs[at:])


def test_the_lowest_low_is_that_of_the_next_bars() -> None:
    bars = _bars(1400)
    lowest = forecast_floors(bars, SHORT).lowest
    assert lowest[700] == pytest.approx(np.log(bars["low"][701:707].min() / bars["close"][700]))
    assert np.isnan(lowest[-6:]).all() and np.isfinite(lowest[:-6]).all()


def test_a_floor_holds_as_stated_and_is_sharper_than_past_lows() -> None:
    found = forecast_floors(_bars(6000, 2), SHORT)
    said = np.isfinite(found.floor) & np.isfinite(found.historical) & np.isfinite(found.lowest)
    assert (found.lowest >= found.floor)[said].mean() == pytest.approx(0.95, abs=0.02)
    ours, theirs = (pinball(found.lowest, each, 0.05)[said].mean() for each in (found.floor, found.historical))
    assert ours < 0.9 * theirs
    # A floor that is promised too high shows in both.
    high = found.floor * 0.8
    assert (found.lowest >= high)[said].mean() < 0.93 and pinball(found.lowest, high, 0.05)[said].mean() > ours


@pytest.mark.parametrize(("bars", "what"), [
    (_bars(300), "floors need 336 bars"), (_bars(1400).assign(low=np.nan), "bar 0: prices must be positive"),
])  # fmt: skip
def test_bars_that_cannot_be_used_are_refused(bars: pd.DataFrame, what: str) -> None:
    with pytest.raises(BadData, match=what):
        forecast_floors(bars, SHORT)


def _said(bars: pd.DataFrame, symbol: str) -> pd.DataFrame:
    found: Floors = forecast_floors(bars, FloorRules())
    rows = pd.DataFrame({"symbol": symbol, "timestamp": bars["timestamp"], **found._asdict()}).dropna()
    rows["tercile"] = (rows["volatility"].rank(pct=True) * 2.999999).astype(int)
    return rows.assign(year=rows["timestamp"].dt.year, holds=rows["lowest"] >= rows["floor"])


@pytest.mark.depth
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded market data beside the checkout")
def test_on_real_hours_floors_hold_by_symbol_volatility_and_year() -> None:
    rows = pd.concat([_said(pd.read_parquet(SHARED / f"{each}USDT-1h.parquet"), each) for each in SYMBOLS])
    for by in ("symbol", "tercile", "year", ["symbol", "year"]):
        assert rows.groupby(by)["holds"].mean().between(0.93, 0.97).all(), by
    # Symbols fall together and days overlap: days of all symbols are drawn in blocks of ten.
    lowest, floor, historical = (rows[each].to_numpy() for each in ("lowest", "floor", "historical"))
    saved = pinball(lowest, historical, 0.05) - pinball(lowest, floor, 0.05)
    days = pd.Series(saved).groupby(rows["timestamp"].dt.floor("D").to_numpy())
    daily = days.agg(["sum", "size"]).to_numpy(dtype=np.float64)
    totals = draw_totals(daily, 10, 2000, np.random.default_rng(5))
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975])
    assert 0 < low < saved.mean() < high
