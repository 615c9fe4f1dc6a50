"""Targets pay for their costs: what is expected must exceed the round trip."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tradewind.trading.decision.targets import TargetRules, TargetState, fold_targets, targets_from_forecasts
from tradewind.trading.execution.costs import Costs
from tradewind.trading.strategy.signals import SignalRules, fold_smooth, smooth
from tradewind.trading.strategy.sizing import SizingRules

COSTS = Costs(taker_fee_bps=5, half_spread_bps=1, slippage_share_of_volatility=0.02)
VOLATILITY = np.full(6, 0.01)
ROUND_TRIP = 2 * (6e-4 + 0.02 * 0.01)


def rules(multiple: float = 1.0, **sizing: float) -> TargetRules:
    signal = SignalRules(smoothing_bars=0, entry_threshold=0.1, exit_threshold=0.02, cost_multiple=multiple)
    return TargetRules(signal, SizingRules(**sizing), COSTS, 8766.0)


def forecast(expected: float, up: float = 0.6, down: float = 0.2) -> np.ndarray:
    return np.tile([down, 1 - up - down, up, expected], (6, 1))


@pytest.mark.parametrize("multiple", [0.5, 1.0, 2.0])
def test_an_expected_return_just_below_the_round_trip_is_not_traded_and_just_above_is(multiple: float) -> None:
    hurdle = multiple * ROUND_TRIP
    for side in (1, -1):
        up, down = (0.6, 0.2) if side > 0 else (0.2, 0.6)
        below = fold_targets(TargetState(), forecast(side * hurdle * 0.999, up, down), VOLATILITY, rules(multiple))[1]
        above = fold_targets(TargetState(), forecast(side * hurdle * 1.001, up, down), VOLATILITY, rules(multiple))[1]
        assert not below.direction.any()
        assert (above.direction == side).all()


def test_an_expected_return_against_the_edge_is_not_traded() -> None:
    assert not fold_targets(TargetState(), forecast(-0.5), VOLATILITY, rules())[1].direction.any()


def test_a_position_has_the_wanted_volatility_and_no_more_than_is_allowed() -> None:
    found = fold_targets(TargetState(), forecast(0.1), VOLATILITY, rules(target_volatility_annual=0.4))[1]
    assert found.target[0] == pytest.approx(0.4 / np.sqrt(8766) / 0.01)
    capped = rules(target_volatility_annual=0.4, max_position=0.25)
    assert fold_targets(TargetState(), forecast(0.1), VOLATILITY, capped)[1].target[0] == 0.25


def test_forecasts_are_joined_to_the_bar_of_their_own_timestamp() -> None:
    times = pd.date_range("2024-01-01", periods=6, freq="h", tz="UTC")
    one = pd.DataFrame({"timestamp": times[2:3], "p_down": 0.2, "p_flat": 0.2, "p_up": 0.6, "expected_return": 0.1})
    found = targets_from_forecasts(pd.DataFrame({"timestamp": times}), one, VOLATILITY, rules())
    assert found.direction.tolist() == [0, 0, 1, 0, 0, 0]


def test_the_edge_is_up_less_down_smoothed_and_left_below_its_threshold() -> None:
    table = np.array([[0.1, 0.4, 0.5, 0.1], [0.3, 0.4, 0.3, 0.1], [0.3, 0.36, 0.34, 0.1], [0.3, 0.39, 0.31, 0.1]])
    found = fold_targets(TargetState(), table, np.full(4, 0.01), rules())[1]
    np.testing.assert_allclose(found.edge, [0.4, 0.0, 0.04, 0.01], atol=1e-12)
    assert found.direction.tolist() == [1, 0, 0, 0]  # 0.04 holds a position, it does not open one


@pytest.mark.parametrize("unknown", [0.0, np.nan])
def test_without_a_volatility_there_is_no_position_and_it_is_taken_when_there_is_one(unknown: float) -> None:
    """A price that does not move has a volatility of 0: a position of that size would be without bound."""
    volatility = np.array([unknown, unknown, 0.01, unknown, 0.02, 0.02])
    found = fold_targets(TargetState(), forecast(0.1), volatility, rules(target_volatility_annual=0.4))[1]
    size = 0.4 / np.sqrt(8766) / 0.01
    np.testing.assert_allclose(found.target, [0, 0, size, size, size, size])  # set at entry, and kept
    assert (found.direction == 1).all()


def test_the_exponential_mean_by_hand_begins_anew_after_a_missing_value_and_goes_on_over_a_cut() -> None:
    values = np.array([1.0, 3.0, 3.0, np.nan, 8.0, 0.0])
    # A span of 3 weighs the new value by a half; one of 9 by a fifth; 0 leaves all as they are.
    np.testing.assert_allclose(smooth(values, 3.0), [1.0, 2.0, 2.5, np.nan, 8.0, 4.0])
    np.testing.assert_allclose(smooth(values, 9.0), [1.0, 1.4, 1.72, np.nan, 8.0, 6.4])
    np.testing.assert_allclose(smooth(values, 0.0), values)
    for cut in range(1, 6):
        last, first = fold_smooth(np.nan, values[:cut], 3.0)
        np.testing.assert_allclose(np.r_[first, fold_smooth(last, values[cut:], 3.0)[1]], smooth(values, 3.0))


def test_thresholds_that_are_equal_leave_what_they_enter_and_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"exit_threshold 0.1 must be below entry_threshold 0.1"):
        SignalRules(entry_threshold=0.1, exit_threshold=0.1)
