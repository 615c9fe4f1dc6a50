"""What models of one row have in common: checks, calibration, expected returns, one row at a time, and files."""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from tradewind.errors import BadData, BadModel
from tradewind.learning.models.base import (
    PROBABILITIES,
    QUANTILES,
    Checkpoint,
    Files,
    Floats,
    Mask,
    ModelParameters,
    Sample,
    Training,
)
from tradewind.learning.models.calibration import ProbabilityScaling, fit_scaling

EXPLAINED_ROWS = 1000  # importance is averaged over about so many rows
OUTSIDE = "forecaster.json"
Values = NDArray[np.float32]


class Learned(NamedTuple):
    """What `_learn` hands back: (train, valid) log loss a round, and what the model is beside its own file."""

    curve: list[tuple[float, float]]
    state: dict[str, Any]


class _Outside(BaseModel):
    """What stands beside the model's own file in `forecaster.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    features: tuple[str, ...]
    parameters: dict[str, Any]
    seed: int
    class_returns: tuple[float, float, float]
    scaling: ProbabilityScaling
    curve: tuple[tuple[float, float], ...]
    state: dict[str, Any]


class RowForecaster(ABC):
    """A model of one row: a subclass learns from samples and gives raw probabilities, all else is here.

    `is_calibrated` False leaves the probabilities as the model gives them. One fit uses one thread, so that its bytes
    do not depend on the machine.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    parameters_class: ClassVar[type[ModelParameters]] = ModelParameters
    has_direction: ClassVar[bool] = True
    is_calibrated: ClassVar[bool] = True
    model_file: ClassVar[str | None] = None
    search_space: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init__(self, parameters: Any, seed: int) -> None:
        """An unfitted forecaster."""
        self.parameters = parameters
        self.seed = seed
        self._outside: _Outside | None = None
        self._model: Any = None
        self._class_returns: Floats = np.zeros(3)

    @abstractmethod
    def _learn(self, train: Sample, valid: Sample) -> Learned:
        """Learns from `train`, stops on `valid` if it can, and keeps what it reads later in `self._model`."""

    @abstractmethod
    def raw(self, values: Values) -> Floats:
        """Probabilities before calibration (rows, 3) of float32 values (rows, features) in the order of `features`."""

    def _to_bytes(self) -> bytes:
        """The model's own file, if it has one."""
        return b""

    def _restore(self, content: bytes) -> Any:
        """`self._model` from its own file and `self.state`."""
        return None

    @property
    def window_bars(self) -> int:
        """One row is enough."""
        return 1

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns that it reads, in the order of `predict_row`."""
        return self._fitted.features

    @property
    def state(self) -> dict[str, Any]:
        """What the model is beside its own file."""
        return self._fitted.state

    @property
    def _fitted(self) -> _Outside:
        if self._outside is None:
            raise BadModel(f"{self.name} has not been fitted: call fit or from_files first")
        return self._outside

    def fit(self, training: Training, checkpoint: Checkpoint | None = None) -> Self:
        """Fitted and calibrated; too quick to need the checkpoint."""
        samples = training.samples()
        del training
        return self.fit_samples(*samples)

    def fit_samples(self, train: Sample, valid: Sample, calibration: Sample) -> Self:
        """Fitted on `train`, stopped early on `valid`, its probabilities calibrated on `calibration`.

        Args:
            train: features (rows, features), labels, forward returns and weights to learn from.
            valid: those that stop the training early.
            calibration: those that the probabilities are scaled on.

        Returns:
            Itself.

        Raises:
            BadData: a part without rows, or training labels of one class only.
        """
        for part, sample in (("training", train), ("validation", valid), ("calibration", calibration)):
            if len(sample.label) == 0:
                raise BadData(f"{self.name}: the {part} part has no rows")
        if len(np.unique(train.label)) < 2:
            raise BadData(f"{self.name}: the training labels are all {train.label[0]}: there is nothing to tell apart")
        learned = self._learn(train, valid)
        self._keep(
            _Outside(
                name=self.name, features=tuple(train.x.columns), parameters=self.parameters.model_dump(mode="json"),
                seed=self.seed, class_returns=_class_returns(train), scaling=ProbabilityScaling(),
                curve=tuple(learned.curve), state=learned.state,
            )
        )  # fmt: skip
        if self.is_calibrated:
            scaling = fit_scaling(self.raw_probability(calibration.x), calibration.label)
            self._keep(self._fitted.model_copy(update={"scaling": scaling}))
        return self

    def _keep(self, outside: _Outside) -> None:
        self._outside, self._class_returns = outside, np.array(outside.class_returns)

    @property
    def scaling(self) -> ProbabilityScaling:
        """What its raw probabilities are calibrated by."""
        return self._fitted.scaling

    def altered(self, content: bytes | None = None, **changes: Any) -> Self:
        """Another forecaster: this one with another model file, `state` or `scaling`."""
        files = self.files()
        if content is not None and self.model_file:
            files[self.model_file] = content
        files[OUTSIDE] = json.dumps(self._fitted.model_copy(update=changes).model_dump(mode="json"), indent=1).encode()
        return self.from_files(files)

    def predict(self, rows: pd.DataFrame, testing: Mask | None = None) -> pd.DataFrame:
        """Calibrated probabilities and the expected log return over the horizon, one row each.

        Raises:
            BadData: a feature is missing.
        """
        x = rows if testing is None else rows[testing]
        probability = self._probability(self._values(x))
        table = pd.DataFrame(probability, columns=PROBABILITIES, index=x.index)
        table["expected_return"] = probability @ self._class_returns
        return table.assign(**dict.fromkeys(QUANTILES, np.nan))

    def predict_row(self, x: Values) -> Floats:
        """p_down, p_flat, p_up and expected log return (4,) of the values of `features`, float32 (features,)."""
        probability = self._probability(x[None])[0]
        return np.append(probability, probability @ self._class_returns)

    def _probability(self, values: Values) -> Floats:
        raw = self.raw(values)
        return self._fitted.scaling.apply(raw) if self.is_calibrated else raw

    def raw_probability(self, x: pd.DataFrame) -> Floats:
        """Probabilities before calibration (rows, 3)."""
        return self.raw(self._values(x))

    def _values(self, x: pd.DataFrame) -> Values:
        return self._select(x).to_numpy(dtype=np.float32)

    def _select(self, x: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self._fitted.features if name not in x.columns]
        if missing:
            raise BadData(f"{self.name} was trained on features that are missing: {', '.join(missing)}")
        return x[list(self._fitted.features)]

    def importance(self, rows: pd.DataFrame) -> pd.DataFrame:
        """feature, gain_share (sums to 1) and mean_abs_shap over at most about 1,000 rows."""
        x = self._select(rows.iloc[:: max(len(rows) // EXPLAINED_ROWS, 1)])
        effect, gain = self._effects(x)
        total = gain.sum()
        return pd.DataFrame(
            {
                "feature": pd.Series(self._fitted.features, dtype="str"),
                "gain_share": gain / total if total > 0 else gain,
                "mean_abs_shap": effect,
            }
        )

    def _effects(self, x: pd.DataFrame) -> tuple[Floats, Floats]:
        """Mean |SHAP| and gain of each feature; here both are the mean change of up less down when the feature alone
        stands at its mean, which for a model that adds features up is close to the SHAP value."""
        values = x.to_numpy(dtype=np.float32)
        known = np.isfinite(values)
        means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        effect = self._mean_changes(values, means.astype(np.float32))
        return effect, effect

    def _mean_changes(self, values: Values, means: Values) -> Floats:
        """Mean change of up less down over the rows when one feature alone stands at its mean, for each feature."""
        edge, changes = edge_of(self.raw(values)), np.zeros(values.shape[1])
        for at, mean in enumerate(means):
            changed = values.copy()
            changed[:, at] = mean
            changes[at] = np.abs(edge - edge_of(self.raw(changed))).mean()
        return changes

    def learning_curve(self) -> pd.DataFrame:
        """iteration, train_loss and valid_loss, one row a round."""
        curve = pd.DataFrame(self._fitted.curve, columns=["train_loss", "valid_loss"])
        return curve.rename_axis("iteration").reset_index()

    def files(self) -> Files:
        """The model in its library's own format, if it has one, the rest as JSON."""
        outside = json.dumps(self._fitted.model_dump(mode="json"), indent=1).encode()
        own = {self.model_file: self._to_bytes()} if self.model_file else {}
        return {**own, OUTSIDE: outside}

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The forecaster again.

        Raises:
            BadModel: a file is missing, or it belongs to another model or version.
        """
        needed = {OUTSIDE} | ({cls.model_file} if cls.model_file else set())
        if set(files) != needed:
            raise BadModel(f"{cls.name} needs {sorted(needed)}, found {sorted(files)}")
        try:
            outside = _Outside.model_validate_json(files[OUTSIDE])
            if outside.name != cls.name:
                raise BadModel(f"{OUTSIDE} belongs to {outside.name}, not to {cls.name}")
            forecaster = cls(cls.parameters_class.model_validate(outside.parameters), outside.seed)
        except ValidationError as error:
            raise BadModel(f"{cls.name}: {OUTSIDE} was written by another version: {error}") from error
        forecaster._keep(outside)
        forecaster._model = forecaster._restore(files[cls.model_file] if cls.model_file else b"")
        return forecaster


def log_losses(model: RowForecaster, train: Sample, valid: Sample) -> list[tuple[float, float]]:
    """The one row of the learning curve of a model that does not learn in rounds.

    Args:
        model: fitted.
        train: rows that it learned from.
        valid: rows kept from it.

    Returns:
        One pair of weighted mean log losses, in nats.
    """
    losses = []
    for sample in (train, valid):
        given = model.raw(sample.x.to_numpy(dtype=np.float32))[np.arange(len(sample.label)), sample.label + 1]
        losses.append(float(np.average(-np.log(np.maximum(given, 1e-12)), weights=sample.weight)))
    return [(losses[0], losses[1])]


def edge_of(probability: Floats) -> Floats:
    """Up less down, of probabilities (rows, 3)."""
    return np.asarray(probability[:, 2] - probability[:, 0])


def _class_returns(train: Sample) -> tuple[float, float, float]:
    """The weighted mean forward return of each class."""
    means = [
        float(np.average(train.forward_return[train.label == kind], weights=train.weight[train.label == kind]))
        if np.any(train.label == kind)
        else 0.0
        for kind in (-1, 0, 1)
    ]
    return means[0], means[1], means[2]
