"""In beyond one threshold, out below the other."""

import numpy as np
import pytest
from pydantic import ValidationError

from tradewind.trading.strategy.signals import SignalRules, direction
from tradewind.trading.strategy.sizing import size_at_entry

NAN = np.nan


def held(edge: list[float], expected: list[float] | None = None, hurdle: float = 0.0) -> list[float]:
    n = len(edge)
    gain = np.full(n, NAN) if expected is None else np.array(expected)
    return direction(np.array(edge), gain, np.full(n, hurdle), 0.1, 0.02).tolist()


def test_a_position_is_entered_beyond_one_threshold_and_left_below_the_other() -> None:
    assert held([0.05, 0.1, 0.05, 0.02, 0.01, 0.05]) == [0, 1, 1, 1, 0, 0]


def test_a_turn_closes_and_only_a_strong_one_reverses() -> None:
    assert held([0.2, -0.05, -0.05]) == [1, 0, 0]
    assert held([0.2, -0.2, -0.05]) == [1, -1, -1]


def test_without_a_forecast_there_is_no_position() -> None:
    assert held([0.2, NAN, 0.05]) == [1, 0, 0]


def test_an_expected_return_that_does_not_pay_the_costs_keeps_it_out_but_not_in() -> None:
    assert held([0.2, 0.2, 0.2], [0.001, 0.004, 0.001], hurdle=0.003) == [0, 1, 1]
    assert held([-0.2, -0.2], [0.004, -0.004], hurdle=0.003) == [0, -1]


def test_what_comes_later_changes_no_earlier_direction() -> None:
    rng = np.random.default_rng(5)
    edge, other = rng.normal(0, 0.1, 300), rng.normal(0, 0.1, 300)
    whole = np.array(held(edge.tolist()))
    for cut in range(1, 300, 7):
        mixed = np.concatenate([edge[:cut], other[cut:]])
        np.testing.assert_array_equal(np.array(held(mixed.tolist()))[:cut], whole[:cut])


def test_leaving_must_be_easier_than_entering() -> None:
    with pytest.raises(ValidationError, match="exit_threshold"):
        SignalRules(entry_threshold=0.1, exit_threshold=0.2, cost_multiple=1)


def test_a_position_is_smaller_where_prices_move_more_and_keeps_its_size() -> None:
    sized = size_at_entry(np.array([0.0, 1, 1, -1, -1]), np.array([0.01, 0.02, 0.5, 0.04, 0.01]), 0.01, 1.0)
    assert sized.tolist() == [0, 0.5, 0.5, -0.25, -0.25]


def test_leverage_is_bounded_and_an_unknown_volatility_means_no_position() -> None:
    assert size_at_entry(np.ones(3), np.array([NAN, 0.001, 0.001]), 0.01, 0.8).tolist() == [0, 0.8, 0.8]
