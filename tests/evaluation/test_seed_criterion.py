"""What one training came to says nothing of its spread; what draws nothing has none."""

import numpy as np
import pandas as pd
import pytest

from tradewind.evaluation.scorecard import seed_criterion
from tradewind.learning.models import catalogue
from tradewind.metrics.scorecard import ScorecardRules

SPREAD = pd.DataFrame({"model": ["xgboost"] * 5, "seed": range(5), "sharpe": [1.0, 1.2, 1.1, 0.9, 1.3]})


@pytest.mark.parametrize("judged", ["ppo", "lstm", "linear_network", "lightgbm", "a model of one's own"])
def test_a_model_trained_from_one_seed_meets_nothing(judged: str) -> None:
    row = seed_criterion(judged, SPREAD, ScorecardRules())
    assert row["state"] == "not shown" and np.isnan(row["value"]) and "trained from one" in row["criterion"]


@pytest.mark.parametrize("judged", ["linear", "volatility_only"])
def test_a_regression_has_no_seed(judged: str) -> None:
    row = seed_criterion(judged, SPREAD, ScorecardRules())
    assert (row["state"], row["value"]) == ("met", 0.0)


def test_seeds_that_were_trained_are_measured() -> None:
    row = seed_criterion("xgboost", SPREAD, ScorecardRules())
    assert row["value"] == pytest.approx(0.158, abs=1e-3) and "over 5 seeds" in row["criterion"]


def test_only_what_is_known_to_draw_nothing_draws_nothing() -> None:
    still = {name for name in catalogue.MODELS if not catalogue.draws_at_random(name)}
    assert still == {"linear", "panel_ridge", "volatility_only"}
