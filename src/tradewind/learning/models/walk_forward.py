"""Training and forecasting out of sample, fold by fold, for any forecaster."""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.compute import TRAINING_MODULES, executor, track
from tradewind.errors import BadData
from tradewind.learning.models.base import Files, Forecaster, Mask, ModelStore, Training, feature_names, thin
from tradewind.learning.splits.purged import (
    PlainFold,
    assert_no_leak,
    inner_split,
    plain_fold,
    test_mask,
    training_mask,
)
from tradewind.parameters import Parameters

logger = logging.getLogger(__name__)

EXPLAINED_SIDE_BY_SIDE = 2
WALK_FORWARD = -1  # the path of a forecast that is made in the order of history

FORMAT = 5  # part of every key: raise it when training changes in a way that parameters do not show


class TrainingRules(Parameters):
    """How each fold is trained (`params:classifier.MODEL.training`).

    The last `calibration_share` of a fold's training time calibrates, the last `valid_share` of the rest stops the
    training early; both are purged. `row_stride` trains on every n-th bar only: labels overlap over their horizon,
    so that neighbouring rows say nearly the same. `fits_side_by_side` folds are trained at once: in threads, or in
    processes, which pays for networks, whose many small steps hold the interpreter's lock. The bytes are the same.
    """

    valid_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    calibration_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    row_stride: Annotated[int, Field(ge=1, le=1000)] = 1
    max_rounds: Annotated[int, Field(ge=1, le=10_000)] = 200
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 20
    fits_side_by_side: Annotated[int, Field(ge=1, le=64)] = 2
    executor: Literal["threads", "processes"] = "threads"


Kind = TypeVar("Kind", bound=Forecaster)


@dataclass(frozen=True)
class StoredCheckpoint:
    """The state of one fold's training, in the store beside the finished models."""

    store: ModelStore
    key: str

    @property
    def _name(self) -> str:
        return f"training-{self.key[:12]}"

    def get(self) -> Files | None:
        """The state last put, or None."""
        return self.store.get(self._name)

    def put(self, files: Files) -> None:
        """Keep the state, all or nothing."""
        self.store.put(self._name, files, {"training": self.key})

    def drop(self) -> None:
        """Forget it: the model is finished."""
        self.store.forget(self._name)


class FoldTask(NamedTuple):
    """How the folds of a model are trained, as it can be sent to another process.

    Attributes:
        model: its name in the catalogue.
        parameters: of the model, with as many rounds as a training may take.
        rules: how each fold is trained.
        store: where models and checkpoints are kept.
        seed: that everything drawn at random follows from.
    """

    model: str
    parameters: Any
    rules: TrainingRules
    store: ModelStore
    seed: int


class FittedFold(NamedTuple):
    """The key of a fold's model, which of the test rows it forecast (rows,), and its forecasts of those."""

    key: str
    known: Mask
    forecasts: pd.DataFrame


@dataclass(frozen=True)
class TrainedFold(Generic[Kind]):
    """One fold's forecaster, the seed it was trained from, where it is stored, and its forecasts of the test rows."""

    fold: Any
    seed: int
    key: str
    forecaster: Kind
    test: pd.DataFrame
    forecasts: pd.DataFrame


