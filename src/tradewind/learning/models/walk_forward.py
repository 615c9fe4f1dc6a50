"""Training and forecasting out of sample, fold by fold, for any forecaster."""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.compute import executor, track
from tradewind.errors import BadData
from tradewind.learning.models.base import Checkpoint, Files, ModelStore, Sample, feature_names
from tradewind.learning.splits.purged import Mask, assert_no_leak, inner_split, test_mask, training_mask
from tradewind.parameters import Parameters

logger = logging.getLogger(__name__)

FORMAT = 2  # part of every key: raise it when training changes in a way that parameters do not show


class TrainingRules(Parameters):
    """How each fold is trained (`params:classifier.MODEL.training`).

    The last `calibration_share` of a fold's training time calibrates, the last `valid_share` of the rest stops the
    training early; both are purged. `row_stride` trains on every n-th bar only: labels overlap over their horizon,
    so that neighbouring rows say nearly the same.
    """

    valid_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    calibration_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    row_stride: Annotated[int, Field(ge=1, le=1000)] = 1
    max_rounds: Annotated[int, Field(ge=1, le=10_000)] = 200
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 20
    fits_side_by_side: Annotated[int, Field(ge=1, le=64)] = 2


class FoldForecaster(Protocol):
    """What walk-forward training needs of a forecaster, whether it reads rows or windows of them."""

    name: ClassVar[str]

    def __init__(self, parameters: Any, seed: int) -> None:
        """Unfitted."""

    def learn(self, past: pd.DataFrame, rules: TrainingRules, checkpoint: Checkpoint | None = None) -> Self:
        """Fitted, stopped and calibrated on purged training rows of all symbols, in the order of time.

        What takes long keeps its state in the checkpoint and goes on from it.
        """

    def forecast(self, rows: pd.DataFrame, testing: Mask) -> pd.DataFrame:
        """Probabilities, expected return and quantiles for `rows[testing]`; rows before them may be read."""

    def learning_curve(self) -> pd.DataFrame:
        """iteration, train_loss, valid_loss."""

    def importance(self, x: pd.DataFrame) -> pd.DataFrame:
        """feature, gain_share, mean_abs_shap on these model-input rows."""

    def files(self) -> Files:
        """Named bytes, without pickles."""

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The same again."""


Kind = TypeVar("Kind", bound=FoldForecaster)


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


@dataclass(frozen=True)
class TrainedFold(Generic[Kind]):
    """One fold's forecaster, where it is stored, and its forecasts of the test rows."""

    fold: Any
    key: str
    forecaster: Kind
    test: pd.DataFrame
    forecasts: pd.DataFrame


def pool(model_input: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of all symbols in the order of time, then symbol."""
    rows = pd.concat(model_input.values(), ignore_index=True)
    return rows.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)


def thin(rows: pd.DataFrame, stride: int) -> Mask:
    """True on every `stride`-th timestamp, the same for all symbols."""
    place = rows["timestamp"].rank(method="dense").to_numpy(dtype=np.int64)
    return place % stride == 0


def part_masks(rows: pd.DataFrame, rules: TrainingRules) -> tuple[Mask, Mask, Mask]:
    """Which purged training rows fit, stop and calibrate, in the order of time."""
    earlier, calibration = inner_split(rows, rules.calibration_share)
    assert_no_leak(rows, earlier, calibration)
    rest = rows[earlier]
    inner_fit, inner_valid = inner_split(rest, rules.valid_share)
    assert_no_leak(rest, inner_fit, inner_valid)
    fit, valid = np.zeros(len(rows), dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
    fit[np.flatnonzero(earlier)[inner_fit]] = True
    valid[np.flatnonzero(earlier)[inner_valid]] = True
    return fit, valid, calibration


def split_training(rows: pd.DataFrame, rules: TrainingRules) -> tuple[Sample, Sample, Sample]:
    """Purged training rows as samples to fit, to stop and to calibrate on, in the order of time."""
    fit, valid, calibration = part_masks(rows, rules)
    fit_rows = rows[fit]
    thinned = fit_rows[thin(fit_rows, rules.row_stride)]
    return Sample.from_rows(thinned), Sample.from_rows(rows[valid]), Sample.from_rows(rows[calibration])


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

    `parameters` are of the kind's own class; the rules say how many rounds (or epochs) they may take.
    """
    parameters = parameters.model_copy(
        update={"max_rounds": rules.max_rounds, "early_stopping_rounds": rules.early_stopping_rounds}
    )

    def train(fold: Any) -> TrainedFold[Kind]:
        training, testing = training_mask(rows, fold), test_mask(rows, fold)
        assert_no_leak(rows, training, testing)
        if not testing.any():
            raise BadData(f"fold {fold.fold} has no rows between {fold.test_start} and {fold.test_end}")
        past, test = rows[training], rows[testing]
        key = fingerprint(
            past,
            model=kind.name,
            parameters=parameters.model_dump(),
            rules=rules.model_dump(),
            seed=seed,
            format=FORMAT,
        )
        files, begun = store.get(key), StoredCheckpoint(store, key)
        if files is None:
            forecaster = kind(parameters, seed).learn(past, rules, begun)
            about = {"model": kind.name, "fold": int(fold.fold), "features": feature_names(rows), "rows": len(past)}
            store.put(key, forecaster.files(), about)
            begun.drop()
            logger.info("%s fold %d: trained on %d rows", kind.name, fold.fold, len(past))
        else:
            forecaster = kind.from_files(files)
            begun.drop()  # a run that was killed between its last two writes left it
            logger.info("%s fold %d: taken from the store", kind.name, fold.fold)
        found = forecaster.forecast(rows, testing)
        # A window that is not whole, at the beginning of a segment, has no forecast.
        known = found["p_up"].notna().to_numpy()
        return TrainedFold(fold, key, forecaster, test[known], found[known])

    plan = list(folds.itertuples(index=False))
    with executor("threads", rules.fits_side_by_side) as on:
        return list(track_results(on.map(train, plan), len(plan), f"{kind.name}: folds"))


def track_results(results: Iterator[TrainedFold[Kind]], total: int, task: str) -> Iterator[TrainedFold[Kind]]:
    """The results as they come, with progress."""
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
    parts = []
    for result in trained:
        keys = result.test[["symbol", "timestamp"]].assign(
            model=result.forecaster.name, fold=np.int64(result.fold.fold), horizon=np.int64(horizon_bars)
        )
        parts.append(pd.concat([keys[["model", "fold", "symbol", "timestamp", "horizon"]], result.forecasts], axis=1))
    return pd.concat(parts, ignore_index=True).astype({"model": "str"})


def learning_curves(trained: Sequence[TrainedFold[Any]]) -> pd.DataFrame:
    """model, fold, iteration, train_loss, valid_loss."""
    parts = [
        result.forecaster.learning_curve().assign(model=result.forecaster.name, fold=np.int64(result.fold.fold))
        for result in trained
    ]
    return pd.concat(parts, ignore_index=True)[["model", "fold", "iteration", "train_loss", "valid_loss"]]


def importance_table(trained: Sequence[TrainedFold[Any]]) -> pd.DataFrame:
    """model, feature, gain_share, mean_abs_shap: means over the folds, each explained on its own test rows."""
    parts = []
    for result in trained:
        parts.append(result.forecaster.importance(result.test))
    means = pd.concat(parts).groupby("feature", sort=False).mean().reset_index()
    means.insert(0, "model", trained[0].forecaster.name)
    return means.sort_values("mean_abs_shap", ascending=False, kind="stable", ignore_index=True)
