"""The market as an environment: one episode for Gymnasium, many at once for stable-baselines3."""

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tradewind.adaptive.rl.episodes import (
    DONE,
    EQUITY,
    INVALID_ACTION,
    PENDING,
    REWARD,
    ROW,
    STEP_AT,
    TERMINATED,
    TRUNCATED,
    Reward,
    begin,
    make_states,
    pack_parameters,
    restart,
)
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.parameters import GAMMA
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, EnvironmentRules, RewardRules
from tradewind.adaptive.rl.stepping import observe_all, step_all, step_one
from tradewind.adaptive.rl.vectorised import OneMarketVecEnv
from tradewind.errors import BadParameters

Observations = NDArray[np.float32]


class _Episodes:
    """What both environments are made of: a batch of episodes over one market."""

    def __init__(
        self, market: TradingMarket, trading: TradingTerms, rules: EnvironmentRules, reward: RewardRules,
        gamma: float, count: int,
    ) -> None:  # fmt: skip
        self.trading, self.rules = trading, rules
        self.settings = pack_parameters(trading.terms, trading.book, Reward.from_rules(reward, gamma), rules)
        self.states = make_states(count, trading.delay + rules.latency_spread)
        self.all_episodes = np.arange(count)
        self.rng = np.random.default_rng(0)
        self.cost_level = self.length_level = 1.0
        self.enter(market)

    def enter(self, market: TradingMarket) -> None:
        """Episodes that begin from now on are of this market."""
        length = (market.runs[:, 1] - market.runs[:, 0]).astype(np.float64)
        if length.max() < 2:
            raise BadParameters("no run of bars is long enough for an episode: it needs three bars with all features")
        self.market, self.market_rows = market, market.market_rows
        self.observations = np.zeros(
            (len(self.states), market.features.shape[1] + len(ACCOUNT_FEATURES)), dtype=np.float32
        )
        self._share = np.cumsum(length) / length.sum()

    @property
    def observation_space(self) -> spaces.Box:
        return spaces.Box(-np.inf, np.inf, (self.observations.shape[1],), np.float32)

    @property
    def action_space(self) -> spaces.Space[Any]:
        if self.rules.actions == "discrete":
            return spaces.Discrete(len(self.rules.targets))
        return spaces.Box(-1.0, 1.0, (1,), np.float32)

    def restart(self, episodes: NDArray[np.int64]) -> None:
        """The chosen episodes anew, from random bars."""
        restart(
            self.states, episodes, self.rng.random((len(episodes), 4)), self.market.runs, self._share, self.market_rows,
            max(int(self.rules.episode_bars * self.length_level), 2), (self.cost_level, self.rules.cost_spread),
            (self.trading.delay, self.rules.latency_spread),
        )  # fmt: skip

    def restart_at(self, row: int, cost_scale: float, later_bars: int) -> None:
        """The first episode anew, from this bar."""
        runs = self.market.runs
        inside = (runs[:, 0] <= row) & (row < runs[:, 1])
        if not inside.any():
            raise BadParameters(f"an episode cannot begin at row {row}: no bar that can be acted on follows it")
        if not 0 <= later_bars <= self.rules.latency_spread:
            raise BadParameters(
                f"latency_bars must lie in 0 to environment.latency_spread {self.rules.latency_spread}: {later_bars}"
            )
        end = min(row + self.rules.episode_bars, runs[np.flatnonzero(inside)[0], 1])
        begin(self.states, 0, row, end, self.market_rows[row, 3], cost_scale, self.trading.delay + later_bars)

    def observe(self, episodes: NDArray[np.int64]) -> None:
        """Writes the observations of the chosen episodes."""
        observe_all(self.states, episodes, self.market_rows, self.settings, self.observations)
        self.add_observation_noise(episodes)

    def add_observation_noise(self, episodes: NDArray[np.int64]) -> None:
        if self.rules.observation_noise > 0.0:
            width = self.market.features.shape[1]
            noise = self.rng.standard_normal((len(episodes), width), dtype=np.float32)
            self.observations[episodes, :width] += self.rules.observation_noise * noise

    def action_error(self, action: Any) -> BadParameters:
        """What is wrong with an action."""
        wanted = (
            f"an index of environment.targets, 0 to {len(self.rules.targets) - 1}"
            if self.rules.actions == "discrete"
            else "a number in [-1, 1]"
        )
        return BadParameters(f"the action must be {wanted} (environment.actions: {self.rules.actions}), found {action}")


