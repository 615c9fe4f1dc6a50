"""A decider goes on from its own saved state, and from no other's."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tradewind.errors import BadData
from tradewind.learning.features import catalogue
from tradewind.learning.features.assembly import Assembly
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.trading.decision.decider import Decider
from tradewind.trading.decision.ruling import RulePolicy
from tradewind.trading.decision.together import Part, TogetherPolicy
from tradewind.trading.strategy.sizing import SizingRules
from tradewind.trading.strategy.spec import Strategy

ASSEMBLY = Assembly(("A", "B"), "A", 3_600_000, max_gap_bars=3)
SIZING = SizingRules(volatility_window=20)
RULE = RulePolicy(Strategy("r", "flat", lambda bars, features, per_day: np.zeros(len(bars)), lambda _: 0),
                  SIZING, 8766.0, 24.0)  # fmt: skip


def decider(**changes: Any) -> Decider:
    features = catalogue.select(FeatureSelection(include=changes.pop("include", ("rsi_*",))), "1h", ())
    given = {"assembly": ASSEMBLY, "policy": RULE, "sizing": SIZING, "identity": "model"} | changes
    return Decider(features=features, **given)


OTHERS = {
    "another model": {"identity": "another"},
    "another window of the volatility": {"sizing": SizingRules(volatility_window=21)},
    "other features": {"include": ("log_return_*",)},
    "a symbol more": {"assembly": replace(ASSEMBLY, symbols=("A", "B", "C"))},
    "another bar": {"assembly": replace(ASSEMBLY, bar_ms=7_200_000)},
    "longer gaps are bridged": {"assembly": replace(ASSEMBLY, max_gap_bars=4)},
    "a policy of another kind": {"policy": TogetherPolicy((Part("r", 0.5, RULE),))},
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_state_of_a_decider_that_differs_in_anything_is_refused(other: str) -> None:
    own, another = decider(), decider(**OTHERS[other])
    saved = own.to_bytes(own.begin())
    assert decider().from_bytes(saved).assembly == own.begin().assembly
    with pytest.raises(BadData, match="belongs to another decider"):
        another.from_bytes(saved)
