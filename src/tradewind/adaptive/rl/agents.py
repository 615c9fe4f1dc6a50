"""Agents trained on a fold's past, looked at on its end, frozen as ONNX; killed, they go on; stored, they learn on."""

import json
import logging
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from safetensors.torch import save as to_safetensors
from torch import Tensor

from tradewind.adaptive.rl import augmentation
from tradewind.adaptive.rl.alarms import entropy_floor, sound_alarms
from tradewind.adaptive.rl.cloning import Rule, clone
from tradewind.adaptive.rl.environments import TradingVecEnv
from tradewind.adaptive.rl.exporting import to_onnx
from tradewind.adaptive.rl.learners import (
    Actor,
    identity,
    learner_files,
    make_learner,
    policy_entropy,
    reseed,
    restore_learner,
)
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.parameters import OFF_POLICY, AgentParameters, at_part
from tradewind.adaptive.rl.policies import ABOUT, LOG, LOG_COLUMNS, POLICY, About
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, EnvironmentRules, RewardRules
from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.learning.models.base import Checkpoint, Files
from tradewind.learning.models.sequence.windows import Standardiser

logger = logging.getLogger(__name__)

PROGRESS, BEST = "progress.json", "best.safetensors"
VALIDATION_EPISODES = 64
DIVERGED = 1000.0  # times the smallest value loss so far, and at least this much itself


@dataclass(frozen=True)
class TrainingTask:
    """What one agent is trained on and how. `fit` and `valid` have features that `standardiser` has standardised."""

    parameters: AgentParameters
    rules: EnvironmentRules
    reward: RewardRules
    trading: TradingTerms
    fit: TradingMarket
    valid: TradingMarket
    standardiser: Standardiser


