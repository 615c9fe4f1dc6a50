"""Agents find what can be found, cost less than nothing where there is nothing, and repeat."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tradewind.engine.backtest import History, run
from tradewind.errors import BadModel, BadParameters
from tradewind.execution.costs import Costs
from tradewind.models.sequence.windows import Standardiser
from tradewind.rl import agents
from tradewind.rl.agents import train_agent
from tradewind.rl.market import TradingMarket, TradingTerms
from tradewind.rl.parameters import AgentParameters
from tradewind.rl.policies import ABOUT, LOG, POLICY, Policy, live_through
from tradewind.rl.rules import EnvironmentRules, RewardRules
from tradewind.rl.stepping import TOLD, Reward

DISCRETE = EnvironmentRules(episode_bars=64)
CONTINUOUS = EnvironmentRules(episode_bars=64, actions="continuous")
COSTS = Costs(taker_fee_bps=10.0, half_spread_bps=0.0, slippage_share_of_volatility=0.0)
PLAIN = Reward(0.0, 0.01, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)


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
    worth, places = np.zeros((3, 3)), np.array([-1.0, 0.0, 1.0])
    cost = 0.001 * np.abs(places[:, None] - places[None])  # from, to
    gain = drift * (np.arange(3) - 1)[:, None] * places[None] - 0.5 * 0.004**2 * (places**2)[None]
    for _ in range(600):
        value = gain[:, None, :] - cost[None] + 0.97 * (chance @ worth)[:, None, :]  # state, from, to
        worth = value.max(axis=2)
    choice = value.argmax(axis=2)
    held, targets = 1, []
    for at in state:
        held = int(choice[at, held])
        targets.append(places[held])
    account = run(past, np.array(targets), COSTS).account
    return float(np.log1p(account["net"].to_numpy()[1:]).mean())


def growth(files: dict[str, bytes], market: TradingMarket, trading: TradingTerms) -> float:
    _, told, _, _ = live_through(Policy.from_files(files), market, trading, PLAIN)
    return float(np.log1p(told[1:, TOLD.index("net")]).mean())


@pytest.fixture(scope="module")
def identity() -> Standardiser:
    return Standardiser(features=("down", "none", "up"), mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))


OFF_POLICY = {"steps": 24_000, "environments": 16, "rollout": 16, "batch_size": 256, "discount": 0.95, "entropy": 0.02}
LEARN = {
    "ppo": (DISCRETE, AgentParameters(steps=200_000, rollout=32)),
    "sac": (CONTINUOUS, AgentParameters(algorithm="sac", updates=32, **OFF_POLICY)),
    "td3": (CONTINUOUS, AgentParameters(algorithm="td3", updates=32, **OFF_POLICY)),
}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", sorted(LEARN))
def test_an_agent_comes_near_the_optimum_of_a_solved_market(
    algorithm: str, trading: Callable[..., TradingTerms], identity: Standardiser
) -> None:
    rules, parameters = LEARN[algorithm]
    terms = trading(rules, COSTS)
    (fit, *_), (valid, *_), (test, past, state) = (solved_market(seed) for seed in (1, 2, 3))
    files = train_agent(parameters, rules, RewardRules(), fit, valid, terms, identity, 7)
    optimum = best_growth(past, state)
    assert optimum > 0.001
    assert growth(files, test, terms) > 0.95 * optimum


@pytest.mark.slow
def test_where_nothing_is_to_be_earned_an_agent_loses_no_more_than_its_costs(
    trading: Callable[..., TradingTerms], identity: Standardiser
) -> None:
    terms = trading(DISCRETE, COSTS)
    fit, valid, test = (solved_market(seed, drift=0.0)[0] for seed in (1, 2, 3))
    files = train_agent(LEARN["ppo"][1], DISCRETE, RewardRules(), fit, valid, terms, identity, 7)
    policy = Policy.from_files(files)
    assert json.loads(files[ABOUT])["abstains"] == (max(row[2] for row in json.loads(files[LOG])) <= 0)
    _, told, _, _ = live_through(policy, test, terms, PLAIN)
    turnover = told[:, TOLD.index("turnover")].mean()
    assert turnover < 0.05  # random actions would turn over 0.9 a bar
    error = told[:, TOLD.index("gross")].std() / np.sqrt(len(told))
    assert abs(told[:, TOLD.index("gross")].mean()) <= 3 * error


QUICK = AgentParameters(steps=4000, environments=16, rollout=16, batch_size=128, epochs=2, hidden=8)


@pytest.fixture(scope="module")
def quick_files(trading: Callable[..., TradingTerms], identity: Standardiser) -> dict[str, bytes]:
    return quick(trading, identity)


def quick(
    trading: Callable[..., TradingTerms], identity: Standardiser, seed: int = 7, **changed: Any
) -> dict[str, bytes]:
    fit, valid = solved_market(1, 800)[0], solved_market(2, 400)[0]
    terms = trading(DISCRETE, COSTS)
    parameters = QUICK.model_copy(update=changed)
    return train_agent(parameters, DISCRETE, RewardRules(), fit, valid, terms, identity, seed)


def test_the_same_seed_gives_the_same_policy_and_another_another(
    trading: Callable[..., TradingTerms], identity: Standardiser, quick_files: dict[str, bytes]
) -> None:
    torch.manual_seed(99)
    assert quick(trading, identity) == quick_files
    assert quick(trading, identity, seed=8)[POLICY] != quick_files[POLICY]
    log = pd.DataFrame(json.loads(quick_files[LOG]))
    assert len(log) == agents.CHUNKS and log[1].is_monotonic_increasing


def test_the_normalisation_is_inside_the_policy(
    trading: Callable[..., TradingTerms], quick_files: dict[str, bytes]
) -> None:
    """Trained on standardised features, it reads them as they are: shifted and stretched, and still the same."""
    shifted = Standardiser(features=("down", "none", "up"), mean=(5.0, -2.0, 0.5), deviation=(3.0, 0.5, 2.0))
    files = quick(trading, shifted)
    usual, other = (
        Policy.from_files({**one, ABOUT: one[ABOUT].replace(b'"abstains": true', b'"abstains": false')})
        for one in (quick_files, files)
    )
    seen = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
    raw = seen.copy()
    raw[:, :3] = seen[:, :3] * np.array(shifted.deviation) + np.array(shifted.mean)
    held = np.zeros(200)
    np.testing.assert_array_equal(usual.decide(seen, held), other.decide(raw.astype(np.float32), held))


def test_an_agent_that_never_gained_stays_flat(quick_files: dict[str, bytes]) -> None:
    about = json.loads(quick_files[ABOUT])
    seen = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    for abstains in (False, True):
        files = {**quick_files, ABOUT: json.dumps({**about, "abstains": abstains}).encode()}
        assert Policy.from_files(files).decide(seen, np.ones(50)).any() != abstains


def test_what_cannot_be_is_refused(
    trading: Callable[..., TradingTerms], identity: Standardiser, quick_files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with pytest.raises(BadParameters, match="sac needs environment.actions: continuous"):
        quick(trading, identity, algorithm="sac")
    with pytest.raises(BadModel, match="cannot be read"):
        Policy.from_files({**quick_files, POLICY: quick_files[POLICY][:200]})
    with pytest.raises(BadModel, match="another version"):
        Policy.from_files({**quick_files, ABOUT: b'{"algorithm": "ppo"}'})
    with pytest.raises(BadModel, match="needs"):
        Policy.from_files({POLICY: quick_files[POLICY]})
    monkeypatch.setattr(agents, "TOLERANCE", -1.0)
    with pytest.raises(BadModel, match="differs from the trained one"):
        quick(trading, identity)
