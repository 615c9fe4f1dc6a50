"""The laws of the decision path, and the broken twins that each law catches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from tests.conftest import typed
from tradewind.errors import BadData
from tradewind.learning.features import catalogue, matrix
from tradewind.learning.features.assembly import Arrivals, Bar, SideValue
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.market.segments import assign_segments
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market
from tradewind.market.universe import Universe
from tradewind.market.volatility import realised_volatility
from tradewind.trading.decision.decider import Decider, assembly_of
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.decision.protocols import FORECAST, Decision
from tradewind.trading.decision.ruling import RulePolicy, chunks_of, rule_targets
from tradewind.trading.decision.targets import TargetRules, targets_from_forecasts
from tradewind.trading.execution.costs import Costs
from tradewind.trading.strategy import baselines
from tradewind.trading.strategy.signals import SignalRules
from tradewind.trading.strategy.sizing import SizingRules

HOUR_MS = 3_600_000
MAX_GAP_BARS = 3
SIZING = SizingRules(volatility_window=24)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """A model of fixed weights over the last rows: what it says is of no use, and depends on every bit it reads."""

    features: tuple[str, ...]
    window_bars: int = 1

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        values = np.nan_to_num(np.atleast_2d(x).astype(np.float64))
        weights = np.cos(np.arange(values.size)).reshape(values.shape)
        score = np.tanh(np.sum(values * weights) / np.sqrt(values.size))
        up = 0.3 + 0.3 * score
        return np.array([0.7 - up, 0.3, up, 0.01 * score])


@dataclass(frozen=True)
class World:
    """Bars by symbol, side tables by symbol and series, and the universe that they are of."""

    universe: Universe
    bars: dict[str, pd.DataFrame]
    side: dict[str, dict[str, pd.DataFrame]]

    def decider(self, window_bars: int = 1, slower: tuple[str, ...] = ("4h", "1d")) -> Decider:
        chosen = catalogue.select(
            FeatureSelection(slower_timeframes=slower), self.universe.timeframe, self.universe.side_series
        )
        rules = TargetRules(
            SignalRules(smoothing_bars=4, cost_multiple=0.5), SIZING, Costs(), self.universe.bars_per_year
        )
        model = Linear(tuple(one.name for one in chosen), window_bars)
        policy = ForecastPolicy(model, rules, max_missing_share=0.3)
        return Decider(assembly_of(self.universe, MAX_GAP_BARS, grace_ms=60_000), chosen, policy, SIZING)

    def arrivals(self) -> list[Arrivals]:
        """One for each timestamp, with the side values that were published since the one before."""
        by_time: dict[int, list[Bar]] = {}
        for symbol, bars in self.bars.items():
            opened, closed = matrix.epoch_ms(bars["open_time"]), matrix.epoch_ms(bars["timestamp"])
            values = bars[["open", "high", "low", "close", "volume"]].to_numpy(dtype=np.float64).tolist()
            for row in range(len(bars)):
                bar = Bar(symbol, int(opened[row]), int(closed[row]), *values[row])
                by_time.setdefault(bar.timestamp, []).append(bar)
        news = [
            SideValue(name, symbol, int(known), float(value))
            for symbol, tables in self.side.items()
            for name, table in tables.items()
            for known, value in zip(matrix.epoch_ms(table["known_at"]), table["value"], strict=True)
        ]
        before, out = -1, []
        for timestamp in sorted(by_time):
            side = tuple(one for one in news if before < one.known_at <= timestamp)
            out.append(Arrivals(timestamp + 60_000, tuple(by_time[timestamp]), side))
            before = timestamp
        return out


def with_gaps(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Single bars missing, one short gap that is bridged, one long one that begins a segment."""
    kept = np.random.default_rng(seed).random(len(bars)) > 0.02
    kept[200 + 5 * seed : 203 + 5 * seed] = False
    kept[320 + 3 * seed : 332] = False
    bars = bars[kept].reset_index(drop=True)
    return bars.assign(segment=assign_segments(matrix.epoch_ms(bars["open_time"]), HOUR_MS, MAX_GAP_BARS))


