"""What the libraries of boosting are told, and how much of what they grew is used."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.models import catalogue
from tradewind.learning.models.base import Floats, Sample
from tradewind.learning.models.boosting import BoostingForecaster, BoostingParameters

# Loose enough to learn something of so few rows, and noise after a few rounds.
LOOSE = BoostingParameters(
    learning_rate=0.3, max_depth=3, min_child_weight=5, subsample=0.8, colsample=0.8, reg_lambda=1, n_estimators=60,
    early_stopping_rounds=6, max_bin=64,
)  # fmt: skip
OTHER = {
    "learning_rate": 0.1, "max_depth": 2, "min_child_weight": 60.0, "subsample": 0.5, "colsample": 0.4,
    "reg_lambda": 300.0, "n_estimators": 2, "early_stopping_rounds": 1, "max_bin": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def samples(model_rows: pd.DataFrame) -> tuple[Sample, Sample]:
    return Sample.from_rows(model_rows.iloc[:1400]), Sample.from_rows(model_rows.iloc[1400:2200])


def fitted(name: str, parameters: Any, samples: tuple[Sample, Sample]) -> BoostingForecaster:
    model = catalogue.row_model(name)(parameters, 1).fit_samples(*samples, samples[1])
    assert isinstance(model, BoostingForecaster)
    return model


def by_library(model: BoostingForecaster, values: Floats, rounds: int) -> Floats:
    """What the library itself says with the first `rounds` rounds of trees."""
    if model.name == "lightgbm":
        return np.asarray(model._model.predict(values, num_iteration=rounds))
    return np.asarray(model._model[:rounds].inplace_predict(values, validate_features=False))


def loss(probability: Floats, sample: Sample) -> float:
    given = probability[np.arange(len(sample.label)), sample.label + 1]
    return float(np.average(-np.log(given), weights=sample.weight))


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_the_rounds_that_were_best_on_the_kept_rows_are_those_that_forecast(
    name: str, samples: tuple[Sample, Sample]
) -> None:
    """XGBoost keeps what it grew until it stopped, a few rounds more than were good; LightGBM drops those itself."""
    model, (_, valid) = fitted(name, LOOSE, samples), samples
    values = valid.x.to_numpy(dtype=np.float32)
    curve = model.learning_curve()
    kept = len(curve) if name == "xgboost" else model.best_rounds
    losses = [loss(by_library(model, values, rounds), valid) for rounds in range(1, kept + 1)]
    np.testing.assert_allclose(curve["valid_loss"][:kept], losses, rtol=1e-4)  # and so by weight
    assert model.best_rounds == int(curve["valid_loss"].argmin()) + 1
    assert len(curve) == model.best_rounds + LOOSE.early_stopping_rounds < LOOSE.n_estimators
    said = model.raw(values)
    np.testing.assert_allclose(said, by_library(model, values, model.best_rounds), atol=1e-7)
    if name == "xgboost":
        assert np.abs(said - by_library(model, values, len(curve))).max() > 1e-3


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_every_parameter_reaches_the_library(name: str, samples: tuple[Sample, Sample]) -> None:
    """One that does not would be tuned, stored and shown for nothing."""
    assert set(OTHER) == set(BoostingParameters.model_fields)
    values = samples[1].x.to_numpy(dtype=np.float32)
    said = fitted(name, LOOSE, samples).raw(values)
    for parameter, value in OTHER.items():
        changed = fitted(name, LOOSE.model_copy(update={parameter: value}), samples)
        if parameter == "early_stopping_rounds":
            assert len(changed.learning_curve()) == changed.best_rounds + 1
        else:
            assert np.abs(changed.raw(values) - said).max() > 1e-3, parameter


def test_the_rules_of_training_say_how_many_rounds_and_when_to_stop() -> None:
    within = LOOSE.within(77, 9)
    assert (within.n_estimators, within.early_stopping_rounds) == (77, 9)
    assert within.model_dump(exclude={"n_estimators", "early_stopping_rounds"}) == LOOSE.model_dump(
        exclude={"n_estimators", "early_stopping_rounds"}
    )
