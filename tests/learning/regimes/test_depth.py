"""The hidden Markov model over many markets: share of the limit, calibration, delay, switches, and one regime."""

from statistics import mean, median
from typing import Any

import pytest

from tests.learning.regimes.markets import market_of
from tests.learning.regimes.measuring import measure
from tradewind.learning.regimes.markov import MarkovModel, MarkovRules

pytestmark = pytest.mark.depth
SEEDS = range(20)


def measured(preset: str, innovations: str = "student_t", seeds: range = SEEDS) -> list[dict[str, Any]]:
    return [measure(preset, seed, innovations) for seed in seeds]


@pytest.mark.parametrize(("preset", "share"), [("clear", 0.97), ("moderate", 0.97)])
def test_regimes_are_recognised_close_to_the_limit(preset: str, share: float) -> None:
    found = measured(preset)
    assert mean(one["share"] for one in found) >= share
    assert mean(one["accuracy"] for one in found) >= 0.78
    assert all(one["accuracy"] > one["majority"] for one in found)
    assert median(one["calibration"] for one in found) <= 0.03
    assert median(one["delay"] - one["limit_delay"] for one in found) <= 3
    assert median(one["switches"] for one in found) <= 1.5


@pytest.mark.parametrize("preset", ["clear_rough", "moderate_rough"])
def test_with_volatility_inside_the_states_the_factor_pays(preset: str) -> None:
    with_factor, plain = measured(preset), [measure(preset, seed, nodes=1) for seed in SEEDS]
    assert mean(one["share"] for one in with_factor) >= 0.95
    assert mean(one["accuracy"] for one in with_factor) > mean(one["accuracy"] for one in plain)


@pytest.mark.parametrize("innovations", ["skewed", "garch"])
@pytest.mark.parametrize("preset", ["clear", "moderate"])
def test_of_another_family_of_emissions_ninety_percent_is_recognised(preset: str, innovations: str) -> None:
    assert mean(one["share"] for one in measured(preset, innovations)) >= 0.90


def test_faint_regimes_are_recognised_or_said_to_be_one() -> None:
    """By the default evidence, a market of which it says that it does not know is left out of the mean."""
    found = [measure("faint", seed, evidence=MarkovRules().evidence) for seed in SEEDS]
    known = [one["share"] for one in found if one["regimes"] > 1]
    assert not known or mean(known) >= 0.80


def test_markets_without_regimes_are_one_regime() -> None:
    one_regime = [MarkovModel(MarkovRules(), seed).fit(market_of(None, seed)[0]).n_regimes == 1 for seed in range(40)]
    assert mean(one_regime) >= 0.95
