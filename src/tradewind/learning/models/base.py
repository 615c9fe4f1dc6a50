"""What every forecaster is: fitted on a sample, it gives probabilities, and turns into files and back."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.parameters import Parameters

PROBABILITIES = ["p_down", "p_flat", "p_up"]
QUANTILES = ["q05", "q25", "q50", "q75", "q95"]
# Columns of the model input that are not features.
KEYS = ("symbol", "timestamp", "label", "forward_return", "exit_time", "horizon_end", "weight")
HORIZON_RETURN = "forward_return_"  # and the number of bars: what the return will be over another horizon
Files = dict[str, bytes]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Panel:
    """Whose rows they are, and when: for models that look at a symbol's rows in turn, or at all of an instant.

    Attributes:
        symbol: a number for each symbol, (rows,); the rows of one are in the order of time.
        instant: a number from 0 for each timestamp, in their order, (rows,).
        end: the number of the first instant after the label's horizon, (rows,).
        tomorrow: the number of the first instant a day later or more, (rows,).
    """

    symbol: NDArray[np.int64]
    instant: NDArray[np.int64]
    end: NDArray[np.int64]
    tomorrow: NDArray[np.int64]

    @classmethod
    def from_rows(cls, rows: pd.DataFrame) -> "Panel":
        """Of model-input rows in the order of time."""
        at, settled = (rows[name].dt.tz_convert(None).to_numpy() for name in ("timestamp", "horizon_end"))
        instants, instant = np.unique(at, return_inverse=True)
        end = np.searchsorted(instants, settled)
        tomorrow = np.searchsorted(instants, at + np.timedelta64(1, "D"))
        symbol = np.unique(rows["symbol"].to_numpy(dtype=str), return_inverse=True)[1]
        numbers = (symbol, instant, end, tomorrow)
        return cls(*(number.astype(np.int64) for number in numbers))

    @classmethod
    def of_one_symbol(cls, count: int) -> "Panel":
        """Of rows that follow each other, each label settled before the next."""
        at = np.arange(count, dtype=np.int64)
        return cls(np.zeros(count, dtype=np.int64), at, at + 1, at + 1)

    def horizon_rows(self) -> int:
        """How many rows of a symbol a label looks ahead, as most do; 1 at least."""
        return max(int(np.median(self.end - self.instant)), 1)

    def day_rows(self) -> int:
        """How many rows of a symbol a day has, as most days do; 1 at least."""
        return max(int(np.median(self.tomorrow - self.instant)), 1)


@dataclass(frozen=True)
class Sample:
    """Rows to learn from: `x` float32 features (rows, features), and for each row label, forward return and weight.

    Weights have the mean 1, so that a penalty means the same for labels of every horizon and scheme. `panel` is None
    where nobody said whose rows they are.
    """

    x: pd.DataFrame
    label: NDArray[np.int8]
    forward_return: NDArray[np.float64]
    weight: NDArray[np.float64]
    panel: Panel | None = None

    @classmethod
    def from_rows(cls, rows: pd.DataFrame) -> "Sample":
        """A sample of model-input rows.

        Raises:
            BadData: a label, forward return or weight is missing, or no row has any weight.
        """
        missing = rows[["label", "forward_return", "weight"]].isna().sum()
        if missing.any():
            raise BadData(f"training rows must have label, forward_return and weight; missing: {missing.to_dict()}")
        weight = rows["weight"].to_numpy(dtype=np.float64)
        if len(weight) and not weight.mean() > 0:
            raise BadData("the weights of the training rows are all zero: change feature_engineering.weights")
        return cls(
            x=rows[feature_names(rows)],
            label=rows["label"].to_numpy(dtype=np.int8),
            forward_return=rows["forward_return"].to_numpy(dtype=np.float64),
            weight=weight / weight.mean() if len(weight) else weight,
            panel=Panel.from_rows(rows) if {"symbol", "timestamp", "horizon_end"} <= set(rows.columns) else None,
        )


def feature_names(rows: pd.DataFrame) -> list[str]:
    """The feature columns of model-input rows, in their order."""
    return [name for name in rows.columns if name not in KEYS and not name.startswith(HORIZON_RETURN)]


def horizons_of(rows: pd.DataFrame) -> tuple[int, ...]:
    """Over how many bars the rows tell their return beside the label's own horizon, from short to long."""
    horizons = (name.removeprefix(HORIZON_RETURN) for name in rows.columns if name.startswith(HORIZON_RETURN))
    return tuple(sorted(int(one) for one in horizons))


