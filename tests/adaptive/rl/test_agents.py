"""Agents find what can be found, cost less than nothing where there is nothing, and repeat."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load, save

from tests.depth import deep
from tradewind.adaptive.rl import agents, exporting
from tradewind.adaptive.rl.agents import TrainingTask, train_agent
from tradewind.adaptive.rl.episodes import STEP_FIELDS
from tradewind.adaptive.rl.learners import REPLAY, STATE
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.parameters import AGENTS, AgentParameters
from tradewind.adaptive.rl.policies import ABOUT, LOG, LOG_COLUMNS, POLICY, Policy, run_policy
from tradewind.adaptive.rl.rules import EnvironmentRules, RewardRules
from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.learning.models.base import Files
from tradewind.learning.models.sequence.windows import Standardiser
from tradewind.trading.engine.backtest import History, run
from tradewind.trading.execution.costs import Costs

DISCRETE = EnvironmentRules(episode_bars=64)
CONTINUOUS = EnvironmentRules(episode_bars=64, actions="continuous")
COSTS = Costs(taker_fee_bps=10.0, half_spread_bps=0.0, slippage_share_of_volatility=0.0)


def solved_market(seed: int, count: int = 4000, drift: float = 0.004) -> tuple[TradingMarket, History, np.ndarray]:
    """A drift that stays for a while and is seen: up, down or none (a state in three), and noise."""
    rng = np.random.default_rng(seed)
    state = np.zeros(count, dtype=np.int64)
    for at in range(1, count):
        state[at] = state[at - 1] if rng.random() < 0.9 else rng.integers(3)
    change = 0.004 * rng.standard_normal(count)
    change[1:] += drift * (state[:-1] - 1)
    close = 100 * np.exp(np.cumsum(change))
    past = History(
        np.r_[100.0, close[:-1]], close, np.full(count, 0.004), np.zeros(count), np.zeros(count, dtype=np.int32)
    )
    return TradingMarket.from_histories({"A": past}, {"A": np.eye(3, dtype=np.float32)[state]}), past, state


def best_growth(past: History, state: np.ndarray, drift: float = 0.004) -> float:
    """Mean log growth of the optimal policy: dynamic programming over (state, position), then lived through."""
    chance = 0.9 * np.eye(3) + 0.1 / 3
    reward, places = np.zeros((3, 3)), np.array([-1.0, 0.0, 1.0])
    cost = 0.001 * np.abs(places[:, None] - places[None])  # from, to
    gain = drift * (np.arange(3) - 1)[:, None] * places[None] - 0.5 * 0.004**2 * (places**2)[None]
    for _ in range(600):
        value = gain[:, None, :] - cost[None] + 0.97 * (chance @ reward)[:, None, :]  # state, from, to
        reward = value.max(axis=2)
    choice = value.argmax(axis=2)
    held, targets = 1, []
    for at in state:
        held = int(choice[at, held])
        targets.append(places[held])
    account = run(past, np.array(targets), COSTS).account
    return float(np.log1p(account["net"].to_numpy()[1:]).mean())


def growth(files: dict[str, bytes], market: TradingMarket, trading: TradingTerms) -> float:
    (rollout,) = run_policy(Policy.from_files(files), market, trading)
    return float(np.log1p(rollout.steps[1:, STEP_FIELDS.index("net")]).mean())


@pytest.fixture(scope="module")
def identity() -> Standardiser:
    return Standardiser(features=("down", "none", "up"), mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))


OFF_POLICY = {
    "total_timesteps": 24_000,
    "n_envs": 16,
    "n_steps": 16,
    "batch_size": 256,
    "gamma": 0.95,
    "ent_coef": 0.02,
}
LEARN = {
    "ppo": (DISCRETE, AgentParameters(total_timesteps=200_000, n_steps=32)),
    "recurrent_ppo": (
        DISCRETE,
        AgentParameters(
            algorithm="recurrent_ppo", total_timesteps=60_000, n_steps=32, hidden=16, learning_rate=0.003, ent_coef=0.01
        ),
    ),
    "sac": (CONTINUOUS, AgentParameters(algorithm="sac", gradient_steps=32, **OFF_POLICY)),
    "td3": (CONTINUOUS, AgentParameters(algorithm="td3", gradient_steps=32, **OFF_POLICY)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "steps"),
    [("ppo", 60_000), *(deep(name, parameters.total_timesteps) for name, (_, parameters) in sorted(LEARN.items()))],
)
def test_an_agent_comes_near_the_optimum_of_a_solved_market(
    algorithm: str, steps: int, trading: Callable[..., TradingTerms], identity: Standardiser
) -> None:
    rules, parameters = LEARN[algorithm]
    parameters = parameters.model_copy(update={"total_timesteps": steps})
    terms = trading(rules, COSTS)
    (fit, *_), (valid, *_), (test, past, state) = (solved_market(seed) for seed in (1, 2, 3))
    files = train_agent(TrainingTask(parameters, rules, RewardRules(), terms, fit, valid, identity), 7)
    optimum = best_growth(past, state)
    assert optimum > 0.001
    assert growth(files, test, terms) > 0.95 * optimum


@pytest.mark.slow
@pytest.mark.parametrize("steps", [40_000, deep(200_000)])
def test_where_nothing_is_to_be_earned_an_agent_loses_no_more_than_its_costs(
    steps: int, trading: Callable[..., TradingTerms], identity: Standardiser
) -> None:
    parameters = LEARN["ppo"][1].model_copy(update={"total_timesteps": steps})
    terms = trading(DISCRETE, COSTS)
    fit, valid, test = (solved_market(seed, drift=0.0)[0] for seed in (1, 2, 3))
    files = train_agent(TrainingTask(parameters, DISCRETE, RewardRules(), terms, fit, valid, identity), 7)
    policy = Policy.from_files(files)
    assert json.loads(files[ABOUT])["abstains"] == (max(row[2] for row in json.loads(files[LOG])) <= 0)
    steps = run_policy(policy, test, terms)[0].steps
    turnover = steps[:, STEP_FIELDS.index("turnover")].mean()
    assert turnover < 0.05  # random actions would turn over 0.9 a bar
    error = steps[:, STEP_FIELDS.index("gross")].std() / np.sqrt(len(steps))
    assert abs(steps[:, STEP_FIELDS.index("gross")].mean()) <= 3 * error


QUICK = AgentParameters(
    total_timesteps=1024,
    parts=2,
    n_envs=16,
    n_steps=16,
    batch_size=128,
    n_epochs=2,
    hidden=8,
    gradient_steps=4,
    keep_replay=True,
)
CALM = RewardRules()


class InMemoryCheckpoint:
    """A checkpoint in memory, which may be cut off: after `lasts` writes the training is killed."""

    def __init__(self, lasts: int = 99) -> None:
        self.kept: Files | None = None
        self.lasts = lasts

    def get(self) -> Files | None:
        return self.kept

    def put(self, files: Files) -> None:
        self.kept, self.lasts = files, self.lasts - 1
        if not self.lasts:
            raise KeyboardInterrupt


def task(trading: Callable[..., TradingTerms], standardiser: Standardiser, **changed: Any) -> TrainingTask:
    fit, valid = solved_market(1, 800)[0], solved_market(2, 400)[0]
    parameters = AgentParameters.model_validate({**QUICK.model_dump(), **changed})
    rules = CONTINUOUS if parameters.algorithm in ("sac", "td3") else DISCRETE
    return TrainingTask(parameters, rules, CALM, trading(rules, COSTS), fit, valid, standardiser)


@pytest.fixture(scope="module")
def quick_files(trading: Callable[..., TradingTerms], identity: Standardiser) -> dict[str, Files]:
    """Each algorithm's agent, hardly trained."""
    return {name: train_agent(task(trading, identity, algorithm=name), 7) for name in AGENTS}


