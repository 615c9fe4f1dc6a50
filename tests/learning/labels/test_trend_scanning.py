"""The clearest trend ahead, by ordinary least squares; scipy is the oracle."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import linregress

from tradewind.learning.labels.segment_end import last_rows
from tradewind.learning.labels.trend_scanning import TrendScanning, scan_trends


def test_scipy_finds_the_same_spans_and_t_values(market_bars: dict[str, pd.DataFrame]) -> None:
    logs = np.log(market_bars["SIM1"]["close"].to_numpy())[:400]
    last = last_rows(np.zeros(400, dtype=np.int32), 15)
    t_value, exit_row = scan_trends(logs, last, 5)
    for row in range(0, 380, 7):
        found = {}
        for bar in range(row + 5, row + 16):
            fit = linregress(np.arange(1, bar - row + 1), logs[row + 1 : bar + 1])
            found[bar] = fit.slope / fit.stderr
        best = max(found, key=lambda bar: abs(found[bar]))
        assert exit_row[row] == best
        assert t_value[row] == pytest.approx(found[best], rel=1e-8)


def test_lines_and_constants_have_defined_values() -> None:
    rising, flat = np.arange(30.0) * 0.01, np.full(30, 7.0)
    last = last_rows(np.zeros(30, dtype=np.int32), 10)
    assert scan_trends(rising, last, 4)[0][0] > 1e6
    assert scan_trends(-rising, last, 4)[0][0] < -1e6
    np.testing.assert_array_equal(scan_trends(flat, last, 4)[0], 0.0)


def test_large_prices_lose_no_digits(market_bars: dict[str, pd.DataFrame]) -> None:
    logs = np.log(market_bars["SIM1"]["close"].to_numpy())[:300]
    last = last_rows(np.zeros(300, dtype=np.int32), 12)
    (small, first), (large, second) = scan_trends(logs, last, 5), scan_trends(logs + 1e4, last, 5)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(small, large, rtol=1e-5)


def test_half_of_a_random_walk_passes_the_default_bound() -> None:
    # What the docstring warns of: the best of many spans is large on noise too.
    rng = np.random.default_rng(3)
    close = np.exp(np.cumsum(rng.normal(0, 0.01, 20_000)))
    bars = pd.DataFrame({"close": close, "segment": np.int32(0)})
    outcomes = TrendScanning().outcomes(bars)
    assert 0.4 < (outcomes.label[outcomes.labelled] != 0).mean() < 0.75


def test_spans_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="must not exceed horizon_bars"):
        TrendScanning(min_bars=30, horizon_bars=24)
