"""Combinations against closed forms, and what they do where experts come, go or all abstain."""

import numpy as np
import pytest

from tradewind.errors import BadData
from tradewind.learning.ensemble import combining
from tradewind.learning.ensemble.online import AdaHedge, Hedge


def experts(count: int, rows: int = 2000, seed: int = 0, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts (rows, experts, 3) that know the class probabilities up to noise of their own, and what happened."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 0.8, (rows, 1, 3))
    said = np.exp(score + noise * rng.normal(size=(rows, count, 3)))
    true = np.exp(score[:, 0])
    true /= true.sum(axis=1, keepdims=True)
    label = (rng.random(rows)[:, None] > true.cumsum(axis=1)).sum(axis=1).clip(0, 2) - 1
    return said / said.sum(axis=2, keepdims=True), label.astype(np.int8)


def loss(probabilities: np.ndarray, label: np.ndarray) -> float:
    return float(combining.log_losses(probabilities[:, None], label).mean())


def test_known_error_covariances_have_the_closed_forms_weights() -> None:
    covariance = np.array([[1.0, 0.3, 0.2], [0.3, 1.5, 0.4], [0.2, 0.4, 2.5]])
    closed = np.linalg.solve(covariance, np.ones(3))
    closed /= closed.sum()
    errors = np.random.default_rng(1).multivariate_normal(np.zeros(3), covariance, 20_000)
    found = combining.least_variance_weights(errors)
    assert found @ covariance @ found <= 1.02 * (closed @ covariance @ closed)
    assert found.sum() == pytest.approx(1.0) and (found >= 0).all()
    # An expert that the closed form would sell short is left out instead.
    short = np.array([[1.0, 1.8], [1.8, 4.0]])
    left_out = combining.least_variance_weights(np.random.default_rng(2).multivariate_normal([0, 0], short, 20_000))
    np.testing.assert_allclose(left_out, [1.0, 0.0], atol=1e-3)


def test_stacking_is_no_worse_than_the_best_expert_or_the_equal_mean_on_its_own_rows() -> None:
    said, label = experts(4)
    said[:, 3] = 1 / 3
    weight = combining.stacked_weights(said, label)
    mixed = loss(combining.pooled(said, weight), label)
    assert mixed <= min(loss(said[:, one], label) for one in range(4)) + 1e-9
    assert mixed <= loss(combining.equal_mean(said), label) + 1e-9
    assert weight.sum() == pytest.approx(1.0) and (weight >= 0).all()
    # The conditions of Karush, Kuhn and Tucker: no expert would gain, and those that weigh something gain alike.
    given = np.exp(-combining.log_losses(said, label))
    gains = (given / (given @ weight)[:, None]).mean(axis=0)
    assert (gains <= 1 + 1e-6).all()
    np.testing.assert_allclose(gains[weight > 1e-6], 1.0, atol=1e-6)
    assert (weight > 1e-6).sum() >= 2


def test_weights_that_are_not_the_best_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said, label = experts(4, noise=1.0)
    said[:, 3] = np.array([0.98, 0.01, 0.01])
    monkeypatch.setattr(combining, "ROUNDS", 1)
    with pytest.raises(BadData, match="no weights of 4 experts were found .Iteration limit"):
        combining.stacked_weights(said, label)


def test_stacking_finds_the_weights_that_outcomes_were_drawn_with() -> None:
    """Outcomes drawn from a mixture of known weights: they are found to their error, and twins share one weight."""
    said, _ = experts(4, rows=200_000, noise=1.0)
    true = np.array([0.1, 0.0, 0.65, 0.25])
    mixed = combining.pooled(said, true)
    uniform = np.random.default_rng(5).random(len(mixed))
    label = ((uniform[:, None] > mixed.cumsum(axis=1)).sum(axis=1).clip(0, 2) - 1).astype(np.int8)
    np.testing.assert_allclose(combining.stacked_weights(said, label), true, atol=0.02)
    twins = combining.stacked_weights(said[:, [0, 2, 2, 3]], label)
    assert twins[1] + twins[2] == pytest.approx(0.65, abs=0.02)


def test_the_equal_mean_beats_the_average_expert_and_weights_follow_losses() -> None:
    said, label = experts(5)
    singles = [loss(said[:, one], label) for one in range(5)]
    assert loss(combining.equal_mean(said), label) < np.mean(singles)
    losses = combining.log_losses(said, label)
    losses[:, 2] *= 2
    weight = combining.inverse_loss_weights(losses)
    assert weight.argmin() == 2
    assert weight[2] / weight[0] == pytest.approx(losses[:, 0].mean() / losses[:, 2].mean())


def test_votes_and_claims() -> None:
    said = np.array([[[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.0, 0.0, 1.0]]])
    np.testing.assert_allclose(combining.hard_vote(said), [[2.5 / 4.5, 0.5 / 4.5, 1.5 / 4.5]])
    np.testing.assert_allclose(combining.equal_mean(said), said.mean(axis=1))
    assert combining.by_uncertainty(said)[0, 2] > combining.equal_mean(said)[0, 2]
    unsure = np.full((1, 2, 3), 1 / 3)
    np.testing.assert_allclose(combining.by_uncertainty(unsure), 1 / 3)


def test_experts_that_come_and_go_leave_their_weight_and_all_silent_say_nothing() -> None:
    said, label = experts(3, rows=300)
    said[:100, 0], said[200:, 1] = np.nan, np.nan
    said[150] = np.nan
    for mixed in (
        combining.equal_mean(said), combining.hard_vote(said), combining.by_uncertainty(said),
        combining.online(Hedge(0.5), said, label, np.arange(300), np.arange(300) + 5)[0],
    ):  # fmt: skip
        assert np.isnan(mixed[150]).all()
        rest = np.delete(mixed, 150, axis=0)
        np.testing.assert_allclose(rest.sum(axis=1), 1.0)
    np.testing.assert_allclose(combining.equal_mean(said)[:100], said[:100, 1:].mean(axis=1))
    with pytest.raises(BadData, match="no row has a forecast of every expert"):
        combining.stacked_weights(np.full((5, 2, 3), np.nan), label[:5])
    with pytest.raises(BadData, match="nothing to weigh them by"):
        combining.inverse_loss_weights(np.full((5, 2), np.nan))
    with pytest.raises(BadData, match="numbers from 0 on"):
        combining.pooled(said, np.array([0.5, 0.6, -0.1]))


def test_an_expert_good_in_one_regime_only_is_used_there() -> None:
    """At least 90 % of what a mixture that knows the regime gains over the equal mean."""
    said, label = experts(2, rows=6000, noise=0.0)
    rng = np.random.default_rng(5)
    regime = (np.arange(6000) // 300) % 2
    wrong = rng.dirichlet(np.ones(3) * 2, 6000)
    said[regime == 1, 0], said[regime == 0, 1] = wrong[regime == 1], wrong[regime == 0]
    filtered = np.where(regime[:, None] == np.arange(2), 0.98, 0.02)
    bars = np.arange(6000)
    mixed, weights = combining.by_regime(AdaHedge(), said, label, bars, bars + 12, filtered)
    best = loss(said[bars, regime], label)
    equal = loss(combining.equal_mean(said), label)
    assert (equal - loss(mixed, label)) / (equal - best) > 0.9
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    plain, _ = combining.online(AdaHedge(), said, label, bars, bars + 12)
    assert loss(mixed, label) < loss(plain, label)


def test_online_weights_are_never_much_worse_than_the_equal_mean_on_planted_markets() -> None:
    for seed in range(20):
        said, label = experts(6, rows=3000, seed=seed, noise=0.7)
        bars = np.arange(3000)
        stacked = combining.pooled(said[1500:], combining.stacked_weights(said[:1480], label[:1480]))
        equal = loss(combining.equal_mean(said)[1500:], label[1500:])
        assert loss(stacked, label[1500:]) < 1.005 * equal
        shared, _ = combining.online(Hedge(0.002), said, label, bars, bars + 20)
        assert loss(shared, label) < 1.005 * loss(combining.equal_mean(said), label)
