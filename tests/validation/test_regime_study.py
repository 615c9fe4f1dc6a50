"""The study of regimes: nothing later plays a part, and its figures are those of what it says it measures."""

import numpy as np
import pandas as pd
import pytest

from tests.learning.regimes.markets import market_of
from tests.learning.regimes.test_walk_forward import table_of
from tradewind.errors import BadData
from tradewind.learning.regimes.base import Bars
from tradewind.metrics.ranking import StatisticsRules
from tradewind.validation.regime_study import _agreement, _forecast_year, _model, _of_period, regimes_ahead, study

YEAR = 8760


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    table = table_of(market_of("clear", 2, days=730)[0])
    return table.assign(open=table["close"], high=table["close"], low=table["close"], volume=1.0)


def test_what_comes_ahead_is_the_regime_of_the_next_stretch(bars: pd.DataFrame) -> None:
    history = Bars.of_table(bars)
    model = _model("persistence", 0).fit(history.rows(0, YEAR))
    came = regimes_ahead(model, history)
    assert (came[-24:] == -1).all() and set(np.unique(came[100:-24])) == {0, 1, 2}
    moves, _ = model.moves(history)
    size = np.sqrt((moves[1001:1025] ** 2).mean())
    assert (came[1000] == 2) == (size >= model.wild)


def test_a_year_is_foretold_by_its_past_alone(bars: pd.DataFrame) -> None:
    found = _forecast_year(bars, Bars.of_table(bars), YEAR, 0)
    other = bars.copy()
    at = YEAR + 3000
    noise = np.random.default_rng(0).normal(0, 0.02, len(bars) - at)
    other.loc[at:, "close"] = other["close"].to_numpy()[at:] * np.exp(np.cumsum(noise))
    again = _forecast_year(other, Bars.of_table(other), YEAR, 0)
    pd.testing.assert_frame_equal(found.iloc[: 3000 - 24], again.iloc[: 3000 - 24])
    # On a market with regimes that last, both know more than how often each is, and boosting most.
    loss = found[[f"loss_{name}" for name in ("boosting", "persistence", "climatology")]].mean()
    assert loss["loss_boosting"] < loss["loss_persistence"] < loss["loss_climatology"]


def test_gain_and_agreement_are_what_they_say() -> None:
    at = pd.date_range("2024-01-01", periods=480, freq="h", tz="UTC")
    rows = pd.DataFrame({"timestamp": at, "came": np.repeat([0, 1], 240), "right_boosting": True})
    rows = rows.assign(loss_boosting=0.5, loss_persistence=0.8, loss_climatology=1.0)
    found = _of_period("all", rows, StatisticsRules(), 0)
    assert found["gain"] == pytest.approx(0.3) and found["gain_low"] == pytest.approx(0.3)
    assert (found["accuracy"], found["majority"]) == (1.0, 0.5)
    said = [np.zeros(3 * YEAR, dtype=int), np.zeros(3 * YEAR, dtype=int)]
    said[1][2 * YEAR : 2 * YEAR + YEAR // 2] = 1
    table = _agreement(
        pd.DataFrame({"timestamp": pd.date_range("2020", periods=3 * YEAR, freq="h")}), said, [YEAR, 2 * YEAR]
    )
    assert table["agree"].iloc[0] == pytest.approx(0.5) and table["kappa"].iloc[0] == pytest.approx(0.0)


def test_too_short_a_history_is_refused(bars: pd.DataFrame) -> None:
    with pytest.raises(BadData, match="needs 17520 hourly bars, found 500"):
        study(bars.iloc[:500], 0)
