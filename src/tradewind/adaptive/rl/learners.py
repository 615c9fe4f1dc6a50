"""stable-baselines3's algorithms over our environments, their state as bytes, and the greedy policy inside them."""

import json
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from safetensors.torch import save as to_safetensors
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from torch import Tensor, nn

from tradewind.adaptive.rl.fast_policy import FastPolicy
from tradewind.adaptive.rl.parameters import AgentParameters
from tradewind.errors import BadModel
from tradewind.learning.models.base import Files
from tradewind.learning.models.sequence.windows import CLIP, Standardiser

STATE, REPLAY, COUNTERS = "state.safetensors", "replay.safetensors", "counters.json"
_COUNTER_NAMES = ("num_timesteps", "_n_updates", "_episode_num")
_REPLAY_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def make_learner(parameters: AgentParameters, market: Any, seed: int) -> Any:
    """The algorithm, untrained. `market` is a `VecEnv`. Draws from torch's and numpy's global generators.

    Args:
        parameters: the algorithm and its settings.
        market: a `VecEnv`.
        seed: of the algorithm.
    """
    torch.set_num_threads(1)
    policy: dict[str, Any] = {
        "net_arch": [parameters.hidden, parameters.hidden],
        # One call for all weights, where a loop over them would take as long as the network itself.
        "optimizer_kwargs": {"fused": True},
    }
    shared: dict[str, Any] = {
        "learning_rate": parameters.learning_rate, "gamma": parameters.gamma, "seed": seed, "device": "cpu",
        "batch_size": parameters.batch_size, "policy_kwargs": policy, "verbose": 0,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last batch of a rollout may be a smaller one
        model = _algorithm(parameters, market, shared)
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def _algorithm(parameters: AgentParameters, market: Any, shared: dict[str, Any]) -> Any:
    if parameters.algorithm in ("ppo", "recurrent_ppo"):
        shared |= {
            "n_steps": parameters.n_steps, "n_epochs": parameters.n_epochs, "gae_lambda": parameters.gae_lambda,
            "ent_coef": parameters.ent_coef, "target_kl": parameters.target_kl,
        }  # fmt: skip
        if parameters.algorithm == "ppo":
            return PPO(FastPolicy, market, **shared)
        shared["policy_kwargs"] |= {
            "net_arch": [parameters.hidden], "lstm_hidden_size": parameters.hidden, "enable_critic_lstm": False,
        }  # fmt: skip
        return RecurrentPPO("MlpLstmPolicy", market, **shared)
    shared |= {
        "train_freq": parameters.n_steps, "gradient_steps": parameters.gradient_steps,
        "learning_starts": 0 if parameters.clone_epochs else market.num_envs * parameters.n_steps,
        "buffer_size": max(
            parameters.total_timesteps + market.num_envs * (parameters.n_steps + parameters.clone_bars), 10_000
        ),
    }  # fmt: skip
    if parameters.algorithm == "sac":
        return SAC("MlpPolicy", market, ent_coef=parameters.ent_coef, **shared)
    noise = NormalActionNoise(np.zeros(1), np.full(1, parameters.action_noise))
    return TD3("MlpPolicy", market, action_noise=noise, **shared)


def reseed(model: Any, seed: int) -> None:
    """Seeds everything random and begins every episode anew, with an empty hidden state.

    No part of a training depends on the generators of the part before it, so that a resumed one is equal to the bit.
    """
    model.set_random_seed(seed)
    model._last_obs = None
    if getattr(model, "_last_lstm_states", None) is not None:
        zeros = [tuple(torch.zeros_like(one) for one in pair) for pair in model._last_lstm_states]
        model._last_lstm_states = RNNStates(*zeros)


def _optimisers(model: Any) -> dict[str, Any]:
    if isinstance(model, SAC | TD3):
        return {"actor": model.actor.optimizer, "critic": model.critic.optimizer}
    return {"policy": model.policy.optimizer}


def learner_files(model: Any, with_replay: bool) -> Files:
    """Weights and the optimisers' moments, counters, and the replay buffer of an off-policy agent; without pickles."""
    tensors = {f"policy.{name}": value for name, value in model.policy.state_dict().items()}
    for whose, optimiser in _optimisers(model).items():
        for place, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{whose}_optimiser.{place}.{name}": value for name, value in state.items()}
    counted = {name: int(getattr(model, name)) for name in _COUNTER_NAMES if hasattr(model, name)}
    files = {
        STATE: to_safetensors({name: value.clone().contiguous() for name, value in tensors.items()}),
        COUNTERS: json.dumps(counted).encode(),
    }
    buffer = getattr(model, "replay_buffer", None)
    if with_replay and buffer is not None:
        stop = buffer.buffer_size if buffer.full else buffer.pos
        observations = {name: torch.from_numpy(getattr(buffer, name)[:stop].copy()) for name in _REPLAY_ARRAYS}
        files[REPLAY] = to_safetensors(observations | {"place": torch.tensor([buffer.pos, int(buffer.full)])})
    return files


def restore_learner(model: Any, files: Files) -> None:
    """The state that `learner_files` gave, in a learner made of the same parameters.

    Raises:
        BadModel: it belongs to another network, or is damaged.
    """
    try:
        tensors, counted = load(files[STATE]), json.loads(files[COUNTERS])
        model.policy.load_state_dict(under(tensors, "policy."))
        for whose, optimiser in _optimisers(model).items():
            states: dict[int, dict[str, Tensor]] = {}
            for name, value in under(tensors, f"{whose}_optimiser.").items():
                place, _, what = name.partition(".")
                states.setdefault(int(place), {})[what] = value
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": states, "param_groups": groups})
        for name in _COUNTER_NAMES:
            if name in counted:
                setattr(model, name, counted[name])
        if REPLAY in files:
            _refill(model.replay_buffer, load(files[REPLAY]))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadModel(f"the stored training does not fit this agent ({error}): delete it to train anew") from error


def _refill(buffer: Any, observations: dict[str, Tensor]) -> None:
    place = observations.pop("place").tolist()
    count = len(observations["rewards"])
    if count > buffer.buffer_size:
        raise ValueError(f"{count} stored rows of replay, room for {buffer.buffer_size}")
    for name, values in observations.items():
        getattr(buffer, name)[:count] = values.numpy()
    buffer.pos, buffer.full = place[0] % buffer.buffer_size, bool(place[1]) and count == buffer.buffer_size


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


class Actor(nn.Module):
    """The greedy policy over raw features: standardised as in training, then the library's own layers."""

    def __init__(self, model: Any, parameters: AgentParameters, is_discrete: bool, standardiser: Standardiser) -> None:
        """With the identity as standardiser it reads the observations of the training's environments."""
        super().__init__()
        deviation = np.array(standardiser.deviation)
        share = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        self.register_buffer("mean", torch.tensor(standardiser.mean, dtype=torch.float32))
        self.register_buffer("share", torch.tensor(share, dtype=torch.float32))
        self.policy, self.algorithm, self.is_discrete = model.policy, parameters.algorithm, is_discrete
        self.units = parameters.hidden if parameters.algorithm == "recurrent_ppo" else 0

    def forward(self, observations: Tensor, state: Tensor | None = None, cell: Tensor | None = None) -> Any:
        """Logits of the actions, or the position in [-1, 1]; a recurrent policy adds its hidden state and cell.

        Args:
            observations: shape (rows, features + account).
            state: shape (1, rows, units), of a recurrent policy.
            cell: shape (1, rows, units), of a recurrent policy.
        """
        mean, share = self.get_buffer("mean"), self.get_buffer("share")
        width = mean.shape[0]
        scaled = torch.clamp((observations[:, :width] - mean) * share, -CLIP, CLIP)
        x = torch.cat([scaled, observations[:, width:]], dim=1)
        if self.algorithm == "sac":
            return torch.tanh(self.policy.actor.mu(self.policy.actor.latent_pi(x)))
        if self.algorithm == "td3":
            return self.policy.actor.mu(x)
        if self.units:
            out, (state, cell) = self.policy.lstm_actor(x[None], (state, cell))
            x = out[0]
        outputs = self.policy.action_net(self.policy.mlp_extractor.forward_actor(x))
        outputs = outputs if self.is_discrete else torch.clamp(outputs, -1.0, 1.0)
        return (outputs, state, cell) if self.units else outputs

    def begin(self, count: int) -> tuple[Tensor, ...]:
        """The hidden state of `count` episodes at their beginning."""
        return tuple(torch.zeros((1, count, self.units)) for _ in range(2 if self.units else 0))

    def act(
        self, observations: NDArray[np.float32], hidden: tuple[Tensor, ...]
    ) -> tuple[NDArray[Any], tuple[Tensor, ...]]:
        """The greedy action of each episode, and its hidden state."""
        with torch.no_grad():
            outputs = self(torch.from_numpy(observations), *hidden)
        outputs, *after = outputs if self.units else (outputs,)
        return (outputs.argmax(dim=1) if self.is_discrete else outputs).numpy(), tuple(after)


def identity(width: int) -> Standardiser:
    """The standardiser that changes nothing, for features that are standardised already."""
    names = tuple(f"x{at}" for at in range(width))
    return Standardiser(features=names, mean=(0.0,) * width, deviation=(1.0,) * width)


def policy_entropy(model: Any, observations: NDArray[np.float32]) -> float:
    """The policy's mean entropy over the observations, in nats; NaN for TD3."""
    if isinstance(model, TD3):
        return np.nan
    with torch.no_grad():
        x = torch.from_numpy(observations)
        if isinstance(model, SAC):
            return -float(model.actor.action_log_prob(x)[1].mean())
        if isinstance(model, RecurrentPPO):
            outputs = model.logger.name_to_value.get("train/entropy_loss", np.nan)
            return -float(outputs)
        return float(model.policy.get_distribution(x).entropy().mean())
