"""The environment against gym-anytrading's; see `conftest` for how. Ours knows costs, gaps, funding and liquidation."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from tests.adaptive.rl.test_agents import COSTS, DISCRETE, solved_market
from tradewind.adaptive.rl.agents import TrainingTask, train_agent
from tradewind.adaptive.rl.environments import TradingEnv, TradingVecEnv
from tradewind.adaptive.rl.episodes import STEP_FIELDS
from tradewind.adaptive.rl.learners import make_learner
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.parameters import AGENTS, AgentParameters
from tradewind.adaptive.rl.policies import ABOUT, Policy, run_policy
from tradewind.adaptive.rl.rules import EnvironmentRules, RewardRules
from tradewind.learning.models.sequence.windows import Standardiser
from tradewind.trading.engine.backtest import History
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

pytestmark = pytest.mark.benchmark
COUNT, STEPS = 20_000, 20_000
RULES = EnvironmentRules(episode_bars=2000, targets=(-1.0, 1.0))


@pytest.fixture(scope="module")
def close() -> np.ndarray:
    torch.set_num_threads(1)
    return 100 * np.exp(np.cumsum(0.005 * np.random.default_rng(0).standard_normal(COUNT)))


@pytest.fixture(scope="module")
def ours(close: np.ndarray) -> tuple[TradingMarket, TradingTerms]:
    past = History(
        np.r_[100.0, close[:-1]], close, np.full(COUNT, 0.005), np.zeros(COUNT), np.zeros(COUNT, dtype=np.int32)
    )
    # What theirs shows: the last two closes and their changes.
    change = np.diff(close, prepend=close[0])
    features = np.column_stack([close, change, np.r_[close[0], close[:-1]], np.r_[0, change[:-1]]]).astype(np.float32)
    market = TradingMarket.from_histories({"A": past}, {"A": features})
    return market, TradingTerms.from_rules(Costs(), OrderRules(), RULES, 8766.0)


def theirs(close: np.ndarray) -> Any:
    pytest.importorskip("gym_anytrading", reason="pip install -e .[bench]")
    from gym_anytrading.envs import StocksEnv

    return StocksEnv(pd.DataFrame({"Close": close[:2002]}), window_size=2, frame_bound=(2, 2002))


def walk(environment: gymnasium.Env[Any, Any], actions: np.ndarray) -> None:
    environment.reset(seed=0)
    for action in actions:
        _, _, ended, over, _ = environment.step(action)
        if ended or over:
            environment.reset()


def test_steps_of_one_episode(close: np.ndarray, ours: Any, compare: Callable[..., None]) -> None:
    actions = np.random.default_rng(1).integers(2, size=STEPS)
    mine, peer = TradingEnv(*ours, RULES), theirs(close)
    compare(
        f"{STEPS:,} steps of one environment, gym-anytrading", lambda: walk(mine, actions), lambda: walk(peer, actions),
        goal=1 / 3, same=False,
    )  # fmt: skip


def test_steps_of_many_episodes(close: np.ndarray, ours: Any, compare: Callable[..., None]) -> None:
    actions = np.random.default_rng(1).integers(2, size=STEPS)
    many, peer = TradingVecEnv(*ours, RULES, count=64), theirs(close)
    together = actions[: STEPS // 64 * 64].reshape(-1, 64)

    def mine() -> None:
        many.reset()
        for row in together:
            many.step(row)

    compare(
        f"{STEPS:,} steps of 64 environments, gym-anytrading alone", mine, lambda: walk(peer, actions), 0.1, same=False
    )


def settings(count: int, batch: int) -> AgentParameters:
    """stable-baselines3's defaults for PPO, shared out over `count` environments."""
    return AgentParameters(
        n_envs=count, n_steps=2048 // count, batch_size=batch, n_epochs=10, learning_rate=3e-4, gamma=0.99,
        gae_lambda=0.95, ent_coef=0.0, target_kl=None, hidden=64,
    )  # fmt: skip


def learn(environment: VecEnv, steps: int, batch: int) -> None:
    make_learner(settings(environment.num_envs, batch), environment, 0).learn(steps)


