"""The environment against gym-anytrading's; see `conftest` for how. Ours knows costs, gaps, funding and liquidation."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from tradewind.engine.backtest import History
from tradewind.execution.costs import Costs
from tradewind.execution.orders import OrderRules
from tradewind.rl.environments import TradingEnv, TradingVecEnv
from tradewind.rl.market import TradingMarket, TradingTerms
from tradewind.rl.rules import EnvironmentRules, RewardRules

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
    return market, TradingTerms.made(Costs(), OrderRules(), RULES, 8766.0)


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


def learn(environment: VecEnv, steps: int, batch: int) -> None:
    PPO(
        "MlpPolicy",
        environment,
        n_steps=2048 // environment.num_envs,
        batch_size=batch,
        n_epochs=10,
        seed=0,
        device="cpu",
    ).learn(steps)


def test_training_at_equal_settings(close: np.ndarray, ours: Any, compare: Callable[..., None]) -> None:
    def peers(count: int) -> VecEnv:
        return DummyVecEnv([lambda: theirs(close)] * count)

    for count, goal in ((1, 1 / 1.05), (8, 0.5)):
        mine, peer = TradingVecEnv(*ours, RULES, RewardRules(), count=count), peers(1)
        compare(
            f"PPO over 4,096 steps, batches of 64, {count} of ours, one of gym-anytrading",
            lambda m=mine: learn(m, 4096, 64), lambda p=peer: learn(p, 4096, 64), goal, rounds=3, same=False,
        )  # fmt: skip
    large, peer = TradingVecEnv(*ours, RULES, RewardRules(), count=64), peers(1)
    compare(
        "PPO over 4,096 steps, 64 of ours in batches of 2,048, one of gym-anytrading in batches of 64",
        lambda: learn(large, 4096, 2048), lambda: learn(peer, 4096, 64), 0.05, rounds=3, same=False,
    )  # fmt: skip
