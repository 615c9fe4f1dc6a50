"""The search for an agent's settings: on the first fold's past only, persistent, resumable."""

import json
import logging
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.adaptive.rl.forecasts import join
from tradewind.adaptive.rl.parameters import AgentParameters
from tradewind.adaptive.rl.policies import LOG, LOG_COLUMNS
from tradewind.adaptive.rl.preparation import SymbolHistories, prepare
from tradewind.adaptive.rl.walk_forward import FORMAT, Plan, training_task
from tradewind.compute import TRAINING_MODULES, executor, track
from tradewind.learning.models.walk_forward import fingerprint
from tradewind.learning.splits.purged import plain_fold
from tradewind.parameters import Parameters

logger = logging.getLogger(__name__)

# Range, and whether it is searched by its logarithm.
SPACE: dict[str, tuple[float, float, bool]] = {
    "learning_rate": (1e-4, 1e-2, True),
    "gamma": (0.8, 0.995, False),
    "ent_coef": (1e-4, 3e-2, True),
    "hidden": (8, 64, True),
}


class SearchRules(Parameters):
    """How settings are searched (`params:reinforcement_learning.search`): `n_trials`, each of `seeds` agents."""

    n_trials: Annotated[int, Field(ge=1, le=10_000)] = 8
    seeds: Annotated[int, Field(ge=1, le=100)] = 2


def search(
    inputs: tuple[pd.DataFrame, pd.DataFrame], folds: pd.DataFrame, symbols: SymbolHistories, plan: Plan,
    rules: SearchRules, storage: Any,
) -> tuple[AgentParameters, pd.DataFrame]:  # fmt: skip
    """The best settings, and one row a trial: number, value, state and what was tried.

    The objective is the growth a bar on the validation part of the first fold's past, at the best part of a training,
    the mean over the seeds: every test fold lies later, so that no agent that is ever judged has been tuned on. The
    first trial is the agent as it stands, so that the search can only do better than it. `storage` is an Optuna
    storage; the study's name carries a fingerprint of rows and settings, and each trial has a sampler of its own,
    seeded by its number: a search that was killed goes on as if it had not been. The seeds of a trial run through the
    plan's executor.

    Args:
        inputs: model-input rows, and the forecasts of all folds (`forecasts.fold_forecasts`).
        folds: the folds table.
        symbols: each symbol's bars and history.
        plan: everything else that the agents depend on.
        rules: the number of trials and of seeds.
        storage: an Optuna storage.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fold = plain_fold(next(folds.sort_values("test_start").itertuples(index=False)))
    rows = join(*inputs, fold.fold)
    markets, _ = prepare(rows, fold, symbols, plan.environment, plan.training.valid_share)
    settings = [repr(one) for one in (plan.agent, plan.environment, plan.reward, plan.trading, rules.seeds, SPACE)]
    past = rows[rows["timestamp"] < fold.test_start]
    study = _open_study(
        f"{plan.name}-{fingerprint(past, settings=settings, seed=plan.seed, format=FORMAT)[:16]}", storage
    )
    seeds = [plan.seed + number for number in range(rules.seeds)]
    with executor(plan.training.executor, plan.training.workers, plan.training.address, TRAINING_MODULES) as on:

        def objective(trial: Any) -> float:
            changed = plan.agent.model_copy(update=_suggest(trial))
            task = training_task(plan, markets, changed)
            return float(np.mean([task.result() for task in [on.submit(_growth, task, seed) for seed in seeds]]))

        for number in track(range(len(_finished(study)), rules.n_trials), f"{plan.name}: trials"):
            if number == 0 and not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
                study.enqueue_trial({name: getattr(plan.agent, name) for name in SPACE})
            study.sampler = optuna.samplers.TPESampler(seed=plan.seed + number, n_startup_trials=8)
            study.optimize(objective, n_trials=1)
    trials = _finished(study)[: rules.n_trials]
    best = max(trials, key=lambda trial: (trial.value, -trial.number))
    logger.info("%s: best of %d trials grows by %.2f bps a validation bar", plan.name, len(trials), 1e4 * best.value)
    table = pd.DataFrame(
        [{"number": i, "value": t.value, "state": t.state.name, **t.params} for i, t in enumerate(trials)]
    )
    return plan.agent.model_copy(update=best.params), table


def _growth(task: Any, seed: int) -> float:
    from tradewind.adaptive.rl.agents import train_agent

    log = pd.DataFrame(json.loads(train_agent(task, seed)[LOG]), columns=LOG_COLUMNS)
    return float(log["valid_growth"].max())


def _open_study(name: str, storage: Any) -> Any:
    import optuna

    return optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)


def _suggest(trial: Any) -> dict[str, Any]:
    return {
        name: trial.suggest_int(name, low, high, log=by_logarithm)
        if isinstance(low, int)
        else trial.suggest_float(name, low, high, log=by_logarithm)
        for name, (low, high, by_logarithm) in SPACE.items()
    }


def _finished(study: Any) -> list[Any]:
    import optuna

    return list(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))
