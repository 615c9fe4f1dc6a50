"""Simulated regimes are what their parameters say, and leave a market without them as it was."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tradewind.market.simulation.regimes import PRESETS, RegimeSpec
from tradewind.market.simulation.simulator import SimulatedMarket, SimulationSpec, simulate_market


def market_of(days: int = 1460, **settings: Any) -> SimulatedMarket:
    return simulate_market(SimulationSpec.model_validate({"n_symbols": 1, "days": days, "seed": 3, **settings}))


def moves_of(market: SimulatedMarket) -> pd.DataFrame:
    """Return of each bar, the one before it and the state during it, in units of the hour's and weekday's scale."""
    bars = next(iter(market.bars.values()))
    change = np.diff(np.log(bars["close"].to_numpy()), prepend=np.log(100.0))
    table = pd.DataFrame({"state": market.regimes["state"].to_numpy(), "move": change})
    at = pd.to_datetime(bars["open_time"], unit="ms")
    slot = at.dt.hour + 24 * (at.dt.weekday >= 5)
    scale = table["move"].pow(2).groupby(slot).transform("mean").pow(0.5)
    table["move"] /= scale
    return table.assign(before=table["move"].shift(), at=at)


@pytest.fixture(scope="module")
def moves() -> pd.DataFrame:
    return moves_of(market_of(regimes="clear"))


def spread(values: pd.Series) -> float:
    """Half the distance of the 16 % and 84 % quantiles: jumps do not move it."""
    low, high = values.quantile([0.16, 0.84])
    return float(high - low) / 2


def test_each_state_has_its_drift_reversal_and_scale(moves: pd.DataFrame) -> None:
    by_state = {str(name): part for name, part in moves.iloc[1:].groupby("state")}
    surprise = by_state["ranging"]["move"] + 0.3 * by_state["ranging"]["before"]
    assert spread(surprise) / spread(by_state["up"]["move"]) == pytest.approx(0.6, rel=0.06)
    assert spread(by_state["volatile"]["move"]) / spread(by_state["up"]["move"]) == pytest.approx(2.0, rel=0.06)
    for name, drift in {"up": 0.15, "down": -0.15, "ranging": 0.0, "volatile": 0.0}.items():
        part = by_state[name]["move"]
        assert part.mean() / part.std() == pytest.approx(drift, abs=4 / np.sqrt(len(part)))
    inside = by_state["ranging"]
    assert np.polyfit(inside["before"], inside["move"], 1)[0] == pytest.approx(-0.3, abs=0.06)
    inside = by_state["up"]
    assert abs(np.polyfit(inside["before"], inside["move"], 1)[0]) < 0.05


def test_visits_last_as_long_as_they_should(moves: pd.DataFrame) -> None:
    began = moves["state"] != moves["state"].shift()
    visits = moves.groupby(began.cumsum())["state"].agg(["first", "size"]).iloc[1:-1]
    for name, hours in {"up": 120.0, "down": 120.0, "ranging": 96.0, "volatile": 96.0}.items():
        lengths = visits.loc[visits["first"] == name, "size"]
        assert lengths.mean() == pytest.approx(hours, abs=3.5 * hours / np.sqrt(len(lengths)))


def test_rough_states_have_volatility_that_clusters_inside_them(moves: pd.DataFrame) -> None:
    rough = moves_of(market_of(regimes="clear_rough"))

    def clustering(table: pd.DataFrame) -> float:
        inside = table[(table["state"] == "up") & (table["state"].shift() == "up")]
        return float(np.corrcoef(inside["move"].abs(), inside["before"].abs())[0, 1])

    assert clustering(moves) < 0.06
    assert clustering(rough) > 0.08


@pytest.mark.parametrize("innovations", ["skewed", "garch"])
def test_other_innovations_have_the_same_scale(innovations: str) -> None:
    table = moves_of(market_of(regimes={"preset": "clear", "innovations": innovations}))
    scale = table.groupby("state")["move"].agg(spread)
    assert scale["volatile"] / scale["up"] == pytest.approx(2.0, rel=0.12)
    low, middle, high = table.loc[table["state"] == "up", "move"].quantile([0.05, 0.5, 0.95])
    leaning = (high + low - 2 * middle) / (high - low)
    assert leaning < -0.1 if innovations == "skewed" else abs(leaning) < 0.1


def test_a_state_has_its_own_edge() -> None:
    states = [dict(state) for state in PRESETS["clear"]["states"]]
    plain = [{**state, "drift": 0.0, "autocorrelation": 0.0} for state in states]
    own = [{**state, "edge": 8.0 if state["name"] == "ranging" else 0.0} for state in plain]
    market = market_of(regimes={"states": own})
    table = moves_of(market)
    told = market.oracle["expected_return"].to_numpy()[:-1]
    earned = pd.Series(np.sign(told) * table["move"].to_numpy()[1:])
    inside = (table["state"].to_numpy()[1:] == "ranging") & (told != 0)
    part = earned[inside]
    assert (told[table["state"].to_numpy()[:-1] != "ranging"] == 0).all()
    assert part.mean() / part.std() > 3 / np.sqrt(len(part))


def test_the_true_states_stand_beside_the_oracle_bar_by_bar() -> None:
    market = simulate_market(
        SimulationSpec(days=90, n_symbols=2, outages=3, regimes=RegimeSpec.model_validate("faint"))
    )
    pd.testing.assert_frame_equal(market.regimes[["symbol", "timestamp"]], market.oracle[["symbol", "timestamp"]])
    assert set(market.regimes["state"]) == {"up", "down", "ranging", "volatile"}
    assert market_of(20).regimes.empty
    by_symbol = market.regimes.pivot(index="timestamp", columns="symbol", values="state")
    assert (by_symbol["SIM1"] != by_symbol["SIM2"]).mean() > 0.5


@pytest.mark.parametrize(
    "fault",
    [
        "calm",
        {"preset": "clear", "volatility": 1},
        {"states": [{"name": "up", "duration_hours": 10}]},
        {"states": [{"name": "up", "duration_hours": 10}, {"name": "up", "duration_hours": 20}]},
        {"states": [{"name": "up", "duration_hours": 0}, {"name": "down", "duration_hours": 20}]},
        {"states": [{"name": "sideways", "duration_hours": 9}, {"name": "down", "duration_hours": 20}]},
    ],
)
def test_regimes_that_cannot_be_are_refused(fault: Any) -> None:
    with pytest.raises(ValidationError):
        SimulationSpec.model_validate({"regimes": fault})
