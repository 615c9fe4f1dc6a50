"""The floors stage: what it says of forecast paths, its scores with planted faults, its page, and what it refuses."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from tests.trading.execution.test_floor import _bars, _widths
from tradewind.errors import BadData
from tradewind.market.universe import Universe
from tradewind.pipelines.floors.nodes import draw_floors, say_floors, score_floors
from tradewind.trading.execution.floor import FloorRules
from tradewind.trading.execution.floor_study import FloorStudy, widths_of

RULES = FloorRules(horizon_bars=6, spans=(6, 24), refit_bars=200, first_fit_bars=300, window=300)
STUDY = FloorStudy(model="lstm", rules=RULES, block_days=5, resamples=200)
UNIVERSE = Universe(venue="v", symbols=("A", "B"), timeframe="1h", side_series=())
BARS = {
    UNIVERSE.partition(name): _bars(4000, seed).assign(
        symbol=name, timestamp=pd.date_range("2021-10-01", periods=4000, freq="1h", tz="UTC")
    )
    for seed, name in enumerate(UNIVERSE.symbols, 2)
}


def _paths(bars: pd.DataFrame) -> pd.DataFrame:
    """Quantiles at two horizons, the second of them right, and of a second seed, which is not read."""
    told = bars[["symbol", "timestamp"]].iloc[300:]
    width = _widths(bars)[300:]
    rows = [
        told.assign(horizon=horizon, seed=seed, path=-1, q50=0.001, q05=0.001 - by * width)
        for horizon, seed, by in ((1, 7, 1.0), (4, 7, 3.0), (12, 7, 9.0), (4, 8, np.nan))
    ]
    return pd.concat(rows, ignore_index=True)


PATHS = pd.concat([_paths(table) for table in BARS.values()], ignore_index=True)
STORED = {name: partial(table.copy) for name, table in BARS.items()}
FORECASTS = {"deep_learning/lstm": PATHS.copy}


@pytest.fixture(scope="module")
def floors() -> pd.DataFrame:
    return say_floors(STORED, FORECASTS, UNIVERSE, STUDY)


@pytest.fixture(scope="module")
def scores(floors: pd.DataFrame) -> pd.DataFrame:
    return score_floors(floors, STUDY, 7)


def test_floors_hold_as_promised_in_every_group_and_are_sharper(floors: pd.DataFrame, scores: pd.DataFrame) -> None:
    assert set(floors["symbol"]) == {"A", "B"} and floors["floor"].notna().all()
    assert floors.groupby("symbol")["lowest"].apply(lambda one: one.isna().sum()).tolist() == [6, 6]  # not over yet
    assert scores.groupby("by")["floors"].sum().nunique() == 1  # every group takes all apart
    assert scores["by"].tolist() == ["all", *["symbol"] * 2, *["volatility"] * 3, *["year"] * 2]
    assert (scores["floor_held"] - 0.95).abs().max() < 0.03
    assert scores.iloc[0]["saved_against_historical_low"] > 0
    pd.testing.assert_frame_equal(scores, score_floors(floors, STUDY, 7))


def test_a_floor_that_is_promised_too_high_shows_in_scores_and_sentence(
    floors: pd.DataFrame, scores: pd.DataFrame
) -> None:
    raised = floors.assign(floor=0.6 * floors["floor"])
    found = score_floors(raised, STUDY, 7)
    assert found.iloc[0]["floor_held_high"] < 0.93
    assert found.iloc[0]["saved_against_historical"] < scores.iloc[0]["saved_against_historical"]
    page = draw_floors(raised, found, STUDY, UNIVERSE)
    assert "further than 2 points off: all all" in page and "no group below" not in page


def test_the_page_says_what_was_promised_and_what_came(floors: pd.DataFrame, scores: pd.DataFrame) -> None:
    page = draw_floors(floors, scores, STUDY, UNIVERSE)
    assert f"of {int(scores.iloc[0]['floors']):,} floors held" in page and "SIMULATED MARKET" not in page
    simulated = UNIVERSE.model_copy(update={"venue": "simulated"})
    assert "SIMULATED MARKET" in draw_floors(floors, scores, STUDY, simulated)
    assert "They are sharper than the quantile of past lows" in page and "the next 6 bars" in page
    assert all(f">{name}</h2>" in page for name in UNIVERSE.symbols) and "volatility high" in page
    few = score_floors(floors.head(300), STUDY.model_copy(update={"least_blocks": 50}), 7)
    assert "There are too few days to say" in draw_floors(floors.head(300), few, STUDY, UNIVERSE)


def test_the_longest_horizon_within_the_floors_own_is_read_of_the_first_seed() -> None:
    widths = widths_of(PATHS, 6).set_index(["symbol", "timestamp"])["width"]
    expected = 3.0 * _widths(BARS[UNIVERSE.partition("A")])[300:]
    np.testing.assert_allclose(widths["A"], expected)
    with pytest.raises(BadData, match=r"floors.rules.horizon_bars is 3, and paths were forecast for \[4"):
        widths_of(PATHS[PATHS["horizon"] > 1], 3)


@pytest.mark.parametrize(("fault", "what"), [
    ("model", "floors.model is lstm, and there are paths of tft: choose one of them"),
    ("bars", "universe.symbols has B, but there are no bars of"),
    ("symbol", "B: no path was forecast for it"),
    ("short", r"A: floors need 336 bars: found 300; lower first_fit_bars or spans \(floors.rules\)"),
    ("prices", r"A: bar 5: prices must be positive"),
])  # fmt: skip
def test_what_cannot_be_used_is_refused(fault: str, what: str) -> None:
    stored, forecasts = dict(STORED), dict(FORECASTS)
    first, second = STORED
    if fault == "model":
        forecasts = {"deep_learning/tft": PATHS.copy}
    elif fault == "bars":
        del stored[second]
    elif fault == "symbol":
        forecasts = {"deep_learning/lstm": lambda: PATHS[PATHS["symbol"] == "A"]}
    elif fault == "short":
        stored[first] = BARS[first].head(300).copy
    else:
        stored[first] = lambda: BARS[first].assign(low=BARS[first]["low"].where(np.arange(4000) != 5, -1.0))
    with pytest.raises(BadData, match=what):
        say_floors(stored, forecasts, UNIVERSE, STUDY)


def test_no_settled_floor_is_refused(floors: pd.DataFrame) -> None:
    with pytest.raises(BadData, match="no floor is settled"):
        score_floors(floors.assign(lowest=np.nan), STUDY, 7)
