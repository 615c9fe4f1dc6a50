"""The floor under all networks: the last price is the forecast, and nothing is known but how far prices go."""

import json
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tradewind.errors import BadModel
from tradewind.learning.models.base import (
    PROBABILITIES,
    QUANTILES,
    Checkpoint,
    Files,
    Mask,
    ModelParameters,
    Training,
    feature_names,
)
from tradewind.learning.models.sequence.finishing import Details, returns_by_horizon
from tradewind.learning.models.sequence.parameters import SequenceParameters

Floats = NDArray[np.float64]
FILE = "last_value.json"


class _Fitted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    horizons: tuple[int, ...]
    probabilities: tuple[float, float, float]
    quantiles: tuple[tuple[float, ...], ...]
    features: tuple[str, ...]
    log_loss: float


class LastValueForecaster:
    """A random walk without drift: at every horizon the median is no change, the quantiles are those that returns of
    the training rows had without their sign, and up is as likely as down."""

    name: ClassVar[str] = "last_value"
    family: ClassVar[str] = "baseline"
    has_direction: ClassVar[bool] = False
    parameters_class: ClassVar[type[ModelParameters]] = SequenceParameters

    def __init__(self, parameters: SequenceParameters, seed: int) -> None:
        """Neither is used: it has no parameters and draws nothing."""
        self.seed = seed
        self._state: _Fitted | None = None

    @property
    def _fitted(self) -> _Fitted:
        if self._state is None:
            raise BadModel(f"{self.name} has not been fitted: call fit or from_files first")
        return self._state

    @property
    def horizons(self) -> tuple[int, ...]:
        """In bars, from short to long; the last is the label's."""
        return self._fitted.horizons

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns of its training rows, none of which it reads."""
        return self._fitted.features

    @property
    def window_bars(self) -> int:
        """One row, which it does not look at."""
        return 1

    def fit(self, training: Training, checkpoint: Checkpoint | None = None) -> Self:
        """Fitted on all training rows: there is nothing to stop or to calibrate."""
        past = training.rows
        horizons, returns = returns_by_horizon(past)
        q75, q95 = np.quantile(np.abs(returns), [0.5, 0.9], axis=0)  # of a symmetric distribution
        label = past["label"].to_numpy()
        flat = float(np.clip((label == 0).mean(), 1e-6, 1 - 1e-6))
        shares = ((1 - flat) / 2, flat, (1 - flat) / 2)
        self._state = _Fitted(
            horizons=horizons, probabilities=shares, features=tuple(feature_names(past)),
            quantiles=tuple(map(tuple, np.stack([-q95, -q75, 0 * q75, q75, q95], axis=1).tolist())),
            log_loss=float(-np.log(np.array(shares)[label.astype(np.int64) + 1]).mean()),
        )  # fmt: skip
        return self

    def predict(self, rows: pd.DataFrame, testing: Mask | None = None) -> pd.DataFrame:
        """The same for every row of `rows[testing]`, or of all rows."""
        testing = np.ones(len(rows), dtype=np.bool_) if testing is None else testing
        last = self._fitted.quantiles[-1]
        values = [*self._fitted.probabilities, 0.0, *last]
        columns = [*PROBABILITIES, "expected_return", *QUANTILES]
        return pd.DataFrame(np.tile(values, (int(testing.sum()), 1)), columns=columns, index=rows.index[testing])

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        """p_down, p_flat, p_up and expected log return (4,), whatever the row."""
        return np.array([*self._fitted.probabilities, 0.0])

    def details(self, rows: pd.DataFrame, testing: Mask) -> Details:
        """Quantiles at every horizon; it attends to nothing."""
        count = int(testing.sum())
        quantiles = np.tile(np.array(self._fitted.quantiles), (count, 1, 1))
        return Details(np.arange(count), quantiles, np.full(count, np.nan), np.empty(0), {})

    def learning_curve(self) -> pd.DataFrame:
        """One row: its loss on the training rows."""
        loss = self._fitted.log_loss
        return pd.DataFrame({"iteration": [0], "train_loss": [loss], "valid_loss": [loss]})

    def importance(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Nothing for every feature: it reads none."""
        features = pd.Series(self._fitted.features, dtype="str")
        return pd.DataFrame({"feature": features, "gain_share": 0.0, "mean_abs_shap": 0.0})

    def epochs(self) -> pd.DataFrame:
        """Its one row as a network's epochs, without gradients."""
        loss = self._fitted.log_loss
        gradients = dict.fromkeys(("gradient_norm", "largest_gradient_norm", "noise_scale", "learning_rate"), 0.0)
        return pd.DataFrame([{"epoch": 0, "train_loss": loss, "valid_loss": loss, **gradients, "is_best": True}])

    def health(self) -> pd.DataFrame:
        """No rows: there is no network."""
        return pd.DataFrame(columns=["dead_units", "attention_entropy", "step", "loss"], dtype="float64")

    def files(self) -> Files:
        """One JSON file."""
        return {FILE: json.dumps(self._fitted.model_dump(mode="json"), indent=1).encode()}

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The forecaster again.

        Raises:
            BadModel: the file is missing or was written by another version.
        """
        forecaster = cls(SequenceParameters(), 0)
        try:
            forecaster._state = _Fitted.model_validate_json(files[FILE])
        except (KeyError, ValidationError) as error:
            raise BadModel(f"{cls.name}: {FILE} is missing or was written by another version: {error}") from error
        return forecaster
