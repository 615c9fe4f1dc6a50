"""An agent decides bar by bar in an account of its own, as it did in its run over a whole window at once."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.adaptive.rl.test_preparation import made, plan
from tests.depth import deep
from tradewind.adaptive.rl import deciding, forecaster_graph
from tradewind.adaptive.rl.deciding import AgentPolicy
from tradewind.adaptive.rl.forecaster_graph import ForecastGraph
from tradewind.adaptive.rl.forecasts import AgentForecaster, add_forecasts
from tradewind.adaptive.rl.market import TradingTerms
from tradewind.adaptive.rl.parameters import AgentParameters
from tradewind.adaptive.rl.policies import Policy
from tradewind.adaptive.rl.preparation import test_markets as markets_of
from tradewind.adaptive.rl.refitting import refit
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, EnvironmentRules
from tradewind.adaptive.rl.stored import StoredAgent
from tradewind.errors import BadModel, BadParameters
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.market_columns import SETTLED
from tradewind.learning.models.base import feature_names
from tradewind.learning.models.onnx_forecaster import OnnxForecaster
from tradewind.trading.decision.protocols import Account, Seen
from tradewind.trading.decision.reasons import CHOSE_FLAT, NO_ACTION, NO_FORECAST
from tradewind.trading.engine.backtest import History
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules
from tradewind.validation.acting import NullModelStore

HOUR_MS = 3_600_000
QUICK: dict[str, Any] = {
    "total_timesteps": 2048, "parts": 2, "n_envs": 16, "n_steps": 16, "batch_size": 64, "n_epochs": 2, "hidden": 8,
    "clone_epochs": 2, "clone_bars": 64,
}  # fmt: skip
CONTINUOUS = {"actions": "continuous", "dead_band": 0.2}


@dataclass(frozen=True)
class World:
    """Rows and histories of two symbols with funding, a gap and bars without a row; and an agent of two seeds."""

    rows: pd.DataFrame
    known: dict[str, tuple[pd.DataFrame, History]]
    names: tuple[str, ...]
    forecaster: AgentForecaster
    policies: tuple[Policy, ...]
    terms: TradingTerms


def world_of(algorithm: str) -> World:
    rows, _, known = made()
    rng = np.random.default_rng(3)
    rows = rows[rng.random(len(rows)) > 0.01].reset_index(drop=True)
    rows.loc[rng.random(len(rows)) < 0.05, "b"] = np.nan
    segment = (np.arange(len(known["A"][0])) >= 700).astype(np.int32)
    funding = np.where(np.arange(len(segment)) % 8 == 0, 1e-3, 0.0)
    for symbol, (bars, history) in known.items():
        volume = 50.0 + rng.random(len(bars))
        opened = bars["timestamp"] - pd.Timedelta(hours=1)
        whole = replace(history, segment=segment, funding_rate=funding, volume=volume)
        whole = replace(whole, usual_volume=pd.Series(volume).rolling(72, min_periods=1).mean().to_numpy())
        known[symbol] = (bars.assign(open_time=opened, segment=segment), whole)
    # So short a training leaves a recurrent agent flat among three choices: of any size it takes some.
    shape = {} if algorithm == "ppo" else CONTINUOUS
    rules = EnvironmentRules(episode_bars=48, features=2, **shape)
    costs = Costs(latency_bars=1, borrow_rate_annual=0.05, impact_coefficient=0.1)
    terms = TradingTerms.from_rules(costs, OrderRules(stop_loss=0.05), rules, 8766.0)
    agent = AgentParameters.model_validate(QUICK | {"algorithm": algorithm})
    procedure = replace(plan(), name=algorithm, agent=agent, environment=rules, trading=terms)
    refitted = refit(rows, known, procedure, NullModelStore())
    policies = tuple(Policy.from_files(files) for files in refitted.policies.values())
    for policy in policies:  # a short training may gain nothing: what it would do is what is looked at
        policy.about = policy.about.model_copy(update={"abstains": False})
    return World(rows, known, tuple(feature_names(rows)), refitted.forecaster, policies, terms)


@pytest.fixture(scope="module", params=["td3", deep("ppo"), deep("recurrent_ppo"), deep("sac")])
def world(request: pytest.FixtureRequest) -> World:
    return world_of_td3() if request.param == "td3" else world_of(request.param)


def agent_of(world: World, **changed: Any) -> AgentPolicy:
    graph = OnnxForecaster.from_bytes(forecaster_graph.to_onnx(world.forecaster), world.names)
    given: dict[str, Any] = {"forecaster": ForecastGraph(graph), "seeds": world.policies, "trading": world.terms}
    return AgentPolicy(**(given | {"max_missing_share": 0.5} | changed))


def seen_of(world: World, symbol: str) -> Seen:
    bars, history = world.known[symbol]
    own = world.rows[world.rows["symbol"] == symbol].set_index("timestamp")[list(world.names)]
    values = own.reindex(bars["timestamp"]).to_numpy(dtype=np.float32)
    closed = bars["timestamp"].astype("int64").to_numpy()
    high, low = history.range()
    nothing = np.full(len(bars), np.nan)
    assert history.volume is not None
    chunk = Chunk(
        closed, closed - HOUR_MS, history.segment, history.open, high, low, history.close, history.volume, nothing,
        nothing, nothing, nothing, nothing, {f"{SETTLED}funding": history.funding_rate},
    )  # fmt: skip
    return Seen(symbol, chunk, world.names, values, history.volatility)


def targets(policy: AgentPolicy, seen: Seen, cuts: tuple[int, ...] = (), account: Account | None = None) -> Any:
    state, told = policy.begin(), []
    for first, last in zip((0, *cuts), (*cuts, len(seen.chunk)), strict=True):
        part = Seen(seen.symbol, seen.chunk.rows(first, last), seen.names, seen.features[first:last],
                    seen.volatility[first:last])  # fmt: skip
        state, steps = policy.advance(state, part, account or Account())
        told.append(steps)
    return np.concatenate([one.target for one in told]), np.concatenate([one.reasons for one in told])


def in_its_run(world: World, symbol: str) -> np.ndarray:
    """The mean position over the whole history at once, by the episodes that evaluation runs."""
    rows = world.rows[world.rows["symbol"] == symbol]
    window = rows["timestamp"].min(), rows["timestamp"].max() + pd.Timedelta(hours=1)
    held = [
        StoredAgent(one, world.forecaster).positions(rows, {symbol: world.known[symbol]}, window, world.terms)
        for one in world.policies
    ]
    mean = pd.concat(held).groupby("timestamp")["target"].mean().clip(-1, 1)
    return mean.reindex(world.known[symbol][0]["timestamp"]).fillna(0.0).to_numpy()


def alone(world: World, symbol: str) -> np.ndarray:
    """Bars that are the only one of their run: whether a second follows is not known on them."""
    seen = seen_of(world, symbol)
    has = ~np.isnan(seen.features).all(axis=1)
    segment = seen.chunk.segment
    before = np.r_[False, has[:-1] & (segment[1:] == segment[:-1])]
    after = np.r_[has[1:] & (segment[1:] == segment[:-1]), False]
    return has & ~before & ~after


def test_bar_by_bar_it_holds_what_it_held_in_its_run(world: World) -> None:
    policy = agent_of(world)
    for symbol in world.known:
        expected, seen = in_its_run(world, symbol), seen_of(world, symbol)
        found, reasons = targets(policy, seen)
        several = ~alone(world, symbol)
        assert len(np.unique(expected)) > 2 and (~several).sum() < 3
        np.testing.assert_allclose(found[several], expected[several], atol=1e-6)
        has = ~np.isnan(seen.features).all(axis=1)
        assert ((reasons & NO_FORECAST > 0) == ~has).all() and not found[~has].any()
        assert (((reasons & CHOSE_FLAT) > 0) <= (has & (found == 0))).all()
        # A bar without a position says why.
        assert (reasons[found == 0] != 0).all()


def test_cut_anywhere_and_whatever_the_paper_account_holds_it_is_the_same(world: World) -> None:
    policy, seen = agent_of(world), seen_of(world, "B")
    whole, reasons = targets(policy, seen)
    every = (*range(1, 300), 700, 701, 1200)
    for account in (Account(), Account(0.5, {"B": -0.7})):
        cut, why = targets(policy, seen, every, account)
        np.testing.assert_array_equal(cut, whole)
        np.testing.assert_array_equal(why, reasons)


def test_what_comes_later_changes_nothing_before_it(world: World) -> None:
    policy, seen = agent_of(world), seen_of(world, "A")
    chunk, at = seen.chunk, 600
    moved = {name: np.r_[getattr(chunk, name)[:at], 1.5 * getattr(chunk, name)[at:]]
             for name in ("open", "high", "low", "close", "volume")}  # fmt: skip
    later = seen._replace(
        chunk=replace(chunk, **moved, segment=np.r_[chunk.segment[:at], chunk.segment[at:] + 5].astype(np.int32)),
        features=np.concatenate([seen.features[:at], -3 * seen.features[at:]]),
    )
    np.testing.assert_array_equal(targets(policy, later)[0][:at], targets(policy, seen)[0][:at])
    assert not np.array_equal(targets(policy, later)[0], targets(policy, seen)[0])


def shown_nothing(name: str) -> Callable[[Any, Any, Any], Any]:
    """The settings of an account that shows the agent one column less."""

    def settings(environment: Any, trading: Any, reward: Any = None) -> Any:
        left = tuple(one for one in environment.account if one != name)
        return given(environment.model_copy(update={"account": left}), trading, reward)

    given = deciding.free_settings
    return settings


def test_a_column_of_its_account_that_is_missing_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    world = linear_world()
    seen, expected = seen_of(world, "A"), in_its_run(world, "A")
    several = ~alone(world, "A")
    np.testing.assert_allclose(targets(agent_of(world), seen)[0][several], expected[several], atol=1e-6)
    # An account that is charged no funding shows, too.
    free = seen._replace(chunk=replace(seen.chunk, side={}))
    assert np.abs(targets(agent_of(world), free)[0] - expected).max() > 1e-5
    for name in ACCOUNT_FEATURES:
        with monkeypatch.context() as planted:
            planted.setattr(deciding, "free_settings", shown_nothing(name))
            assert np.abs(targets(agent_of(world), seen)[0] - expected).max() > 1e-3, name


class Weighing:
    """A policy that weighs everything it sees: its position depends on every column of its account."""

    def __init__(self, about: Any) -> None:
        self.about = about

    def begin(self, count: int) -> tuple[Any, ...]:
        return ()

    def decide(self, observations: Any, held: Any, hidden: Any = ()) -> Any:
        scaled = self.about.standardiser.scaled(observations[:, : -len(ACCOUNT_FEATURES)]).astype(np.float64)
        score = scaled @ np.cos(np.arange(scaled.shape[1])) + observations[:, -len(ACCOUNT_FEATURES) :].sum(axis=1)
        return np.tanh(score), hidden


def linear_world() -> World:
    world = world_of_td3()
    return replace(world, policies=tuple(Weighing(one.about) for one in world.policies))  # type: ignore[arg-type]


@functools.cache
def world_of_td3() -> World:
    return world_of("td3")


class Failing(Weighing):
    """Says no number on every seventh bar."""

    def __init__(self, about: Any) -> None:
        super().__init__(about)
        self.asked = 0

    def decide(self, observations: Any, held: Any, hidden: Any = ()) -> Any:
        self.asked += 1
        said, hidden = super().decide(observations, held, hidden)
        return np.where(self.asked % 7 == 0, np.nan, said), hidden


def test_a_seed_that_says_no_number_holds_nothing_and_the_others_go_on() -> None:
    world = linear_world()
    sound, failing = world.policies[0], Failing(world.policies[1].about)
    seen = seen_of(world, "A")
    found, reasons = targets(agent_of(world, seeds=(sound, failing)), seen)
    has, wrong = ~np.isnan(seen.features).all(axis=1), (reasons & NO_ACTION) > 0
    assert wrong.sum() == has.sum() // 7 and np.isfinite(found).all()
    np.testing.assert_array_equal(found[wrong], 0.5 * targets(agent_of(world, seeds=(sound,)), seen)[0][wrong])
    both = (reasons & (NO_ACTION | CHOSE_FLAT)) == NO_ACTION
    assert (found[both] != 0).any()


def test_a_network_that_says_no_number_is_no_position_in_evaluation_either() -> None:
    world = world_of_td3()
    broken = tuple(Failing(one.about) for one in world.policies)
    with pytest.raises(BadModel, match="says no number on bar"):
        in_its_run(replace(world, policies=broken), "A")  # type: ignore[arg-type]


def test_the_graph_of_the_forecaster_says_what_it_says() -> None:
    world = world_of_td3()
    graph = agent_of(world).forecaster
    assert isinstance(graph, ForecastGraph)
    rows = world.rows.iloc[:400]
    said = graph.predict_many(rows[list(graph.features)].to_numpy(dtype=np.float32))
    np.testing.assert_allclose(said[:, [0, 1, 2, 4]], world.forecaster.predict(rows), atol=1e-9)
    np.testing.assert_allclose(said[:, 3], world.forecaster.classes.predict(rows)["expected_return"], atol=1e-9)


def test_policies_that_do_not_belong_together_and_learning_on_are_refused() -> None:
    world = world_of_td3()
    one, two = world.policies
    other = two.about.model_copy(update={"environment": two.about.environment.model_copy(update={"dead_band": 0.5})})
    with pytest.raises(BadModel, match="are not of one training"):
        agent_of(world, seeds=(one, Weighing(other)))
    with pytest.raises(BadModel, match="at least one policy"):
        agent_of(world, seeds=())
    rows, _, known = made()
    with pytest.raises(BadParameters, match=r"learns on from fold to fold \(training.incremental\)"):
        refit(rows, known, plan(incremental=True), NullModelStore())


def test_a_missing_feature_stands_at_its_mean_for_the_policy() -> None:
    """The policy standardises what it reads: a 0 in its place would be a value like any other."""
    world = world_of_td3()
    standardiser = world.policies[0].about.standardiser
    at = standardiser.features.index(next(one for one in standardiser.features if one in world.names))
    rows = add_forecasts(world.forecaster, world.rows).assign(**{standardiser.features[at]: np.nan})
    window = rows["timestamp"].min(), rows["timestamp"].max()
    (tested, *_) = markets_of(rows, world.known, window, standardiser).values()
    told = tested.market.features[tested.market.runs[0, 0] : tested.market.runs[0, 1]]
    np.testing.assert_allclose(told[:, at], standardiser.mean[at], rtol=1e-6)
    assert abs(standardiser.mean[at]) > 1e-4
