"""What gradient-boosted trees have in common, whichever library grows them."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.learning.models.base import Floats, ModelParameters, Sample
from tradewind.learning.models.row_model import Learned, RowForecaster


class BoostingParameters(ModelParameters):
    """How the trees are grown, in words that both libraries know; rows and features are drawn for each tree.

    The defaults are slow and stiff: what can be learned of a market is little, and overlapping labels look like more
    data than they are.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "row_share": "subsample", "feature_share": "colsample", "l2": "reg_lambda", "max_rounds": "n_estimators",
        "max_bins": "max_bin",
    }  # fmt: skip

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    max_depth: Annotated[int, Field(ge=1, le=12)] = 3
    min_child_weight: Annotated[float, Field(ge=0)] = 550.0
    subsample: Annotated[float, Field(gt=0, le=1)] = 0.6
    colsample: Annotated[float, Field(gt=0, le=1)] = 0.2
    reg_lambda: Annotated[float, Field(ge=0)] = 550.0
    n_estimators: Annotated[int, Field(ge=1, le=10_000)] = 300
    early_stopping_rounds: Annotated[int, Field(ge=1)] = 20
    max_bin: Annotated[int, Field(ge=4, le=1024)] = 64

    def within(self, max_rounds: int, early_stopping_rounds: int) -> Self:
        """The same with as many trees as a training may take."""
        return self.model_copy(update={"n_estimators": max_rounds, "early_stopping_rounds": early_stopping_rounds})


class Growth(NamedTuple):
    """How trees are added to those there are.

    Attributes:
        rounds: how many rounds of them.
        learning_rate: of each.
        min_child_weight: of a leaf, on the rows that they are grown on.
    """

    rounds: int
    learning_rate: float
    min_child_weight: float


class BoostingForecaster(RowForecaster):
    """Three-class boosting with early stopping. Subclasses grow and read the trees."""

    family: ClassVar[str] = "boosting"
    parameters_class: ClassVar[type[ModelParameters]] = BoostingParameters
    search_space: ClassVar[dict[str, tuple[float, float]]] = {
        "learning_rate": (0.01, 0.1),
        "max_depth": (2, 5),
        "min_child_weight": (50.0, 3000.0),
        "subsample": (0.4, 0.9),
        "colsample": (0.1, 0.6),
        "reg_lambda": (10.0, 2000.0),
    }

    @abstractmethod
    def _grow(self, train: Sample, valid: Sample) -> tuple[Any, int, list[tuple[float, float]]]:
        """The trees, how many rounds of them are best, and (train, valid) log loss a round."""

    @abstractmethod
    def _grow_on(self, sample: Sample, growth: Growth) -> tuple[bytes, int]:
        """The model's file, its best rounds and more grown on the sample, and how many rounds it has."""

    def grown_on(self, sample: Sample, growth: Growth) -> Self:
        """Another forecaster, whose first trees are the best rounds of this one's.

        Args:
            sample: rows to learn from; all features in the order of `features`.
            growth: of the trees that are added.
        """
        content, rounds = self._grow_on(sample, growth)
        return self.altered(content, state={**self.state, "best_rounds": rounds})

    @abstractmethod
    def _gain(self) -> Floats:
        """Total gain of each feature."""

    @abstractmethod
    def _shap(self, x: pd.DataFrame) -> Floats:
        """Mean over classes of |SHAP| for each row and feature, exact for trees (Lundberg et al. 2020)."""

    @property
    def best_rounds(self) -> int:
        """How many rounds of the trees are read."""
        return int(self.state["best_rounds"])

    def _learn(self, train: Sample, valid: Sample) -> Learned:
        self._model, rounds, curve = self._grow(train, valid)
        return Learned(curve, {"best_rounds": rounds})

    def _effects(self, x: pd.DataFrame) -> tuple[Floats, Floats]:
        return np.asarray(self._shap(x).mean(axis=0)), self._gain()
