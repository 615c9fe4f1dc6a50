"""Regimes of a history as they were known: nothing later plays a part, neither in a fit nor in the filter."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests.learning.regimes.markets import market_of
from tradewind.learning.regimes.base import JOINED, Bars
from tradewind.learning.regimes.walk_forward import RegimePlan, feature_columns, summarise, walk
from tradewind.market import schema

PLAN = RegimePlan(
    first_fit_bars=1200, refit_bars=900, rules={"em": {"first_rounds": 2, "rounds": 4}, "evidence": -10.0}
)


def table_of(bars: Bars) -> pd.DataFrame:
    times = {
        name: pd.to_datetime(getattr(bars, name), unit="ms", utc=True).as_unit("ms")
        for name in ("timestamp", "open_time")
    }
    return pd.DataFrame({"symbol": "SIM1", **times, "close": bars.close, "segment": bars.segment})


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return table_of(market_of("clear", 1, days=110)[0])


@pytest.fixture(scope="module")
def found(bars: pd.DataFrame) -> pd.DataFrame:
    return walk(bars, PLAN, 0).table


def test_the_table_keeps_its_contract_and_begins_unknown(bars: pd.DataFrame, found: pd.DataFrame) -> None:
    schema.Regimes.validate(found)
    assert (found["regime"].iloc[:1200] == "unknown").all()
    assert list(np.unique(found["fit"])) == [-1, 0, 1]
    assert (found["fit"].to_numpy()[[1199, 1200, 2099, 2100]] == [-1, 0, 0, 1]).all()
    assert found["timestamp"].equals(bars["timestamp"])
    assert set(found["regime"].iloc[1200:]) >= {"trending", "ranging", "volatile"}


def changed(bars: pd.DataFrame, place: int) -> pd.DataFrame:
    close = bars["close"].to_numpy(copy=True)
    close[place:] *= np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, len(close) - place)))
    return bars.assign(close=close)


@pytest.mark.parametrize("place", [1199, 1201, 2099, 2300])
def test_what_comes_later_changes_nothing_before(place: int, bars: pd.DataFrame, found: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(walk(changed(bars, place), PLAN, 0).table.iloc[:place], found.iloc[:place])


def test_a_model_fitted_on_all_bars_and_thresholds_over_all_bars_are_caught(
    bars: pd.DataFrame, found: pd.DataFrame
) -> None:
    def fitted_on_all(these: pd.DataFrame) -> np.ndarray:
        whole = Bars.of_table(these)
        return PLAN.unfitted(0).fit(whole).history(whole).matrix()

    def threshold_over_all(these: pd.DataFrame) -> np.ndarray:
        move = these["close"].pct_change().abs().to_numpy()
        return np.asarray(move > np.nanquantile(move, 0.75))

    later = changed(bars, 2300)
    for twin in (fitted_on_all, threshold_over_all):
        assert not np.array_equal(twin(bars)[1200:2300], twin(later)[1200:2300], equal_nan=True)


def test_features_are_float32_and_named(found: pd.DataFrame) -> None:
    joined = feature_columns(found)
    assert list(joined.columns) == ["symbol", "timestamp", *(f"regime_{name}" for name in JOINED)]
    assert all(kind == np.float32 for kind in joined.dtypes.iloc[2:])


def test_the_summary_counts_visits_and_what_was_left(bars: pd.DataFrame, found: pd.DataFrame) -> None:
    regime = np.array(["trending"] * 100 + ["ranging"] * 50 + ["trending"] * (len(bars) - 150))
    summary = summarise(found.assign(regime=regime), bars, 24).set_index("regime")
    assert summary.loc["trending", "visits"] == 2 and summary.loc["ranging", "visits"] == 1
    assert summary.loc["ranging", "left_within"] == pytest.approx(24 / 50)
    assert summary.loc["ranging", "mean_bars"] == 50
    assert summary["share"].sum() == pytest.approx(1.0)
    ahead = np.log(bars["close"].to_numpy()[124:174] / bars["close"].to_numpy()[100:150])
    assert summary.loc["ranging", "return_ahead"] == pytest.approx(ahead.mean())


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValidationError, match="a model of regimes is one of"):
        RegimePlan(model="tea_leaves")
    assert RegimePlan().fits(2160) == []
    assert RegimePlan().fits(17520) == [2160, 10160]
