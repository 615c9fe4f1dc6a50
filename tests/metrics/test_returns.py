"""Bars become days: each in the day in which it closes, whatever the order in which they come."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.metrics.returns import daily_returns

CLOSES = pd.Series(pd.to_datetime(
    ["2024-01-01 12:00", "2024-01-02 00:00", "2024-01-02 01:00", "2024-01-03 00:00", "2024-01-05 06:00"], utc=True
))  # fmt: skip
NET = np.array([0.10, -0.10, 0.02, 0.03, -0.05])
BY_HAND = [1.10 * 0.90 - 1, 1.02 * 1.03 - 1, -0.05]  # midnight ends the day before; on the fourth nothing closed


def test_returns_of_a_day_are_compounded() -> None:
    np.testing.assert_allclose(daily_returns(CLOSES, NET), BY_HAND)
    assert daily_returns(CLOSES[:0], NET[:0]).tolist() == []


def test_the_order_of_the_bars_does_not_matter() -> None:
    """Accounts of several symbols stand one below the other."""
    order = np.random.default_rng(3).permutation(5)
    shuffled = daily_returns(CLOSES.iloc[order].reset_index(drop=True), NET[order])
    np.testing.assert_allclose(shuffled, BY_HAND)


def test_a_day_on_which_everything_is_lost_is_a_loss_of_everything() -> None:
    lost = daily_returns(CLOSES, np.array([0.10, -1.0, 0.0, 0.0, 0.0]))
    assert np.isfinite(lost).all() and lost[0] == pytest.approx(-1.0) and lost[1:].tolist() == [0.0, 0.0]


def test_a_return_is_needed_for_each_timestamp() -> None:
    with pytest.raises(BadData, match="5 timestamps, 4 returns"):
        daily_returns(CLOSES, NET[:4])