def test_the_same_seed_gives_the_same_policy_and_another_another(
    trading: Callable[..., TradingTerms], identity: Standardiser, quick_files: dict[str, Files]
) -> None:
    torch.manual_seed(99)
    assert train_agent(task(trading, identity), 7) == quick_files["ppo"]
    assert train_agent(task(trading, identity), 8)[POLICY] != quick_files["ppo"][POLICY]
    log = pd.DataFrame(json.loads(quick_files["ppo"][LOG]), columns=LOG_COLUMNS)
    assert (
        log["steps"].tolist() == [512, 1024] and (log["entropy"] > 0.5).all() and (log["entropy_floor"] == 0.01).all()
    )


@pytest.mark.parametrize("algorithm", AGENTS)
def test_a_killed_training_goes_on_to_the_same_bytes(
    algorithm: str, trading: Callable[..., TradingTerms], identity: Standardiser, quick_files: dict[str, Files]
) -> None:
    """Weights, moments, replay and all; the planted fault is a state with one weight moved."""
    asked = task(trading, identity, algorithm=algorithm)
    memory = InMemoryCheckpoint(lasts=1)
    with pytest.raises(KeyboardInterrupt):
        train_agent(asked, 7, memory)
    assert memory.kept is not None and (REPLAY in memory.kept) == (algorithm in ("sac", "td3"))
    torch.manual_seed(5)
    assert train_agent(asked, 7, memory) == quick_files[algorithm]
    tensors = load(memory.kept[STATE])
    name = next(name for name in tensors if name.endswith("weight"))
    moved = InMemoryCheckpoint()
    moved.kept = {**memory.kept, STATE: save({**tensors, name: tensors[name] + 0.5})}
    assert json.loads(memory.kept["progress.json"])["rows"][1:] == json.loads(quick_files[algorithm][LOG])[1:]
    with pytest.raises(BadModel, match="does not fit this agent"):
        restored = InMemoryCheckpoint()
        restored.kept = {**memory.kept, STATE: save({name: tensors[name]})}
        train_agent(asked, 7, restored)


