"""What the universe did at a close, and side series as known: each fold by hand."""

import numpy as np
import pytest

from tradewind.learning.features.market_columns import (
    LastBar,
    Published,
    cross_section,
    fold_returns,
    fold_settled,
    fold_side,
    settled_within,
)

TIMES = np.arange(1, 6, dtype=np.int64) * 10  # closes; each bar lasts 10
ONE = np.zeros(5, dtype=np.int32)


def test_a_return_needs_the_bar_just_before_it() -> None:
    close, opened = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), TIMES - 10
    whole = fold_returns(LastBar(), close, (opened, TIMES), ONE)[1] / np.log(2)
    np.testing.assert_allclose(whole, [np.nan, 1, 1, 1, 1])
    for lost in (1, 2, 3):
        kept = np.delete(np.arange(5), lost)
        found = fold_returns(LastBar(), close[kept], (opened[kept], TIMES[kept]), ONE[kept])[1]
        assert np.isnan(found[[0, lost]]).all() and np.isfinite(found).sum() == 2, "over the gap nothing is known"
    segment = np.array([0, 0, 1, 1, 1], dtype=np.int32)
    assert np.isnan(fold_returns(LastBar(), close, (opened, TIMES), segment)[1]).tolist() == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_ranks_breadth_and_deviation_by_hand() -> None:
    returns = np.array([[0.0, 0.03, 0.01], [0.02, 0.03, np.nan], [-0.01, 0.01, np.nan], [0.0, np.nan, np.nan]])
    market, rank = cross_section(returns)
    np.testing.assert_allclose(market[0], [0.0025, 0.07 / 3, 0.01])
    # Two of four stand still: each is half a rise.
    np.testing.assert_allclose(market[1], [0.5, 1.0, 1.0])
    np.testing.assert_allclose(market[2], [returns[:, 0].std(), returns[:3, 1].std(), 0.0])
    np.testing.assert_allclose(rank[:, 0], [0.5, 1.0, 0.0, 0.5])  # ties share the middle of their ranks
    np.testing.assert_allclose(rank[:, 1], [0.75, 0.75, 0.0, np.nan])
    np.testing.assert_allclose(rank[:, 2], [0.5, np.nan, np.nan, np.nan])


def test_a_settlement_belongs_to_the_bar_that_ends_with_it() -> None:
    known = np.array([10, 11, 20, 31, 40, 51], dtype=np.int64)
    value = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    np.testing.assert_array_equal(settled_within(known, value, TIMES - 10, TIMES), [1, 6, 0, 24, 0])
    # With a bar missing nobody is paid twice, and what fell into the hole is not paid at all.
    kept = np.array([0, 2, 3, 4])
    np.testing.assert_array_equal(settled_within(known, value, TIMES[kept] - 10, TIMES[kept]), [1, 0, 24, 0])


@pytest.mark.parametrize("cut", range(6))
def test_settlements_are_the_same_wherever_the_history_is_cut(cut: int) -> None:
    known = np.array([10, 11, 20, 31, 40, 45], dtype=np.int64)
    value = np.array([1.0, 2.0, np.nan, 8.0, 16.0, 32.0])
    whole = fold_settled(Published(), known, value, (TIMES - 10, TIMES))[1]
    np.testing.assert_array_equal(whole, [1, 2, 0, 24, 32])
    # Everything is told at once, before the first bars: what no bar contains yet waits.
    state, first = fold_settled(Published(), known, value, (TIMES[:cut] - 10, TIMES[:cut]))
    _, second = fold_settled(state, known[:0], value[:0], (TIMES[cut:] - 10, TIMES[cut:]))
    np.testing.assert_array_equal(np.r_[first, second], whole)


def test_silence_makes_a_value_missing_from_its_first_instant_on() -> None:
    known, value = np.array([10], dtype=np.int64), np.array([0.5])
    found = fold_side(Published(), known, value, TIMES, stale_after_ms=20)[1]
    np.testing.assert_array_equal(found, [0.5, 0.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(fold_side(Published(), known, value, TIMES)[1], np.full(5, 0.5))


def test_values_that_come_out_of_order_are_put_in_order_and_of_equal_ones_the_last_counts() -> None:
    known, value = np.array([30, 10, 10], dtype=np.int64), np.array([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(fold_side(Published(), known, value, TIMES)[1], [2, 2, 3, 3, 3])


def test_ranks_are_shares_of_the_other_symbols_with_lower_returns() -> None:
    """Ties count half, symbols without a return not at all, and one that is alone stands in the middle."""
    rng = np.random.default_rng(5)
    for n_symbols in (1, 2, 3, 40):
        returns = np.round(rng.standard_normal((n_symbols, 60)), 1)
        returns[rng.random(returns.shape) < 0.3] = np.nan
        market, rank = cross_section(returns)
        for at, column in enumerate(returns.T):
            present = column[~np.isnan(column)]
            others = max(len(present) - 1, 1)
            expected = [
                np.nan if np.isnan(one) else
                ((present < one).sum() + ((present == one).sum() - 1) / 2) / others if len(present) > 1 else 0.5
                for one in column
            ]  # fmt: skip
            np.testing.assert_array_equal(rank[:, at], expected)
            if len(present):
                assert np.isclose(market[0, at], present.mean()) and np.isclose(market[2, at], present.std())
