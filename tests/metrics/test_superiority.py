"""The best of many is tested for what it is; arch is the oracle, and the size is right under the null."""

import numpy as np
import pytest

from tradewind.metrics.superiority import _bootstrap_variance, superior_ability


def noise(seed: int, n_days: int = 400, n_strategies: int = 20) -> np.ndarray:
    return 0.01 * np.random.default_rng(seed).standard_normal((n_days, n_strategies))


def test_arch_agrees_on_what_it_computes() -> None:
    """arch does not studentise: its upper p-value is White's, its variance is Hansen's."""
    arch = pytest.importorskip("arch.bootstrap")
    for seed, edge in ((1, 0.0), (2, 0.0008), (3, 0.0015)):
        excess = noise(seed)
        excess[:, 3] += edge
        excess[:, 5:15] -= 0.004
        peer = arch.SPA(np.zeros(len(excess)), -excess, block_size=10, reps=4000, bootstrap="stationary", seed=5)
        peer.compute()
        ours = superior_ability(excess, np.random.default_rng(6), 4000, 10)
        assert ours.reality_check == pytest.approx(peer.pvalues["upper"], abs=0.03)
        assert ours.lower <= ours.consistent <= ours.upper
        np.testing.assert_allclose(_bootstrap_variance(excess - excess.mean(axis=0), 10), peer._loss_diff_var)


def test_under_the_null_five_in_a_hundred_are_called() -> None:
    values = [superior_ability(noise(seed, 250, 8), np.random.default_rng(seed), 300, 5) for seed in range(300)]
    for called in (np.mean([v.consistent < 0.05 for v in values]), np.mean([v.reality_check < 0.05 for v in values])):
        assert called == pytest.approx(0.05, abs=0.05)


def test_a_real_edge_is_found_and_losers_do_not_hide_it() -> None:
    excess = noise(7)
    excess[:, 2] += 0.003
    assert superior_ability(excess, np.random.default_rng(1)).consistent < 0.01
    excess[:, 5:] -= 0.01
    excess[:, 5:] *= 5
    found = superior_ability(excess, np.random.default_rng(1))
    assert found.consistent < 0.01 < found.reality_check  # White's check is blinded by noisy losers


def test_nothing_that_varies_is_no_evidence() -> None:
    assert superior_ability(np.zeros((100, 3)), np.random.default_rng(1)).consistent == 1.0