def learn_as_usual(environment: VecEnv, steps: int) -> None:
    PPO("MlpPolicy", environment, n_steps=2048, batch_size=64, n_epochs=10, seed=0, device="cpu").learn(steps)


def test_training_at_equal_settings(close: np.ndarray, ours: Any, compare: Callable[..., None]) -> None:
    peer = DummyVecEnv([lambda: theirs(close)])
    cases = ((1, 64, 1 / 1.05), (8, 64, 0.5), (64, 2048, 0.05))
    for count, batch, goal in cases:
        mine = TradingVecEnv(*ours, RULES, RewardRules(), count=count)
        compare(
            f"PPO over 4,096 steps, {count} of ours in batches of {batch:,}, one of gym-anytrading in batches of 64",
            lambda m=mine, b=batch: learn(m, 4096, b), lambda: learn_as_usual(peer, 4096), goal, rounds=3, same=False,
        )  # fmt: skip


def test_large_batches_end_no_worse(results: list[dict[str, Any]]) -> None:
    """On a market with a planted drift, over the same 60,000 steps: growth of the policy on other bars."""
    (fit, *_), (valid, *_), (test, *_) = (solved_market(seed) for seed in (1, 2, 3))
    terms = TradingTerms.from_rules(COSTS, OrderRules(), DISCRETE, 8766.0)
    sight = Standardiser(features=("down", "none", "up"), mean=(0.0,) * 3, deviation=(1.0,) * 3)
    grown, took = {}, {}
    large = AgentParameters(total_timesteps=60_000, n_steps=32)
    for name, parameters in (
        ("large", large),
        ("usual", settings(1, 64).model_copy(update={"total_timesteps": 60_000})),
    ):
        begun = perf_counter()
        files = train_agent(TrainingTask(parameters, DISCRETE, RewardRules(), terms, fit, valid, sight), 7)
        took[name] = perf_counter() - begun
        (life,) = run_policy(Policy.from_files(files), test, terms)
        grown[name] = float(np.log1p(life.last_step[1:, STEP_FIELDS.index("net")]).mean())
    results.append(
        {
            "case": "60,000 steps of PPO, 64 environments in batches of 1,024 against one in batches of 64, both ours; "
            f"growth a bar {1e4 * grown['large']:.1f} and {1e4 * grown['usual']:.1f} bps",
            "ours": took["large"], "peer": took["usual"], "unit": "s", "ratio": took["large"] / took["usual"],
            "goal": 0.05, "rounds": 1,
        }
    )  # fmt: skip
    assert grown["large"] >= grown["usual"] > 0


def test_an_exported_policy_decides(results: list[dict[str, Any]]) -> None:
    """From what is seen to a target, one bar, one thread; the median of 2,000."""
    (fit, *_), (valid, *_) = (solved_market(seed, 800) for seed in (1, 2))
    sight = Standardiser(features=("down", "none", "up"), mean=(0.0,) * 3, deviation=(1.0,) * 3)
    for algorithm in AGENTS:
        rules = DISCRETE.model_copy(update={"actions": "continuous" if algorithm in ("sac", "td3") else "discrete"})
        terms = TradingTerms.from_rules(COSTS, OrderRules(), rules, 8766.0)
        parameters = AgentParameters(algorithm=algorithm, total_timesteps=2048, parts=1, n_steps=32, gradient_steps=2)
        files = train_agent(TrainingTask(parameters, rules, RewardRules(), terms, fit, valid, sight), 7)
        policy = Policy.from_files({**files, ABOUT: files[ABOUT].replace(b'"abstains": true', b'"abstains": false')})
        seen, held, memory = np.zeros((1, 8), dtype=np.float32), np.zeros(1), policy.begin(1)
        times = []
        for _ in range(2000):
            begun = perf_counter()
            held, memory = policy.decide(seen, held, memory)
            times.append(perf_counter() - begun)
        middle = 1e3 * float(np.median(times))
        results.append(
            {
                "case": f"one decision of an exported policy, {algorithm}, against 0.25 ms allowed", "ours": middle,
                "peer": 0.25, "unit": "ms", "ratio": middle / 0.25, "goal": 1.0, "rounds": 2000,
            }
        )  # fmt: skip
