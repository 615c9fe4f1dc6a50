"""The losing end of a distribution, on distributions whose tails are known."""

import numpy as np
import pytest
from scipy.stats import norm

from tradewind.metrics.tails import expected_shortfall, value_at_risk


def test_the_tails_of_a_normal_distribution_are_its_own() -> None:
    days = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    assert value_at_risk(days) == pytest.approx(-norm.ppf(0.05), abs=1e-3)
    assert expected_shortfall(days) == pytest.approx(norm.pdf(norm.ppf(0.05)) / 0.05, abs=1e-3)
    assert value_at_risk(days, 0.99) > value_at_risk(days)
    assert expected_shortfall(days + 1.0) == pytest.approx(expected_shortfall(days) - 1.0)


def test_nothing_has_no_tail() -> None:
    assert np.isnan(value_at_risk(np.array([]))) and np.isnan(expected_shortfall(np.array([])))
