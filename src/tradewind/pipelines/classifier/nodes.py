"""Tuning, walk-forward training and scoring of one model of rows."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from pydantic import ValidationError

from tradewind.errors import BadParameters
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.models import catalogue, paths, walk_forward
from tradewind.learning.models import tuning as search
from tradewind.learning.models.base import ModelParameters
from tradewind.learning.models.linear import LinearParameters
from tradewind.learning.models.tuning import TuningRules
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.learning.splits.combinatorial import CombinatorialPlan
from tradewind.market.universe import Universe
from tradewind.parameters import faults
from tradewind.pipelines.classifier.parameters import ModelChoice, SeedRules

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def tune(
    model_input: Partitions,
    folds: pd.DataFrame,
    study_storage: Any,
    model: ModelChoice,
    tuning: TuningRules,
    seed: int,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The best parameters, and the table of trials.

    Args:
        model_input: by partition a function that loads its model-input rows.
        folds: the fold table.
        study_storage: opens Optuna's storage of a model.
        model: which one.
        tuning: how many trials, the ranges and the stride of the rows.
        seed: of model and sampler.

    Returns:
        The best parameters, and one row a trial.
    """
    rows = walk_forward.pool({name: load() for name, load in model_input.items()})
    best, trials = search.tune(
        catalogue.row_model(model.name), rows, folds, tuning, study_storage.of(_whole(model.name)), seed
    )
    return best.model_dump(), trials


def train(
    model_input: Partitions,
    folds: pd.DataFrame,
    parameters: dict[str, Any],
    model_store: Any,
    model: ModelChoice,
    training: TrainingRules,
    labels: LabelRules,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Forecasts out of sample, learning curves, importance, and the store's key of each fold's model.

    Args:
        model_input: by partition a function that loads its model-input rows.
        folds: the fold table.
        parameters: of the model, chosen by `tune` or given.
        model_store: opens the store of a model.
        model: which one.
        training: rounds, early stopping and the shares kept for stopping and calibration.
        labels: the labelling method, for its horizon.
        seed: of the training.

    Returns:
        The four tables.

    Raises:
        BadParameters: the parameters do not fit the model.
    """
    rows = walk_forward.pool({name: load() for name, load in model_input.items()})
    kind, typed = catalogue.row_model(model.name), _parameters(model.name, parameters)
    trained = walk_forward.train_folds(kind, typed, rows, folds, training, model_store.of(_whole(model.name)), seed)
    return walk_forward.trained_tables(trained, labels.horizon_bars)


def train_seeds(
    model_input: Partitions,
    folds: pd.DataFrame,
    parameters: dict[str, Any],
    model_store: Any,
    model: ModelChoice,
    training: TrainingRules,
    labels: LabelRules,
    seeds: SeedRules,
    seed: int,
) -> pd.DataFrame:
    """Forecasts out of sample by the same model from other seeds: how much of a result is the seed's.

    No rows where no other seeds are asked for: then a result from one seed says nothing of its spread.

    Args:
        model_input: by partition a function that loads its model-input rows.
        folds: the fold table.
        parameters: of the model.
        model_store: opens the store of a model.
        model: which one.
        training: rounds, early stopping and the shares kept for stopping and calibration.
        labels: the labelling method, for its horizon.
        seeds: how many others.
        seed: of the run; the others follow it.

    Returns:
        Forecasts of all other seeds.
    """
    if seeds.others == 0:
        from tradewind.market.schema import Forecasts

        return Forecasts.empty()
    rows = walk_forward.pool({name: load() for name, load in model_input.items()})
    kind, typed = catalogue.row_model(model.name), _parameters(model.name, parameters)
    parts = []
    for other in range(seed + 1, seed + 1 + seeds.others):
        trained = walk_forward.train_folds(
            kind, typed, rows, folds, training, model_store.of(_whole(model.name)), other
        )
        parts.append(walk_forward.forecast_table(trained, labels.horizon_bars))
    return pd.concat(parts, ignore_index=True).astype({"model": "str", "family": "str"})


def forecast_paths(
    model_input: Partitions,
    folds: pd.DataFrame,
    labels: LabelRules,
    plan: CombinatorialPlan,
    universe: Universe,
    linear: dict[str, Any],
) -> pd.DataFrame:
    """Forecasts of the linear model along the paths of combinatorial purged cross-validation.

    Args:
        model_input: by partition a function that loads its model-input rows.
        folds: the fold table.
        labels: the labelling method, for its horizon.
        plan: groups, tested groups and embargo.
        universe: gives the length of a bar.
        linear: parameters of the linear model.

    Returns:
        One row a path and row.
    """
    rows = walk_forward.pool({name: load() for name, load in model_input.items()})
    return paths.path_forecasts(rows, folds, plan, universe.bar, labels.horizon_bars, LinearParameters(**linear))


def write_paths_card(path_forecasts: pd.DataFrame) -> dict[str, Any]:
    """The card by which evaluation finds the paths: stage, model, family, tables."""
    ((model, family),) = path_forecasts[["model", "family"]].drop_duplicates().to_numpy()
    return {"stage": "classifier", "model": model, "family": family, "tables": ["path_forecasts"]}


def _whole(model: str) -> str:
    """The model's name in the stores."""
    return f"classifier.{model}"


def _parameters(name: str, given: dict[str, Any]) -> ModelParameters:
    """The model's own parameters, typed.

    Raises:
        BadParameters: they do not fit the model.
    """
    try:
        return catalogue.row_model(name).parameters_class.model_validate(given)
    except ValidationError as error:
        raise BadParameters(f"classifier.{name}.parameters: {faults(error)}") from error
