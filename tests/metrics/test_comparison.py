"""Each test has the size it claims on noise, and the power to see what is planted."""

import numpy as np
import pytest

from tradewind.metrics.comparison import diebold_mariano, sign_flip


def test_diebold_mariano_by_hand() -> None:
    # Independent losses at horizon 1: the t-statistic of the mean difference, with n in place of n - 1.
    rng = np.random.default_rng(1)
    loss, other = rng.random(80), rng.random(80) + 0.1
    difference = loss - other
    plain = difference.mean() / (difference.std() / np.sqrt(80)) * np.sqrt(79 / 80)
    statistic, p_value = diebold_mariano(loss, other, 1)
    assert statistic == pytest.approx(plain) and 0 < p_value < 1
    assert diebold_mariano(other, loss, 1)[0] == pytest.approx(-plain)
    assert diebold_mariano(loss, loss, 5) == (0.0, 1.0)


def test_diebold_mariano_is_not_fooled_by_overlap() -> None:
    rng = np.random.default_rng(2)
    wrong = {"overlap": 0, "naive": 0}
    for _ in range(400):
        shared = np.convolve(rng.standard_normal(600), np.ones(12) / 12, "valid")
        wrong["overlap"] += diebold_mariano(shared, np.zeros_like(shared), 24)[1] < 0.05
        wrong["naive"] += diebold_mariano(shared, np.zeros_like(shared), 1)[1] < 0.05
    assert wrong["overlap"] / 400 < 0.12 and wrong["naive"] / 400 > 0.4


def test_sign_flips_have_their_size_and_power() -> None:
    rng = np.random.default_rng(3)
    p_values = [sign_flip(0.01 * rng.standard_t(4, 250), rng, 300) for _ in range(300)]
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.06)
    assert sign_flip(0.01 * rng.standard_normal(500) + 0.003, rng) < 0.01
    assert sign_flip(np.zeros(50), rng) == 1.0
