"""Probabilities are of the rows that are scored and traded, whatever the weights were that a model learnt with."""

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.models.base import Sample
from tradewind.learning.models.boosting import BoostingParameters
from tradewind.learning.models.lightgbm import LightGBMForecaster
from tradewind.learning.models.linear import LinearForecaster, LinearParameters
from tradewind.learning.models.row_model import RowForecaster
from tradewind.learning.models.xgboost import XGBoostForecaster


def sample(seed: int, n: int = 4_000) -> Sample:
    """Rows of which a quarter are flat; a move weighs twice as much, as it does by uniqueness."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(rng.standard_normal((n, 3)).astype(np.float32), columns=["a", "b", "c"])
    label = np.where(rng.random(n) < 0.25, 0, np.where(x["a"] + rng.standard_normal(n) > 0, 1, -1)).astype(np.int8)
    weight = np.where(label == 0, 0.05, 0.1)
    return Sample(x, label, 0.01 * label.astype(np.float64), weight)


def models() -> list[RowForecaster]:
    few = {"n_estimators": 30, "min_child_weight": 5.0}
    return [
        LightGBMForecaster(BoostingParameters.model_validate(few), 1),
        XGBoostForecaster(BoostingParameters.model_validate(few), 1),
        LinearForecaster(LinearParameters(), 1),
    ]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_the_mean_probability_of_flat_is_the_share_of_flat(model: RowForecaster) -> None:
    past, later = sample(1), sample(2, 20_000)
    model.fit_samples(past, past, past)
    said = model.predict(later.x)
    assert said["p_flat"].mean() == pytest.approx(0.25, abs=0.02)
    assert model.predict(past.x)["p_flat"].mean() == pytest.approx((past.label == 0).mean(), abs=0.01)


def test_weights_alone_would_say_half_of_it() -> None:
    """The planted fault: what the same regression says before its classes' shares are put right."""
    past = sample(1)
    model = LinearForecaster(LinearParameters(), 1).fit_samples(past, past, past)
    state = dict(model.state)
    learnt = np.log([past.weight[past.label == kind].sum() for kind in (-1, 0, 1)] / past.weight.sum())
    state["offset"] = (
        np.array(state["offset"]) + learnt - np.log([(past.label == k).mean() for k in (-1, 0, 1)])
    ).tolist()
    model._keep(model._fitted.model_copy(update={"state": state}))
    model._model = model._restore(b"")
    assert model.predict(past.x)["p_flat"].mean() < 0.16
