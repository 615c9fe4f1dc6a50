"""Bets: rarely won by chance, however often one looks, and won by what is there."""

import numpy as np

from tradewind.metrics.betting import Bet, mean_evidence


def highest(values: np.ndarray) -> float:
    bet, most = Bet(), 1.0
    for value in values:
        bet.observe(float(value), 1.0)
        most = max(most, bet.e_value)
    return most


def test_looking_at_every_value_keeps_the_level() -> None:
    generator = np.random.default_rng(1)
    reached = [highest(generator.uniform(-1, 1, 500)) >= 20 for _ in range(300)]
    assert np.mean(reached) <= 0.05


def test_a_mean_above_zero_is_found_and_one_below_never() -> None:
    generator = np.random.default_rng(2)
    noise = generator.uniform(-0.8, 0.8, (50, 500))
    assert np.mean([highest(row + 0.2) >= 20 for row in noise]) > 0.95
    assert not any(highest(row - 0.2) >= 20 for row in noise)


def test_the_evidence_of_several_bets_is_their_mean() -> None:
    assert mean_evidence([Bet(logarithm=np.log(3.0)), Bet()]) == 2.0
