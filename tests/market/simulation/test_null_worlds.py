"""Null worlds keep what is not an edge and lose what is."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.market.simulation.null_worlds import block_shuffled, sign_flipped
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market


@pytest.fixture(scope="module")
def bars() -> dict[str, pd.DataFrame]:
    return simulate_market(SimulationSpec(n_symbols=2, days=400, edge=8, seed=3)).bars


def returns(table: pd.DataFrame) -> np.ndarray:
    return table["close"].pct_change().to_numpy()[1:]


def test_a_mirrored_bar_has_the_opposite_return_and_a_possible_range(bars: dict[str, pd.DataFrame]) -> None:
    world = sign_flipped(bars, np.random.default_rng(5))
    flipped = []
    for name, table in world.items():
        was, now = returns(bars[name]), returns(table)
        np.testing.assert_allclose(np.abs(now), np.abs(was), atol=1e-12)
        flipped.append(np.sign(now) != np.sign(was))
        assert 0.45 < flipped[-1].mean() < 0.55
        assert (table["high"] >= table[["open", "close"]].max(axis=1) - 1e-12).all()
        assert (table["low"] <= table[["open", "close"]].min(axis=1) + 1e-12).all()
        np.testing.assert_array_equal(table["volume"], bars[name]["volume"])
    # One coin for all symbols: what they share, they still share.
    np.testing.assert_array_equal(flipped[0], flipped[1])


def test_the_planted_edge_is_gone(bars: dict[str, pd.DataFrame]) -> None:
    market = simulate_market(SimulationSpec(n_symbols=2, days=400, edge=8, seed=3))
    for make in (sign_flipped, block_shuffled):
        worlds = [make(bars, np.random.default_rng(seed)) for seed in range(12)]
        for name, table in bars.items():
            expected = market.oracle.loc[market.oracle["symbol"] == name.split("/")[1], "expected_return"].to_numpy()
            before = np.corrcoef(expected[:-1], returns(table))[0, 1]
            after = np.mean([np.corrcoef(expected[:-1], returns(world[name]))[0, 1] for world in worlds])
            assert abs(after) < 0.2 * before


def test_shuffled_days_stay_whole_and_have_no_drift(bars: dict[str, pd.DataFrame]) -> None:
    world = block_shuffled(bars, np.random.default_rng(7))
    for name, table in world.items():
        days = {tuple(day) for day in bars[name]["volume"].to_numpy().reshape(-1, 24)}
        assert all(tuple(day) in days for day in table["volume"].to_numpy().reshape(-1, 24))
        moved = np.sort(returns(table)) - np.sort(returns(bars[name]) - returns(bars[name]).mean())
        assert np.abs(moved).max() < 1e-3  # but for the first bar, which no return leads to
        assert abs(np.diff(np.log(table["close"])).sum()) < 0.5
        assert abs(returns(table).mean()) < 1e-6
        assert sorted(table["volume"]) == sorted(bars[name]["volume"])
    assert not np.array_equal(world[name]["volume"], bars[name]["volume"])


def test_what_cannot_be_made_is_refused(bars: dict[str, pd.DataFrame]) -> None:
    name, table = next(iter(bars.items()))
    doubled = table.assign(close=table["close"].where(table.index != 50, 3 * table["close"]))
    doubled["high"] = doubled[["open", "high", "close"]].max(axis=1)
    with pytest.raises(BadData, match="mirror image"):
        for seed in range(8):
            sign_flipped({name: doubled}, np.random.default_rng(seed))
    later = table.assign(open_time=table["open_time"] + 10**12)
    with pytest.raises(BadData, match="common history"):
        sign_flipped({name: table, "other": later}, np.random.default_rng(0))
