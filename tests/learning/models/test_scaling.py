"""The scaling of probabilities, worked out by hand."""

import numpy as np
import pytest

from tradewind.learning.models.calibration import ProbabilityScaling, fit_scaling

FLAT, UP, DOWN = np.int8(0), np.int8(1), np.int8(-1)


def test_probabilities_are_raised_to_the_slope_and_both_moves_get_the_offset() -> None:
    given = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.25, 0.0, 0.75]])
    found = ProbabilityScaling(slope=2.0, move_offset=np.log(1.5)).apply(given)
    by_hand = np.array([0.04 * 1.5, 0.25, 0.09 * 1.5])
    assert found[0] == pytest.approx(by_hand / by_hand.sum())
    assert found[1] == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)
    assert found[2] == pytest.approx([0.1, 0.0, 0.9], abs=1e-12)
    assert ProbabilityScaling().apply(given) == pytest.approx(given, abs=1e-11)
    # What is silenced holds no certainty: a probability of 0 counts as 1e-12, which to the power of 0.05 is a quarter.
    silent = ProbabilityScaling(slope=0.05).apply(np.array([[0.0, 1.0, 0.0]]))
    assert silent[0] == pytest.approx(np.array([10**-0.6, 1.0, 10**-0.6]) / (1 + 2 * 10**-0.6))


def test_what_is_said_twice_as_boldly_is_halved() -> None:
    """Labels drawn from probabilities whose squares are what the model says; most go up."""
    rng = np.random.default_rng(1)
    true = rng.dirichlet([1.0, 2.0, 3.0], 20_000)
    label = (true.cumsum(axis=1) < rng.random((len(true), 1))).sum(axis=1) - 1
    bold = true**2 / (true**2).sum(axis=1, keepdims=True)
    found = fit_scaling(bold, label.astype(np.int8))
    assert found.slope == pytest.approx(0.5, abs=0.03) and found.move_offset == pytest.approx(0.0, abs=0.06)


def test_a_model_that_is_always_wrong_is_made_silent_not_turned_round() -> None:
    said = np.tile([[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]], (50, 1))
    assert fit_scaling(said, np.tile([DOWN, UP], 50)).slope == pytest.approx(0.05)


def test_few_rows_move_the_scaling_by_little() -> None:
    """One row: its offset solves 2 e^b / (1 + 2 e^b) + b = 0. Faint forecasts: their slope stays near 1."""
    one = fit_scaling(np.full((1, 3), 1 / 3), np.array([FLAT]))
    assert one.move_offset == pytest.approx(-0.539, abs=0.002)
    faint = np.tile([0.3343, 0.33285, 0.33285], (6, 1))
    assert 1.5 < fit_scaling(faint, np.full(6, DOWN)).slope < 4.0
