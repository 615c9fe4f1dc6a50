"""The random walk: no direction, and as wide as prices went."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadModel, BadParameters
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import QUANTILES
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.walk_forward import TrainingRules, split_training


def test_it_knows_how_far_prices_go_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    moved = 0.01 * rng.standard_normal(5000) + 0.02
    rows = pd.DataFrame(
        {
            "x": 1.0, "symbol": "A", "label": np.digitize(moved, [0.01, 0.03]).astype(np.int8) - 1, "weight": 1.0,
            "forward_return_1": 0.1 * rng.standard_normal(5000), "forward_return_2": 0.01 * rng.standard_normal(5000),
            "forward_return": moved,
        }
    )  # fmt: skip
    model = catalogue.model("last_value")(SequenceParameters(), 7).fit(split_training(rows, TrainingRules()))
    testing = np.arange(5000) >= 4990
    forecast = model.predict(rows, testing)
    assert (forecast["p_up"] == forecast["p_down"]).all() and (forecast["expected_return"] == 0).all()
    assert forecast["p_flat"].iloc[0] == pytest.approx((rows["label"] == 0).mean())
    details = model.details(rows, testing)
    assert model.horizons == (1, 2) and details.quantiles.shape == (10, 2, 5) and np.isnan(details.evidence).all()
    np.testing.assert_allclose(details.quantiles[0, 0], [-0.164, -0.067, 0, 0.067, 0.164], atol=0.006)
    np.testing.assert_allclose(details.quantiles[:, 1], forecast[QUANTILES])
    assert model.importance(rows)["mean_abs_shap"].tolist() == [0.0] and model.health().empty
    again = catalogue.model("last_value").from_files(model.files())
    pd.testing.assert_frame_equal(again.predict(rows, testing), forecast)
    with pytest.raises(BadModel, match=r"last_value\.json"):
        catalogue.model("last_value").from_files({})
    with pytest.raises(BadModel, match="not been fitted"):
        catalogue.model("last_value")(SequenceParameters(), 7).files()
    with pytest.raises(BadParameters, match="gru"):
        catalogue.model("gru")
