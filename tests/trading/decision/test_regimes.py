"""Regimes stream through a decider as features do: bar by bar, cut and saved, they are those of the whole history."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData, BadParameters
from tradewind.learning.features import catalogue, matrix
from tradewind.learning.features.assembly import Arrivals, Bar
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.packing import Arrays
from tradewind.learning.regimes.base import FEATURES, Bars
from tradewind.learning.regimes.change_point import ChangePointModel, ChangePointRules
from tradewind.learning.regimes.markov import MarkovModel, MarkovRules
from tradewind.market.universe import Universe
from tradewind.trading.decision.decider import Decider, assembly_of
from tradewind.trading.decision.protocols import Account, Seen, Steps
from tradewind.trading.strategy.sizing import SizingRules

UNIVERSE = Universe(venue="simulated", symbols=("SIM1", "SIM2"), timeframe="1h")
SIZING = SizingRules(volatility_window=24)
SAID = ("target", "edge", "p_down", "p_flat")
RULES = MarkovRules.model_validate({"em": {"first_rounds": 1, "rounds": 2}, "evidence": -10.0})


@dataclass(frozen=True)
class InTrends:
    """Holds the probability of a trend, and shows the other columns as its forecast."""

    features: tuple[str, ...] = FEATURES

    def begin(self) -> Arrays:
        return {}

    def advance(self, state: Arrays, seen: Seen, account: Account) -> tuple[Arrays, Steps]:
        place = [seen.names.index(name) for name in FEATURES]
        shown = seen.features[:, place].astype(np.float64)
        return state, Steps(shown[:, 1:5], shown[:, 5], shown[:, 0], np.zeros(len(shown), dtype=np.int64))


@pytest.fixture(scope="module")
def bars(market_bars: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {symbol: market_bars[symbol].iloc[:1300] for symbol in UNIVERSE.symbols}


@pytest.fixture(scope="module")
def models(bars: dict[str, pd.DataFrame]) -> dict[str, MarkovModel]:
    return {symbol: MarkovModel(RULES, 0).fit(Bars.of_table(table).rows(0, 1000)) for symbol, table in bars.items()}


def decider(models: dict[str, MarkovModel]) -> Decider:
    chosen = catalogue.select(FeatureSelection(tiers=(1,), slower_timeframes=()), "1h", ())
    return Decider(assembly_of(UNIVERSE, 3), chosen, InTrends(), SIZING, regimes=models)


def test_a_stream_that_is_cut_and_saved_is_the_whole_history(
    bars: dict[str, pd.DataFrame], models: dict[str, MarkovModel]
) -> None:
    one = decider(models)
    whole = one.decide_history(bars, {}).sort_values(["timestamp", "symbol"], kind="stable").reset_index(drop=True)
    alone = models["SIM2"].history(Bars.of_table(bars["SIM2"]))
    mine = whole[whole["symbol"] == "SIM2"]
    np.testing.assert_array_equal(mine["target"].to_numpy(np.float32), alone.probabilities[:, 0].astype(np.float32))
    np.testing.assert_array_equal(mine["edge"].to_numpy(np.float32), alone.p_leave.astype(np.float32))
    state, found = one.begin(), []
    opened = matrix.epoch_ms(bars["SIM1"]["open_time"])
    closed = matrix.epoch_ms(bars["SIM1"]["timestamp"])
    rows = {name: table[["open", "high", "low", "close", "volume"]].to_numpy(float) for name, table in bars.items()}
    for row in range(len(opened)):
        if row in (1, 400, 1001):
            state = one.from_bytes(one.to_bytes(state))
        now = int(closed[row])
        arrived = tuple(Bar(name, int(opened[row]), now, *values[row].tolist()) for name, values in rows.items())
        state, decisions = one.advance(state, Arrivals(now, arrived))
        found += [(said.timestamp, said.symbol, *(getattr(said, name) for name in SAID)) for said in decisions]
    stream = pd.DataFrame(found, columns=["timestamp", "symbol", *SAID])
    for name in SAID:
        np.testing.assert_array_equal(stream[name], whole[name])
    assert stream[list(SAID)].std().max() > 0.05


def test_a_copied_state_is_not_moved_on_and_another_deciders_is_refused(
    bars: dict[str, pd.DataFrame], models: dict[str, MarkovModel]
) -> None:
    one, plain = decider(models), models["SIM1"]
    state = one.begin()
    kept = one.to_bytes(state.copy())
    assert kept == one.to_bytes(state)
    swapped = decider({"SIM1": models["SIM2"], "SIM2": plain})
    with pytest.raises(BadData, match="belongs to another decider"):
        swapped.from_bytes(kept)


def test_every_symbol_needs_a_model_and_without_models_there_are_no_columns(
    models: dict[str, MarkovModel], bars: dict[str, pd.DataFrame]
) -> None:
    with pytest.raises(BadParameters, match="no model of regimes for SIM2"):
        decider({"SIM1": models["SIM1"]})
    with pytest.raises(BadParameters, match="features that are not computed: regime_p_trending"):
        decider({})
    other = ChangePointModel(ChangePointRules(), 0).fit(Bars.of_table(bars["SIM1"]).rows(0, 1000))
    assert other.fingerprint() != models["SIM1"].fingerprint()
