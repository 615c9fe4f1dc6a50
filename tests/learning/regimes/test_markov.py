"""The hidden Markov model: names from parameters, the share of the limit, and one regime where there is one."""

import itertools

import numpy as np
import pytest

from tests.learning.regimes.markets import market_of
from tests.learning.regimes.measuring import calibration_error, delay, measure
from tradewind.learning.regimes.base import RANGING, TRENDING, UNKNOWN, VOLATILE
from tradewind.learning.regimes.expectation_maximisation import FitRules, fit, long_run
from tradewind.learning.regimes.markov import MarkovModel, MarkovRules
from tradewind.learning.regimes.naming import Behaviour, name_states
from tradewind.learning.regimes.season import fit_season, slots_of


def test_names_follow_from_what_states_do_whatever_their_order() -> None:
    states = Behaviour(
        np.array([0.15, -0.15, 0.0, 0.01, 0.005]),
        np.array([0.0, -0.02, -0.3, 0.0, 0.0]),
        np.array([1.0, 1.0, 0.7, 2.0, 1.0]),
        np.array([3000.0, 3000, 2000, 1000, 1000]),
    )
    wanted = np.array([TRENDING, TRENDING, RANGING, VOLATILE, UNKNOWN])
    assert (name_states(states) == wanted).all()
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(5)
        assert (name_states(Behaviour(*(column[order] for column in states))) == wanted[order]).all()


def test_a_drift_of_few_bars_is_none_and_a_clearer_reversal_wins() -> None:
    few = Behaviour(np.array([0.1, 0.0]), np.zeros(2), np.ones(2), np.array([100.0, 5000]))
    assert (name_states(few) == UNKNOWN).all()
    both = Behaviour(np.array([0.06, 0.0]), np.array([-0.3, 0.0]), np.ones(2), np.array([3000.0, 3000]))
    assert name_states(both)[0] == RANGING


def test_the_hour_of_the_week_is_learnt() -> None:
    rng, timestamp = np.random.default_rng(0), 3_600_000 * np.arange(1, 24 * 7 * 52 + 1, dtype=np.int64)
    slot = slots_of(timestamp)
    scale = (1 + 0.5 * np.cos(2 * np.pi * (slot % 24) / 24)) * np.where(slot // 24 >= 5, 0.7, 1.0)
    found = fit_season(timestamp, scale * rng.standard_t(5, len(slot)))
    ratio = found[slot] / scale
    assert ratio.std() / ratio.mean() < 0.06


def test_long_run_shares_are_those_of_the_chain() -> None:
    chain = np.array([[0.9, 0.1], [0.3, 0.7]])
    np.testing.assert_allclose(long_run(chain), [0.75, 0.25], atol=1e-12)


def test_every_round_of_em_raises_the_likelihood() -> None:
    moves = np.random.default_rng(1).standard_t(4, 2000) * np.repeat([0.6, 1.8, 0.6, 1.2], 500)
    starts = np.arange(2000) == 0
    found = [
        fit(moves, starts, FitRules(nodes=1, first_rounds=1, rounds=rounds, belief_bars=0.0)).log_likelihood
        for rounds in (2, 4, 8, 16)
    ]
    assert all(later > earlier for earlier, later in itertools.pairwise(found))


def test_on_a_clear_market_it_comes_close_to_the_limit_and_far_above_the_majority() -> None:
    found = measure("clear", 3)
    assert found["share"] > 0.97
    assert found["accuracy"] > found["majority"] + 0.15
    assert found["calibration"] < 0.03
    assert found["delay"] <= found["limit_delay"] + 3
    assert found["switches"] < 1.5
    assert found["regimes"] == 3


def test_clustering_volatility_alone_is_one_regime_and_everything_is_unknown() -> None:
    bars, _ = market_of(None, 0)
    model = MarkovModel(MarkovRules(), 0).fit(bars)
    steps = model.history(bars)
    assert model.n_regimes == 1
    np.testing.assert_allclose(steps.probabilities[:, UNKNOWN], 1.0, atol=1e-9)
    assert (steps.regime == UNKNOWN).all()
    assert (steps.p_leave < 1e-9).all()


def test_calibration_and_delay_see_what_they_measure() -> None:
    true = np.repeat([0, 1, 2, 0], 50)
    sure = np.eye(4)[true]
    assert calibration_error(sure, true) == 0.0
    assert delay(sure, true) == 0.0
    late = np.eye(4)[np.concatenate([np.zeros(7, dtype=int), true[:-7]])]
    assert delay(late, true) == 7.0
    assert calibration_error(np.eye(4)[(true + 1) % 3], true) == pytest.approx(2 / 3)
