"""Agents fold by fold: trained on the past that the supervised models have, then living through the test."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from tradewind.compute import ExecutorKind, executor
from tradewind.engine.backtest import History
from tradewind.models.base import Files, ModelStore
from tradewind.rl.market import TradingTerms
from tradewind.rl.policies import LOG, LOG_COLUMNS, Policy, live_through
from tradewind.rl.preparation import FORECASTS, FoldMarkets, prepare
from tradewind.rl.rules import EnvironmentRules, RewardRules
from tradewind.rl.stepping import SEEN, TOLD, Reward
from tradewind.splits.purged import training_mask

logger = logging.getLogger(__name__)

FORMAT = 2  # part of every key: raise it when training changes in a way that parameters do not show
KEYS = ["strategy", "seed", "fold", "symbol", "timestamp"]


class AgentTraining(BaseModel):
    """How an agent is trained over the folds (`params:reinforcement_learning.AGENT.training`).

    `seeds` agents a fold, whose mean position is held. The last `valid_share` of a fold's past chooses among the parts
    of a training. Folds run in `workers` processes (a training draws from the library's global generators, so that two
    cannot share one).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: Annotated[int, Field(ge=1, le=1000)] = 5
    valid_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    executor: ExecutorKind = "processes"
    workers: Annotated[int, Field(ge=1, le=64)] = 2


@dataclass(frozen=True)
class Plan:
    """Everything that a fold's agents depend on beside its rows. `agent` is `agents.AgentParameters`."""

    name: str
    agent: Any
    environment: EnvironmentRules
    reward: RewardRules
    training: AgentTraining
    trading: TradingTerms
    seed: int

    def seeds(self) -> list[int]:
        """The run's seed and those after it."""
        return [self.seed + number for number in range(self.training.seeds)]


@dataclass(frozen=True)
class TrainedFold:
    """One fold's agents: files and training log by seed, and every bar that they lived through in the test."""

    fold: int
    keys: dict[int, str]
    log: pd.DataFrame
    transitions: pd.DataFrame


def train_folds(
    rows: pd.DataFrame, folds: pd.DataFrame, known: Mapping[str, tuple[pd.DataFrame, History]], plan: Plan,
    store: ModelStore,
) -> list[TrainedFold]:  # fmt: skip
    """Every fold's agents, trained or taken from the store, over their test windows."""
    jobs = []
    for fold in folds.itertuples(index=False):
        key = _key(rows, fold, known, plan)
        found = {seed: store.get(f"{key}-{seed}") for seed in plan.seeds()}
        jobs.append((fold, key, {seed: files for seed, files in found.items() if files is not None}))
    trained = []
    with executor(plan.training.executor, plan.training.workers) as on:
        tasks = [on.submit(_one_fold, rows, _plain(fold), known, plan, kept) for fold, _, kept in jobs]
        for (fold, key, kept), task in zip(jobs, tasks, strict=True):
            made, log, transitions = task.result()
            for seed, files in made.items():
                if seed not in kept:
                    store.put(f"{key}-{seed}", files, {"agent": plan.name, "fold": int(fold.fold), "seed": seed})
            logger.info("%s fold %d: %d seeds, %d trained", plan.name, fold.fold, len(made), len(made) - len(kept))
            keys = {seed: f"{key}-{seed}" for seed in made}
            trained.append(TrainedFold(int(fold.fold), keys, log, transitions))
    return trained


@dataclass(frozen=True)
class _Fold:
    """A row of the folds table that can be sent to another process."""

    fold: int
    train_start: Any
    train_end: Any
    test_start: Any
    test_end: Any
    purge: Any
    embargo: Any
    role: str


def _plain(fold: Any) -> _Fold:
    return _Fold(**{name: getattr(fold, name) for name in _Fold.__dataclass_fields__})