def test_other_worlds_and_curricula_change_what_is_learned_and_resume_alike(
    trading: Callable[..., TradingTerms], identity: Standardiser, quick_files: dict[str, Files]
) -> None:
    """Paths in another order, late orders, noise, and parts that differ: each on its own leads to another policy."""
    augmentation = (
        {"bootstrap_share": 0.5, "bootstrap_block_bars": 20.0}, {"latency_spread": 2}, {"observation_noise": 0.1},
        {"cost_spread": 0.5},
    )  # fmt: skip
    curricula = ({"volatility_curriculum": (0.5, 2.0)}, {"length_curriculum": (0.25,)}, {"cost_curriculum": (0.0, 1.0)})
    policies = {quick_files["ppo"][POLICY]}
    for rules in augmentation:
        asked = task(trading, identity)
        policies.add(train_agent(replace(asked, rules=DISCRETE.model_copy(update=rules)), 7)[POLICY])
    for changed in curricula:
        policies.add(train_agent(task(trading, identity, **changed), 7)[POLICY])
    assert len(policies) == 1 + len(augmentation) + len(curricula)
    together = {name: value for one in augmentation for name, value in one.items()}
    asked = replace(task(trading, identity, **curricula[0]), rules=DISCRETE.model_copy(update=together))
    memory = InMemoryCheckpoint(lasts=1)
    with pytest.raises(KeyboardInterrupt):
        train_agent(asked, 7, memory)
    assert train_agent(asked, 7, memory) == train_agent(asked, 7)


@pytest.mark.parametrize("algorithm", AGENTS)
def test_a_stored_agent_learns_on_from_new_bars(
    algorithm: str, trading: Callable[..., TradingTerms], identity: Standardiser, quick_files: dict[str, Files]
) -> None:
    """An online update: weights, moments and replay go on from where they were; no worse on the validation bars."""
    asked = task(trading, identity, algorithm=algorithm)
    previous = quick_files[algorithm]
    updated = train_agent(asked, 8, previous=previous)
    log = pd.DataFrame(json.loads(updated[LOG]), columns=LOG_COLUMNS)
    assert log["steps"].tolist() == [1024, 1536, 2048]  # the first row is the stored agent itself
    before = pd.DataFrame(json.loads(previous[LOG]), columns=LOG_COLUMNS)
    assert log["valid_growth"].iloc[0] == pytest.approx(before["valid_growth"].max(), rel=1e-6)
    if algorithm in ("sac", "td3"):
        assert len(load(updated[REPLAY])["rewards"]) == 2 * len(load(previous[REPLAY])["rewards"]) == 128
    with pytest.raises(BadModel, match="train it anew"):
        other = Standardiser(features=("x", "y", "z"), mean=(0.0,) * 3, deviation=(1.0,) * 3)
        train_agent(task(trading, other, algorithm=algorithm), 8, previous=previous)
    with pytest.raises(BadModel, match="by the standardiser of its files"):
        other = Standardiser(features=identity.features, mean=(1.0,) * 3, deviation=(1.0,) * 3)
        train_agent(task(trading, other, algorithm=algorithm), 8, previous=previous)


