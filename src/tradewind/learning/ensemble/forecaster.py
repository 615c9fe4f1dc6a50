"""Several models as one forecaster: fitted, stored, streamed and scored as any other (`models.base.Forecaster`)."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator

from tradewind.errors import BadData, BadModel
from tradewind.learning.ensemble.combining import inverse_loss_weights, log_losses, pooled, stacked_weights
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import (
    PROBABILITIES,
    QUANTILES,
    Checkpoint,
    Files,
    Floats,
    Forecaster,
    Mask,
    ModelParameters,
    Training,
)

FILE = "ensemble.json"
VALUES = [*PROBABILITIES, "expected_return"]


class EnsembleParameters(ModelParameters):
    """Which models, and how they are weighed.

    Attributes:
        members: names of the catalogue, each once.
        weighting: `equal`; or by the members' forecasts of the latest part of the past, which they were not fitted on:
            in proportion to one over their log loss, or stacked (not negative, with sum 1).
        parameters: of the members, by name; what is left out has its defaults.
    """

    members: Annotated[tuple[str, ...], Field(min_length=1)] = ("lightgbm", "linear", "panel_ridge")
    weighting: Literal["equal", "inverse_loss", "stacking"] = "equal"
    parameters: dict[str, dict[str, Any]] = {}
    max_rounds: Annotated[int, Field(ge=1)] | None = None
    early_stopping_rounds: Annotated[int, Field(ge=1)] | None = None

    @field_validator("members")
    @classmethod
    def _known_and_directed(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in members if name not in catalogue.MODELS or not catalogue.has_direction(name)]
        if unknown or len(set(members)) < len(members):
            raise ValueError(f"members are models that know a direction, each once; found {list(members)}")
        return members

    def within(self, max_rounds: int, early_stopping_rounds: int) -> Self:
        """The same with the rounds that every member may take."""
        return self.model_copy(update={"max_rounds": max_rounds, "early_stopping_rounds": early_stopping_rounds})


class EnsembleForecaster:
    """The weighted mean of its members' probabilities and expected returns.

    Weights other than equal are learnt nested: the members are fitted once more on what had ended before the rows that
    calibrate begin, forecast those, and are weighed by what happened; then they are fitted as they would be alone.
    """

    name: ClassVar[str] = "ensemble"
    family: ClassVar[str] = "ensemble"
    has_direction: ClassVar[bool] = True
    parameters_class: ClassVar[type[ModelParameters]] = EnsembleParameters

    def __init__(self, parameters: Any, seed: int) -> None:
        """An unfitted ensemble."""
        self.parameters: EnsembleParameters = parameters
        self.seed = seed
        self._members: list[Forecaster] = []
        self.weights: Floats = np.empty(0)

    @property
    def features(self) -> tuple[str, ...]:
        """All that the members read, in the order in which they first read it."""
        return tuple(dict.fromkeys(name for member in self._fitted for name in member.features))

    @property
    def window_bars(self) -> int:
        """As many bars as the member that reads most."""
        return max(member.window_bars for member in self._fitted)

    @property
    def _fitted(self) -> list[Forecaster]:
        if not self._members:
            raise BadModel("the ensemble has not been fitted: call fit or from_files first")
        return self._members

    @property
    def members(self) -> list[Forecaster]:
        """The fitted members.

        Raises:
            BadModel: it has not been fitted.
        """
        return self._fitted

    @property
    def places(self) -> list[NDArray[np.int64]]:
        """Where each member's features stand among all of them."""
        return self._places

    @classmethod
    def of(cls, members: Sequence[Forecaster], weights: Sequence[float], seed: int) -> Self:
        """The mean of models that were fitted on their own.

        Args:
            members: fitted, of the catalogue.
            weights: of the members, not negative and with sum 1.
            seed: that they were fitted with.
        """
        parameters = EnsembleParameters(members=tuple(member.name for member in members))
        ensemble = cls(parameters, seed)
        ensemble._take(list(members), np.array(weights, dtype=np.float64))
        return ensemble

    def fit(self, training: Training, checkpoint: Checkpoint | None = None) -> Self:
        """Fitted members, weighed as the parameters say."""
        count = len(self.parameters.members)
        weights = np.full(count, 1.0 / count)
        if self.parameters.weighting != "equal" and count > 1:
            weights = self._learnt_weights(training)
        members = self._fit_members(training)
        self._take(members, weights)
        return self

    def _fit_members(self, training: Training) -> list[Forecaster]:
        fitted = []
        for name in self.parameters.members:
            kind = catalogue.model(name)
            own = kind.parameters_class.model_validate(self.parameters.parameters.get(name, {}))
            if self.parameters.max_rounds and self.parameters.early_stopping_rounds:
                own = own.within(self.parameters.max_rounds, self.parameters.early_stopping_rounds)
            fitted.append(kind(own, self.seed).fit(training))
        return fitted

    def _learnt_weights(self, training: Training) -> Floats:
        inner, judged = nested(training)
        read_rows = inner.rows.index.union(training.rows.index[judged])
        rows = training.rows.loc[read_rows]
        testing = rows.index.isin(training.rows.index[judged])
        probabilities = np.stack(
            [member.predict(rows, testing)[PROBABILITIES].to_numpy() for member in self._fit_members(inner)], axis=1
        )
        label = rows.loc[testing, "label"].to_numpy(np.int8)
        if self.parameters.weighting == "stacking":
            return stacked_weights(probabilities, label)
        return inverse_loss_weights(log_losses(probabilities, label))

    def _take(self, members: list[Forecaster], weights: Floats) -> None:
        self._members, self.weights = members, weights
        names = self.features
        self._places = [np.array([names.index(name) for name in member.features], dtype=np.int64) for member in members]

    def predict(self, rows: pd.DataFrame, testing: Mask | None = None) -> pd.DataFrame:
        """The weighted mean of the members that say something; quantiles are missing: those of a mixture are no mean.

        Raises:
            BadData: a feature is missing.
        """
        tables = [member.predict(rows, testing) for member in self._fitted]
        values = np.stack([table[VALUES].to_numpy(np.float64) for table in tables], axis=1)
        mixed = pd.DataFrame(pooled(values, self.weights), columns=VALUES, index=tables[0].index)
        return mixed.assign(**dict.fromkeys(QUANTILES, np.nan))

    def predict_row(self, x: NDArray[np.float32]) -> Floats:
        """p_down, p_flat, p_up and expected log return (4,) of the newest row of `x`."""
        bars = np.atleast_2d(x)
        forecasts = np.empty((1, len(self._members), len(VALUES)))
        for number, (member, places) in enumerate(zip(self._fitted, self._places, strict=True)):
            own = np.ascontiguousarray(bars[len(bars) - member.window_bars :, places])
            forecasts[0, number] = member.predict_row(own if member.window_bars > 1 else own[0])
        return pooled(forecasts, self.weights)[0]

    def importance(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The members' importance by their weights; a feature that a member does not read is worth nothing to it."""
        parts = [
            member.importance(rows).set_index("feature")[["gain_share", "mean_abs_shap"]] * weight
            for member, weight in zip(self._fitted, self.weights, strict=True)
        ]
        total = pd.concat(parts).groupby(level=0, sort=False).sum()
        return total.reindex(list(self.features)).rename_axis("feature").reset_index().astype({"feature": "str"})

    def learning_curve(self) -> pd.DataFrame:
        """The weighted mean of the members' last losses: an ensemble does not learn in rounds."""
        last = np.array(
            [member.learning_curve()[["train_loss", "valid_loss"]].iloc[-1].to_numpy() for member in self._fitted]
        )
        train, valid = self.weights @ last
        return pd.DataFrame({"iteration": [0], "train_loss": [train], "valid_loss": [valid]})

    def files(self) -> Files:
        """The files of every member under its name, and the weights."""
        content = {
            "name": self.name, "parameters": self.parameters.model_dump(mode="json"), "seed": self.seed,
            "weights": self.weights.tolist(),
        }  # fmt: skip
        files = {FILE: json.dumps(content, indent=1).encode()}
        for name, member in zip(self.parameters.members, self._fitted, strict=True):
            files |= {f"{name}-{file}": data for file, data in member.files().items()}
        return files

    @classmethod
    def from_files(cls, files: Files) -> Self:
        """The ensemble again.

        Raises:
            BadModel: a file is missing, or it is another model's.
        """
        try:
            content = json.loads(files[FILE])
            if content["name"] != cls.name:
                raise BadModel(f"{FILE} belongs to {content['name']}, not to {cls.name}")
            ensemble = cls(EnsembleParameters.model_validate(content["parameters"]), content["seed"])
            weights = np.array(content["weights"], dtype=np.float64)
        except (KeyError, ValueError, ValidationError) as error:
            raise BadModel(f"{FILE} is missing or not an ensemble ({error}): train it again") from error
        members: list[Forecaster] = []
        for name in ensemble.parameters.members:
            own = {file.removeprefix(f"{name}-"): data for file, data in files.items() if file.startswith(f"{name}-")}
            members.append(catalogue.model(name).from_files(own))
        if len(weights) != len(members):
            raise BadModel(f"{FILE} has {len(weights)} weights for {len(members)} members: train it again")
        ensemble._take(members, weights)
        return ensemble


def nested(training: Training) -> tuple[Training, Mask]:
    """A training that ends before the rows that calibrate begin, and those rows, which may then be foretold.

    Rows whose label reaches into them are left out. What stops the members calibrates them as well.

    Raises:
        BadData: there is nothing left to fit or to judge.
    """
    rows, judged = training.rows, training.calibration
    if not judged.any():
        raise BadData("the ensemble's weights are learnt on the calibration part, which has no rows")
    is_over = (rows["horizon_end"] < rows.loc[judged, "timestamp"].min()).to_numpy()
    valid = training.valid[is_over]
    if not training.fit[is_over].any() or not valid.any():
        raise BadData("nothing had ended before the calibration part: give a longer past, or equal weights")
    inner = Training(rows[is_over], training.fit[is_over], training.thinned[is_over], valid, valid)
    return inner, judged
