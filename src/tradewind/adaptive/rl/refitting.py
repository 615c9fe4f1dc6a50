"""An agent trained once more, on all settled labels: what is deployed. Its evidence is its walk-forward's."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tradewind.adaptive.rl.forecasts import AgentForecaster, out_of_fold
from tradewind.adaptive.rl.market import TradingMarket
from tradewind.adaptive.rl.preparation import SymbolHistories, learning_markets
from tradewind.adaptive.rl.walk_forward import Plan, key_of, train_or_load
from tradewind.compute import TRAINING_MODULES, executor
from tradewind.errors import BadParameters
from tradewind.learning.models.base import Files, ModelStore
from tradewind.learning.models.sequence.windows import Standardiser


@dataclass(frozen=True)
class RefittedAgent:
    """Files of each seed's policy, in the order of the seeds, and the forecaster that all of them read."""

    policies: dict[int, Files]
    forecaster: AgentForecaster


@dataclass(frozen=True)
class _Past:
    """What every seed learns from, in a form that other processes can be handed."""

    fit: TradingMarket
    valid: TradingMarket
    standardiser: Standardiser


def refit(rows: pd.DataFrame, symbols: SymbolHistories, plan: Plan, store: ModelStore) -> RefittedAgent:
    """The procedure of the walk-forward on all of these rows: the same parameters, rules and seeds.

    A fold's agents are trained on purged rows and live through the bars after them; here there is nothing after them.
    Each seed goes to the store as soon as it is trained, and its state after each part: a killed training goes on.

    Args:
        rows: model-input rows of all symbols in the order of time, with settled labels.
        symbols: each symbol's bars and history.
        plan: everything else that the agents depend on.
        store: where agents and checkpoints are kept.

    Raises:
        BadParameters: agents that learn on from fold to fold.
        BadData: the rows are too few.
    """
    if plan.training.incremental:
        raise BadParameters(
            f"{plan.name} learns on from fold to fold (training.incremental), which no training on the whole past "
            "repeats: train it with incremental: false to deploy it"
        )
    past, forecaster = out_of_fold(rows)
    fit, valid, after = learning_markets(past, symbols, plan.environment, plan.training.valid_share)
    files = forecaster.files()
    key = key_of(past, symbols, plan, "refit", files)
    keys = {seed: hashlib.sha256(f"{key}-{seed}".encode()).hexdigest()[:24] for seed in plan.seeds()}
    market = _Past(fit, valid, after.standardiser)
    with executor(plan.training.executor, plan.training.workers, plan.training.address, TRAINING_MODULES) as on:
        tasks = {seed: on.submit(_train, keys[seed], seed, plan, market, store, files) for seed in plan.seeds()}
        trained = {seed: task.result() for seed, task in tasks.items()}
    return RefittedAgent(trained, forecaster)


def _train(
    key: str, seed: int, plan: Plan, past: _Past, store: ModelStore, forecaster: Mapping[str, bytes]
) -> Files:  # fmt: skip
    from tradewind.adaptive.rl.agents import TrainingTask

    task = TrainingTask(
        plan.agent, plan.environment, plan.reward, plan.trading, past.fit, past.valid, past.standardiser
    )
    return train_or_load(key, seed, task, store, None, dict(forecaster))
