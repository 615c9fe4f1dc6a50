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

from tradewind.adaptive.rl import worlds
from tradewind.adaptive.rl.alarms import entropy_floor, sound_alarms
from tradewind.adaptive.rl.cloning import Rule, clone
from tradewind.adaptive.rl.environments import TradingVecEnv
from tradewind.adaptive.rl.exporting import to_onnx
from tradewind.adaptive.rl.learners import (
    Actor,
    explores,
    identity,
    learner_files,
    make_learner,
    reseed,
    restore_learner,
)
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.parameters import OFF_POLICY, AgentParameters, at_part
from tradewind.adaptive.rl.policies import ABOUT, LOG, LOG_COLUMNS, POLICY, About
from tradewind.adaptive.rl.rules import SEEN, EnvironmentRules, RewardRules
from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.learning.models.base import Checkpoint, Files
from tradewind.learning.models.sequence.windows import Standardiser

logger = logging.getLogger(__name__)

PROGRESS, BEST = "progress.json", "best.safetensors"
LOOKED_AT = 64  # validation episodes at once
DIVERGED = 1000.0  # times the smallest loss of values so far, and a thousand itself: they have lost their meaning


@dataclass(frozen=True)
class Lesson:
    """What one agent learns from and how. `fit` and `valid` have features that `standardiser` has standardised."""

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

    def see(self, model: Any, row: dict[str, float]) -> None:
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
        told = {"rows": [_plain(row) for row in self.rows], "best": self.best, "is_over": self.is_over}
        best = {PROGRESS: json.dumps(told).encode(), BEST: to_safetensors(self.weights)}
        return {**learner_files(model, with_replay=True), **best}

    def restore(self, model: Any, files: Files) -> None:
        restore_learner(model, files)
        try:
            told = json.loads(files[PROGRESS])
            self.rows = [dict(zip(LOG_COLUMNS, _numbers(row), strict=True)) for row in told["rows"]]
            self.best, self.is_over, self.weights = told["best"], told["is_over"], load(files[BEST])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BadModel(f"the stored training cannot be read ({error}): delete it to train anew") from error


