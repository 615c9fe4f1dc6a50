"""What every forecaster is: fitted on a sample, it gives probabilities, and turns into files and back."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData

PROBABILITIES = ["p_down", "p_flat", "p_up"]
QUANTILES = ["q05", "q25", "q50", "q75", "q95"]
# Columns of the model input that are not features.
KEYS = ("symbol", "timestamp", "label", "forward_return", "exit_time", "horizon_end", "weight")
HORIZON_RETURN = "forward_return_"  # and the number of bars: what the return will be over another horizon
Files = dict[str, bytes]


@dataclass(frozen=True)
class Sample:
    """Rows to learn from: `x` float32 features (rows, features), and for each row label, forward return and weight."""

    x: pd.DataFrame
    label: NDArray[np.int8]
    forward_return: NDArray[np.float64]
    weight: NDArray[np.float64]

    @classmethod
    def from_rows(cls, rows: pd.DataFrame) -> "Sample":
        """A sample of model-input rows.

        Raises:
            BadData: a label, forward return or weight is missing.
        """
        missing = rows[["label", "forward_return", "weight"]].isna().sum()
        if missing.any():
            raise BadData(f"training rows must have label, forward_return and weight; missing: {missing.to_dict()}")
        return cls(
            x=rows[feature_names(rows)],
            label=rows["label"].to_numpy(dtype=np.int8),
            forward_return=rows["forward_return"].to_numpy(dtype=np.float64),
            weight=rows["weight"].to_numpy(dtype=np.float64),
        )


def feature_names(rows: pd.DataFrame) -> list[str]:
    """The feature columns of model-input rows, in their order."""
    return [name for name in rows.columns if name not in KEYS and not name.startswith(HORIZON_RETURN)]


def horizons_of(rows: pd.DataFrame) -> tuple[int, ...]:
    """Over how many bars the rows tell their return beside the label's own horizon, from short to long."""
    told = (name.removeprefix(HORIZON_RETURN) for name in rows.columns if name.startswith(HORIZON_RETURN))
    return tuple(sorted(int(one) for one in told))


class Forecaster(Protocol):
    """A model of the three classes. Its law book is `tests/laws/test_forecasters.py`.

    Models never touch a disk: `files` and `from_files` turn them into named bytes and back, so that writing
    atomically and checking hashes before anything is parsed exist once, in the store.
    """

    name: ClassVar[str]

    def fit(self, train: Sample, valid: Sample, calibration: Sample) -> Self:
        """Fitted on `train`, stopped early on `valid`, its probabilities calibrated on `calibration`."""
        ...

    def predict(self, x: pd.DataFrame) -> pd.DataFrame:
        """p_down, p_flat, p_up (sum 1), expected_return (log) and quantiles (NaN if it has none), one row a row of
        x."""
        ...

    def importance(self, x: pd.DataFrame) -> pd.DataFrame:
        """feature, gain_share, mean_abs_shap over the rows of x."""
        ...

    def learning_curve(self) -> pd.DataFrame:
        """iteration, train_loss, valid_loss."""
        ...

    def files(self) -> Files:
        """Everything needed to build it again, in safe formats."""
        ...

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The forecaster that `files` was taken from. The bytes must be trusted: the store has checked their hashes."""
        ...


class Checkpoint(Protocol):
    """Where one training keeps its state, so that it goes on after a kill."""

    def get(self) -> Files | None:
        """The state last put, or None."""
        ...

    def put(self, files: Files) -> None:
        """Keep the state, all or nothing."""
        ...


class ModelStore(Protocol):
    """Where fitted models are kept between runs, by a key that names everything they depend on."""

    def get(self, key: str) -> Files | None:
        """The files under `key` after their hashes were checked, or None if there are none."""
        ...

    def put(self, key: str, files: Files, about: dict[str, Any]) -> None:
        """Keep the files, all or nothing, with what there is to know about them."""
        ...

    def forget(self, key: str) -> None:
        """Drop what is kept under `key`, if anything."""
        ...
