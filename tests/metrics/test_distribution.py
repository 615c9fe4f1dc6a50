"""Scores of forecast distributions against integrals, scikit-learn and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from tradewind.errors import BadParameters
from tradewind.metrics.distribution import LEVELS, continuous_ranked_probability, pinball, probability_below, score
from tradewind.metrics.horizons import score_horizons
from tradewind.metrics.ranking import StatisticsRules

NORMAL = norm.ppf(LEVELS)


def test_pinball_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    outcome, quantiles = rng.standard_normal(80), np.sort(rng.standard_normal((80, 5)), axis=1)
    found = pinball(outcome, quantiles).mean(axis=0)
    expected = [mean_pinball_loss(outcome, quantiles[:, at], alpha=level) for at, level in enumerate(LEVELS)]
    np.testing.assert_allclose(found, expected)


def test_crps_is_near_the_closed_form_and_asks_for_the_true_distribution() -> None:
    """Of a standard normal (Gneiting and Raftery 2007, eq. 21): five levels stand for all of them."""
    outcome = np.random.default_rng(1).standard_normal(200_000)
    exact = (outcome * (2 * norm.cdf(outcome) - 1) + 2 * norm.pdf(outcome) - 1 / np.sqrt(np.pi)).mean()

    def crps(shift: float, width: float) -> float:
        return float(continuous_ranked_probability(outcome, np.tile(shift + width * NORMAL, (len(outcome), 1))).mean())

    assert crps(0, 1) == pytest.approx(exact, rel=0.03)
    assert crps(0, 1) < min(crps(0.3, 1), crps(-0.3, 1), crps(0, 1.4), crps(0, 0.7))
    # A forecast of one value: its absolute error.
    point = continuous_ranked_probability(np.array([2.0]), np.full((1, 5), 0.5))
    assert point[0] == pytest.approx(1.5)


def test_coverage_and_width_are_counted() -> None:
    outcome = np.random.default_rng(2).standard_normal(50_000)
    found = score(outcome, np.tile(NORMAL, (len(outcome), 1)))
    assert (found.coverage_50, found.coverage_90) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.9, abs=0.01))
    assert found.width_90 == pytest.approx(2 * 1.645, rel=1e-3)
    np.testing.assert_allclose(found.below, LEVELS, atol=0.01)
    with pytest.raises(BadParameters, match="must not cross"):
        score(outcome[:2], np.array([NORMAL, NORMAL[::-1]]))
    with pytest.raises(BadParameters, match=r"shape \(3, 5\)"):
        score(outcome[:3], np.zeros((2, 5)))


def test_the_probability_below_a_threshold_is_that_of_the_distribution() -> None:
    quantiles = np.tile(0.5 + 2 * NORMAL, (41, 1))
    at = np.linspace(-6, 7, 41)
    found = probability_below(quantiles, at)
    np.testing.assert_allclose(found, norm.cdf((at - 0.5) / 2), atol=0.03)
    assert (np.diff(found) >= 0).all() and 0 < found[0] < 0.01 and 0.99 < found[-1] < 1
    np.testing.assert_allclose(probability_below(quantiles[:5], quantiles[0]), LEVELS)
    np.testing.assert_array_equal(probability_below(np.full((3, 5), 1.0), np.array([0.9, 1.1, 1.0]))[:2], [0.0, 1.0])


def test_horizons_are_scored_by_role_and_rows_that_have_not_ended_are_left_out() -> None:
    rng = np.random.default_rng(3)
    at = pd.date_range("2024-01-01", periods=2400, freq="h", tz="UTC").as_unit("ms")
    happened = pd.DataFrame({"symbol": "A", "timestamp": at, "forward_return_4": 0.01 * rng.standard_normal(2400)})
    knows = 0.005 * np.sign(happened["forward_return_4"].to_numpy()) * (rng.random(2400) < 0.6)
    quantiles = 0.01 * NORMAL + knows[:, None]
    forecasts = pd.DataFrame(quantiles, columns=["q05", "q25", "q50", "q75", "q95"]).assign(
        model="one", fold=np.repeat([0, 1], 1200), symbol="A", timestamp=at, horizon=4
    )
    happened.loc[2390:, "forward_return_4"] = np.nan
    folds = pd.DataFrame({"fold": [0, 1], "role": ["walk_forward", "holdout"]})
    rules = StatisticsRules(n_resamples=300)
    found = score_horizons(forecasts, happened, folds, rules, 7).set_index("role")
    assert found["rows"].to_dict() == {"walk_forward": 1200, "holdout": 1190}
    # Where it has no median it is not asked for a direction; where it has, it is right.
    assert (found["hit_rate"] == 1).all() and 600 < found.loc["walk_forward", "decided"] < 840
    wrong = forecasts.assign(**{name: -forecasts[name] for name in ("q05", "q25", "q50", "q75", "q95")})
    wrong[["q05", "q25", "q75", "q95"]] = wrong[["q95", "q75", "q25", "q05"]].to_numpy()
    turned = score_horizons(wrong, happened, folds, rules, 7).set_index("role")
    assert (turned["hit_rate"] == 0).all() and (turned["crps_bps"] > found["crps_bps"]).all()
    mixed = forecasts.assign(q50=forecasts["q50"] + 1e-9 * np.sign(rng.standard_normal(2400)))
    low, high = score_horizons(mixed, happened, folds, rules, 7).set_index("role").loc[
        "walk_forward", ["hit_rate_low", "hit_rate_high"]
    ]  # fmt: skip
    assert 0.7 < low < high < 0.9
