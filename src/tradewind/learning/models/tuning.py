"""The search for parameters: on the first fold's training rows only, persistent, resumable."""

import logging
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.compute import track
from tradewind.learning.models.base import ModelParameters, Sample, thin
from tradewind.learning.models.row_model import RowForecaster
from tradewind.learning.models.walk_forward import FORMAT, fingerprint
from tradewind.learning.splits.purged import assert_no_leak, inner_split, training_mask
from tradewind.metrics.classification import FLOOR
from tradewind.parameters import Parameters

logger = logging.getLogger(__name__)


class TuningRules(Parameters):
    """How parameters are searched (`params:classifier.MODEL.tuning`).

    `n_trials` 1 keeps the defaults. `row_stride` looks at every n-th bar only.
    """

    n_trials: Annotated[int, Field(ge=1, le=10_000)] = 3
    valid_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.25
    row_stride: Annotated[int, Field(ge=1, le=1000)] = 4
    max_rounds: Annotated[int, Field(ge=1, le=10_000)] = 150
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 20


def tune(
    kind: type[RowForecaster],
    rows: pd.DataFrame,
    folds: pd.DataFrame,
    rules: TuningRules,
    storage: Any,
    seed: int,
) -> tuple[ModelParameters, pd.DataFrame]:
    """The best parameters of the trials.

    The objective is the weighted log loss on the last part of the first fold's training rows, purged: every test fold
    lies later, so that no forecast that is ever judged has been tuned on. The study's name carries a fingerprint of
    rows, rules and seed, so that finished trials count only where they belong. Each trial has a sampler of its own,
    seeded by its number: a search that was killed goes on as if it had not been.

    Args:
        kind: of model.
        rows: model-input rows of all symbols, in the order of time.
        folds: the fold table.
        rules: how many trials, the ranges, the stride of the rows.
        storage: of Optuna; finished trials are taken from it.
        seed: of model and sampler.

    Returns:
        The parameters with the least loss, and one row a trial: number, value (log loss, nats), state and the
        parameters.

    Raises:
        BadData: the training rows overlap those that judge.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = next(folds.sort_values("test_start").itertuples(index=False))
    past = rows[training_mask(rows, first)]
    fit, valid = inner_split(past, rules.valid_share)
    assert_no_leak(past, fit, valid)
    fit_rows, valid_rows = past[fit], past[valid]
    train = Sample.from_rows(fit_rows[thin(fit_rows, rules.row_stride)])
    judge = Sample.from_rows(valid_rows[thin(valid_rows, rules.row_stride)])
    identity = fingerprint(past, rules=rules.model_dump(exclude={"n_trials"}), seed=seed, format=FORMAT)
    study = _open_study(f"{kind.name}-{identity[:16]}", storage)

    def objective(trial: optuna.Trial) -> float:
        return _weighted_log_loss(kind(_suggest(trial, kind, rules), seed).fit_samples(train, judge, judge), judge)

    n_done = len(_finished(study))
    for number in track(range(n_done, rules.n_trials), f"{kind.name}: trials"):
        if number == 0:
            _enqueue_defaults(study, kind)
        study.sampler = optuna.samplers.TPESampler(seed=seed + number, n_startup_trials=8)
        study.optimize(objective, n_trials=1)
    trials = _finished(study)[: rules.n_trials]
    best = min(trials, key=lambda trial: (trial.value, trial.number))
    table = pd.DataFrame(
        [{"number": i, "value": t.value, "state": t.state.name, **t.params} for i, t in enumerate(trials)]
    )
    logger.info("%s: best of %d trials has log loss %.4f", kind.name, len(trials), best.value)
    return kind.parameters_class(**best.params), table


def _open_study(name: str, storage: Any) -> Any:
    import optuna

    if name in optuna.get_all_study_names(storage):
        return optuna.load_study(study_name=name, storage=storage)
    return optuna.create_study(study_name=name, storage=storage, direction="minimize")


def _enqueue_defaults(study: Any, kind: type[RowForecaster]) -> None:
    # First, so that the search can only do better than them. A run that was stopped in its first trial left no
    # finished trial, or even none at all: until one is finished, the defaults are still to be tried.
    import optuna

    if not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
        study.enqueue_trial(kind.parameters_class().model_dump(include=set(kind.search_space)))


_LOGARITHMIC = {"learning_rate", "min_child_weight", "reg_lambda"}


def _suggest(trial: Any, kind: type[RowForecaster], rules: TuningRules) -> ModelParameters:
    chosen: dict[str, Any] = {
        name: trial.suggest_int(name, low, high)
        if isinstance(low, int)
        else trial.suggest_float(name, low, high, log=name in _LOGARITHMIC)
        for name, (low, high) in kind.search_space.items()
    }
    return kind.parameters_class(**chosen).within(rules.max_rounds, rules.early_stopping_rounds)


def _weighted_log_loss(forecaster: RowForecaster, sample: Sample) -> float:
    # Before calibration: the calibration was fitted on these very rows.
    given = forecaster.raw_probability(sample.x)[np.arange(len(sample.label)), sample.label.astype(np.int64) + 1]
    return float(np.average(-np.log(np.maximum(given, FLOOR)), weights=sample.weight))


def _finished(study: Any) -> list[Any]:
    import optuna

    return list(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))