@dataclass
class _Progress:
    """Where a training stands after a whole part."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best: float = -np.inf
    weights: dict[str, Tensor] = field(default_factory=dict)
    is_over: bool = False

    def record(self, model: Any, row: dict[str, float]) -> None:
        """The best weights so far; where training diverged, it is over and they stay as they are."""
        losses = [one["value_loss"] for one in self.rows if np.isfinite(one["value_loss"])]
        self.rows.append(row)
        finite = all(bool(torch.isfinite(weight).all()) for weight in model.policy.parameters())
        if not finite or row["value_loss"] > max(DIVERGED * min(losses, default=np.inf), DIVERGED):
            logger.warning("%s", json.dumps({"alarm": "divergence", "part": row["part"], "value": row["value_loss"]}))
            self.is_over = True
        elif row["valid_growth"] > self.best:
            self.best = row["valid_growth"]
            self.weights = {name: value.detach().clone() for name, value in model.policy.state_dict().items()}

    def files(self, model: Any) -> Files:
        metrics = {"rows": [_plain(row) for row in self.rows], "best": self.best, "is_over": self.is_over}
        best = {PROGRESS: json.dumps(metrics).encode(), BEST: to_safetensors(self.weights)}
        return {**learner_files(model, with_replay=True), **best}

    def restore(self, model: Any, files: Files) -> None:
        restore_learner(model, files)
        try:
            metrics = json.loads(files[PROGRESS])
            self.rows = [dict(zip(LOG_COLUMNS, _numbers(row), strict=True)) for row in metrics["rows"]]
            self.best, self.is_over, self.weights = metrics["best"], metrics["is_over"], load(files[BEST])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BadModel(f"the stored training cannot be read ({error}): delete it to train anew") from error


def train_agent(
    task: TrainingTask, seed: int, checkpoint: Checkpoint | None = None, previous: Files | None = None
) -> Files:
    """An agent from the bars of `task.fit`, at its best on those of `task.valid`.

    Staying flat competes, too: an agent that never gained anything on `valid` abstains. The files have the log of the
    training beside the policy, a row a part of it (`policies.LOG_COLUMNS`), and the weights to learn on from. With
    `previous`, the files of an agent of the same parameters, that one learns on from these bars (an online update): it
    keeps its standardisation, and stays as it was if nothing gained more on `valid`.

    After each part the whole state goes to the checkpoint; a training that was killed goes on from there and ends with
    the same bytes. Uses torch's and numpy's global generators, as the library does: never two at once in a process.

    Args:
        task: parameters, rules, and the bars to train and to validate on.
        seed: of everything random.
        checkpoint: where the state after each part is kept; None keeps none.
        previous: files of an agent to learn on from; None trains a new one.

    Raises:
        BadParameters: the algorithm cannot have such actions, or there is nothing to imitate.
        BadData: weights were NaN or infinite after the first part.
        BadModel: the checkpoint or `previous` belongs to another agent.
    """
    parameters = task.parameters
    if parameters.algorithm in OFF_POLICY and task.rules.actions == "discrete":
        raise BadParameters(f"{parameters.algorithm} needs environment.actions: continuous, found discrete")
    if previous is not None:
        task = replace(task, standardiser=_check_inputs(previous, task))
    market = TradingVecEnv(task.fit, task.trading, task.rules, task.reward, parameters.gamma, parameters.n_envs, seed)
    model, progress = make_learner(parameters, market, seed), _Progress()
    actor = Actor(model, parameters, task.rules.actions == "discrete", identity(task.fit.features.shape[1]))
    saved = checkpoint.get() if checkpoint is not None else None
    if saved is not None:
        progress.restore(model, saved)
        logger.info("going on after part %d, from the checkpoint", len(progress.rows))
    elif previous is not None:
        restore_learner(model, previous)
        progress.record(model, _validate(model, actor, task, 0))
    elif parameters.clone_epochs:
        _enter(model, market, task, seed, 0)
        clone(model, market, Rule(task.rules, task.standardiser), parameters)
        progress.record(model, _validate(model, actor, task, 0))
    initial_rows = (
        1 if previous is not None or parameters.clone_epochs else 0
    )  # validated before any part of the training
    for part in range(len(progress.rows) - initial_rows, parameters.parts):
        if progress.is_over:
            break
        _enter(model, market, task, seed, part + 1)
        model.learn(-(-parameters.total_timesteps // parameters.parts), reset_num_timesteps=False)
        progress.record(model, _validate(model, actor, task, part + initial_rows))
        sound_alarms(progress.rows[-1], {"algorithm": parameters.algorithm, "seed": seed, "part": part})
        if checkpoint is not None:
            checkpoint.put(progress.files(model))
    if not progress.weights:
        raise BadData("weights are NaN or infinite after the first part of training: a smaller learning_rate is needed")
    model.policy.load_state_dict(progress.weights)
    return _finished(model, task, progress, seed)


def _check_inputs(previous: Files, task: TrainingTask) -> Standardiser:
    """The standardisation of the stored agent, if these bars show what it was trained to see."""
    about = About.model_validate(json.loads(previous[ABOUT]))
    if about.standardiser.features != task.standardiser.features or about.environment.actions != task.rules.actions:
        raise BadModel(
            f"the stored agent sees {about.standardiser.features} and acts {about.environment.actions}, the new bars "
            f"have {task.standardiser.features} and {task.rules.actions} actions: train it anew"
        )
    if about.standardiser != task.standardiser:
        raise BadModel("the new bars must be standardised as the stored agent's were: by the standardiser of its files")
    return about.standardiser


def _enter(model: Any, market: TradingVecEnv, task: TrainingTask, seed: int, part: int) -> None:
    """The world of one part of a training, from generators of its own."""
    rules, parameters = task.rules, task.parameters
    place = max(part - 1, 0)
    rng = np.random.default_rng([seed, part])
    world = augmentation.scale_volatility(task.fit, at_part(parameters.volatility_curriculum, place))
    world = augmentation.add_bootstrap_path(world, rules.bootstrap_share, rules.bootstrap_block_bars, rng)
    cost, length = (at_part(one, place) for one in (parameters.cost_curriculum, parameters.length_curriculum))
    market.enter(world, cost, length)
    reseed(model, int(rng.integers(1 << 31)))


def _validate(model: Any, actor: Actor, task: TrainingTask, part: int) -> dict[str, float]:
    """A row of the log: growth and turnover a bar of the greedy policy, over the same validation episodes."""
    fixed = {"cost_spread": 0.0, "observation_noise": 0.0, "latency_spread": 0, "episode_bars": _half(task.rules)}
    rules = task.rules.model_copy(update=fixed)
    market = TradingVecEnv(task.valid, task.trading, rules, task.reward, count=VALIDATION_EPISODES, seed=0)
    model.policy.set_training_mode(False)
    observations, hidden, growth, turnover = market.reset(), actor.begin(VALIDATION_EPISODES), 0.0, 0.0
    first = observations
    for _ in range(rules.episode_bars):
        actions, hidden = actor.act(observations, hidden)
        observations, _, over, _ = market.step(actions)
        if actor.units and over.any():
            still_on = torch.from_numpy(~over).float()[None, :, None]
            hidden = tuple(one * still_on for one in hidden)
        growth += float(np.log(np.maximum(1.0 + market.last_step[:, 0], 1e-6)).mean())
        turnover += float(market.last_step[:, 6].mean())
    metrics = {str(name): float(value) for name, value in model.logger.name_to_value.items()}
    return {
        "part": part, "steps": model.num_timesteps, "valid_growth": growth / rules.episode_bars,
        "valid_turnover": turnover / rules.episode_bars,
        "entropy": policy_entropy(model, np.concatenate([first, observations])),
        "entropy_floor": entropy_floor(task.parameters.algorithm, rules), "kl": metrics.get("train/approx_kl", np.nan),
        "value_loss": metrics.get("train/value_loss", metrics.get("train/critic_loss", np.nan)),
    }  # fmt: skip


def _half(rules: EnvironmentRules) -> int:
    return max(rules.episode_bars // 2, 2)


def _finished(model: Any, task: TrainingTask, progress: _Progress, seed: int) -> Files:
    actor = Actor(model, task.parameters, task.rules.actions == "discrete", task.standardiser)
    about = About(
        algorithm=task.parameters.algorithm, seed=seed, standardiser=task.standardiser, environment=task.rules,
        abstains=progress.best <= 0, recurrent_units=actor.units,
    )  # fmt: skip
    return {
        POLICY: to_onnx(actor, len(task.standardiser.features) + len(ACCOUNT_FEATURES)),
        ABOUT: about.model_dump_json(indent=1).encode(),
        LOG: json.dumps([_plain(row) for row in progress.rows]).encode(),
        **learner_files(model, with_replay=task.parameters.keep_replay),
    }


def _plain(row: dict[str, float]) -> list[float | None]:
    return [row[name] if np.isfinite(row[name]) else None for name in LOG_COLUMNS]


def _numbers(row: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in row]
