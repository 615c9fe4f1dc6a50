"""Agents fold by fold: trained on the past that the supervised models have, then run over the test."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from tradewind.adaptive.rl.episodes import STEP_FIELDS
from tradewind.adaptive.rl.forecasts import join
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.parameters import OFF_POLICY, AgentParameters
from tradewind.adaptive.rl.policies import LOG, LOG_COLUMNS, Policy, run_policy
from tradewind.adaptive.rl.preparation import FoldMarkets, prepare
from tradewind.adaptive.rl.responses import MULTIPLES, responses
from tradewind.adaptive.rl.rules import ACCOUNT_FEATURES, FORECASTS, EnvironmentRules, RewardRules
from tradewind.compute import TRAINING_MODULES, ExecutorKind, executor
from tradewind.learning.models.base import Files, ModelStore
from tradewind.learning.models.walk_forward import WALK_FORWARD
from tradewind.learning.splits.purged import PlainFold, plain_fold, training_mask
from tradewind.parameters import Parameters
from tradewind.trading.engine.backtest import History
from tradewind.trading.setup import TradingSetup

logger = logging.getLogger(__name__)

FORMAT = 7  # part of every key: raise it when training changes in a way that parameters do not show
FAMILY = "agent"
NO_SEED = -1  # of positions that are the mean of several
KEYS = ["strategy", "seed", "fold", "symbol", "timestamp"]
SymbolHistories = Mapping[str, tuple[pd.DataFrame, History]]


class AgentTraining(Parameters):
    """How an agent is trained over the folds (`params:reinforcement_learning.AGENT.training`).

    `seeds` agents a fold, whose mean position is held. The last `valid_share` of a fold's past chooses among the parts
    of a training. With `incremental` each fold's agents are those of the fold before, which learn on from the bars that
    have come since; otherwise each begins anew from the fold's whole past. Folds (seeds, if incremental) run in
    `workers` processes or on the Dask cluster at `address`, for a training draws from the library's global generators,
    so that two cannot share a process.
    """

    seeds: Annotated[int, Field(ge=1, le=1000)] = 5
    valid_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    incremental: bool = False
    executor: ExecutorKind = "processes"
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    address: str = ""


class AgentRules(Parameters):
    """One agent (`params:reinforcement_learning.AGENT.rules`)."""

    agent: AgentParameters
    environment: EnvironmentRules = EnvironmentRules()
    reward: RewardRules = RewardRules()
    training: AgentTraining = AgentTraining()

    @model_validator(mode="after")
    def _acts_as_it_can(self) -> "AgentRules":
        if self.agent.algorithm in OFF_POLICY and self.environment.actions == "discrete":
            raise ValueError(f"{self.agent.algorithm} needs environment.actions continuous, found discrete")
        return self


@dataclass(frozen=True)
class Plan:
    """Everything that a fold's agents depend on beside its rows."""

    name: str
    agent: AgentParameters
    environment: EnvironmentRules
    reward: RewardRules
    training: AgentTraining
    trading: TradingTerms
    seed: int

    @classmethod
    def of(cls, name: str, rules: AgentRules, bars_per_year: float, trading: TradingSetup, seed: int) -> "Plan":
        """From the parameters of a run.

        Args:
            name: of the agent.
            rules: algorithm, environment, reward and training.
            bars_per_year: of the universe.
            trading: costs and order rules.
            seed: of the run.
        """
        terms = TradingTerms.from_rules(trading.costs, trading.execution, rules.environment, bars_per_year)
        return cls(name, rules.agent, rules.environment, rules.reward, rules.training, terms, seed)

    def seeds(self) -> list[int]:
        """The run's seed and those after it."""
        return [self.seed + number for number in range(self.training.seeds)]


@dataclass(frozen=True)
class TrainedFold:
    """One fold's agents: files by seed, training log, every bar of the test with what they did, and how they
    respond there to costs and states of the market (`responses.responses`)."""

    fold: int
    keys: dict[int, str]
    log: pd.DataFrame
    transitions: pd.DataFrame
    responses: pd.DataFrame


