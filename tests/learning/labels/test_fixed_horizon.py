"""Direction over a horizon, beyond a band in volatilities and the costs."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadParameters
from tradewind.learning.labels.fixed_horizon import FixedHorizon, forward_returns
from tradewind.learning.labels.segment_end import last_rows


def test_the_label_is_the_sign_beyond_the_band(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM2"]
    rules = FixedHorizon(horizon_bars=5, band_multiple=0.5, volatility_window=10, cost_bps=10)
    outcomes = rules.outcomes(bars)
    opening, close, segment = (bars[name].to_numpy() for name in ("open", "close", "segment"))
    returns = np.diff(np.log(close))
    found = set()
    for row in range(10, 990):
        assert segment[row] == 0
        move = np.log(close[row + 5] / opening[row + 1])
        band = 0.5 * np.sqrt(np.mean(returns[row - 10 : row] ** 2)) * np.sqrt(5) + 1e-3
        assert outcomes.label[row] == (0 if abs(move) <= band else np.sign(move))
        found.add(int(outcomes.label[row]))
    assert found == {-1, 0, 1}
    assert (outcomes.ending[995:1000] == -1).all()  # the horizon would leave the segment


def test_returns_start_at_the_next_open_and_end_in_the_segment(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    table = forward_returns(bars, [1, 24])
    assert table[0, 10] == pytest.approx(np.log(bars["close"].iloc[11] / bars["open"].iloc[11]))
    assert table[1, 10] == pytest.approx(np.log(bars["close"].iloc[34] / bars["open"].iloc[11]))
    assert np.isnan(table[1, 976:1000]).all() and np.isfinite(table[1, 975]) and np.isnan(table[1, -24:]).all()
    with pytest.raises(BadParameters, match="at least one bar"):
        forward_returns(bars, [0])


def test_a_row_is_followed_to_the_end_of_its_segment() -> None:
    segment = np.array([0, 0, 0, 1, 1, 2], dtype=np.int32)
    np.testing.assert_array_equal(last_rows(segment, 2), [2, 2, 2, 4, 4, 5])