@pytest.mark.parametrize("algorithm", AGENTS)
def test_an_exported_policy_does_what_the_network_does_bar_after_bar(
    algorithm: str, trading: Callable[..., TradingTerms], quick_files: dict[str, Files]
) -> None:
    """Two lives side by side are as each alone, so that what a recurrent policy remembers is its own episode's."""
    files = {**quick_files[algorithm], ABOUT: awake(quick_files[algorithm])}
    policy = Policy.from_files(files)
    assert policy.about.recurrent_units == (8 if algorithm == "recurrent_ppo" else 0)
    terms = trading(policy.about.environment, COSTS)
    one, two = solved_market(3, 60)[0], solved_market(4, 60)[0]
    (both,) = run_policy(policy, TradingMarket.joined([one, two]), terms)
    for place, alone in enumerate((one, two)):
        (rollout,) = run_policy(policy, alone, terms)
        for name, values in rollout._asdict().items():
            here = getattr(both, name)[60 * place : 60 * (place + 1)]
            np.testing.assert_allclose(here, values, rtol=1e-5, atol=1e-6)


def test_what_a_recurrent_policy_remembers_changes_what_it_says(quick_files: dict[str, Files]) -> None:
    policy = Policy.from_files({**quick_files["recurrent_ppo"], ABOUT: awake(quick_files["recurrent_ppo"])})
    observations = np.random.default_rng(0).standard_normal((1, 8)).astype(np.float32)
    _, memory = policy.decide(observations, np.zeros(1), policy.begin(1))
    said = [
        policy._session.run(None, {"observation": observations, "state": one, "cell": one})[0]
        for one in (memory[0], memory[0] * 0)
    ]
    assert not np.allclose(*said) and memory[0].shape == (1, 1, 8)


def awake(files: Files) -> bytes:
    return json.dumps({**json.loads(files[ABOUT]), "abstains": False}).encode()


def test_the_normalisation_is_inside_the_policy(
    trading: Callable[..., TradingTerms], quick_files: dict[str, Files]
) -> None:
    """Trained on standardised features, it reads them as they are: shifted and stretched, and still the same."""
    shifted = Standardiser(features=("down", "none", "up"), mean=(5.0, -2.0, 0.5), deviation=(3.0, 0.5, 2.0))
    files = train_agent(task(trading, shifted), 7)
    usual, other = (Policy.from_files({**one, ABOUT: awake(one)}) for one in (quick_files["ppo"], files))
    observations = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
    raw = observations.copy()
    raw[:, :3] = observations[:, :3] * np.array(shifted.deviation) + np.array(shifted.mean)
    held = np.zeros(200)
    np.testing.assert_array_equal(usual.decide(observations, held)[0], other.decide(raw.astype(np.float32), held)[0])


def test_an_agent_that_never_gained_stays_flat(quick_files: dict[str, Files]) -> None:
    about = json.loads(quick_files["ppo"][ABOUT])
    observations = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    for abstains in (False, True):
        files = {**quick_files["ppo"], ABOUT: json.dumps({**about, "abstains": abstains}).encode()}
        assert Policy.from_files(files).decide(observations, np.ones(50))[0].any() != abstains


def test_costs_are_multiplied_as_asked(trading: Callable[..., TradingTerms], quick_files: dict[str, Files]) -> None:
    policy = Policy.from_files({**quick_files["sac"], ABOUT: awake(quick_files["sac"])})
    terms = trading(CONTINUOUS, COSTS)
    usual, free, dear = run_policy(policy, solved_market(3, 200)[0], terms, None, (1.0, 0.0, 4.0))
    cost, first = STEP_FIELDS.index("cost"), int(np.argmax(usual.steps[:, STEP_FIELDS.index("cost")] > 0))
    assert usual.steps[first, cost] > 0 and dear.steps[first, cost] == pytest.approx(4 * usual.steps[first, cost])
    assert not free.steps[:, cost].any()


