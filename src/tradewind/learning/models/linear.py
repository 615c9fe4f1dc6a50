"""Logistic regression, on all features or on volatility alone: what a model must beat before its skill counts."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.learning.models.base import Checkpoint, Floats, ModelParameters, Sample, Training, thin
from tradewind.learning.models.row_model import Learned, RowForecaster, Values, edge_of, log_losses
from tradewind.metrics.classification import CLASSES

ROWS_EACH = 12_000  # more would not move a linear fit
CLIP = 5.0  # standard deviations


class LinearParameters(ModelParameters):
    """The inverse strength of the ridge penalty, scikit-learn's C.

    With `shares_penalty` columns that say the same share one column's prior variance: without it a family of thirty
    averages is believed thirty times before the data is seen.
    """

    c: Annotated[float, Field(gt=0)] = 0.0002
    shares_penalty: bool = False


class VolatilityParameters(LinearParameters):
    """A few features need no strong penalty."""

    c: Annotated[float, Field(gt=0)] = 0.1


class LinearForecaster(RowForecaster):
    """A multinomial logistic regression on all features, standardised, clipped at five deviations, what is missing at
    the mean, with a ridge penalty.

    It learns from all purged training rows of a fold, thinned evenly to 12,000: it is not stopped, and a regression of
    few degrees of freedom is calibrated as it is, but for the shares of the classes: it learns with weights and speaks
    of rows without them (prior correction: Saerens, Latinne and Decaestecker 2002).
    """

    name: ClassVar[str] = "linear"
    family: ClassVar[str] = "linear"
    parameters_class: ClassVar[type[ModelParameters]] = LinearParameters
    is_calibrated: ClassVar[bool] = False

    def fit(self, training: Training, checkpoint: Checkpoint | None = None) -> Self:
        """Fitted on all training rows."""
        past = training.rows
        few = Sample.from_rows(past[thin(past, max(len(past) // ROWS_EACH, 1))])
        return self.fit_samples(few, few, few)

    def fit_samples(self, train: Sample, valid: Sample, calibration: Sample) -> Self:
        """Fitted on the features that it reads.

        Args:
            train: rows to learn from.
            valid: rows that stop the training early.
            calibration: rows that calibrate the probabilities.

        Returns:
            Itself.

        Raises:
            BadData: a part without rows, or training labels of one class only.
        """
        names = self.reads(list(train.x.columns))
        parts = (replace(one, x=one.x[names]) for one in (train, valid, calibration))
        return super().fit_samples(*parts)

    def reads(self, names: list[str]) -> list[str]:
        """Which of the features it reads."""
        return names

    def _learn(self, train: Sample, valid: Sample) -> Learned:
        from sklearn.linear_model import LogisticRegression

        values = train.x.to_numpy(dtype=np.float64)
        mean, spread = scale(values)
        state: dict[str, Any] = {"mean": mean.tolist(), "spread": spread.tolist()}
        if values.shape[1]:
            model, design = LogisticRegression(C=self.parameters.c, max_iter=200), scaled_design(values, mean, spread)
            share = shares_of(design) if self.parameters.shares_penalty else np.ones(design.shape[1])
            model.fit(design * share, train.label, sample_weight=train.weight)
            ratio = [(train.label == one).mean() / train.weight[train.label == one].sum() for one in model.classes_]
            offset = _offsets(model.intercept_, np.log(np.array(ratio) * train.weight.sum()))
            state |= {
                "classes": model.classes_.tolist(),
                "slope": (model.coef_ * share).tolist(),
                "offset": offset.tolist(),
            }
        else:
            # Nothing to read: the classes' shares, which is what the regression is without a feature.
            shares = np.array([(train.label == kind).mean() for kind in CLASSES])
            offset = np.log(np.maximum(shares, 1e-9)).tolist()
            state |= {"classes": [int(kind) for kind in CLASSES], "slope": [[], [], []], "offset": offset}
        self._model = Regression(state)
        return Learned(log_losses(self, train, valid), state)

    def _restore(self, content: bytes) -> Any:
        return Regression(self.state)

    def raw(self, values: Values) -> Floats:
        """Probabilities (rows, 3)."""
        return self._model.probability(values)

    def _mean_changes(self, values: Values, means: Values) -> Floats:
        """As of every model of rows; here a feature that changes alone moves each score by its own term."""
        return self._model.mean_changes(values, means)


class VolatilityForecaster(LinearForecaster):
    """The same on the features named `realised_volatility*`: it knows how large the next move may be and nothing of its
    direction. Without such a feature it says the classes' shares."""

    name: ClassVar[str] = "volatility_only"
    family: ClassVar[str] = "baseline"
    has_direction: ClassVar[bool] = False
    parameters_class: ClassVar[type[ModelParameters]] = VolatilityParameters

    def reads(self, names: list[str]) -> list[str]:
        """The realised volatilities."""
        return [name for name in names if name.startswith("realised_volatility")]


