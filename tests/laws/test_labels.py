"""What a label says is settled at its horizon's end: for every method, every column, wherever it is cut."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.depth import deep
from tradewind.learning.labels import triple_barrier
from tradewind.learning.labels.outcome import Outcomes
from tradewind.learning.labels.rules import LabelRules, make_labels
from tradewind.learning.labels.weights import WeightRules

SETTINGS: dict[str, dict[str, Any]] = {
    "triple_barrier": {"method": "triple_barrier", "horizon_bars": 9, "volatility_window": 10, "cost_bps": 5},
    "asymmetric": {"method": "triple_barrier", "horizon_bars": 9, "upper_multiple": 2, "lower_multiple": 0.3},
    "fixed_horizon": {"method": "fixed_horizon", "horizon_bars": 9, "volatility_window": 10},
    "trend_scanning": {"method": "trend_scanning", "min_bars": 4, "horizon_bars": 9},
    "meta_label": {"method": "meta_label", "primary": "reversal", "primary_window": 5, "horizon_bars": 9},
}
SCHEMES = ("uniqueness", "return_attribution", "equal")
PRICES = ["open", "high", "low", "close"]


def changed_after(bars: pd.DataFrame, row: int, rng: np.random.Generator) -> pd.DataFrame:
    factor = np.where(np.arange(len(bars)) > row, np.exp(rng.normal(0, 0.2)), 1.0)
    return bars.assign(**{name: bars[name] * factor for name in PRICES})


def settled(labels: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    return labels[labels["horizon_end"] <= until].reset_index(drop=True)


@pytest.mark.parametrize("cuts", [40, deep(200)])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", SETTINGS)
def test_the_future_beyond_the_horizon_changes_nothing(
    market_bars: dict[str, pd.DataFrame], name: str, scheme: str, cuts: int
) -> None:
    bars = market_bars["SIM1"].iloc[700:1300].reset_index(drop=True)  # two segments
    rules, weights = LabelRules.model_validate(SETTINGS[name]), WeightRules(scheme=scheme)  # type: ignore[arg-type]
    before, _ = make_labels(bars, rules, weights)
    rng = np.random.default_rng(8)
    for row in np.sort(rng.choice(np.arange(40, 590), cuts, replace=False)):
        until = bars["timestamp"].iloc[row]
        expected = settled(before, until)
        for other in (changed_after(bars, row, rng), bars.iloc[: row + 1]):
            after, _ = make_labels(other, rules, weights)
            pd.testing.assert_frame_equal(settled(after, until), expected)


def leaks(monkeypatch: pytest.MonkeyPatch, kind: str) -> LabelRules:
    """Labels with a fault; each must be caught by the law above."""
    rules = LabelRules.model_validate(SETTINGS["triple_barrier"])
    honest = type(rules.root).outcomes
    if kind == "volatility of the whole history":
        monkeypatch.setattr(
            triple_barrier, "realised_volatility", lambda close, *_: np.full(len(close), np.diff(np.log(close)).std())
        )
    elif kind == "one bar beyond the horizon":
        longer = rules.root.model_copy(update={"horizon_bars": 10})

        def outcomes(self: Any, bars: pd.DataFrame) -> Outcomes:
            found = honest(longer, bars)
            return Outcomes(found.ending, found.label, found.exit_row.clip(max=found.last_row - 1), found.last_row - 1)

        monkeypatch.setattr(type(rules.root), "outcomes", outcomes)
    elif kind == "label demeaned over the history":

        def outcomes(self: Any, bars: pd.DataFrame) -> Outcomes:
            found = honest(self, bars)
            shift = np.int8(1 if found.label[found.labelled].mean() > 0 else -1)
            return Outcomes(found.ending, np.clip(found.label + shift, -1, 1), found.exit_row, found.last_row)

        monkeypatch.setattr(type(rules.root), "outcomes", outcomes)
    return rules


@pytest.mark.parametrize(
    "kind", ["volatility of the whole history", "one bar beyond the horizon", "label demeaned over the history"]
)
def test_planted_leaks_are_caught(
    market_bars: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bars = market_bars["SIM1"].iloc[:600].reset_index(drop=True)
    rules, weights = leaks(monkeypatch, kind), WeightRules()
    before, _ = make_labels(bars, rules, weights)
    rng = np.random.default_rng(8)
    caught = False
    for row in rng.choice(np.arange(40, 590), 60, replace=False):
        until = bars["timestamp"].iloc[row]
        after, _ = make_labels(changed_after(bars, row, rng), rules, weights)
        caught |= not settled(after, until).equals(settled(before, until))
    assert caught