@pytest.mark.parametrize("algorithm", AGENTS)
def test_a_warm_start_imitates_the_rule_of_the_signals(algorithm: str, trading: Callable[..., TradingTerms]) -> None:
    """Before any reward: where the mean edge is large it goes along, and not where nothing was cloned."""
    named = Standardiser(features=("a", "forecast_edge_mean", "b"), mean=(0.0,) * 3, deviation=(1.0, 0.3, 1.0))
    rules = CONTINUOUS if algorithm in ("sac", "td3") else DISCRETE
    rng, edge = np.random.default_rng(0), np.repeat(np.random.default_rng(1).standard_normal(100), 6)
    features = np.column_stack([rng.standard_normal(600), edge, rng.standard_normal(600)]).astype(np.float32)
    market = TradingMarket.from_histories({"A": solved_market(1, 600)[1]}, {"A": features})
    cloned = {
        "clone_epochs": 30,
        "clone_bars": 64,
        "total_timesteps": 16,
        "parts": 1,
        "learning_rate": 0.02,
        "batch_size": 256,
    }
    agreement = {}
    for given in ({**cloned, "learning_rate": 0.02}, {**cloned, "clone_epochs": 0}):
        parameters = AgentParameters.model_validate({**QUICK.model_dump(), **given, "algorithm": algorithm})
        asked = TrainingTask(parameters, rules, CALM, trading(rules, COSTS), market, market, named)
        files = train_agent(asked, 7)
        policy = Policy.from_files({**files, ABOUT: awake(files)})
        raw = features * np.array([1.0, 0.3, 1.0], dtype=np.float32)
        lived = TradingMarket.from_histories({"A": solved_market(1, 600)[1]}, {"A": raw})
        (rollout,) = run_policy(policy, lived, asked.trading)
        large = np.abs(raw[:, 1]) > 0.2
        agreement[given["clone_epochs"]] = float((np.sign(rollout.targets) == np.sign(raw[:, 1]))[large].mean())
    assert agreement[30] > 0.85 > agreement[0]


def test_training_that_diverges_stops_and_keeps_what_was_good(
    trading: Callable[..., TradingTerms], identity: Standardiser, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked = task(trading, identity, parts=4)
    usual = agents._validate

    def breaks(model: Any, actor: Any, task: Any, part: int) -> dict[str, float]:
        row = usual(model, actor, task, part)
        return {**row, "value_loss": 1e9} if part == 2 else row

    monkeypatch.setattr(agents, "_validate", breaks)
    log = json.loads(train_agent(asked, 7)[LOG])
    assert len(log) == 3 and '"alarm": "divergence"' in caplog.text
    with pytest.raises(BadData, match="smaller learning_rate"):
        monkeypatch.setattr(agents, "_validate", lambda *given: {**breaks(*given), "value_loss": 1e9})
        monkeypatch.setattr(agents, "DIVERGED", -1.0)
        train_agent(asked, 7)


def test_what_cannot_be_is_refused(
    trading: Callable[..., TradingTerms], identity: Standardiser, quick_files: dict[str, Files],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    files = quick_files["ppo"]
    for algorithm in ("sac", "td3"):
        asked = task(trading, identity, algorithm=algorithm)
        wrong = TrainingTask(asked.parameters, DISCRETE, CALM, asked.trading, asked.fit, asked.valid, identity)
        with pytest.raises(BadParameters, match=f"{algorithm} needs environment.actions: continuous"):
            train_agent(wrong, 7)
    with pytest.raises(BadParameters, match="clone_epochs needs forecast_edge_mean among environment.forecasts"):
        train_agent(task(trading, identity, clone_epochs=1), 7)
    with pytest.raises(BadModel, match="cannot be read"):
        Policy.from_files({**files, POLICY: files[POLICY][:200]})
    with pytest.raises(BadModel, match="another version"):
        Policy.from_files({**files, ABOUT: b'{"algorithm": "ppo"}'})
    with pytest.raises(BadModel, match="needs"):
        Policy.from_files({POLICY: files[POLICY]})
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(BadModel, match="differs from the trained one"):
        train_agent(task(trading, identity), 7)
