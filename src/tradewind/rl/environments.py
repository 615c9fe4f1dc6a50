"""The market as an environment: one episode for Gymnasium, many at once for stable-baselines3."""

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from tradewind.errors import BadParameters
from tradewind.rl.market import TradingMarket, TradingTerms
from tradewind.rl.rules import EnvironmentRules, RewardRules
from tradewind.rl.stepping import (
    EQUITY,
    SEEN,
    TOLD,
    Reward,
    advance,
    begin,
    make_episodes,
    observe,
)

Observations = NDArray[np.float32]


class _Episodes:
    """What both environments are made of: a batch of episodes over one market."""

    def __init__(
        self, market: TradingMarket, trading: TradingTerms, rules: EnvironmentRules, reward: RewardRules,
        discount: float, count: int,
    ) -> None:  # fmt: skip
        longest = int((market.runs[:, 1] - market.runs[:, 0]).max())
        if longest < 2:
            raise BadParameters("no run of bars is long enough for an episode")
        self.market, self.trading, self.rules, self.discount = market, trading, rules, discount
        self.reward = Reward(
            is_differential=float(reward.base == "differential_sharpe"), scale=reward.scale,
            rate=1.0 / reward.memory_bars, downside=reward.downside_weight, turnover=reward.turnover_weight,
            drawdown=reward.drawdown_weight, shaping=reward.shaping_weight, discount=discount,
        )  # fmt: skip
        self.state = make_episodes(count, trading.delay)
        self.ends = np.zeros(count, dtype=np.int64)
        self.targets = np.zeros(count)
        self.rewards, self.told = np.zeros(count), np.zeros((count, len(TOLD)))
        self.seen = np.zeros((count, market.features.shape[1] + len(SEEN)), dtype=np.float32)
        self.choices = np.array(rules.targets)
        self.rng = np.random.default_rng(0)
        self.cost_level = 1.0
        # Runs are drawn by their length: every bar is as likely to be seen.
        length = (market.runs[:, 1] - market.runs[:, 0]).astype(np.float64)
        self._share = np.cumsum(length) / length.sum()

    @property
    def observation_space(self) -> spaces.Box:
        return spaces.Box(-np.inf, np.inf, (self.seen.shape[1],), np.float32)

    @property
    def action_space(self) -> spaces.Space[Any]:
        if self.rules.actions == "discrete":
            return spaces.Discrete(len(self.choices))
        return spaces.Box(-1.0, 1.0, (1,), np.float32)

    def restart(self, at: int, row: int | None = None, costs: float | None = None) -> None:
        """Episode `at` anew, from a random bar unless `row` is given."""
        first, end = self.market.runs[int(np.searchsorted(self._share, self.rng.random(), side="right"))]
        if row is None:
            latest = max(end - self.rules.episode_bars, first)
            row = int(self.rng.integers(first, latest + 1))
        else:
            inside = (self.market.runs[:, 0] <= row) & (row < self.market.runs[:, 1])
            if not inside.any():
                raise BadParameters(f"an episode cannot begin at row {row}: no bar that can be acted on follows it")
            end = self.market.runs[np.flatnonzero(inside)[0], 1]
        spread = self.rules.cost_spread
        drawn = self.cost_level * (1.0 + spread * (2 * self.rng.random() - 1))
        scale = drawn if costs is None else costs
        begin(self.state, at, row, self.market.bars[3, row], scale)
        self.ends[at] = min(row + self.rules.episode_bars, end)
        self.targets[at] = 0.0

    def decide(self, actions: NDArray[Any]) -> None:
        """Actions to target positions."""
        if self.rules.actions == "discrete":
            self.targets[:] = self.choices[np.asarray(actions, dtype=np.int64).reshape(-1)]
            return
        wanted = np.clip(np.asarray(actions, dtype=np.float64).reshape(-1), -1, 1) * self.rules.max_position
        keeps = np.abs(wanted - self.targets) < self.rules.dead_band * self.rules.max_position
        self.targets[:] = np.where(keeps, self.targets, wanted)

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which episodes were ruined and which ended."""
        self.decide(actions)
        market, trading = self.market, self.trading
        advance(
            self.state, self.targets, market.bars, market.last, trading.terms, trading.book, self.reward,
            self.rewards, self.told,
        )  # fmt: skip
        ruined = self.state.accounts[:, EQUITY] <= 0.0
        return ruined, self.state.rows >= self.ends

    def look(self) -> Observations:
        observe(self.state, self.market.bars, self.market.features, self.seen)
        if self.rules.observation_noise > 0.0:
            width = self.market.features.shape[1]
            noise = self.rng.standard_normal((len(self.seen), width), dtype=np.float32)
            self.seen[:, :width] += self.rules.observation_noise * noise
        return self.seen


class TradingEnv(gymnasium.Env[Observations, Any]):
    """One episode of one symbol (Gymnasium's interface; passes its `check_env`).

    Observation, float32: the market's features, then position, unrealised profit, time in trade, drawdown and cost so
    far (units in `stepping.observe`). Action: a place in `rules.targets`, or a target position. The decision is filled
    at the next bar's open; the reward is that bar's. `info` has the account of the bar by the names of `TOLD`.
    `reset(options={"row": 100, "cost_scale": 1.0})` chooses the first bar and the costs.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(
        self, market: TradingMarket, trading: TradingTerms, rules: EnvironmentRules, reward: RewardRules | None = None,
        discount: float = 0.99,
    ) -> None:  # fmt: skip
        """See `EnvironmentRules` and `RewardRules`."""
        self._episode = _Episodes(market, trading, rules, reward or RewardRules(), discount, 1)
        self.observation_space, self.action_space = self._episode.observation_space, self._episode.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """The first observation of a new episode."""
        super().reset(seed=seed)
        self._episode.rng = self.np_random
        chosen = options or {}
        self._episode.restart(0, chosen.get("row"), chosen.get("cost_scale"))
        return self._episode.look()[0].copy(), {"row": int(self._episode.state.rows[0])}

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Observation, reward, whether the account is ruined, whether the episode is over, and the account."""
        ruined, over = self._episode.step(np.asarray(action).reshape(1, -1)[0])
        told = dict(zip(TOLD, self._episode.told[0].tolist(), strict=True))
        told["row"] = int(self._episode.state.rows[0])
        return self._episode.look()[0].copy(), float(self._episode.rewards[0]), bool(ruined[0]), bool(over[0]), told


class TradingVecEnv(VecEnv):
    """Many episodes stepped in one compiled call (stable-baselines3's interface); each begins anew when it ends."""

    def __init__(
        self, market: TradingMarket, trading: TradingTerms, rules: EnvironmentRules, reward: RewardRules | None = None,
        discount: float = 0.99, count: int = 64, seed: int = 0,
    ) -> None:  # fmt: skip
        """`count` episodes at once; all randomness flows from `seed`."""
        self._episodes = _Episodes(market, trading, rules, reward or RewardRules(), discount, count)
        self._episodes.rng = np.random.default_rng(seed)
        self._actions: NDArray[Any] = np.zeros(count)
        super().__init__(count, self._episodes.observation_space, self._episodes.action_space)

    @property
    def cost_level(self) -> float:
        """The multiple of the costs that episodes which begin from now on have."""
        return self._episodes.cost_level

    @cost_level.setter
    def cost_level(self, level: float) -> None:
        self._episodes.cost_level = level

    @property
    def told(self) -> NDArray[np.float64]:
        """The accounts of the last step, a row an episode (`stepping.TOLD`)."""
        return self._episodes.told

    def reset(self) -> Observations:
        """The first observations; every episode begins at a bar of its own."""
        for at in range(self.num_envs):
            self._episodes.restart(at)
        return self._episodes.look().copy()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observations, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Observations, rewards, whether each episode is over, and the last observation of those that are."""
        ruined, over = self._episodes.step(self._actions)
        seen = self._episodes.look().copy()
        done = ruined | over
        infos: list[dict[str, Any]] = [{}] * self.num_envs
        for at in np.flatnonzero(done):
            infos[at] = {
                "terminal_observation": seen[at].copy(),
                "TimeLimit.truncated": bool(over[at] and not ruined[at]),
                "equity": float(self._episodes.state.accounts[at, EQUITY]),
            }
            self._episodes.restart(int(at))
        if done.any():
            seen = self._episodes.look().copy()
        return seen, self._episodes.rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute, the same for every episode; None for what there is not (as the render mode)."""
        return [getattr(self, attr_name, None) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: episodes share one market and its rules."""
        raise BadParameters(f"{attr_name} cannot be set: make another environment")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Refused: there are no environments inside."""
        raise BadParameters(f"there is no method {method_name} of single episodes")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Never."""
        return [False for _ in self._get_indices(indices)]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Draw from this seed from the next reset on."""
        self._episodes.rng = np.random.default_rng(seed)
        return [seed] * self.num_envs