def _key(rows: pd.DataFrame, fold: Any, known: Mapping[str, tuple[pd.DataFrame, History]], plan: Plan) -> str:
    past = rows[training_mask(rows, fold)]
    settings = [plan.name, plan.agent, plan.environment, plan.reward, plan.training.valid_share, plan.trading, FORMAT]
    digest = hashlib.sha256("\n".join(map(repr, settings)).encode())
    digest.update(json.dumps(list(past.columns)).encode())
    digest.update(pd.util.hash_pandas_object(past, index=False).to_numpy().tobytes())
    until = past["timestamp"].max()
    for symbol, (bars, history) in sorted(known.items()):
        within = (bars["timestamp"] <= until).to_numpy()
        digest.update(symbol.encode() + history.matrix[:, within].tobytes())
    return digest.hexdigest()[:18]


def _one_fold(
    rows: pd.DataFrame, fold: _Fold, known: Mapping[str, tuple[pd.DataFrame, History]], plan: Plan,
    kept: dict[int, Files],
) -> tuple[dict[int, Files], pd.DataFrame, pd.DataFrame]:  # fmt: skip
    markets = prepare(rows, fold, known, plan.environment, plan.training.valid_share)
    made, logs, lives = {}, [], []
    for seed in plan.seeds():
        if seed in kept:
            made[seed] = kept[seed]
        else:
            from tradewind.rl.agents import train_agent

            made[seed] = train_agent(
                plan.agent, plan.environment, plan.reward, markets.fit, markets.valid, plan.trading,
                markets.standardiser, seed,
            )  # fmt: skip
        log = pd.DataFrame(json.loads(made[seed][LOG]), columns=LOG_COLUMNS, dtype="float64")
        named = log.rename(columns={"part": "epoch"}).astype({"epoch": "int64"})
        logs.append(
            named.assign(
                strategy=plan.name, model=f"{plan.name}_seed_{seed}", fold=np.int64(fold.fold), seed=np.int64(seed)
            )
        )
        lives.append(_live(plan, Policy.from_files(made[seed]), markets, fold.fold, seed))
    return made, pd.concat(logs, ignore_index=True), pd.concat(lives, ignore_index=True)


def _live(plan: Plan, policy: Policy, markets: FoldMarkets, fold: int, seed: int) -> pd.DataFrame:
    """`schema.Transitions` of one agent in one test window."""
    plain = Reward(0.0, plan.reward.scale, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    parts = []
    for symbol, (market, timestamp) in markets.test.items():
        targets, told, _, seen = live_through(policy, market, plan.trading, plain)
        account = seen[:, -len(SEEN) :].astype(np.float64)
        forecast = seen[:, -len(SEEN) - len(FORECASTS) : -len(SEEN)].astype(np.float64)
        table = pd.DataFrame({"timestamp": timestamp, "target": targets})
        table[list(FORECASTS)] = forecast
        table[[f"seen_{name}" for name in SEEN]] = account
        table[[name for name in TOLD if name != "equity"]] = told[:, [at for at, n in enumerate(TOLD) if n != "equity"]]
        parts.append(table.assign(strategy=plan.name, seed=np.int64(seed), fold=np.int64(fold), symbol=symbol))
    whole = pd.concat(parts, ignore_index=True).astype({"strategy": "str", "symbol": "str"})
    return whole[[*KEYS, *(name for name in whole.columns if name not in KEYS)]]


def mean_positions(transitions: pd.DataFrame) -> pd.DataFrame:
    """`schema.Positions`: the mean target of all seeds."""
    table = transitions.groupby(["strategy", "symbol", "timestamp"], sort=False)["target"].mean().reset_index()
    return table.assign(target=table["target"].clip(-1, 1))


def seed_positions(transitions: pd.DataFrame) -> pd.DataFrame:
    """`schema.Positions` of every seed by itself, as `AGENT seed SEED`."""
    named = transitions["strategy"] + " seed " + transitions["seed"].astype("str")
    return transitions[["symbol", "timestamp", "target"]].assign(strategy=named)