def train_folds(
    inputs: tuple[pd.DataFrame, pd.DataFrame],
    folds: pd.DataFrame,
    symbols: SymbolHistories,
    plan: Plan,
    store: ModelStore,
    forecasters: Mapping[int, Files] | None = None,
) -> list[TrainedFold]:
    """Every fold's agents, trained or taken from the store, over their test windows.

    Each agent goes to the store as soon as it is trained, and its training's state after each part of it: a run that
    was killed goes on from there.

    Args:
        inputs: model-input rows, and the forecasts of all folds (`forecasts.FoldForecasts.table`).
        folds: the fold table.
        symbols: each symbol's bars and history.
        plan: everything else that the agents depend on.
        store: where agents and checkpoints are kept.
        forecasters: by fold the files of the forecaster among its agents' features, which are stored beside each of
            them (`stored.StoredAgent` acts on both).

    Returns:
        One a fold, in the order of the table.
    """
    plain = [plain_fold(fold) for fold in folds.itertuples(index=False)]
    jobs = [_Job((fold,), tuple(plan.seeds())) for fold in plain]
    if plan.training.incremental:
        jobs = [_Job(tuple(sorted(plain, key=lambda fold: fold.test_start)), (seed,)) for seed in plan.seeds()]
    with executor(plan.training.executor, plan.training.workers, plan.training.address, TRAINING_MODULES) as on:
        tasks = [on.submit(_work, job, inputs, symbols, plan, store, dict(forecasters or {})) for job in jobs]
        trained = [one for task in tasks for one in task.result()]
    return [_together([one for one in trained if one.fold == fold.fold]) for fold in plain]


def _together(parts: Sequence[TrainedFold]) -> TrainedFold:
    """One fold's seeds, which several jobs may have trained."""
    tables = {
        name: pd.concat([getattr(one, name) for one in parts], ignore_index=True)
        for name in ("log", "transitions", "responses")
    }
    return TrainedFold(parts[0].fold, {seed: key for one in parts for seed, key in one.keys.items()}, **tables)


@dataclass(frozen=True)
class _Job:
    """What one process does on end: its folds in their order, and in each of them its seeds."""

    folds: tuple[PlainFold, ...]
    seeds: tuple[int, ...]


