"""Walk-forward training of one model over windows of bars, and what it says beyond the forecast."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradewind.compute import executor
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.models import catalogue, walk_forward
from tradewind.learning.models.base import PROBABILITIES, QUANTILES
from tradewind.learning.models.sequence import alarms
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.walk_forward import WALK_FORWARD, TrainedFold, TrainingRules
from tradewind.learning.splits.purged import test_mask
from tradewind.metrics import horizons
from tradewind.metrics.calibration import expected_calibration_error
from tradewind.metrics.ranking import StatisticsRules
from tradewind.pipelines.deep_learning.outputs import Trained
from tradewind.pipelines.deep_learning.parameters import NetworkChoice
from tradewind.reports import sequence

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def train(
    model_input: Partitions,
    horizon_returns: Partitions,
    folds: pd.DataFrame,
    model_store: Any,
    model: NetworkChoice,
    network: SequenceParameters,
    training: TrainingRules,
    labels: LabelRules,
    seed: int,
) -> Trained:
    """Every fold trained and forecast, with the quantiles at all horizons and how training went.

    The same folds, purging and store as boosting; nothing is searched. `attention` has the mean attention by lag and
    the mean share that each feature is selected with.

    Args:
        model_input: by partition a function that loads its model-input rows.
        horizon_returns: by partition a function that loads the returns over each horizon.
        folds: the fold table.
        model_store: opens the store of a model.
        model: which network.
        network: its size, learning rate and schedule.
        training: epochs, early stopping and the shares kept for stopping and calibration.
        labels: the labelling method, for its horizon.
        seed: of the training.

    Returns:
        The tables of one network.
    """
    rows = _with_horizons(walk_forward.pool({name: load() for name, load in model_input.items()}), horizon_returns)
    kind = catalogue.model(model.name)
    store = model_store.of(f"deep_learning.{model.name}")
    trained = walk_forward.train_folds(kind, network, rows, folds, training, store, seed)
    with executor("threads", training.fits_side_by_side) as on:
        details = list(on.map(lambda one: one.forecaster.details(rows, test_mask(rows, one.fold)), trained))
    pairs = list(zip(trained, details, strict=True))
    return Trained(
        *walk_forward.trained_tables(trained, labels.horizon_bars),
        pd.concat([_horizon_table(*pair) for pair in pairs], ignore_index=True),
        _by_fold(trained, [result.forecaster.epochs() for result in trained]),
        _by_fold(trained, [result.forecaster.health() for result in trained]),
        pd.concat([_attention_table(*pair) for pair in pairs], ignore_index=True),
        alarms.alarm_table(model.name, [alarm for result in trained for alarm in _alarms(result)]),
    )


def score_horizons(
    horizon_forecasts: pd.DataFrame,
    horizon_returns: Partitions,
    folds: pd.DataFrame,
    statistics: StatisticsRules,
    seed: int,
) -> pd.DataFrame:
    """model, role, horizon and the scores of its distribution and direction (`metrics.horizons.score_horizons`).

    Args:
        horizon_forecasts: quantiles of the returns, one row a row, horizon and model.
        horizon_returns: by partition a function that loads the returns that came.
        folds: the fold table.
        statistics: how intervals and tests are made.
        seed: of the bootstrap.
    """
    happened = pd.concat([load() for load in horizon_returns.values()], ignore_index=True)
    return horizons.score_horizons(horizon_forecasts, happened, folds, statistics, seed)


def draw_training(
    horizon_metrics: pd.DataFrame, epochs: pd.DataFrame, health: pd.DataFrame, attention: pd.DataFrame
) -> tuple[Any, Any, Any, Any]:
    """Figures: coverage of the quantiles, gradients by epoch, slice of the loss, attention and selection.

    Args:
        horizon_metrics: of `score_horizons`.
        epochs: one row a model, fold and epoch.
        health: one row a model and fold.
        attention: mean attention by lag, and selection by feature.

    Returns:
        Four figures of Plotly.
    """
    return (
        sequence.coverage_figure(horizon_metrics),
        sequence.training_figure(epochs),
        sequence.landscape_figure(health),
        sequence.attention_figure(attention) or sequence.nothing_to_weigh(),
    )


def _with_horizons(rows: pd.DataFrame, horizon_returns: Partitions) -> pd.DataFrame:
    ahead = pd.concat([load() for load in horizon_returns.values()], ignore_index=True)
    return rows.merge(ahead, on=["symbol", "timestamp"], how="left", validate="one_to_one")


def _horizon_table(result: TrainedFold[Any], details: Any) -> pd.DataFrame:
    """One row a test row and horizon (`schema.HorizonForecasts`)."""
    keys = result.test[["symbol", "timestamp"]].reset_index(drop=True)
    of = {"model": result.forecaster.name, "family": result.forecaster.family, "seed": np.int64(result.seed)}
    of |= {"path": np.int64(WALK_FORWARD), "fold": np.int64(result.fold.fold)}
    parts = []
    for place, bars in enumerate(result.forecaster.horizons):
        table = keys.assign(**of, horizon=np.int64(bars))
        table[QUANTILES] = details.quantiles[:, place]
        parts.append(table.assign(evidence=details.evidence))
    joined = pd.concat(parts, ignore_index=True).astype({"model": "str", "family": "str"})
    return joined[[*of, "symbol", "timestamp", "horizon", *QUANTILES, "evidence"]]


def _attention_table(result: TrainedFold[Any], details: Any) -> pd.DataFrame:
    """model, fold, kind (lag or feature), name, share."""
    lags = [(f"{len(details.attention) - 1 - place}", share) for place, share in enumerate(details.attention)]
    rows = [("lag", *pair) for pair in lags] + [("feature", *pair) for pair in details.selection.items()]
    table = pd.DataFrame(rows, columns=["kind", "name", "share"])
    table.insert(0, "fold", np.int64(result.fold.fold))
    table.insert(0, "model", result.forecaster.name)
    return table.astype({"model": "str", "fold": "int64", "kind": "str", "name": "str", "share": "float64"})


def _by_fold(trained: list[TrainedFold[Any]], tables: list[pd.DataFrame]) -> pd.DataFrame:
    parts = [
        table.assign(model=result.forecaster.name, fold=np.int64(result.fold.fold))
        for result, table in zip(trained, tables, strict=True)
        if len(table)
    ]
    joined = pd.concat(parts, ignore_index=True) if parts else tables[0].assign(model="", fold=np.int64(0))
    return joined.astype({"model": "str", "fold": "int64"})


def _alarms(result: TrainedFold[Any]) -> list[tuple[int, str, float]]:
    """Of its training, and of its probabilities on the test rows, whose halves are compared."""
    health = result.forecaster.health()
    dead = float(health["dead_units"].iloc[0]) if len(health) else 0.0
    ended = result.test["label"].notna().to_numpy()
    label = result.test["label"][ended].to_numpy(dtype=np.int8)
    probability = result.forecasts[PROBABILITIES].to_numpy()[ended]
    half = len(label) // 2
    errors = [expected_calibration_error(label[part], probability[part]) for part in (slice(half), slice(half, None))]
    by_kind = alarms.training_alarms(result.forecaster.epochs(), dead) + alarms.calibration_alarms(errors)
    return [(int(result.fold.fold), kind, value) for kind, value in by_kind]
