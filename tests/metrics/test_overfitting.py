"""Choosing among noise is seen as such, choosing a real edge is not."""

import itertools

import numpy as np
import pytest

from tradewind.errors import BadData
from tradewind.metrics.overfitting import probability_of_overfitting


def test_noise_is_a_coin_and_an_edge_is_not() -> None:
    rng = np.random.default_rng(1)
    found = [probability_of_overfitting(0.01 * rng.standard_normal((700, 20)), 10).probability for _ in range(40)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)
    daily = 0.01 * rng.standard_normal((700, 20))
    daily[:, 7] += 0.003
    edge = probability_of_overfitting(daily, 10)
    assert edge.probability < 0.02 and edge.loss < 0.02
    assert len(edge.logits) == 252


def test_what_fits_one_half_and_fails_the_other_is_overfitted() -> None:
    rng = np.random.default_rng(2)
    daily = 0.01 * rng.standard_normal((400, 4))
    for strategy in range(4):  # each shines in its own quarter and loses elsewhere
        daily[:, strategy] += np.where(np.arange(400) // 100 == strategy, 0.02, -0.004)
    assert probability_of_overfitting(daily, 4).probability > 0.9


def test_it_is_that_of_a_slow_oracle() -> None:
    rng = np.random.default_rng(3)
    daily = 0.01 * rng.standard_normal((90, 5)) + 0.001 * rng.standard_normal(5)
    blocks = np.array_split(np.arange(90), 6)
    below = []
    for half in itertools.combinations(range(6), 3):
        inside = np.concatenate([blocks[at] for at in half])
        outside = np.concatenate([blocks[at] for at in range(6) if at not in half])
        ratio = [daily[rows].mean(axis=0) / daily[rows].std(axis=0, ddof=1) for rows in (inside, outside)]
        place = (ratio[1] < ratio[1][ratio[0].argmax()]).sum() + 1
        below.append(np.log(place / 6 / (1 - place / 6)))
    found = probability_of_overfitting(daily, 6)
    np.testing.assert_allclose(found.logits, below)


def test_equal_strategies_and_no_trades_have_defined_values() -> None:
    same = np.tile(0.01 * np.random.default_rng(4).standard_normal((200, 1)), (1, 3))
    assert probability_of_overfitting(same, 6).probability == pytest.approx(0.5)
    assert probability_of_overfitting(np.zeros((200, 3)), 6).probability == pytest.approx(0.5)
    for wrong in (np.zeros((200, 1)), np.zeros((10, 3))):
        with pytest.raises(BadData, match="overfitting needs"):
            probability_of_overfitting(wrong, 6)
