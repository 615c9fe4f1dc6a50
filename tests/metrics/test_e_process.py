"""Looking every day keeps 5 %, and an edge is seen."""

import numpy as np
import pytest

from tradewind.metrics.e_process import FIRST_DAYS, e_process


def paths(sharpe: float, number: int, days: int, seed: int) -> np.ndarray:
    """Daily returns with the tails of five degrees of freedom, whose volatility wanders."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_t(5, (number, days)) / np.sqrt(5 / 3)
    level = np.exp(0.3 * np.cumsum(rng.normal(0, 0.1, (number, days)), axis=1))
    return 0.01 * level * (noise + sharpe / np.sqrt(365.25))


def test_looked_at_every_day_for_a_year_few_null_paths_ever_reach_twenty() -> None:
    ever = [e_process(path).max() >= 20 for path in paths(0.0, 200, 365 + FIRST_DAYS, 1)]
    assert np.mean(ever) <= 0.05
    # A test at 5 % that is looked at every day does not keep it.
    looked = [
        (path[: day + 1].mean() / path[: day + 1].std() * np.sqrt(day + 1) > 1.645)
        for path in paths(0.0, 200, 365, 1)
        for day in [*range(30, 365)]
    ]
    assert np.mean(np.array(looked).reshape(200, -1).any(axis=1)) > 0.15


def test_an_edge_is_seen_and_a_loss_is_not() -> None:
    assert np.mean([e_process(path)[-1] >= 20 for path in paths(3.0, 60, 730, 2)]) > 0.7
    assert np.mean([e_process(path).max() >= 20 for path in paths(-2.0, 60, 730, 3)]) == 0


def test_wealth_is_that_of_the_bets_by_hand() -> None:
    daily = np.array([*([0.02] * FIRST_DAYS), 0.01, -0.08, 0.01])
    fractions = np.linspace(0.1, 1.0, 10)
    first = 1 + fractions * 0.01 / 0.04
    second = first * np.maximum(1 - fractions * 0.08 / 0.04, 0.0)  # those who staked more than half have nothing left
    third = second * (1 + fractions * 0.01 / 0.16)
    assert e_process(daily)[:FIRST_DAYS] == pytest.approx(1.0)
    assert e_process(daily)[FIRST_DAYS:] == pytest.approx([first.mean(), second.mean(), third.mean()])
    assert e_process(np.zeros(50)) == pytest.approx(1.0)