@pytest.fixture(scope="module")
def simulated() -> World:
    market = simulate_market(SimulationSpec(days=25, seed=5, edge=2.0))
    raw = {name.split("/")[1]: table for name, table in market.bars.items()}
    bars = {name: with_gaps(typed(table, name), seed) for seed, (name, table) in enumerate(raw.items())}
    universe = Universe(venue="simulated", symbols=tuple(bars), timeframe="1h", side_series=("funding", "sentiment"))
    rows = market.side_series
    side = {
        symbol: {
            name: rows[(rows["series"] == name) & rows["symbol"].isin(["", symbol])].reset_index(drop=True)
            for name in universe.side_series
        }
        for symbol in bars
    }
    return World(universe, bars, side)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> World:
    """Binance hours around the outages of 2018, where symbols begin at different times."""
    bars = {}
    for name in ("BTCUSDT", "ETHUSDT", "ADAUSDT"):
        found = sorted((shared_data / "ohlcv_spot/binance").glob(f"{name}-1h.parquet"))
        if not found:
            pytest.skip(f"no hourly bars of {name} in {shared_data}")
        table = pd.read_parquet(found[0])
        opened = table["timestamp"].dt.as_unit("ms")
        table = table.assign(symbol=name, open_time=opened, timestamp=(opened + pd.Timedelta(hours=1)).dt.as_unit("ms"))
        start = pd.Timestamp("2018-01-25", tz="UTC")
        table = table[(opened >= start) & (opened < start + pd.Timedelta(days=24))].reset_index(drop=True)
        if len(table):
            opened_ms = matrix.epoch_ms(table["open_time"])
            bars[name] = table.assign(segment=assign_segments(opened_ms, HOUR_MS, MAX_GAP_BARS))
    universe = Universe(venue="binance", symbols=tuple(bars), timeframe="1h")
    return World(universe, bars, {})


def replayed(decider: Decider, arrivals: list[Arrivals], cuts: tuple[int, ...] = ()) -> pd.DataFrame:
    """Every arrival on its own; at each cut the state goes through its bytes, as after a kill."""
    state, decisions = decider.begin(), []
    for number, one in enumerate(arrivals):
        if number in cuts:
            state = decider.from_bytes(decider.to_bytes(state))
        state, found = decider.advance(state, one)
        decisions += found
    return table_of(decisions)


def table_of(decisions: list[Decision]) -> pd.DataFrame:
    table = pd.DataFrame([one._asdict() for one in decisions])
    return table.assign(reasons=[" ".join(codes) for codes in table["reasons"]])


def assert_equal(found: pd.DataFrame, whole: pd.DataFrame) -> None:
    """The same rows; forecasts to 1e-6, targets and reasons exactly."""
    whole = whole.assign(timestamp=matrix.epoch_ms(whole["timestamp"]))
    keys = ["timestamp", "symbol"]
    found, whole = (table.sort_values(keys).reset_index(drop=True) for table in (found, whole))
    assert found[keys].to_numpy().tolist() == whole[keys].to_numpy().tolist()
    for name in (*FORECAST, "edge"):
        np.testing.assert_allclose(found[name], whole[name], atol=1e-6, err_msg=name)
    np.testing.assert_array_equal(found["target"], whole["target"])
    assert found["reasons"].tolist() == whole["reasons"].tolist()


@pytest.mark.parametrize("window_bars", [1, 5])
@pytest.mark.parametrize("source", ["simulated", "real"])
def test_a_replay_bar_by_bar_is_the_whole_history(
    source: str, window_bars: int, request: pytest.FixtureRequest
) -> None:
    world: World = request.getfixturevalue(source)
    decider = world.decider(window_bars)
    whole = decider.decide_history(world.bars, world.side)
    assert (whole["target"] != 0).sum() > 20 and whole["reasons"].str.contains("left").any()
    assert_equal(replayed(decider, world.arrivals(), cuts=(1, 150, 321, 400)), whole)


