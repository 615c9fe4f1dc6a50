"""How alike two models' edges are."""

import numpy as np
import pytest

from tradewind.metrics.agreement import FEWEST, agreement_and_ratio, sign_agreement


def test_small_edges_have_no_sign_worth_agreeing_with() -> None:
    edge = np.array([1.0, -1.0, 1.0, -1.0, 0.1, -0.1])
    assert sign_agreement(edge, np.array([2.0, -2.0, 2.0, 2.0, -1.0, 1.0])) == 0.75
    assert sign_agreement(edge, -edge) == 0.0 and sign_agreement(np.zeros(5), np.ones(5)) is None


def test_few_bars_or_a_model_that_never_moves_say_nothing() -> None:
    edge = np.random.default_rng(1).standard_normal(FEWEST)
    assert agreement_and_ratio(edge, 3 * edge) == (1.0, pytest.approx(3.0))
    assert agreement_and_ratio(edge[1:], edge[1:]) == agreement_and_ratio(0 * edge, edge) == (None, None)
