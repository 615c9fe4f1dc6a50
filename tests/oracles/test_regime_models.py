"""The regime filters against hmmlearn's forward pass, jumpmodels' online labels and a change-point reference."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.learning.regimes.markets import market_of
from tradewind.learning.regimes.change_point import advance_runs
from tradewind.learning.regimes.jump import JumpModel, JumpRules, advance_values
from tradewind.learning.regimes.markov_kernels import Emission, begin_belief, filter_moves, rouwenhorst


def test_two_gaussian_states_have_hmmlearns_forward_probabilities() -> None:
    _hmmc = pytest.importorskip("hmmlearn._hmmc")
    rng = np.random.default_rng(1)
    chain, share = np.array([[0.98, 0.02], [0.05, 0.95]]), np.array([0.3, 0.7])
    mean, scale = np.array([0.2, -0.1]), np.array([0.7, 1.9])
    moves = rng.normal(size=4000) * np.repeat(rng.choice(scale, 40), 100)
    nodes, grid, weight = rouwenhorst(1, 0.0)
    model = Emission(mean, np.zeros(2), scale, np.inf, chain, share, nodes, grid, weight)
    found, density = np.empty((len(moves), 2)), np.empty(len(moves))
    filter_moves(moves, np.arange(len(moves)) == 0, model, begin_belief(model), np.nan, found, density)
    log_likelihood, forward, _ = _hmmc.forward_scaling(
        share, chain, np.column_stack([stats.norm.pdf(moves, m, s) for m, s in zip(mean, scale, strict=True)])
    )
    np.testing.assert_allclose(found, forward / forward.sum(axis=1, keepdims=True), atol=1e-8, rtol=0)
    assert density.sum() == pytest.approx(log_likelihood, abs=1e-6)


def test_a_grid_of_volatilities_equals_one_chain_of_all_pairs() -> None:
    """Regime and node as one hidden state of an ordinary chain, stepped with matrices."""
    rng = np.random.default_rng(2)
    nodes, grid, weight = rouwenhorst(5, 0.9)
    chain, share = np.array([[0.97, 0.03], [0.06, 0.94]]), np.array([2 / 3, 1 / 3])
    model = Emission(
        np.array([0.1, -0.2]), np.array([0.0, -0.3]), np.array([0.6, 1.4]), 5.0, chain, share, 0.3 * nodes, grid, weight
    )
    moves = rng.standard_t(5, 500)
    found, density = np.empty((len(moves), 2)), np.empty(len(moves))
    filter_moves(moves, np.arange(len(moves)) == 0, model, begin_belief(model), np.nan, found, density)
    whole, belief = np.kron(chain, grid), np.kron(share, weight)
    for bar, move in enumerate(moves):
        belief = belief @ whole if bar else belief
        last = moves[bar - 1] if bar else 0.0
        scale = np.kron(model.scale, np.exp(model.nodes))
        where = np.repeat(model.drift + model.carry * last, len(nodes))
        belief = belief * stats.t.pdf((move - where) / scale, 5) / scale
        assert density[bar] == pytest.approx(np.log(belief.sum()), abs=1e-9)
        belief /= belief.sum()
        np.testing.assert_allclose(found[bar], belief.reshape(2, -1).sum(axis=1), atol=1e-10)


def test_the_grid_has_the_autocorrelation_and_variance_of_the_autoregression() -> None:
    nodes, grid, weight = rouwenhorst(7, 0.94)
    np.testing.assert_allclose(weight @ grid, weight, atol=1e-12)
    assert weight @ nodes**2 == pytest.approx(1.0)
    assert weight @ (nodes * (grid @ nodes)) == pytest.approx(0.94)


def test_the_jump_model_has_jumpmodels_online_labels() -> None:
    jumpmodels = pytest.importorskip("jumpmodels.jump")
    bars, _ = market_of("clear", 2, days=150)
    ours = JumpModel(JumpRules(starts=20), seed=0).fit(bars)
    rng = np.random.default_rng(4)
    described = np.cumsum(rng.normal(0, 0.2, (3000, 3)), axis=0) % 4 - 2
    theirs = jumpmodels.JumpModel(n_components=4, jump_penalty=ours.rules.penalty, random_state=0)
    theirs.fit(pd.DataFrame(described[:2000]))
    ours.centres = theirs.centers_
    agree = ours.labels(described) == theirs.predict_online(described)
    assert agree.mean() >= 0.999
    # Each from its own starts, the costs of the fits are the same too.
    rows = ours._scaled(described[:2000]) * ours.spread + ours.mean
    mine = min(
        (ours._descend(rows, rows[rng.choice(len(rows), 4, replace=False)]) for _ in range(20)), key=lambda one: one[2]
    )
    theirs.fit(pd.DataFrame(rows))
    assert mine[2] <= theirs.val_ * 1.001


def test_costs_carried_in_parts_are_those_of_the_whole_up_to_a_constant() -> None:
    rng = np.random.default_rng(3)
    described, centres = rng.normal(size=(400, 3)), rng.normal(size=(4, 3))
    starts = np.arange(400) == 0
    ours = advance_values(described, starts, centres, 2.0, np.full(4, np.nan))
    values = 0.5 * ((described[0] - centres) ** 2).sum(axis=1)
    for bar in range(1, 400):
        loss = 0.5 * ((described[bar] - centres) ** 2).sum(axis=1)
        values = loss + np.minimum(values, values.min() + 2.0)
        np.testing.assert_allclose(ours[bar], values - values.min(), atol=1e-9)


def brute_force_runs(moves: np.ndarray, prior: np.ndarray, hazard: float) -> np.ndarray:
    """Run length probabilities by the posterior predictive of every stretch, computed from its moves anew."""
    mean, count, shape, rate = prior
    belief = np.array([1.0])
    out = []
    for bar, move in enumerate(moves):
        likelihood = np.empty(bar + 1)
        for r in range(bar + 1):
            inside = moves[bar - r : bar]
            n = len(inside)
            k, a = count + n, shape + n / 2
            m = (count * mean + inside.sum()) / k
            b = rate + 0.5 * (((inside - inside.mean()) ** 2).sum() if n else 0.0)
            b += 0.5 * count * n * ((inside.mean() - mean) ** 2 if n else 0.0) / k
            likelihood[r] = stats.t.pdf(move, 2 * a, m, np.sqrt(b * (k + 1) / (a * k)))
        grown = belief * likelihood * (1 - hazard)
        belief = np.append((belief * likelihood * hazard).sum(), grown)
        belief /= belief.sum()
        out.append(belief)
    return np.array([np.pad(one, (0, len(moves) + 1 - len(one))) for one in out])


def test_change_points_equal_a_brute_force_reference() -> None:
    rng = np.random.default_rng(5)
    moves = np.concatenate([rng.normal(0, 1, 60), rng.normal(0.5, 0.5, 50), rng.normal(0, 2, 40)])
    prior = np.array([0.0, 4.0, 2.0, 2.0])
    runs = np.zeros((5, 200))
    found = advance_runs(moves, np.arange(150) == 0, prior, 1 / 50, 5.0, runs)
    wanted = brute_force_runs(np.clip(moves, -5, 5), prior, 1 / 50)
    np.testing.assert_allclose(found[:, :151], wanted, atol=1e-10)
    assert 25 <= int(found[-1].argmax()) <= 50


def test_a_bounded_run_length_hardly_changes_the_rest() -> None:
    rng = np.random.default_rng(6)
    moves, prior = rng.normal(size=400) * np.repeat([1.0, 2.0], 200), np.array([0.0, 4.0, 2.0, 2.0])
    starts = np.arange(400) == 0
    long = advance_runs(moves, starts, prior, 1 / 96, 5.0, np.zeros((5, 500)))
    short = advance_runs(moves, starts, prior, 1 / 96, 5.0, np.zeros((5, 150)))
    np.testing.assert_allclose(short.sum(axis=1), 1.0, atol=1e-9)
    assert np.abs(long[:, :149] - short[:, :149]).max() < 0.05
