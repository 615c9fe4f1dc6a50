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


def test_with_volatility_inside_the_states_the_factor_pays() -> None:
    assert mean(one["share"] for one in measured("clear_rough")) >= 0.95


def test_markets_without_regimes_are_one_regime() -> None:
    one_regime = [MarkovModel(MarkovRules(), seed).fit(market_of(None, seed)[0]).n_regimes == 1 for seed in range(40)]
    assert mean(one_regime) >= 0.95