def key_of(past: pd.DataFrame, symbols: SymbolHistories, plan: Plan, before: str, forecaster: Files) -> str:
    """The fingerprint of all that a training follows from.

    Args:
        past: the rows that are learned from.
        symbols: each symbol's bars and history.
        plan: of the training.
        before: the key of what is learned on from, empty for none.
        forecaster: its files.
    """
    training = (plan.training.valid_share, plan.training.incremental, before)
    settings = [plan.name, plan.agent, plan.environment, plan.reward, training, plan.trading, FORMAT]
    digest = hashlib.sha256("\n".join(map(repr, settings)).encode())
    digest.update(json.dumps(list(past.columns)).encode())
    digest.update(pd.util.hash_pandas_object(past, index=False).to_numpy().tobytes())
    for name, content in sorted(forecaster.items()):
        digest.update(name.encode() + content)
    until = past["timestamp"].max()
    for symbol, (bars, history) in sorted(symbols.items()):
        within = (bars["timestamp"] <= until).to_numpy()
        digest.update(symbol.encode() + history.matrix[:, within].tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Checkpoint:
    """The state of one training, in the store beside the finished agents."""

    store: ModelStore
    name: str

    def get(self) -> Files | None:
        return self.store.get(self.name)

    def put(self, files: Files) -> None:
        self.store.put(self.name, files, {"training": self.name})


def _work(
    job: _Job, inputs: tuple[pd.DataFrame, pd.DataFrame], symbols: SymbolHistories, plan: Plan, store: ModelStore,
    forecasters: Mapping[int, Files],
) -> list[TrainedFold]:  # fmt: skip
    done, key, before = [], "", None
    previous: dict[int, Files] = {}
    for fold in job.folds:
        rows = join(*inputs, fold.fold)
        forecaster = forecasters.get(fold.fold, {})
        key = key_of(rows[training_mask(rows, fold)], symbols, plan, key, forecaster)
        markets, after = prepare(rows, fold, symbols, plan.environment, plan.training.valid_share, before)
        keys = {seed: hashlib.sha256(f"{key}-{seed}".encode()).hexdigest()[:24] for seed in job.seeds}
        task = training_task(plan, markets)
        agents = {
            seed: train_or_load(keys[seed], seed, task, store, previous.get(seed), forecaster) for seed in job.seeds
        }
        logger.info("%s fold %d: seeds %s", plan.name, fold.fold, ", ".join(map(str, agents)))
        if plan.training.incremental:
            before, previous = after, agents
        done.append(_live(plan, agents, markets, fold.fold, keys))
    return done


def training_task(plan: Plan, markets: FoldMarkets, agent: AgentParameters | None = None) -> Any:
    """What `agents.train_agent` is given in this fold, with other settings of the agent if they are given.

    Args:
        plan: the agent, its environment and its training.
        markets: of the fold.
        agent: other settings than the plan's.
    """
    from tradewind.adaptive.rl.agents import TrainingTask

    return TrainingTask(
        agent or plan.agent, plan.environment, plan.reward, plan.trading, markets.fit, markets.valid,
        markets.standardiser,
    )  # fmt: skip


def train_or_load(
    key: str, seed: int, task: Any, store: ModelStore, previous: Files | None, forecaster: Files
) -> Files:  # fmt: skip
    """The files of one agent, from the store or trained now and kept there.

    Args:
        key: of all that the training follows from.
        seed: of everything random.
        task: an `agents.TrainingTask`.
        store: where agents and checkpoints are kept.
        previous: files of an agent to learn on from.
        forecaster: files that are stored beside it.
    """
    checkpoint, files = _Checkpoint(store, f"part-{key[:19]}"), store.get(key)
    if files is None:
        from tradewind.adaptive.rl.agents import train_agent

        files = train_agent(task, seed, checkpoint, previous) | forecaster
        store.put(key, files, {"agent": task.parameters.algorithm, "seed": seed})
    store.forget(checkpoint.name)
    return files


def _live(
    plan: Plan, agents: Mapping[int, Files], markets: FoldMarkets, fold: int, keys: dict[int, str]
) -> TrainedFold:
    """Runs the agents of one fold over its test window, all symbols side by side."""
    market = TradingMarket.joined([one.market for one in markets.test.values()])
    where = pd.concat(
        [
            pd.DataFrame(one.forecasts.astype(np.float64), columns=list(FORECASTS)).assign(
                symbol=symbol, timestamp=one.timestamp
            )
            for symbol, one in markets.test.items()
        ],
        ignore_index=True,
    )
    logs, transitions, answers = [], [], []
    for seed, files in agents.items():
        which = {"strategy": plan.name, "seed": np.int64(seed), "fold": np.int64(fold)}
        log = pd.DataFrame(json.loads(files[LOG]), columns=LOG_COLUMNS, dtype="float64")
        named = log.rename(columns={"part": "epoch"}).astype({"epoch": "int64"})
        logs.append(named.assign(model=f"{plan.name}_seed_{seed}", **which))
        rollouts = run_policy(Policy.from_files(files), market, plan.trading, plan.reward, MULTIPLES)
        table = where.assign(target=rollouts[0].targets, **which)
        table[[f"observed_{name}" for name in ACCOUNT_FEATURES]] = (
            rollouts[0].observations[:, -len(ACCOUNT_FEATURES) :].astype(np.float64)
        )
        columns = [at for at, name in enumerate(STEP_FIELDS) if name != "equity"]
        table[[STEP_FIELDS[at] for at in columns]] = rollouts[0].steps[:, columns]
        transitions.append(table[[*KEYS, *(name for name in table.columns if name not in KEYS)]])
        answers.append(responses(market, rollouts).assign(**which))
    text = {"strategy": "str"}
    return TrainedFold(
        fold, keys, pd.concat(logs, ignore_index=True).astype({**text, "model": "str"}),
        pd.concat(transitions, ignore_index=True).astype({**text, "symbol": "str"}),
        pd.concat(answers, ignore_index=True).astype(text),
    )  # fmt: skip


def mean_positions(transitions: pd.DataFrame) -> pd.DataFrame:
    """`schema.Positions`: the mean target of all seeds."""
    table = transitions.groupby(["strategy", "symbol", "timestamp"], sort=False)["target"].mean().reset_index()
    return _positions(table.assign(target=table["target"].clip(-1, 1), seed=np.int64(NO_SEED)))


def seed_positions(transitions: pd.DataFrame) -> pd.DataFrame:
    """`schema.Positions`: the targets of every seed by itself."""
    return _positions(transitions)


def _positions(table: pd.DataFrame) -> pd.DataFrame:
    columns = ["strategy", "family", "seed", "path", "symbol", "timestamp", "target"]
    return table.assign(family=FAMILY, path=np.int64(WALK_FORWARD))[columns].astype({"family": "str"})
