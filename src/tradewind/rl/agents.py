"""Agents of stable-baselines3: trained on a fold's past, chosen on its end, frozen as ONNX."""

import io
import json
import logging
import threading
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from torch import Tensor, nn

from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.models.base import Files
from tradewind.models.sequence.exported import make_session
from tradewind.models.sequence.windows import CLIP, Standardiser
from tradewind.rl.environments import TradingVecEnv
from tradewind.rl.market import TradingMarket, TradingTerms
from tradewind.rl.parameters import AgentParameters
from tradewind.rl.policies import ABOUT, LOG, LOG_COLUMNS, POLICY, About
from tradewind.rl.rules import EnvironmentRules, RewardRules
from tradewind.rl.stepping import SEEN

logger = logging.getLogger(__name__)

TOLERANCE = 1e-5
CHUNKS = 5  # parts of the training after each of which the agent is looked at on the validation bars
_EXPORT = threading.Lock()


def train_agent(
    parameters: AgentParameters, rules: EnvironmentRules, reward: RewardRules, fit: TradingMarket, valid: TradingMarket,
    trading: TradingTerms, standardiser: Standardiser, seed: int,
) -> Files:  # fmt: skip
    """An agent from the bars of `fit`, at its best on those of `valid`.

    Staying flat competes, too: an agent that never gained anything on `valid` abstains. The files have the log of the
    training beside the policy, a row a part of it (`policies.LOG_COLUMNS`). Both markets have standardised features;
    the policy that comes out has the standardisation inside. Uses torch's and numpy's global generators, as the library
    does: one training at a time in a process.

    Raises:
        BadParameters: the algorithm cannot have such actions.
        BadData: the training went to numbers that are none.
    """
    torch.set_num_threads(1)
    if parameters.algorithm != "ppo" and rules.actions == "discrete":
        raise BadParameters(f"{parameters.algorithm} needs environment.actions: continuous, found discrete")
    market = TradingVecEnv(fit, trading, rules, reward, parameters.discount, parameters.environments, seed)
    model = _model(parameters, market, seed)
    rows: list[dict[str, float]] = []
    best, best_weights = -np.inf, None
    for part in range(CHUNKS):
        market.cost_level = parameters.cost_curriculum[min(part, len(parameters.cost_curriculum) - 1)]
        model.learn(parameters.steps // CHUNKS, reset_num_timesteps=part == 0, progress_bar=False)
        growth, turnover = _look_at(model, valid, trading, rules, reward, parameters.discount)
        if not all(bool(torch.isfinite(weight).all()) for weight in model.policy.parameters()):
            raise BadData("training went to numbers that are none: a smaller learning_rate is needed")
        told = {str(name): float(value) for name, value in model.logger.name_to_value.items()}
        rows.append({
            "part": part, "steps": model.num_timesteps, "valid_growth": growth, "valid_turnover": turnover,
            "entropy": -told.get("train/entropy_loss", np.nan), "kl": told.get("train/approx_kl", np.nan),
        })  # fmt: skip
        if growth > best:
            best = growth
            best_weights = {name: value.detach().clone() for name, value in model.policy.state_dict().items()}
    assert best_weights is not None
    model.policy.load_state_dict(best_weights)
    about = About(
        algorithm=parameters.algorithm, seed=seed, features=standardiser.features, environment=rules,
        abstains=best <= 0,
    )  # fmt: skip
    network = _to_onnx(_Actor(model, parameters.algorithm, rules, standardiser), len(standardiser.features) + len(SEEN))
    log = [[row[name] if np.isfinite(row[name]) else None for name in LOG_COLUMNS] for row in rows]
    return {POLICY: network, ABOUT: about.model_dump_json(indent=1).encode(), LOG: json.dumps(log).encode()}


def _model(parameters: AgentParameters, market: TradingVecEnv, seed: int) -> Any:
    shared: dict[str, Any] = {
        "learning_rate": parameters.learning_rate, "gamma": parameters.discount, "seed": seed, "device": "cpu",
        "batch_size": parameters.batch_size, "policy_kwargs": {"net_arch": [parameters.hidden, parameters.hidden]},
        "verbose": 0,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the last batch of a rollout may be a smaller one
        if parameters.algorithm == "ppo":
            return PPO(
                "MlpPolicy", market, n_steps=parameters.rollout, n_epochs=parameters.epochs,
                gae_lambda=parameters.gae_lambda, ent_coef=parameters.entropy, target_kl=parameters.target_kl, **shared,
            )  # fmt: skip
        shared |= {
            "train_freq": parameters.rollout, "gradient_steps": parameters.updates,
            "learning_starts": parameters.environments * parameters.rollout,
            "buffer_size": max(parameters.steps, 10_000),
        }  # fmt: skip
        if parameters.algorithm == "sac":
            return SAC("MlpPolicy", market, ent_coef=parameters.entropy, **shared)
        noise = NormalActionNoise(np.zeros(1), np.full(1, parameters.exploration))
        return TD3("MlpPolicy", market, action_noise=noise, **shared)


def _look_at(
    model: Any, valid: TradingMarket, trading: TradingTerms, rules: EnvironmentRules, reward: RewardRules,
    discount: float,
) -> tuple[float, float]:  # fmt: skip
    """Mean log growth a bar and turnover a bar of the deterministic policy, over the same validation episodes."""
    calm = rules.model_copy(update={"cost_spread": 0.0, "observation_noise": 0.0})
    market = TradingVecEnv(valid, trading, calm, reward, discount, count=32, seed=0)
    seen, growth, turnover = market.reset(), 0.0, 0.0
    told = market.told
    for _ in range(rules.episode_bars):
        actions, _ = model.predict(seen, deterministic=True)
        seen, _, _, _ = market.step(actions)
        growth += float(np.log(np.maximum(1.0 + told[:, 0], 1e-6)).mean())
        turnover += float(told[:, 6].mean())
    return growth / rules.episode_bars, turnover / rules.episode_bars


class _Actor(nn.Module):
    """The deterministic policy over raw features: standardised as in training, then the library's own layers."""

    def __init__(self, model: Any, algorithm: str, rules: EnvironmentRules, standardiser: Standardiser) -> None:
        super().__init__()
        deviation = np.array(standardiser.deviation)
        share = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        self.register_buffer("mean", torch.tensor(standardiser.mean, dtype=torch.float32))
        self.register_buffer("share", torch.tensor(share, dtype=torch.float32))
        self.policy, self.algorithm, self.is_discrete = model.policy, algorithm, rules.actions == "discrete"

    def forward(self, seen: Tensor) -> Tensor:
        """Logits of the actions, or the wished position in [-1, 1]."""
        mean, share = self.get_buffer("mean"), self.get_buffer("share")
        width = mean.shape[0]
        scaled = torch.clamp((seen[:, :width] - mean) * share, -CLIP, CLIP)
        x = torch.cat([scaled, seen[:, width:]], dim=1)
        if self.algorithm == "ppo":
            said: Tensor = self.policy.action_net(self.policy.mlp_extractor.forward_actor(x))
            return said if self.is_discrete else torch.clamp(said, -1.0, 1.0)
        if self.algorithm == "sac":
            return torch.tanh(self.policy.actor.mu(self.policy.actor.latent_pi(x)))
        out: Tensor = self.policy.actor.mu(x)
        return out


def _to_onnx(actor: _Actor, width: int) -> bytes:
    """The policy as ONNX, compared with itself.

    Raises:
        BadModel: the two differ by more than 1e-5.
    """
    actor.eval()
    seen = torch.randn((5, width), generator=torch.Generator().manual_seed(0))
    file = io.BytesIO()
    with _EXPORT, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            actor, (seen,), file, dynamo=False, opset_version=17, input_names=["seen"], output_names=["said"],
            dynamic_axes={"seen": {0: "batch"}, "said": {0: "batch"}},
        )  # fmt: skip
        expected: NDArray[np.float32] = actor(seen[:3]).numpy()
    (found,) = make_session(file.getvalue()).run(None, {"seen": seen[:3].numpy()})
    apart = float(np.abs(expected - found).max())
    if not apart <= TOLERANCE:
        raise BadModel(f"the exported policy differs from the trained one by {apart:.1e}, more than {TOLERANCE}")
    return file.getvalue()
