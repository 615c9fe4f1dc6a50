"""Balance, overlap and stability are what they say, and see a planted change."""

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.labels.quality import describe_labels, stability
from tradewind.learning.labels.rules import LabelRules, make_labels
from tradewind.learning.labels.weights import WeightRules

RULES = LabelRules.model_validate({"method": "triple_barrier", "horizon_bars": 12, "volatility_window": 10})


def test_the_figures_are_what_they_say(market_bars: dict[str, pd.DataFrame]) -> None:
    labels, outcomes = make_labels(market_bars["SIM1"], RULES, WeightRules())
    found = describe_labels(labels, outcomes, seed=1)
    assert found["share_down"] + found["share_flat"] + found["share_up"] == pytest.approx(1)
    assert 0.7 < found["balance"] <= 1
    assert 1 < found["mean_concurrency"] <= 12
    assert 1 / 12 <= found["mean_uniqueness"] < 0.5
    assert found["effective_labels"] < len(labels) / 2
    assert found["sequential_uniqueness"] == pytest.approx(found["bootstrap_uniqueness"], rel=0.1)
    one_class = labels.assign(label=np.int8(1))
    assert describe_labels(one_class, outcomes, seed=1)["balance"] == pytest.approx(0)


def folds(start: pd.Timestamp) -> pd.DataFrame:
    day = pd.Timedelta(days=1)
    windows = [(0, 30, "walk_forward"), (30, 60, "walk_forward"), (60, 90, "holdout")]
    return pd.DataFrame(
        [
            {"fold": number, "test_start": start + a * day, "test_end": start + b * day, "role": role}
            for number, (a, b, role) in enumerate(windows)
        ]
    )


def test_a_market_that_changes_shows_and_the_holdout_is_not_looked_at() -> None:
    start = pd.Timestamp("2024-01-01", tz="UTC")
    timestamp = pd.date_range(start, periods=90 * 24, freq="h")
    rng = np.random.default_rng(5)
    labels = pd.DataFrame({"timestamp": timestamp, "label": rng.integers(-1, 2, len(timestamp)), "weight": 1.0})
    steady = stability(labels, folds(start))
    assert list(steady["fold"]) == [0, 1] and (steady["rows"] == 720).all() and (steady["psi"] < 0.02).all()
    second = (timestamp >= start + pd.Timedelta(days=30)) & (timestamp < start + pd.Timedelta(days=60))
    assert (stability(labels.assign(label=np.where(second, 1, labels["label"])), folds(start))["psi"] > 0.25).any()
    later = timestamp >= start + pd.Timedelta(days=60)
    pd.testing.assert_frame_equal(
        stability(labels.assign(label=np.where(later, 1, labels["label"])), folds(start)), steady
    )
