"""What each policy decides, by hand: windows, missing features, filters, parts of one account, saved states."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tradewind.errors import BadData
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.packing import Arrays, pack
from tradewind.trading.decision.filtering import FilteredPolicy, fold_filter
from tradewind.trading.decision.forecasting import ForecastPolicy
from tradewind.trading.decision.protocols import Account, Seen, Steps
from tradewind.trading.decision.reasons import FILTERED, INFINITE, NO_FORECAST
from tradewind.trading.decision.ruling import RulePolicy
from tradewind.trading.decision.state import DecisionState
from tradewind.trading.decision.targets import TargetRules
from tradewind.trading.decision.together import Part, TogetherPolicy
from tradewind.trading.execution.costs import Costs
from tradewind.trading.strategy.signals import SignalRules
from tradewind.trading.strategy.sizing import SizingRules
from tradewind.trading.strategy.spec import Strategy

HOUR_MS = 3_600_000
RULES = TargetRules(
    SignalRules(smoothing_bars=0, entry_threshold=0.1, exit_threshold=0.02, cost_multiple=0.0),
    SizingRules(target_volatility_annual=0.2), Costs(), 8766.0,
)  # fmt: skip


@dataclass
class Remembers:
    """A model that says what it is told to, and keeps the rows that it was asked about."""

    window_bars: int = 1
    features: tuple[str, ...] = ("a", "b")
    edges: list[float] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def predict_row(self, x: Any) -> Any:
        self.asked.append(np.array(x))
        edge = self.edges[len(self.asked) - 1] if self.edges else 0.5
        return np.array([0.5 - edge / 2, 0.0, 0.5 + edge / 2, np.nan])


def seen_of(features: Any, hours: Any = None, names: tuple[str, ...] = ("a", "b", "c", "d")) -> Seen:
    values = np.asarray(features, dtype=np.float32)
    n = len(values)
    closed = (np.arange(1, n + 1) if hours is None else np.asarray(hours)).astype(np.int64) * HOUR_MS
    price, nothing = np.full(n, 100.0), np.full(n, np.nan)
    chunk = Chunk(closed, closed - HOUR_MS, np.zeros(n, dtype=np.int32), price, price, price, price, price, nothing,
                  nothing, nothing, nothing, nothing, {})  # fmt: skip
    return Seen("S", chunk, names, values, np.full(n, 0.01))


def part_of(seen: Seen, first: int, last: int) -> Seen:
    return seen._replace(
        chunk=seen.chunk.rows(first, last), features=seen.features[first:last], volatility=seen.volatility[first:last]
    )


def said(policy: Any, seen: Seen, cuts: tuple[int, ...] = ()) -> Steps:
    state, told = policy.begin(), []
    for first, last in zip((0, *cuts), (*cuts, len(seen.chunk)), strict=True):
        state, steps = policy.advance(state, part_of(seen, first, last), Account())
        told.append(steps)
    return Steps(*(np.concatenate([getattr(one, name) for one in told]) for name in Steps._fields[:4]))


def plain(n: int) -> np.ndarray:
    return np.arange(4.0 * n).reshape(n, 4)


@pytest.mark.parametrize("cuts", [(), (1,), (3, 4), (2, 5, 6)])
def test_a_window_is_whole_and_without_a_bar_missing_in_it(cuts: tuple[int, ...]) -> None:
    """Closes 1 to 4, then 6 to 9: the fifth is missing, so that no window reaches over it."""
    seen, model = seen_of(plain(8), [1, 2, 3, 4, 6, 7, 8, 9]), Remembers(window_bars=3)
    steps = said(ForecastPolicy(model, RULES, 0.5), seen, cuts)
    assert np.isfinite(steps.forecast[:, 0]).tolist() == [False, False, True, True, False, False, True, True]
    for window, end in zip(model.asked, (2, 3, 6, 7), strict=True):
        np.testing.assert_array_equal(window, plain(8)[end - 2 : end + 1, :2])
    assert (steps.target[[2, 3, 6, 7]] > 0).all() and not steps.target[[0, 1, 4, 5]].any()


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("cuts", [(), (4,)])
def test_a_row_with_too_little_or_an_infinity_has_no_forecast(window: int, cuts: tuple[int, ...]) -> None:
    features = plain(12)
    features[4, :2] = np.nan  # half of them: as much as is allowed
    features[5, :3] = np.nan
    features[9, 3] = np.inf  # a feature that the model does not even read
    steps = said(ForecastPolicy(Remembers(window), RULES, 0.5), seen_of(features), cuts)
    usable = np.array([row not in (5, 9) for row in range(12)])
    whole = [usable[max(row - window + 1, 0) : row + 1].all() and row >= window - 1 for row in range(12)]
    assert np.isfinite(steps.forecast[:, 0]).tolist() == whole
    assert not steps.target[~np.array(whole)].any()
    assert ((steps.reasons & INFINITE) > 0).tolist() == [row == 9 for row in range(12)]
    assert ((steps.reasons & NO_FORECAST) > 0).tolist() == [not one for one in whole]


def test_a_model_reads_its_features_by_name() -> None:
    model = Remembers(features=("d", "a"))
    said(ForecastPolicy(model, RULES, 0.5), seen_of(plain(2)))
    np.testing.assert_array_equal(model.asked, [[3, 0], [7, 4]])


def rule_of(sides: list[float], is_sized: bool = True) -> RulePolicy:
    """A rule whose direction is the close's number."""

    def chosen(bars: Chunk, features: Any, bars_per_day: float) -> np.ndarray:
        return np.array([sides[int(at // HOUR_MS) - 1] for at in bars.timestamp], dtype=float)

    strategy = Strategy("r", "what it is told", chosen, lambda _: 0, is_sized=is_sized)
    return RulePolicy(strategy, SizingRules(target_volatility_annual=0.2), 8766.0, 24.0)


def test_a_rule_is_sized_by_the_volatility_of_a_year() -> None:
    steps = said(rule_of([1, 1, -1, 0]), seen_of(plain(4)))
    size = 0.2 / np.sqrt(8766) / 0.01
    np.testing.assert_allclose(steps.target, [size, size, -size, 0.0])
    np.testing.assert_array_equal(said(rule_of([1, 1, -1, 0], False), seen_of(plain(4))).target, [1, 1, -1, 0])


def test_a_filter_lets_in_by_the_entry_threshold_and_out_by_the_exit_against_it() -> None:
    nan = np.nan
    direction = np.array([1, 1, 1, 1, 1, -1, -1, -1, -1, 0, 1, 1, 1], dtype=float)
    edge = np.array([0.05, 0.1, 0.0, -0.02, 0.09, 0.5, -0.2, 0.019, nan, 0.5, 0.5, nan, 0.05])
    # In at 0.1; held at 0 and lost at -0.02; 0.09 is too little; a turn asks again; without a forecast it is out.
    wanted = [0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0]
    assert fold_filter(0.0, 0.0, direction, edge, 0.1, 0.02)[2].tolist() == wanted
    turn = fold_filter(1.0, 1.0, np.array([-1.0]), np.array([0.01]), 0.1, 0.02)[2]
    assert turn.tolist() == [0.0], "what passed was the other side"
    for cut in range(len(edge)):
        before, passes, first = fold_filter(0.0, 0.0, direction[:cut], edge[:cut], 0.1, 0.02)
        second = fold_filter(before, passes, direction[cut:], edge[cut:], 0.1, 0.02)[2]
        assert np.r_[first, second].tolist() == wanted


@pytest.mark.parametrize("cuts", [(), (2,), (1, 4)])
def test_a_filtered_rule_trades_the_rules_targets_where_the_model_agrees(cuts: tuple[int, ...]) -> None:
    sides, edges = [1, 1, 1, -1, -1, 0], [0.05, 0.2, 0.0, 0.3, -0.3, -0.3]
    model = ForecastPolicy(Remembers(edges=edges), RULES, 0.5)
    steps = said(FilteredPolicy(rule_of(sides), model), seen_of(plain(6)), cuts)
    alone = said(rule_of(sides), seen_of(plain(6)))
    np.testing.assert_array_equal(steps.target, np.where([0, 1, 1, 0, 1, 0], alone.target, 0.0))
    assert ((steps.reasons & FILTERED) > 0).tolist() == [True, False, False, True, False, False]


@dataclass
class Counts:
    """A policy whose target grows with every bar that its own state has seen."""

    step: float

    features: tuple[str, ...] = ()

    def begin(self) -> Arrays:
        return {"seen": np.zeros(1)}

    def advance(self, state: Arrays, seen: Seen, account: Account) -> tuple[Arrays, Steps]:
        n, nothing = len(seen.chunk), np.full(len(seen.chunk), np.nan)
        count = state["seen"][0] + np.arange(1, n + 1)
        steps = Steps(np.full((n, 4), np.nan), nothing, self.step * count, np.zeros(n, dtype=np.int64))
        return {"seen": count[-1:].copy()}, steps


def test_strategies_side_by_side_trade_their_shares_and_keep_their_own_states() -> None:
    policy = TogetherPolicy([Part("up", 0.75, Counts(0.1)), Part("down", 0.25, Counts(-0.2))])
    for cuts in ((), (1,), (1, 2)):
        steps = said(policy, seen_of(plain(3)), cuts)
        np.testing.assert_allclose(steps.target, [0.025, 0.05, 0.075])
    state, _ = policy.advance(policy.begin(), seen_of(plain(2)), Account())
    state["up|seen"][0] = 7.0  # of one alone
    _, steps = policy.advance(state, seen_of(plain(1)), Account())
    assert steps.target[0] == pytest.approx(0.75 * 0.8 - 0.25 * 0.6)
    assert {name: float(one[0]) for name, one in steps.parts.items()} == pytest.approx({"up": 0.6, "down": -0.15})


def test_a_saved_state_of_another_decider_is_refused() -> None:
    content = pack({"decider": "one", "assembly": {}, "symbols": {}}, {})
    with pytest.raises(BadData, match="belongs to another decider: replay the history"):
        DecisionState.from_bytes(content, SimpleNamespace(), "another")  # type: ignore[arg-type]
