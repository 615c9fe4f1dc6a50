"""Floors: nothing that came later is in them, they hold as often as stated, and are sharper than past lows alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.trading.execution.floor import FloorRules, forecast_floors, pinball
from tradewind.trading.execution.floor_study import FloorStudy, floors_of, score_floors

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
    for name in ("floor", "from_bars", "historical", "volatility"):
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


def _widths(bars: pd.DataFrame, ahead: int = 6) -> np.ndarray:
    """Of a path that knows the waves: the volatility of each bar and the next."""
    scale = 1e-3 * np.exp(1.2 * np.sin(np.arange(len(bars) + ahead) / 150))
    return np.convolve(scale, np.ones(ahead) / ahead, "valid")[: len(bars)]


def test_a_later_width_changes_no_floor_before_it_and_bars_without_one_have_none() -> None:
    bars = _bars(1400)
    widths = _widths(bars)
    widths[:200] = widths[1390] = np.nan
    later = widths.copy()
    later[1200:] *= 2.0
    before, after = forecast_floors(bars, SHORT, widths), forecast_floors(bars, SHORT, later)
    np.testing.assert_array_equal(before.floor[:1200], after.floor[:1200])
    assert np.isfinite(before.floor[:1200]).sum() > 50 and not np.array_equal(before.floor, after.floor, equal_nan=True)
    assert np.isnan(before.floor[1390]) and np.isfinite(before.from_bars[1390])
    np.testing.assert_array_equal(before.from_bars, forecast_floors(bars, SHORT).floor)


def test_a_path_that_knows_more_makes_a_floor_sharper() -> None:
    bars = _bars(6000, 2)
    found = forecast_floors(bars, SHORT, _widths(bars))
    said = np.isfinite(found.floor) & np.isfinite(found.lowest)
    ours, bare = (pinball(found.lowest, each, 0.05)[said].mean() for each in (found.floor, found.from_bars))
    assert ours < bare and (found.lowest >= found.floor)[said].mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("widths", "what"), [
    (np.full(1400, -1.0), "widths must be positive"), (np.ones(3), "found 3 for 1400 bars"),
    (np.r_[np.ones(5), np.full(1395, np.nan)], "bars with a forecast: found 5; lower first_fit_bars"),
])  # fmt: skip
def test_widths_that_cannot_be_used_are_refused(widths: np.ndarray, what: str) -> None:
    with pytest.raises(BadData, match=what):
        forecast_floors(_bars(1400), SHORT, widths)


@pytest.mark.depth
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded market data beside the checkout")
def test_on_real_hours_floors_hold_by_symbol_volatility_and_year() -> None:
    tables = []
    for each in SYMBOLS:
        bars = pd.read_parquet(SHARED / f"{each}USDT-1h.parquet").assign(symbol=each)
        widths = pd.DataFrame({"symbol": each, "timestamp": bars["timestamp"], "width": 1.0})  # says nothing
        tables.append(floors_of(bars, widths, FloorRules()))
    rows = pd.concat(tables, ignore_index=True)
    scores = score_floors(rows, FloorStudy(), np.random.default_rng(5))
    held = scores.set_index(["by", "group"])["from_bars_held"]
    assert held.between(0.93, 0.97).all(), held
    holds = rows.dropna().assign(year=rows["timestamp"].dt.year, holds=rows["lowest"] >= rows["from_bars"])
    assert holds.groupby(["symbol", "year"])["holds"].mean().between(0.93, 0.97).all()
    assert scores.iloc[0]["saved_against_historical_low"] > 0
