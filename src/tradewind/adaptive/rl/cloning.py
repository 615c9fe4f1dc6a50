"""A warm start: the agent first imitates what the signals make of the supervised forecasts."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3 import SAC, TD3
from torch import Tensor

from tradewind.adaptive.rl.environments import TradingVecEnv
from tradewind.adaptive.rl.parameters import AgentParameters
from tradewind.adaptive.rl.rules import EnvironmentRules
from tradewind.errors import BadParameters
from tradewind.learning.models.sequence.windows import Standardiser
from tradewind.trading.strategy.signals import SignalRules

EDGE = "forecast_edge_mean"
Floats = NDArray[np.float64]


class _Experience(NamedTuple):
    """What the rule saw and did: (environments, bars, width), (environments, bars) and where episodes began."""

    observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    begins: NDArray[np.float32]


class Rule:
    """The direction of the mean edge, as the signals take it: in when it is large, out when it is gone."""

    def __init__(self, rules: EnvironmentRules, standardiser: Standardiser) -> None:
        """Of agents that see the mean edge.

        Raises:
            BadParameters: they do not.
        """
        if EDGE not in standardiser.features:
            raise BadParameters(f"agent.clone_epochs needs {EDGE} among environment.forecasts: {rules.forecasts}")
        self._place = standardiser.features.index(EDGE)
        self._mean, self._deviation = standardiser.mean[self._place], standardiser.deviation[self._place]
        self._signal, self._targets = SignalRules(), np.array(rules.targets)
        self._is_discrete, self._largest = rules.actions == "discrete", rules.max_position

    def decide(self, observations: NDArray[np.float32], side: Floats) -> Floats:
        """The sides (-1, 0, 1) after those held until now, from standardised observations."""
        edge = observations[:, self._place].astype(np.float64) * self._deviation + self._mean
        stays = (side * edge >= self._signal.exit_threshold) & (side != 0)
        enters = np.abs(edge) >= self._signal.entry_threshold
        return np.where(enters, np.sign(edge), np.where(stays, side, 0.0))

    def actions(self, side: Floats) -> NDArray[np.float32]:
        """Actions of the environment that take these sides: places of targets, or positions."""
        if self._is_discrete:
            wanted = side[:, None] * np.abs(self._targets).max()
            return np.abs(self._targets[None] - wanted).argmin(axis=1).astype(np.float32)
        return side.astype(np.float32)


def clone(model: Any, market: TradingVecEnv, rule: Rule, parameters: AgentParameters) -> None:
    """The policy imitates the rule; an off-policy agent starts with the rule's transitions in its replay buffer.

    Args:
        model: an algorithm of stable-baselines3; its policy is trained in place.
        market: the environments that the rule acts in.
        rule: what is imitated.
        parameters: passes, bars and batch size.
    """
    experience = _collect(model, market, rule, parameters.clone_bars)
    count = len(experience.observations)
    together = max(parameters.batch_size // parameters.clone_bars, 1)
    for _ in range(parameters.clone_epochs):
        order = np.random.permutation(count)  # noqa: NPY002 - the generator that the library draws from, seeded with it
        for first in range(0, count, together):
            chosen = order[first : first + together]
            loss = _loss(model, *(torch.from_numpy(one[chosen]) for one in experience))
            optimiser = model.actor.optimizer if isinstance(model, SAC | TD3) else model.policy.optimizer
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    if isinstance(model, TD3):
        model.actor_target.load_state_dict(model.actor.state_dict())


def _collect(model: Any, market: TradingVecEnv, rule: Rule, bars: int) -> _Experience:
    observations, side = market.reset(), np.zeros(market.num_envs)
    begins = np.ones(market.num_envs, dtype=np.float32)
    observation_rows, action_rows, starts = [], [], []
    for _ in range(bars):
        side = rule.decide(observations, side)
        actions = rule.actions(side)
        after, rewards, done, infos = market.step(actions)
        observation_rows.append(observations)
        action_rows.append(actions)
        starts.append(begins)
        if isinstance(model, SAC | TD3):
            model._last_obs = model._last_original_obs = observations
            model._store_transition(model.replay_buffer, actions[:, None], after, rewards, done, infos)
        observations, begins = after, done.astype(np.float32)
        side = np.where(done, 0.0, side)
    return _Experience(np.stack(observation_rows, axis=1), np.stack(action_rows, axis=1), np.stack(starts, axis=1))


def _loss(model: Any, observations: Tensor, actions: Tensor, begins: Tensor) -> Tensor:
    flat, wanted = observations.reshape(-1, observations.shape[2]), actions.reshape(-1)
    if isinstance(model, TD3):
        return ((model.actor(flat)[:, 0] - wanted) ** 2).mean()
    if isinstance(model, SAC):
        greedy = torch.tanh(model.actor.mu(model.actor.latent_pi(flat)))[:, 0]
        return ((greedy - wanted) ** 2).mean()
    is_discrete = hasattr(model.action_space, "n")
    chosen_actions = wanted.long() if is_discrete else wanted[:, None]
    if isinstance(model, RecurrentPPO):
        lstm = model.policy.lstm_actor
        zeros = torch.zeros((lstm.num_layers, len(observations), lstm.hidden_size))
        _, likely, _ = model.policy.evaluate_actions(
            flat, chosen_actions, RNNStates((zeros, zeros), (zeros, zeros)), begins.reshape(-1)
        )
    else:
        _, likely, _ = model.policy.evaluate_actions(flat, chosen_actions)
    return -likely.mean()
