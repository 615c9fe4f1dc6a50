"""The simulated market looks like one, and its edge is what it says."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tradewind.market.simulation.simulator import SimulatedMarket, SimulationSpec, simulate_market


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return simulate_market(SimulationSpec(days=730, edge=3.0, seed=11))


def returns_of(market: SimulatedMarket) -> np.ndarray:
    return np.column_stack([np.diff(np.log(bars["close"].to_numpy())) for bars in market.bars.values()])


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    one, again, other = (simulate_market(SimulationSpec(days=20, seed=seed)) for seed in (1, 1, 2))
    for name, bars in one.bars.items():
        pd.testing.assert_frame_equal(bars, again.bars[name])
    pd.testing.assert_frame_equal(one.side_series, again.side_series)
    assert not np.allclose(returns_of(one), returns_of(other))


def test_bars_are_consistent_and_close_where_the_next_opens(market: SimulatedMarket) -> None:
    for bars in market.bars.values():
        assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
        assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
        assert (bars["volume"] > 0).all()
        np.testing.assert_allclose(bars["open"].to_numpy()[1:], bars["close"].to_numpy()[:-1])


def test_volatility_clusters_tails_are_fat_symbols_move_together_and_volume_follows(market: SimulatedMarket) -> None:
    returns = returns_of(market)
    absolute = pd.Series(np.abs(returns[:, 0]))
    assert absolute.autocorr(1) > 0.1
    assert absolute.autocorr(48) > 0.02
    assert pd.Series(returns[:, 0]).kurt() > 2
    assert np.corrcoef(returns.T)[0, 1] > 0.3
    bars = next(iter(market.bars.values()))
    assert np.corrcoef(np.abs(returns[:, 0]), np.log(bars["volume"].to_numpy()[1:]))[0, 1] > 0.3


def test_the_range_is_that_of_a_path_with_the_volatility_of_the_returns(market: SimulatedMarket) -> None:
    bars = next(iter(market.bars.values()))
    parkinson = np.sqrt(np.mean(np.log(bars["high"] / bars["low"]) ** 2) / (4 * np.log(2)))
    assert parkinson == pytest.approx(np.std(returns_of(market)[:, 0]), rel=0.15)


def test_afternoons_are_busier_than_nights(market: SimulatedMarket) -> None:
    bars = next(iter(market.bars.values()))
    hour = bars["open_time"].to_numpy()[1:] // 3_600_000 % 24
    spread = pd.Series(np.abs(returns_of(market)[:, 0])).groupby(hour).mean()
    assert spread[13:18].mean() > 1.3 * spread[1:6].mean()


@pytest.mark.parametrize("edge", [2.0, 4.0])
def test_the_score_earns_the_stated_sharpe_ratio(edge: float) -> None:
    found = [
        simulate_market(SimulationSpec(days=1460, edge=edge, seed=seed)).summary["score_sharpe_per_symbol"]
        - simulate_market(SimulationSpec(days=1460, edge=0.0, seed=seed)).summary["score_sharpe_per_symbol"]
        for seed in range(6)
    ]
    # The trend that the edge itself makes widens the score by a few per cent.
    assert np.mean(found) == pytest.approx(edge, rel=0.15)


def test_without_an_edge_nothing_known_predicts_the_next_return() -> None:
    scores = [
        simulate_market(SimulationSpec(days=730, seed=seed)).summary["score_sharpe_per_symbol"] for seed in range(40)
    ]
    # Each has a standard error of about 1 / sqrt(2 years), less what three correlated symbols add.
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(len(scores))
    market = simulate_market(SimulationSpec(days=1460, n_symbols=8, seed=3))
    returns = returns_of(market)
    lagged = [np.corrcoef(returns[lag:, i], returns[:-lag, i])[0, 1] for i in range(8) for lag in (1, 2, 24)]
    assert np.max(np.abs(lagged)) < 0.04
    assert market.oracle["target"].eq(0).all()


def test_an_edge_that_is_planted_is_found_by_the_same_measure() -> None:
    scores = [
        simulate_market(SimulationSpec(days=730, seed=seed, edge=2.0)).summary["score_sharpe_per_symbol"]
        for seed in range(40)
    ]
    assert abs(np.mean(scores)) > 3 * np.std(scores) / np.sqrt(len(scores))


def test_the_oracle_keeps_most_of_its_edge_after_costs(market: SimulatedMarket) -> None:
    assert market.summary["oracle_net_sharpe"] > 0.75 * market.summary["oracle_gross_sharpe"] > 1


def test_the_score_is_made_of_what_was_known(market: SimulatedMarket) -> None:
    """The oracle's expectation at a bar is a linear blend of the trend of past returns and published values."""
    symbol = "SIM2"
    oracle = market.oracle[market.oracle["symbol"] == symbol].set_index("timestamp")
    side = market.side_series
    known = pd.DataFrame(index=oracle.index)
    for series, of in (("funding", symbol), ("sentiment", "")):
        values = side[(side["series"] == series) & (side["symbol"] == of)].set_index("known_at")["value"]
        known[series] = pd.merge_asof(
            known[[]].reset_index(), values.rename("value").reset_index(), left_on="timestamp", right_on="known_at"
        )["value"].to_numpy()
    close = market.bars[f"simulated/{symbol}/1h"]["close"]
    returns = np.log(close / close.shift()).fillna(0).to_numpy()
    known["trend"] = pd.Series(returns).ewm(halflife=48).mean().to_numpy()
    scaled = (oracle["expected_return"] / pd.Series(np.abs(returns), oracle.index).ewm(halflife=24).mean()).iloc[500:]
    design = known.iloc[500:].assign(one=1.0).to_numpy()
    fitted = design @ np.linalg.lstsq(design, scaled.to_numpy(), rcond=None)[0]
    assert np.corrcoef(fitted, scaled)[0, 1] > 0.85


def test_outages_remove_bars_for_all_symbols_and_dirt_adds_rows() -> None:
    clean = simulate_market(SimulationSpec(days=60, seed=4))
    holes = simulate_market(SimulationSpec(days=60, seed=4, outages=3))
    dirty = simulate_market(SimulationSpec(days=60, seed=4, inject_errors=10))
    assert len({len(bars) for bars in holes.bars.values()}) == 1
    for name, bars in clean.bars.items():
        assert len(holes.bars[name]) < len(bars)
        assert len(dirty.bars[name]) == len(bars) + 10
        assert "n/a" in set(dirty.bars[name]["close"].astype(str))


def test_minute_bars_and_side_series_have_their_own_clocks() -> None:
    market = simulate_market(SimulationSpec(days=3, timeframe="1m", n_symbols=4, edge=1.0))
    assert {len(bars) for bars in market.bars.values()} == {3 * 1440}
    funding = market.side_series[(market.side_series["series"] == "funding") & (market.side_series["symbol"] == "SIM4")]
    assert len(funding) == 9
    assert set(funding["known_at"].diff().dropna()) == {pd.Timedelta(hours=8)}


@pytest.mark.parametrize("fault", [{"timeframe": "7h"}, {"days": 1}, {"edge": -1}, {"n_symbols": 0}, {"colour": "red"}])
def test_a_market_that_cannot_be_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SimulationSpec.model_validate(fault)
