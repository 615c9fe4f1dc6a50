"""Outliers against slow, independent computations; what is flagged stays as it is."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.data.quality.conftest import delivered, received
from tradewind.data.quality.outliers import find_outliers, flag_table, one_bar_returns, reverts, trailing_quartiles
from tradewind.data.quality.rules import OutlierRules
from tradewind.data.quality.tables import BarFlags

RULES = OutlierRules(window_bars=40, robust=6.0)


def heavy(hours: int = 3000) -> pd.DataFrame:
    """Rows with fat tails, repeated values, a quiet and a wild half, bars without volume, and a gap."""
    rng = np.random.default_rng(3)
    moves = np.round(rng.standard_t(3, hours) * np.where(np.arange(hours) < hours // 2, 1e-3, 1e-2), 3)
    close = 100 * np.exp(moves.cumsum())
    opened = np.r_[100.0, close[:-1]]
    volume = np.round(rng.lognormal(2, 1, hours), 1) * (rng.random(hours) > 0.02)
    return pd.DataFrame(
        {
            "open_time": delivered(hours)["open_time"], "open": opened, "high": np.maximum(opened, close),
            "low": np.minimum(opened, close), "close": close, "volume": volume,
        }
    ).drop(index=range(1000, 1030))  # fmt: skip


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return received(heavy())[0]


def test_trailing_quartiles_are_those_of_the_finite_values_before() -> None:
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=600), 1)  # ties
    values[rng.random(600) < 0.1] = np.nan
    found = trailing_quartiles(values, 25, 8)
    for row in range(len(values)):
        before = values[:row]
        before = np.sort(before[np.isfinite(before)][-25:])
        expected = [before[k * (len(before) - 1) // 4] for k in (1, 2, 3)] if len(before) >= 8 else [np.nan] * 3
        np.testing.assert_array_equal(found[row], expected)


def test_each_rule_flags_what_its_formula_says(bars: pd.DataFrame) -> None:
    found = find_outliers(bars, RULES)
    opened = (bars["open_time"] == bars["timestamp"].shift()).to_numpy()
    returns = np.log(bars["close"]).diff().where(opened)
    np.testing.assert_allclose(found.log_return, returns, rtol=0, atol=1e-15)
    returns = pd.Series(found.log_return)  # many are equal: a last digit decides on which side of a fence they lie
    z_score = np.abs(stats.zscore(returns, nan_policy="omit")) > RULES.z_score
    np.testing.assert_array_equal(found.return_z_score, z_score)
    low, high = returns.quantile(0.25), returns.quantile(0.75)
    reach = RULES.iqr * (high - low)
    np.testing.assert_array_equal(found.return_iqr, (returns < low - reach) | (returns > high + reach))
    for row in range(100, len(bars)):
        before = np.sort(np.abs(returns[:row].dropna().to_numpy()[-40:]))
        deviation = max(1.4826 * before[2 * 39 // 4], 1e-4)
        assert found.return_robust[row] == (abs(returns[row]) > 6 * deviation)
        volume = bars["volume"][:row]
        before = np.sort(np.log(volume[volume > 0].to_numpy()[-40:]))
        spread = (before[3 * 39 // 4] - before[39 // 4]) / 1.349
        here = bars["volume"][row]
        assert found.volume_robust[row] == (here > 0 and abs(np.log(here) - before[2 * 39 // 4]) > 5 * spread)


def test_the_robust_rule_sees_what_is_large_for_its_time(bars: pd.DataFrame) -> None:
    """Twenty times the usual move of the quiet half is twice that of the wild one."""
    rows = received(heavy())[0]
    places = {"quiet": 700, "wild": 2500}
    for place in places.values():
        rows.loc[place:, "close"] *= np.exp(0.04)
    found = find_outliers(rows, RULES)
    assert found.return_robust[places["quiet"]]
    assert not found.return_robust[places["wild"]]


def test_a_move_is_a_bad_tick_only_if_the_next_bar_undoes_it() -> None:
    moves = np.array([0.0, 1.0, -0.9, 1.0, -0.7, 1.0, np.nan, 1.0])
    outlying = np.abs(moves) >= 1
    assert reverts(moves, outlying, 0.2).tolist() == [False, True, False, False, False, False, False, False]


def test_nothing_is_clipped_and_unflagged_bars_are_left_out(bars: pd.DataFrame) -> None:
    before = bars.copy(deep=True)
    table = flag_table(bars, find_outliers(bars, RULES))
    BarFlags.validate(table)
    pd.testing.assert_frame_equal(bars, before)
    flags = [name for name in table if table[name].dtype == bool]
    assert table[flags].any(axis=1).all()
    assert 0 < len(table) < len(bars) / 5
    merged = table.merge(bars, on="timestamp", suffixes=("", "_bar"))
    assert (merged["volume"] == merged["volume_bar"]).all()


def test_bars_that_never_move_have_no_outliers() -> None:
    rows = delivered(200).assign(open=1.0, high=1.0, low=1.0, close=1.0, volume=5.0)
    bars, _, _ = received(rows.drop(columns=["quote_volume", "trades"]))
    assert flag_table(bars, find_outliers(bars, OutlierRules())).empty
    assert np.isnan(one_bar_returns(bars.iloc[:1])).all()


def test_a_table_of_one_bar_can_be_looked_at() -> None:
    bars, _, _ = received(delivered(1))
    assert flag_table(bars, find_outliers(bars, OutlierRules())).empty
