"""What positions earn without luck, by hand."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.validation.noise_free import noise_free_sharpe

AT = pd.date_range("2024-01-01", periods=24 * 40, freq="h", tz="UTC", unit="ms")


def test_positions_are_paid_the_drift_of_the_bar_after_and_not_their_luck() -> None:
    rng = np.random.default_rng(3)
    drift, target = rng.normal(0, 1e-4, len(AT)), rng.choice([-1.0, 0.0, 1.0], len(AT))
    oracle = pd.DataFrame({"symbol": "A", "timestamp": AT, "expected_return": drift})
    positions = pd.DataFrame({"symbol": "A", "timestamp": AT, "target": target})
    net = rng.normal(0.003, 0.004, len(AT))  # luck, far above the drift
    account = pd.DataFrame({"timestamp": AT, "net": net, "cost": 1e-6, "funding": -2e-6})
    earned = np.concatenate([[0.0], target[:-1] * drift[:-1]]).sum() / len(AT) + 1e-6
    daily = (1 + pd.Series(net, AT)).groupby((AT - pd.Timedelta(1, unit="ms")).floor("D")).prod() - 1
    expected = earned * len(AT) / len(daily) / daily.std() * np.sqrt(365.25)
    assert noise_free_sharpe(positions, account, oracle) == pytest.approx(expected, rel=1e-6)
    assert abs(noise_free_sharpe(positions, account, oracle)) < 2 < net.mean() / net.std() * np.sqrt(365.25 * 24)
    flat = account.assign(net=0.0)
    assert noise_free_sharpe(positions.assign(target=0.0), flat, oracle) == 0.0


def test_a_bar_that_the_simulator_says_nothing_of_is_refused() -> None:
    positions = pd.DataFrame({"symbol": "A", "timestamp": AT, "target": 1.0})
    oracle = pd.DataFrame({"symbol": "A", "timestamp": AT[:-1], "expected_return": 0.0})
    account = pd.DataFrame({"timestamp": AT, "net": 0.01, "cost": 0.0, "funding": 0.0})
    with pytest.raises(BadData, match="does not tell the expected return"):
        noise_free_sharpe(positions, account, oracle)