class TradingEnv(gymnasium.Env[Observations, Any]):
    """One episode of one symbol (Gymnasium's interface; passes its `check_env`).

    Observation and action are those of `EnvironmentRules`. The decision is filled at the next bar's open; the reward is
    that bar's, `last_step` its account; `info` has the equity once an episode has ended. The first bar, the costs and
    how much later than usual orders are filled can be chosen:
    `reset(options={"row": 9, "cost_scale": 1.0, "latency_bars": 0})`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(
        self, market: TradingMarket, trading: TradingTerms, rules: EnvironmentRules, reward: RewardRules | None = None,
        gamma: float = GAMMA,
    ) -> None:  # fmt: skip
        """See `EnvironmentRules` and `RewardRules`."""
        self._episode = episode = _Episodes(market, trading, rules, reward or RewardRules(), gamma, 1)
        self.observation_space, self.action_space = episode.observation_space, episode.action_space
        self._is_discrete, self._is_noisy = rules.actions == "discrete", rules.observation_noise > 0.0
        # What a step needs, without a look-up on the way: it takes a microsecond.
        self._states, self._market_rows, self._settings, self._observations = (
            episode.states, episode.market_rows, episode.settings, episode.observations,
        )  # fmt: skip
        self._copy = episode.observations[0].copy

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """The first observation of a new episode."""
        super().reset(seed=seed)
        self._episode.rng = self.np_random
        chosen = options or {}
        self._episode.restart(self._episode.all_episodes)
        if "row" in chosen:
            self._episode.restart_at(
                int(chosen["row"]), float(chosen.get("cost_scale", 1.0)), int(chosen.get("latency_bars", 0))
            )
        self._episode.observe(self._episode.all_episodes)
        return self._copy(), {"row": int(self._states[0, ROW])}

    @property
    def last_step(self) -> NDArray[np.float64]:
        """The account of the last bar (`episodes.STEP_FIELDS`); each step overwrites it, so copy what is kept."""
        return self._states[0, STEP_AT:PENDING]

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Observation, reward, whether the account is ruined, whether the episode is over, and the account."""
        try:
            value = float(action if self._is_discrete else action[0])
        except (TypeError, ValueError, IndexError) as error:
            raise self._episode.action_error(action) from error
        reward = step_one(self._states, value, self._market_rows, self._settings, self._observations)
        if self._is_noisy:
            self._episode.add_observation_noise(self._episode.all_episodes)
        if reward == reward:
            return self._copy(), reward, False, False, {}
        flags = int(self._states[0, DONE])
        if flags == INVALID_ACTION:
            raise self._episode.action_error(action)
        last = {"equity": float(self._states[0, EQUITY])}
        return self._copy(), float(self._states[0, REWARD]), flags & TERMINATED > 0, flags & TRUNCATED > 0, last


class TradingVecEnv(OneMarketVecEnv):
    """Many episodes stepped in one compiled call (stable-baselines3's interface); each begins anew when it ends."""

    def __init__(
        self, market: TradingMarket, trading: TradingTerms, rules: EnvironmentRules, reward: RewardRules | None = None,
        gamma: float = GAMMA, count: int = 64, seed: int = 0,
    ) -> None:  # fmt: skip
        """`count` episodes at once; all randomness flows from `seed`."""
        self._episodes = _Episodes(market, trading, rules, reward or RewardRules(), gamma, count)
        self._episodes.rng = np.random.default_rng(seed)
        self._actions: NDArray[Any] = np.zeros(count)
        super().__init__(count, self._episodes.observation_space, self._episodes.action_space)

    def enter(self, market: TradingMarket, cost_level: float = 1.0, length_level: float = 1.0) -> None:
        """From the next reset on episodes are of this market, at this multiple of the costs and of their length.

        Args:
            market: the bars and features of the episodes to come.
            cost_level: the multiple of the run's costs.
            length_level: the multiple of the episodes' length.
        """
        self._episodes.enter(market)
        self._episodes.cost_level, self._episodes.length_level = cost_level, length_level

    @property
    def last_step(self) -> NDArray[np.float64]:
        """The accounts of the last step, a row an episode (`episodes.STEP_FIELDS`)."""
        return self._episodes.states[:, STEP_AT:PENDING]

    def reset(self) -> Observations:
        """The first observations; every episode begins at a bar of its own."""
        self._episodes.restart(self._episodes.all_episodes)
        self._episodes.observe(self._episodes.all_episodes)
        return self._episodes.observations.copy()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Observations, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Observations, rewards, whether each episode is over, and the last observation of those that are."""
        each = self._episodes
        values = np.asarray(self._actions, dtype=np.float64).reshape(-1)
        if len(values) != self.num_envs:
            raise BadParameters(f"{self.num_envs} episodes need as many actions, found {len(values)}")
        done = step_all(each.states, values, each.market_rows, each.settings, each.observations)
        rewards, flags = each.states[:, REWARD].astype(np.float32), each.states[:, DONE]
        if done < 0:
            raise each.action_error(values[flags == INVALID_ACTION])
        if each.rules.observation_noise > 0.0:
            each.add_observation_noise(each.all_episodes)
        infos: list[dict[str, Any]] = [{}] * self.num_envs
        over = flags > 0
        if done:
            episodes = np.flatnonzero(over)
            for at in episodes:
                infos[at] = {
                    "terminal_observation": each.observations[at].copy(),
                    "TimeLimit.truncated": bool(flags[at] == TRUNCATED),
                    "equity": float(each.states[at, EQUITY]),
                }
            each.restart(episodes)
            each.observe(episodes)
        return each.observations.copy(), rewards, over, infos

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Draw from this seed from the next reset on."""
        self._episodes.rng = np.random.default_rng(seed)
        return [seed] * self.num_envs