class Regression:
    """The fitted coefficients as arrays."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.mean, self.spread = np.array(state["mean"]), np.array(state["spread"])
        self.slope, self.offset = np.array(state["slope"]).T, np.array(state["offset"])
        self.columns = np.searchsorted(CLASSES, state["classes"])

    def probability(self, values: Values) -> Floats:
        return self._shares(scaled_design(values.astype(np.float64), self.mean, self.spread) @ self.slope + self.offset)

    def mean_changes(self, values: Values, means: Values) -> Floats:
        design = scaled_design(values.astype(np.float64), self.mean, self.spread)
        at_mean = scaled_design(means[None].astype(np.float64), self.mean, self.spread)[0]
        score = design @ self.slope + self.offset
        edge, changes = edge_of(self._shares(score.copy())), np.zeros(len(means))
        for at, middle in enumerate(at_mean):
            changed = score + np.outer(middle - design[:, at], self.slope[at])
            changes[at] = np.abs(edge - edge_of(self._shares(changed))).mean()
        return changes

    def _shares(self, score: Floats) -> Floats:
        if score.shape[1] == 1:  # two classes have one line between them
            score = np.column_stack([np.zeros(len(score)), score[:, 0]])
        score -= score.max(axis=1, keepdims=True)
        power = np.exp(score)
        # A class that was never seen is all but impossible.
        out = np.full((len(score), len(CLASSES)), 1e-9)
        out[:, self.columns] = power / power.sum(axis=1, keepdims=True)
        return np.asarray(out / out.sum(axis=1, keepdims=True))


def _offsets(intercept: Floats, change: Floats) -> Floats:
    """The intercepts with each class's score changed; two classes have one line, and its intercept is a difference."""
    return intercept + (change[1:] - change[:1] if len(intercept) == 1 else change)


def shares_of(design: Floats) -> Floats:
    """The deviation that each column's prior has where columns that say the same share one: 1 / sqrt(sum of squared
    correlations with all columns, itself included)."""
    spread = design.std(axis=0)
    scaled = (design - design.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0)
    correlation = scaled.T @ scaled / len(design)
    return np.asarray(1.0 / np.sqrt(np.maximum((correlation**2).sum(axis=0), 1.0)))


def scaled_design(values: Floats, mean: Floats, spread: Floats) -> Floats:
    """Values in deviations from the mean, clipped at five, what is missing at the mean.

    Args:
        values: shape (rows, columns).
        mean: shape (columns,).
        spread: shape (columns,), above 0.
    """
    return np.clip(np.nan_to_num((values - mean) / spread), -CLIP, CLIP)


def scale(values: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of each column over what is there; 0 and 1 where nothing is, or nothing moves."""
    here = np.where(np.isfinite(values).any(axis=0), values, 0.0)
    with np.errstate(invalid="ignore"):
        mean, spread = np.nan_to_num(np.nanmean(here, axis=0)), np.nan_to_num(np.nanstd(here, axis=0))
    spread[spread < 1e-12] = 1.0
    return mean, spread


def fit_linear(past: pd.DataFrame, names: list[str], c: float) -> LinearForecaster:
    """The regression on these columns of model-input rows, all of which it learns from.

    Args:
        past: model-input rows.
        names: the features to read.
        c: inverse strength of the ridge penalty.
    """
    sample = Sample.from_rows(past)
    read = replace(sample, x=sample.x[names])
    return LinearForecaster(LinearParameters(c=c), 0).fit_samples(read, read, read)