@pytest.mark.parametrize("source", ["simulated", "real"])
def test_features_of_the_stream_are_those_of_the_table_to_the_bit(source: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(source)
    decider = world.decider()
    market = matrix.market_table(world.bars)
    wanted = {
        symbol: matrix.feature_matrix(
            matrix.build_chunk(bars, world.bars[world.universe.reference], market, world.side.get(symbol, {})),
            decider.plan.features,
        )
        for symbol, bars in world.bars.items()
    }
    state, row = decider.begin(), dict.fromkeys(world.bars, 0)
    for one in world.arrivals():
        state.assembly, found = decider.assembly.advance(state.assembly, one)
        for symbol, chunk in found.chunks.items():
            lines = np.empty((len(decider.names), len(chunk)), dtype=np.float32)
            decider.plan.advance(state.symbols[symbol].plan, chunk, lines)
            np.testing.assert_array_equal(lines, wanted[symbol][:, row[symbol] : row[symbol] + len(chunk)])
            row[symbol] += len(chunk)
    assert row == {symbol: len(bars) for symbol, bars in world.bars.items()}


def test_evaluation_gets_the_same_targets_from_the_table_of_forecasts(simulated: World) -> None:
    decider = simulated.decider()
    whole = decider.decide_history(simulated.bars, simulated.side)
    policy = decider.policy
    assert isinstance(policy, ForecastPolicy)
    for symbol, bars in simulated.bars.items():
        part = whole[whole["symbol"] == symbol].dropna(subset=["p_up"])
        close, segment = bars["close"].to_numpy(dtype=np.float64), bars["segment"].to_numpy(dtype=np.int32)
        volatility = realised_volatility(close, segment, SIZING.volatility_window)
        found = targets_from_forecasts(bars, part, volatility, policy.rules)
        np.testing.assert_array_equal(found.target, whole.loc[whole["symbol"] == symbol, "target"])


def changed_after(world: World, timestamp: int) -> World:
    """Other prices after the timestamp, and another gap right behind it."""
    bars = {}
    for symbol, table in world.bars.items():
        closed = matrix.epoch_ms(table["timestamp"])
        kept = (closed <= timestamp) | (closed > timestamp + 9 * HOUR_MS)
        later = np.where(closed > timestamp, 1.7, 1.0)
        table = table.assign(**{name: table[name] * later for name in ("open", "high", "low", "close")})[kept]
        opened_ms = matrix.epoch_ms(table["open_time"])
        bars[symbol] = table.reset_index(drop=True).assign(segment=assign_segments(opened_ms, HOUR_MS, MAX_GAP_BARS))
    return replace(world, bars=bars)


def check_future(decider: Decider, world: World) -> None:
    """What comes after a bar, gaps included, changes nothing at or before it."""
    whole = decider.decide_history(world.bars, world.side)
    for row in (260, 301, 330, 420):
        at = whole["timestamp"].sort_values().unique()[row]
        other = changed_after(world, int(at.timestamp() * 1000))
        found = decider.decide_history(other.bars, other.side)
        early, late = whole[whole["timestamp"] <= at], found[found["timestamp"] <= at]
        pd.testing.assert_frame_equal(early.reset_index(drop=True), late.reset_index(drop=True), check_exact=True)


@pytest.mark.parametrize("source", ["simulated", "real"])
def test_what_comes_later_changes_nothing(source: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(source)
    check_future(world.decider(), world)


class SeesTheNextBar(ForecastPolicy):
    """The twin that looks one bar ahead."""

    def advance(self, state, seen, account):  # type: ignore[no-untyped-def]
        shifted = np.roll(seen.features, -1, axis=0)
        return super().advance(state, seen._replace(features=shifted), account)


class Forgets(ForecastPolicy):
    """The twin that begins anew at each call."""

    def advance(self, state, seen, account):  # type: ignore[no-untyped-def]
        return super().advance(self.begin(), seen, account)


def twin(world: World, kind: type[ForecastPolicy]) -> Decider:
    decider = world.decider()
    assert isinstance(decider.policy, ForecastPolicy)
    policy = kind(decider.policy.forecaster, decider.policy.rules, decider.policy.max_missing_share)
    return Decider(decider.assembly, decider.plan.features, policy, SIZING)


def test_a_policy_that_looks_ahead_is_caught(simulated: World) -> None:
    with pytest.raises(AssertionError):
        check_future(twin(simulated, SeesTheNextBar), simulated)


def test_a_policy_that_forgets_its_state_is_caught(simulated: World) -> None:
    decider = twin(simulated, Forgets)
    with pytest.raises(AssertionError):
        assert_equal(replayed(decider, simulated.arrivals()), decider.decide_history(simulated.bars, simulated.side))


def test_a_symbol_that_is_too_late_is_absent_and_the_others_go_on(simulated: World) -> None:
    decider, arrivals = simulated.decider(), simulated.arrivals()
    number = next(at for at in range(280, 320) if len(arrivals[at].bars) == 3)
    late = arrivals[number].bars[0]
    arrivals[number] = arrivals[number]._replace(bars=arrivals[number].bars[1:])
    arrivals[number + 1] = arrivals[number + 1]._replace(bars=(late, *arrivals[number + 1].bars))
    bars: dict[str, pd.DataFrame] = dict(simulated.bars)
    table = bars[late.symbol]
    kept = table[matrix.epoch_ms(table["timestamp"]) != late.timestamp].reset_index(drop=True)
    bars[late.symbol] = kept.assign(segment=assign_segments(matrix.epoch_ms(kept["open_time"]), HOUR_MS, MAX_GAP_BARS))
    assert_equal(replayed(decider, arrivals), decider.decide_history(bars, simulated.side))


def test_many_bars_at_once_are_the_same_as_one_by_one(simulated: World) -> None:
    decider, arrivals = simulated.decider(), simulated.arrivals()
    state, decisions = decider.begin(), []
    for start in range(0, len(arrivals), 97):
        part = arrivals[start : start + 97]
        joined = Arrivals(
            part[-1].now_ms, tuple(bar for one in part for bar in one.bars),
            tuple(value for one in part for value in one.side),
        )  # fmt: skip
        state, found = decider.advance(state, joined)
        decisions += found
    assert_equal(table_of(decisions), decider.decide_history(simulated.bars, simulated.side))


def test_a_state_of_another_decider_or_a_damaged_one_is_refused(simulated: World) -> None:
    decider = simulated.decider()
    state = decider.begin()
    for one in simulated.arrivals()[:30]:
        state, _ = decider.advance(state, one)
    saved = decider.to_bytes(state)
    with pytest.raises(BadData, match="belongs to another decider"):
        simulated.decider(slower=("4h",)).from_bytes(saved)
    with pytest.raises(BadData, match="damaged"):
        decider.from_bytes(saved[:-1])
    with pytest.raises(BadData, match="damaged"):
        decider.from_bytes(saved[:-9] + b"\x01" + saved[-8:])


def test_reasons_say_why(simulated: World) -> None:
    whole = simulated.decider().decide_history(simulated.bars, simulated.side)
    codes: Mapping[str, pd.Series] = {
        code: whole["reasons"].str.contains(code)
        for code in ("no_forecast", "below_entry", "segment_began", "entered", "held", "left")
    }
    assert all(found.any() for found in codes.values())
    assert (whole.loc[codes["no_forecast"] | codes["below_entry"], "target"] == 0).all()
    assert (whole.loc[codes["held"], "target"] != 0).all()
    begins = sum(table["segment"].nunique() for table in simulated.bars.values())
    assert codes["segment_began"].sum() == begins


@pytest.mark.parametrize("name", baselines.DIRECTIONS)
def test_a_rule_replayed_bar_by_bar_is_its_backtest(name: str, simulated: World) -> None:
    rule, universe = baselines.DIRECTIONS[name], simulated.universe
    policy = RulePolicy(rule, SIZING, universe.bars_per_year, universe.bars_per_day)
    chosen = catalogue.select(FeatureSelection(include=("rsi_14",)), "1h", universe.side_series)
    found = replayed(Decider(assembly_of(universe, MAX_GAP_BARS), chosen, policy, SIZING), simulated.arrivals(), (99,))
    for symbol, chunk in chunks_of(simulated.bars, universe).items():
        volatility = realised_volatility(chunk.close, chunk.segment, SIZING.volatility_window)
        wanted = rule_targets(rule, chunk, volatility, SIZING, universe)
        np.testing.assert_array_equal(found.loc[found["symbol"] == symbol, "target"], wanted)