def pool(model_input: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of all symbols in the order of time, then symbol."""
    rows = pd.concat(model_input.values(), ignore_index=True)
    return rows.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def split_training(rows: pd.DataFrame, rules: TrainingRules) -> Training:
    """Purged training rows with what each is for: to fit, to stop and to calibrate, in the order of time."""
    instants = rows[["timestamp", "horizon_end"]]  # alone: a copy of all features for each question would be large
    earlier, calibration = inner_split(instants, rules.calibration_share)
    assert_no_leak(instants, earlier, calibration)
    rest = instants[earlier]
    inner_fit, inner_valid = inner_split(rest, rules.valid_share)
    assert_no_leak(rest, inner_fit, inner_valid)
    fit, thinned, valid = (np.zeros(len(rows), dtype=np.bool_) for _ in range(3))
    fit[np.flatnonzero(earlier)[inner_fit]] = True
    valid[np.flatnonzero(earlier)[inner_valid]] = True
    thinned[np.flatnonzero(fit)[thin(instants[fit], rules.row_stride)]] = True
    return Training(rows, fit, thinned, valid, calibration)


def fingerprint(rows: pd.DataFrame, **settings: Any) -> str:
    """A key that changes when the rows (values, names, order) or any setting does."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    digest.update(json.dumps(list(rows.columns)).encode())
    digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def train_folds(
    kind: type[Kind],
    parameters: Any,
    rows: pd.DataFrame,
    folds: pd.DataFrame,
    rules: TrainingRules,
    store: ModelStore,
    seed: int,
) -> list[TrainedFold[Kind]]:
    """Every fold trained on its purged past (or taken from the store) and forecast over its test window.

    Args:
        kind: of forecaster.
        parameters: of the kind's own class.
        rows: model-input rows of all symbols, in the order of time then symbol.
        folds: the fold table.
        rules: rounds (or epochs), early stopping and the shares kept for stopping and calibration.
        store: of finished models and of half-finished trainings.
        seed: of the training.

    Returns:
        One a fold, in the order of the table; rows without a whole window have no forecast.

    Raises:
        BadData: a fold has no test rows, or a training row overlaps the test.
    """
    from threadpoolctl import threadpool_limits

    task = FoldTask(kind.name, parameters.within(rules.max_rounds, rules.early_stopping_rounds), rules, store, seed)
    plan = [plain_fold(fold) for fold in folds.itertuples(index=False)]

    def result(fold: PlainFold, forecaster: Kind, fitted: FittedFold) -> TrainedFold[Kind]:
        test = rows[test_mask(rows, fold)][fitted.known]
        return TrainedFold(fold, seed, fitted.key, forecaster, test, fitted.forecasts)

    def here(fold: PlainFold) -> TrainedFold[Kind]:
        return result(fold, *fit_fold(kind, task, rows, fold))

    # One thread a fit: matrix products that are shared out differently differ in their last bits.
    with threadpool_limits(limits=1), executor(rules.executor, rules.fits_side_by_side, "", TRAINING_MODULES) as on:
        if rules.executor == "threads":
            return list(track_results(on.map(here, plan), len(plan), f"{kind.name}: folds"))
        made = zip(plan, on.map(partial(fit_elsewhere, task, rows), plan), strict=True)
        results = (result(fold, kind.from_files(files), fitted) for fold, (files, fitted) in made)
        return list(track_results(results, len(plan), f"{kind.name}: folds"))


def fit_fold(kind: type[Kind], task: FoldTask, rows: pd.DataFrame, fold: Any) -> tuple[Kind, FittedFold]:
    """One fold's forecaster, trained or taken from the store, and what it says of its test window.

    Args:
        kind: the model's class.
        task: how it is trained.
        rows: pooled model-input rows.
        fold: a row of the folds table.

    Raises:
        BadData: the test window has no rows, or a training row looks into it.
    """
    training, testing = training_mask(rows, fold), test_mask(rows, fold)
    assert_no_leak(rows, training, testing)
    if not testing.any():
        raise BadData(f"fold {fold.fold} has no rows between {fold.test_start} and {fold.test_end}")
    past, store, rules = rows[training], task.store, task.rules.model_dump(exclude={"executor"})
    key = fingerprint(
        past, model=kind.name, parameters=task.parameters.model_dump(), rules=rules, seed=task.seed, format=FORMAT
    )
    files, begun = store.get(key), StoredCheckpoint(store, key)
    if files is None:
        about = {"model": kind.name, "fold": int(fold.fold), "features": feature_names(rows), "rows": len(past)}
        parts = [split_training(past, task.rules)]
        del past  # a model of rows gives them up once it has its samples: two folds at once are most of the memory
        forecaster = kind(task.parameters, task.seed).fit(parts.pop(), begun)
        files = forecaster.files()
        store.put(key, files, about)
        begun.drop()
        logger.info("%s fold %d: trained on %d rows", kind.name, fold.fold, about["rows"])
    else:
        forecaster = kind.from_files(files)
        begun.drop()  # a run that was killed between its last two writes left it
        logger.info("%s fold %d: taken from the store", kind.name, fold.fold)
    found = forecaster.predict(rows, testing)
    # A window that is not whole, at the beginning of a segment, has no forecast.
    known = found["p_up"].notna().to_numpy()
    return forecaster, FittedFold(key, known, found[known])


def fit_elsewhere(task: FoldTask, rows: pd.DataFrame, fold: PlainFold) -> tuple[Files, FittedFold]:
    """`fit_fold` in another process, which is sent the model's name and sends back its files.

    Args:
        task: how it is trained.
        rows: pooled model-input rows.
        fold: a row of the folds table.
    """
    from threadpoolctl import threadpool_limits

    from tradewind.learning.models import catalogue

    with threadpool_limits(limits=1):
        forecaster, fitted = fit_fold(catalogue.model(task.model), task, rows, fold)
    return task.store.get(fitted.key) or forecaster.files(), fitted


def track_results(results: Iterator[TrainedFold[Kind]], total: int, task: str) -> Iterator[TrainedFold[Kind]]:
    """The results as they come, with progress.

    Args:
        results: one a unit of work.
        total: how many there will be.
        task: the words beside the progress.

    Yields:
        The same results.
    """
    for _, result in zip(track(range(total), task), results, strict=True):
        yield result


def trained_tables(
    trained: Sequence[TrainedFold[Any]], horizon_bars: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Forecasts out of sample, learning curves, importance, and the store's key of each fold's model."""
    return (
        forecast_table(trained, horizon_bars),
        learning_curves(trained),
        importance_table(trained),
        {str(result.fold.fold): result.key for result in trained},
    )


def forecast_table(trained: Sequence[TrainedFold[Any]], horizon_bars: int) -> pd.DataFrame:
    """Out-of-sample forecasts of all folds (`schema.Forecasts`)."""
    parts = [
        forecast_columns(one.test, one.forecasts, type(one.forecaster), one.seed, int(one.fold.fold), horizon_bars)
        for one in trained
    ]
    return pd.concat(parts, ignore_index=True).astype({"model": "str", "family": "str"})


def forecast_columns(
    rows: pd.DataFrame,
    forecasts: pd.DataFrame,
    kind: type[Forecaster],
    seed: int,
    fold: int,
    horizon_bars: int,
    path: int = WALK_FORWARD,
) -> pd.DataFrame:
    """Forecasts with the columns that say whose they are.

    Args:
        rows: the rows that were forecast.
        forecasts: what `predict` gave for them, in their order.
        kind: the model's class.
        seed: that it was trained from.
        fold: the fold's number.
        horizon_bars: how far ahead the forecast looks, in bars.
        path: the number of a combinatorial path, -1 for the order of history.
    """
    keys = rows[["symbol", "timestamp"]].assign(
        model=kind.name, family=kind.family, seed=np.int64(seed), path=np.int64(path), fold=np.int64(fold),
        horizon=np.int64(horizon_bars),
    )  # fmt: skip
    order = ["model", "family", "seed", "path", "fold", "symbol", "timestamp", "horizon"]
    return pd.concat([keys[order], forecasts.set_axis(keys.index)], axis=1)


def learning_curves(trained: Sequence[TrainedFold[Any]]) -> pd.DataFrame:
    """model, fold, iteration, train_loss, valid_loss."""
    parts = [
        result.forecaster.learning_curve().assign(model=result.forecaster.name, fold=np.int64(result.fold.fold))
        for result in trained
    ]
    return pd.concat(parts, ignore_index=True)[["model", "fold", "iteration", "train_loss", "valid_loss"]]


def importance_table(trained: Sequence[TrainedFold[Any]]) -> pd.DataFrame:
    """model, feature, gain_share, mean_abs_shap: means over the folds, each explained on its own test rows."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1), executor("threads", EXPLAINED_SIDE_BY_SIDE) as on:
        parts = list(on.map(lambda result: result.forecaster.importance(result.test), trained))
    means = pd.concat(parts).groupby("feature", sort=False).mean().reset_index()
    means.insert(0, "model", trained[0].forecaster.name)
    return means.sort_values("mean_abs_shap", ascending=False, kind="stable", ignore_index=True)