def thin(rows: pd.DataFrame, stride: int) -> Mask:
    """True on every `stride`-th timestamp, the same for all symbols."""
    place = rows["timestamp"].rank(method="dense").to_numpy(dtype=np.int64)
    return place % stride == 0


@dataclass(frozen=True)
class Training:
    """One fold's purged training rows of all symbols in the order of time, and which of them do what.

    Attributes:
        rows: model-input rows.
        fit: the rows that the model learns from, (rows,).
        thinned: those of `fit` on every n-th bar: labels overlap, so that neighbouring rows say nearly the same.
        valid: the rows that stop the training early.
        calibration: the rows that calibrate the probabilities.
    """

    rows: pd.DataFrame
    fit: Mask
    thinned: Mask
    valid: Mask
    calibration: Mask

    def samples(self) -> tuple[Sample, Sample, Sample]:
        """The thinned rows to fit on, those to stop on and those to calibrate on."""
        # One after the other, so that only one is held beside its sample.
        fit, valid, calibration = (
            Sample.from_rows(self.rows[mask]) for mask in (self.thinned, self.valid, self.calibration)
        )
        return fit, valid, calibration


class ModelParameters(Parameters):
    """The base of a model's parameters."""

    def within(self, max_rounds: int, early_stopping_rounds: int) -> Self:
        """The same with the rounds (trees, epochs) that a training may take; a model that has none overlooks it."""
        return self


class Checkpoint(Protocol):
    """Where one training keeps its state, so that it goes on after a kill."""

    def get(self) -> Files | None:
        """The state last put, or None."""
        ...

    def put(self, files: Files) -> None:
        """Keep the state, all or nothing."""
        ...


class Forecaster(Protocol):
    """A model of the three classes. Its law book is `tests/laws/test_forecasters.py`.

    The driver (`walk_forward.train_folds`) purges, splits and thins; a model is told which rows do what. Models never
    touch a disk: `files` and `from_files` turn them into named bytes and back, so that writing atomically and checking
    hashes before anything is parsed exist once, in the store.

    Attributes:
        name: what it is called in the catalogue, in configuration and in tables.
        family: boosting, linear, sequence or baseline, and those of scikit-learn's (`scikit_learn.py`).
        has_direction: whether it knows up from down; one that does not is scored as a forecast and never traded.
        parameters_class: what its parameters are validated by.
        seed: what everything drawn at random in its training follows from.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    has_direction: ClassVar[bool]
    parameters_class: ClassVar[type[ModelParameters]]
    seed: int

    def __init__(self, parameters: Any, seed: int) -> None:
        """Unfitted."""

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns that it reads, in the order of `predict_row`."""

    @property
    def window_bars(self) -> int:
        """How many bars up to the present one a forecast reads; 1 for a model of rows."""

    def fit(self, training: Training, checkpoint: "Checkpoint | None" = None) -> Self:
        """Fitted, stopped and calibrated on the rows given for it.

        What takes long keeps its state in the checkpoint and goes on from it.
        """

    def predict(self, rows: pd.DataFrame, testing: Mask | None = None) -> pd.DataFrame:
        """p_down, p_flat, p_up (sum 1), expected_return (log) and quantiles (NaN if it has none) for `rows[testing]`
        (all rows if not given) in their order; rows before them may be read, and without enough of them it is NaN."""

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        """What `predict` says of one row, to 1e-6, for live use.

        Args:
            x: values of `features`, (features,), or (window_bars, features) oldest first if window_bars is above 1.

        Returns:
            p_down, p_flat, p_up, expected_return (log), float64 (4,).
        """

    def importance(self, rows: pd.DataFrame) -> pd.DataFrame:
        """feature, gain_share, mean_abs_shap on these model-input rows."""

    def learning_curve(self) -> pd.DataFrame:
        """iteration, train_loss, valid_loss."""

    def files(self) -> Files:
        """Everything needed to build it again, in safe formats."""

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The forecaster that `files` was taken from. The bytes must be trusted: the store has checked their hashes."""


class ModelStore(Protocol):
    """Where fitted models are kept between runs, by a key that names everything they depend on."""

    def get(self, key: str) -> Files | None:
        """The files under `key` after their hashes were checked, or None if there are none."""
        ...

    def put(self, key: str, files: Files, about: dict[str, Any]) -> None:
        """Keep the files, all or nothing, with what there is to know about them.

        Args:
            key: a fingerprint of all that the files follow from.
            files: contents by name.
            about: facts for the manifest, as JSON.
        """
        ...

    def forget(self, key: str) -> None:
        """Drop what is kept under `key`, if anything."""
        ...
