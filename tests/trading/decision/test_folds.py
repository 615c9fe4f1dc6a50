"""The kernels of a decision give the same bits wherever the history is cut."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.market.segments import SegmentState, assign_segments, fold_segments
from tradewind.market.volatility import begin_volatility, fold_volatility, realised_volatility
from tradewind.trading.strategy.signals import direction, fold_direction, fold_smooth, smooth
from tradewind.trading.strategy.sizing import Held, fold_size, size_at_entry

BARS = 300
CUTS = st.lists(st.integers(0, BARS), max_size=6).map(lambda cuts: [0, *sorted(cuts), BARS])


@pytest.fixture(scope="module")
def market() -> dict[str, Any]:
    rng = np.random.default_rng(4)
    edge = rng.normal(0, 0.15, BARS)
    edge[rng.random(BARS) < 0.05] = np.nan
    opened = np.cumsum(rng.choice([1, 2, 9], BARS, p=[0.95, 0.04, 0.01])) * 3_600_000
    return {
        "edge": edge, "expected": rng.normal(0, 0.01, BARS), "hurdle": np.full(BARS, 0.001), "opened": opened,
        "close": 100 * np.exp(np.cumsum(rng.normal(0, 0.01, BARS))), "segment": assign_segments(opened, 3_600_000, 3),
    }  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(cuts=CUTS)
def test_every_kernel_may_be_cut_anywhere(market: dict[str, Any], cuts: list[int]) -> None:
    smoothed, sides = smooth(market["edge"], 5.0), None
    volatility = realised_volatility(market["close"], market["segment"], 12)
    sides = direction(smoothed, market["expected"], market["hurdle"], 0.1, 0.02)
    sizes = size_at_entry(sides, volatility, 0.01, 1.0)
    segments, last, held, size = SegmentState(), np.nan, 0.0, Held()
    moves = begin_volatility(12)
    for start, stop in itertools.pairwise(cuts):
        part = {name: values[start:stop] for name, values in market.items()}
        segments, found = fold_segments(segments, part["opened"], 3_600_000, 3)
        np.testing.assert_array_equal(found, market["segment"][start:stop])
        last, mean = fold_smooth(last, part["edge"], 5.0)
        np.testing.assert_array_equal(mean, smoothed[start:stop])
        moves, risk = fold_volatility(moves, part["close"], part["segment"])
        np.testing.assert_array_equal(risk, volatility[start:stop])
        held, side = fold_direction(held, mean, part["expected"], part["hurdle"], 0.1, 0.02)
        np.testing.assert_array_equal(side, sides[start:stop])
        size, target = fold_size(size, side, risk, 0.01, 1.0)
        np.testing.assert_array_equal(target, sizes[start:stop])


def test_a_state_that_is_dropped_at_a_cut_is_caught(market: dict[str, Any]) -> None:
    """The planted twin: begun anew at the cut, each kernel gives something else."""
    whole = smooth(market["edge"], 5.0)
    assert not np.array_equal(fold_smooth(np.nan, market["edge"][150:], 5.0)[1], whole[150:], equal_nan=True)
    volatility = realised_volatility(market["close"], market["segment"], 12)
    anew = fold_volatility(begin_volatility(12), market["close"][150:], market["segment"][150:])[1]
    assert not np.array_equal(anew, volatility[150:], equal_nan=True)
    sides = direction(market["edge"] * 0.3, market["expected"], market["hurdle"], 0.1, 0.0)
    row = int(np.flatnonzero((sides[1:] == sides[:-1]) & (sides[1:] != 0))[0]) + 1
    cut = fold_direction(0.0, market["edge"][row:] * 0.3, market["expected"][row:], market["hurdle"][row:], 0.1, 0.0)
    assert not np.array_equal(cut[1], sides[row:])
