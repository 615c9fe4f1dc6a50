"""Criteria are met only where the interval says so, and their intervals hold what they should."""

import numpy as np
import pytest

from tradewind.metrics.ranking import StatisticsRules
from tradewind.metrics.scorecard import Measured, share_by_day, spread_over_seeds, state, wealth_ratio

RULES = StatisticsRules(n_resamples=400)


@pytest.mark.parametrize(
    ("found", "at_most", "expected"),
    [
        (Measured(0.60, 0.56, 0.64), False, "met"),
        (Measured(0.60, 0.52, 0.66), False, "not shown"),
        (Measured(0.50, 0.45, 0.54), False, "not met"),
        (Measured(0.50, 0.45, 0.54), True, "met"),
        (Measured(0.60, 0.56, 0.64), True, "not met"),
        (Measured(0.60, 0.52, 0.66), True, "not shown"),
        (Measured(0.60), False, "not shown"),
    ],
)
def test_a_criterion_is_met_by_its_whole_interval_or_not_at_all(found: Measured, at_most: bool, expected: str) -> None:
    assert state(found, 0.55, at_most) == expected


def test_rows_of_one_day_count_as_one_piece_of_evidence() -> None:
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(200), 24)
    alone = rng.random(len(day)) < 0.5
    together = np.repeat(rng.random(200) < 0.5, 24)
    widths = [found.high - found.low for found in (share_by_day(hits, day, RULES, 7) for hits in (alone, together))]
    assert 3 < widths[1] / widths[0] < 8  # the root of 24 is 4.9
    found = share_by_day(together, day, RULES, 7)
    assert found.value == together.mean() and found.low < found.value < found.high


def test_wealth_is_compared_day_by_day() -> None:
    rng = np.random.default_rng(2)
    held = rng.normal(0, 0.03, 400)
    found = wealth_ratio(held + 0.001, held, RULES, 7)
    assert found.value == pytest.approx(np.prod(1.001 + held) / np.prod(1 + held))
    assert 1.4 < found.low < found.high < 1.6  # what both have in common cancels
    assert wealth_ratio(held, held, RULES, 7) == Measured(1.0, 1.0, 1.0)


def test_seeds_must_be_as_many_as_asked() -> None:
    assert np.isnan(spread_over_seeds(np.array([1.0, 1.2, 1.1]), 5).low)
    found = spread_over_seeds(np.array([1.0, 1.2, 1.1, 0.9, 1.3]), 5)
    assert found.value == pytest.approx(0.158, abs=1e-3) and found.low < found.value < found.high
