"""What gradient-boosted trees have in common, whichever library grows them."""

import json
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tradewind.errors import BadData, BadModel
from tradewind.learning.models.base import PROBABILITIES, QUANTILES, Checkpoint, Files, Sample
from tradewind.learning.models.calibration import ProbabilityScaling, fit_scaling
from tradewind.learning.models.walk_forward import TrainingRules, split_training
from tradewind.learning.splits.purged import Mask
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
EXPLAINED_ROWS = 1000  # SHAP values are averaged over about so many rows


class BoostingParameters(Parameters):
    """How the trees are grown, in words that both libraries know; rows and features are drawn for each tree.

    The defaults are slow and stiff: what can be learned of a market is little, and overlapping labels look like more
    data than they are.
    """

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    max_depth: Annotated[int, Field(ge=1, le=12)] = 3
    min_child_weight: Annotated[float, Field(ge=0)] = 50.0
    row_share: Annotated[float, Field(gt=0, le=1)] = 0.6
    feature_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    l2: Annotated[float, Field(ge=0)] = 50.0
    max_rounds: Annotated[int, Field(ge=1, le=10_000)] = 300
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 20
    max_bins: Annotated[int, Field(ge=4, le=1024)] = 64


class _Outside(BaseModel):
    """What stands beside the trees in `forecaster.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    library: str
    features: tuple[str, ...]
    parameters: BoostingParameters
    seed: int
    best_rounds: int
    class_returns: tuple[float, float, float]
    scaling: ProbabilityScaling
    curve: tuple[tuple[float, float], ...]


class BoostingForecaster(ABC):
    """Three-class boosting: early stopping, calibration, and an expected return from the classes' mean returns.

    Subclasses grow and read the trees; one fit uses one thread, so that its bytes do not depend on the machine.
    """

    name: ClassVar[str]
    model_file: ClassVar[str]

    def __init__(self, parameters: BoostingParameters, seed: int) -> None:
        """An unfitted forecaster."""
        self.parameters = parameters
        self.seed = seed
        self._outside: _Outside | None = None
        self._trees: Any = None

    @abstractmethod
    def _grow(self, train: Sample, valid: Sample) -> tuple[Any, int, list[tuple[float, float]]]:
        """The trees, how many rounds of them are best, and (train, valid) log loss a round."""

    @abstractmethod
    def _probability(self, x: pd.DataFrame) -> Floats:
        """Raw probabilities (rows, 3)."""

    @abstractmethod
    def _gain(self) -> Floats:
        """Total gain of each feature."""

    @abstractmethod
    def _shap(self, x: pd.DataFrame) -> Floats:
        """Mean over classes of |SHAP| for each row and feature, exact for trees (Lundberg et al. 2020)."""

    @abstractmethod
    def _to_bytes(self) -> bytes: ...

    @abstractmethod
    def _from_bytes(self, content: bytes) -> Any: ...

    def fit(self, train: Sample, valid: Sample, calibration: Sample) -> Self:
        """Fitted and calibrated.

        Raises:
            BadData: a part without rows, or training labels of one class only.
        """
        for part, sample in (("training", train), ("validation", valid), ("calibration", calibration)):
            if len(sample.label) == 0:
                raise BadData(f"{self.name}: the {part} part has no rows")
        if len(np.unique(train.label)) < 2:
            raise BadData(f"{self.name}: the training labels are all {train.label[0]}: there is nothing to tell apart")
        trees, rounds, curve = self._grow(train, valid)
        self._trees = trees
        means = [
            float(np.average(train.forward_return[train.label == kind], weights=train.weight[train.label == kind]))
            if np.any(train.label == kind)
            else 0.0
            for kind in (-1, 0, 1)
        ]
        self._outside = _Outside(
            library=self.name,
            features=tuple(train.x.columns),
            parameters=self.parameters,
            seed=self.seed,
            best_rounds=rounds,
            class_returns=(means[0], means[1], means[2]),
            scaling=ProbabilityScaling(),
            curve=tuple(curve),
        )
        raw = self._probability(calibration.x)
        scaling = fit_scaling(raw, calibration.label, calibration.weight)
        self._outside = self._outside.model_copy(update={"scaling": scaling})
        return self

    @property
    def _fitted(self) -> _Outside:
        if self._outside is None:
            raise BadModel(f"{self.name} has not been fitted: call fit or from_files first")
        return self._outside

    def predict(self, x: pd.DataFrame) -> pd.DataFrame:
        """Calibrated probabilities and the expected log return over the horizon.

        Raises:
            BadData: a feature is missing.
        """
        x = self._select(x)
        probability = self._fitted.scaling.apply(self._probability(x))
        table = pd.DataFrame(probability, columns=PROBABILITIES, index=x.index)
        table["expected_return"] = probability @ np.array(self._fitted.class_returns)
        return table.assign(**dict.fromkeys(QUANTILES, np.nan))

    def raw_probability(self, x: pd.DataFrame) -> Floats:
        """Probabilities before calibration (rows, 3)."""
        return self._probability(self._select(x))

    def _select(self, x: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self._fitted.features if name not in x.columns]
        if missing:
            raise BadData(f"{self.name} was trained on features that are missing: {', '.join(missing)}")
        return x[list(self._fitted.features)]

    def learn(self, past: pd.DataFrame, rules: TrainingRules, checkpoint: Checkpoint | None = None) -> Self:
        """Fitted on purged training rows, parts of which stop and calibrate; too quick to need the checkpoint."""
        return self.fit(*split_training(past, rules))

    def forecast(self, rows: pd.DataFrame, testing: Mask) -> pd.DataFrame:
        """What `predict` says of the rows under test: trees read one row at a time."""
        return self.predict(rows[testing])

    def importance(self, x: pd.DataFrame) -> pd.DataFrame:
        """feature, gain_share (sums to 1) and mean_abs_shap over at most about 1,000 rows of x."""
        gain = self._gain()
        x = x.iloc[:: max(len(x) // EXPLAINED_ROWS, 1)]
        return pd.DataFrame(
            {
                "feature": pd.Series(self._fitted.features, dtype="str"),
                "gain_share": gain / gain.sum() if gain.sum() > 0 else gain,
                "mean_abs_shap": self._shap(self._select(x)).mean(axis=0),
            }
        )

    def learning_curve(self) -> pd.DataFrame:
        """iteration, train_loss and valid_loss, one row a round."""
        curve = pd.DataFrame(self._fitted.curve, columns=["train_loss", "valid_loss"])
        return curve.rename_axis("iteration").reset_index()

    def files(self) -> Files:
        """The trees in the library's own format, the rest as JSON."""
        outside = json.dumps(self._fitted.model_dump(mode="json"), indent=1).encode()
        return {self.model_file: self._to_bytes(), "forecaster.json": outside}

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The forecaster again.

        Raises:
            BadModel: a file is missing, or it belongs to another library or version.
        """
        if set(files) != {cls.model_file, "forecaster.json"}:
            raise BadModel(f"{cls.name} needs {cls.model_file} and forecaster.json, found {sorted(files)}")
        try:
            outside = _Outside.model_validate_json(files["forecaster.json"])
        except ValidationError as error:
            raise BadModel(f"{cls.name}: forecaster.json was written by another version: {error}") from error
        if outside.library != cls.name:
            raise BadModel(f"forecaster.json belongs to {outside.library}, not to {cls.name}")
        forecaster = cls(outside.parameters, outside.seed)
        forecaster._outside = outside
        forecaster._trees = forecaster._from_bytes(files[cls.model_file])
        return forecaster