def train_agent(lesson: Lesson, seed: int, checkpoint: Checkpoint | None = None, begun: Files | None = None) -> Files:
    """An agent from the bars of `lesson.fit`, at its best on those of `lesson.valid`.

    Staying flat competes, too: an agent that never gained anything on `valid` abstains. The files have the log of the
    training beside the policy, a row a part of it (`policies.LOG_COLUMNS`), and the weights to learn on from. With
    `begun`, the files of an agent of the same parameters, that one learns on from these bars (an online update): it
    keeps its standardisation, and stays as it was if nothing gained more on `valid`.

    After each part the whole state goes to the checkpoint; a training that was killed goes on from there and ends with
    the same bytes. Uses torch's and numpy's global generators, as the library does: never two at once in a process.

    Raises:
        BadParameters: the algorithm cannot have such actions, or there is nothing to imitate.
        BadData: the training went to numbers that are none before anything was learned.
        BadModel: the checkpoint or `begun` belongs to another agent.
    """
    parameters = lesson.parameters
    if parameters.algorithm in OFF_POLICY and lesson.rules.actions == "discrete":
        raise BadParameters(f"{parameters.algorithm} needs environment.actions: continuous, found discrete")
    if begun is not None:
        lesson = replace(lesson, standardiser=_same_sight(begun, lesson))
    market = TradingVecEnv(
        lesson.fit, lesson.trading, lesson.rules, lesson.reward, parameters.gamma, parameters.n_envs, seed
    )
    model, progress = make_learner(parameters, market, seed), _Progress()
    actor = Actor(model, parameters, lesson.rules.actions == "discrete", identity(lesson.fit.features.shape[1]))
    saved = checkpoint.get() if checkpoint is not None else None
    if saved is not None:
        progress.restore(model, saved)
        logger.info("going on after part %d, from the checkpoint", len(progress.rows))
    elif begun is not None:
        restore_learner(model, begun)
        progress.see(model, _look_at(model, actor, lesson, 0))
    elif parameters.clone_epochs:
        _enter(model, market, lesson, seed, 0)
        clone(model, market, Rule(lesson.rules, lesson.standardiser), parameters)
        progress.see(model, _look_at(model, actor, lesson, 0))
    before = 1 if begun is not None or parameters.clone_epochs else 0  # looks at it before any part of the training
    for part in range(len(progress.rows) - before, parameters.parts):
        if progress.is_over:
            break
        _enter(model, market, lesson, seed, part + 1)
        model.learn(-(-parameters.total_timesteps // parameters.parts), reset_num_timesteps=False)
        progress.see(model, _look_at(model, actor, lesson, part + before))
        sound_alarms(progress.rows[-1], {"algorithm": parameters.algorithm, "seed": seed, "part": part})
        if checkpoint is not None:
            checkpoint.put(progress.files(model))
    if not progress.weights:
        raise BadData("training went to numbers that are none in its first part: a smaller learning_rate is needed")
    model.policy.load_state_dict(progress.weights)
    return _finished(model, lesson, progress, seed)


def _same_sight(begun: Files, lesson: Lesson) -> Standardiser:
    """The standardisation of the stored agent, if these bars show what it was trained to see."""
    about = About.model_validate(json.loads(begun[ABOUT]))
    if about.standardiser.features != lesson.standardiser.features or about.environment.actions != lesson.rules.actions:
        raise BadModel(
            f"the stored agent sees {about.standardiser.features} and acts {about.environment.actions}, the new bars "
            f"have {lesson.standardiser.features} and {lesson.rules.actions} actions: train it anew"
        )
    if about.standardiser != lesson.standardiser:
        raise BadModel("the new bars must be standardised as the stored agent's were: by the standardiser of its files")
    return about.standardiser


def _enter(model: Any, market: TradingVecEnv, lesson: Lesson, seed: int, part: int) -> None:
    """The world of one part of a training, from generators of its own."""
    rules, parameters = lesson.rules, lesson.parameters
    place = max(part - 1, 0)
    rng = np.random.default_rng([seed, part])
    world = worlds.stretched(lesson.fit, at_part(parameters.volatility_curriculum, place))
    world = worlds.resampled(world, rules.bootstrap_share, rules.bootstrap_block_bars, rng)
    cost, length = (at_part(one, place) for one in (parameters.cost_curriculum, parameters.length_curriculum))
    market.enter(world, cost, length)
    reseed(model, int(rng.integers(1 << 31)))


def _look_at(model: Any, actor: Actor, lesson: Lesson, part: int) -> dict[str, float]:
    """A row of the log: growth and turnover a bar of the greedy policy, over the same validation episodes."""
    still = {"cost_spread": 0.0, "observation_noise": 0.0, "latency_spread": 0, "episode_bars": _half(lesson.rules)}
    rules = lesson.rules.model_copy(update=still)
    market = TradingVecEnv(lesson.valid, lesson.trading, rules, lesson.reward, count=LOOKED_AT, seed=0)
    model.policy.set_training_mode(False)
    seen, memory, growth, turnover = market.reset(), actor.begin(LOOKED_AT), 0.0, 0.0
    first = seen
    for _ in range(rules.episode_bars):
        actions, memory = actor.act(seen, memory)
        seen, _, over, _ = market.step(actions)
        if actor.units and over.any():
            still_on = torch.from_numpy(~over).float()[None, :, None]
            memory = tuple(one * still_on for one in memory)
        growth += float(np.log(np.maximum(1.0 + market.told[:, 0], 1e-6)).mean())
        turnover += float(market.told[:, 6].mean())
    told = {str(name): float(value) for name, value in model.logger.name_to_value.items()}
    return {
        "part": part, "steps": model.num_timesteps, "valid_growth": growth / rules.episode_bars,
        "valid_turnover": turnover / rules.episode_bars, "entropy": explores(model, np.concatenate([first, seen])),
        "entropy_floor": entropy_floor(lesson.parameters.algorithm, rules), "kl": told.get("train/approx_kl", np.nan),
        "value_loss": told.get("train/value_loss", told.get("train/critic_loss", np.nan)),
    }  # fmt: skip


def _half(rules: EnvironmentRules) -> int:
    return max(rules.episode_bars // 2, 2)


def _finished(model: Any, lesson: Lesson, progress: _Progress, seed: int) -> Files:
    actor = Actor(model, lesson.parameters, lesson.rules.actions == "discrete", lesson.standardiser)
    about = About(
        algorithm=lesson.parameters.algorithm, seed=seed, standardiser=lesson.standardiser, environment=lesson.rules,
        abstains=progress.best <= 0, recurrent_units=actor.units,
    )  # fmt: skip
    return {
        POLICY: to_onnx(actor, len(lesson.standardiser.features) + len(SEEN)),
        ABOUT: about.model_dump_json(indent=1).encode(),
        LOG: json.dumps([_plain(row) for row in progress.rows]).encode(),
        **learner_files(model, with_replay=lesson.parameters.keep_replay),
    }


def _plain(row: dict[str, float]) -> list[float | None]:
    return [row[name] if np.isfinite(row[name]) else None for name in LOG_COLUMNS]


def _numbers(row: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in row]
