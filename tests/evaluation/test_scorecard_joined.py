"""The scorecard's lines on ensembles and regimes are what they say, and are left out where nothing can be said."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.learning.regimes.markets import market_of
from tests.learning.regimes.test_walk_forward import table_of
from tradewind.evaluation.scorecard_joined import ensemble_criteria, regime_criterion
from tradewind.learning.regimes.base import REGIMES, Bars
from tradewind.learning.regimes.baselines import PersistenceModel, regimes_ahead
from tradewind.learning.regimes.walk_forward import RegimePlan
from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.scorecard import ScorecardRules

STATISTICS, RULES = StatisticsRules(n_resamples=300), ScorecardRules()


def board(**families: str) -> pd.DataFrame:
    sharpe = np.arange(len(families), dtype=float)[::-1]
    return pd.DataFrame({"strategy": list(families), "family": list(families.values()), "sharpe": sharpe})


def lines(daily: dict[str, np.ndarray], judged: str = "good") -> list[dict[str, Any]]:
    ranks = board(good="model", poor="model", equal_weight="ensemble", stacking="ensemble", buy_and_hold="baseline")
    return list(ensemble_criteria(judged, ranks, daily, STATISTICS, RULES, 0))


def test_shares_of_the_best_single_model_with_null_and_limit() -> None:
    rng = np.random.default_rng(0)
    good = 0.002 + 0.01 * rng.normal(size=900)
    daily = {"good": good, "poor": 0.3 * good, "equal_weight": 0.5 * good, "oracle": 2 * good, "buy_and_hold": -good}
    growth, sharpe = lines(daily | {"random_same_turnover": 0.0 * good})
    assert growth["value"] == pytest.approx((np.prod(1 + 0.5 * good) - 1) / (np.prod(1 + good) - 1))
    assert sharpe["value"] == sharpe["limit"] == pytest.approx(1.0)  # half of everything has the same Sharpe ratio
    assert (sharpe["trivial_value"], sharpe["by_chance"]) == (pytest.approx(-1.0), pytest.approx(0.0, abs=1e-6))
    assert sharpe["state"] == "met" and growth["state"] == "not met"
    assert "good, the best model" in growth["criterion"] and growth["limit"] > 1
    # The ensemble that is judged is the one that is scored.
    judged, _ = lines(daily | {"stacking": good}, "stacking")
    assert judged["value"] == pytest.approx(1.0)


def test_a_best_model_that_may_as_well_have_lost_gives_no_interval() -> None:
    luck = 0.01 * np.random.default_rng(1).normal(size=300)
    for line in lines({"good": luck, "equal_weight": luck, "buy_and_hold": luck}):
        assert line["state"] == "not shown" and np.isnan(line["low"])
    assert lines({"good": luck}) == []
    none = ensemble_criteria("good", board(buy_and_hold="baseline"), {"equal_weight": luck}, STATISTICS, RULES, 0)
    assert list(none) == []


class Market:
    """As much of a traded market as the criterion reads."""

    def __init__(self, bars: pd.DataFrame) -> None:
        self.histories = {"SIM1": (bars, None)}
        self.universe = self

    def partition(self, symbol: str) -> str:
        return f"made/{symbol}/1h"


def test_the_regime_that_came_counts_and_not_knowing_is_a_miss() -> None:
    bars = table_of(market_of("clear", 1, days=110)[0])
    tested = pd.DataFrame(
        {"fold": [0], "test_start": [bars["timestamp"].iloc[1500]], "test_end": [bars["timestamp"].iloc[2600]]}
    )
    judge = RegimePlan(model="persistence").unfitted(7)
    assert isinstance(judge, PersistenceModel)
    history = Bars.of_table(bars)
    came = regimes_ahead(judge.fit(history.rows(0, 1500)), history)
    truth = np.eye(4)[np.maximum(came, 0)]

    def score(chances: np.ndarray) -> dict[str, Any]:
        table = bars[["timestamp"]].assign(**{f"p_{name}": chances[:, at] for at, name in enumerate(REGIMES)})
        said = {"made/SIM1/1h": lambda: table}
        found = regime_criterion(Market(bars), said, tested, STATISTICS, RULES, 7)  # type: ignore[arg-type]
        assert found is not None
        return found

    assert score(truth)["value"] == 1.0 and score(truth)["state"] == "met"
    unknown = np.tile([0.0, 0.0, 0.0, 1.0], (len(bars), 1))
    assert score(unknown)["value"] == 0.0 == score(unknown)["by_chance"]
    share = np.bincount(came[1500:2600], minlength=4).max() / 1100
    assert score(unknown)["trivial_value"] == pytest.approx(share)
    assert regime_criterion(Market(bars), {}, tested, STATISTICS, RULES, 7) is None  # type: ignore[arg-type]
