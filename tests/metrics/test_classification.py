"""The measures agree with scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tradewind.metrics.calibration import expected_calibration_error, reliability_table
from tradewind.metrics.classification import accuracy, brier, certain, confusion_table, log_loss, macro_f1

RNG = np.random.default_rng(0)
PROBABILITY = RNG.dirichlet([1, 1, 2], 500)
LABEL = RNG.integers(-1, 2, 500).astype(np.int8)
SAID = np.array([-1, 0, 1])[PROBABILITY.argmax(axis=1)]


def test_every_measure_agrees_with_scikit_learn() -> None:
    assert accuracy(LABEL, PROBABILITY) == pytest.approx(sklearn.accuracy_score(LABEL, SAID))
    assert log_loss(LABEL, PROBABILITY) == pytest.approx(sklearn.log_loss(LABEL, PROBABILITY, labels=[-1, 0, 1]))
    assert macro_f1(LABEL, PROBABILITY) == pytest.approx(sklearn.f1_score(LABEL, SAID, average="macro"))
    squared = sum(sklearn.brier_score_loss(kind == LABEL, PROBABILITY[:, at]) for at, kind in enumerate((-1, 0, 1)))
    assert brier(LABEL, PROBABILITY) == pytest.approx(squared)
    counts = confusion_table(LABEL, PROBABILITY)["count"].to_numpy().reshape(3, 3)
    np.testing.assert_array_equal(counts, sklearn.confusion_matrix(LABEL, SAID))


def test_a_rule_without_probabilities_claims_certainty() -> None:
    np.testing.assert_array_equal(certain(np.array([1, -1], dtype=np.int8)), [[0, 0, 1], [1, 0, 0]])
    assert log_loss(np.array([-1], dtype=np.int8), certain(np.array([1], dtype=np.int8))) == pytest.approx(
        34.5, abs=0.1
    )


def test_a_class_that_never_occurs_has_no_score() -> None:
    label = np.array([1, 1, -1], dtype=np.int8)
    assert macro_f1(label, certain(label)) == pytest.approx(2 / 3)


def test_calibration_error_is_small_for_honest_and_large_for_bold_probabilities() -> None:
    label = np.array([RNG.choice([-1, 0, 1], p=row) for row in PROBABILITY], dtype=np.int8)
    assert expected_calibration_error(label, PROBABILITY) < 0.05
    assert expected_calibration_error(label, certain(np.ones(500, dtype=np.int8))) > 0.3
    assert reliability_table(label, PROBABILITY)["count"].sum() == 3 * 500
