"""Overlapping labels share their bars; the book's own numbers and slow oracles agree."""

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.labels.outcome import NO_VOLATILITY, VERTICAL, Outcomes
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.labels.weights import (
    WeightRules,
    attributed_return,
    average_uniqueness,
    bar_returns,
    sample_weights,
    sequential_bootstrap,
)

RULES = LabelRules.model_validate({"method": "triple_barrier", "horizon_bars": 8, "volatility_window": 10})


def lives(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    first = np.sort(rng.integers(0, 80, count))
    last = first + rng.integers(0, 15, count)
    return first, last, [sum(f <= bar <= e for f, e in zip(first, last, strict=True)) for bar in range(100)]


def test_average_uniqueness_is_that_of_the_slow_oracle() -> None:
    first, last, alive = lives(40)
    slow = [np.mean([1 / alive[bar] for bar in range(f, e + 1)]) for f, e in zip(first, last, strict=True)]
    np.testing.assert_allclose(average_uniqueness(first, last, 100), slow, rtol=1e-12)
    assert average_uniqueness(np.array([3]), np.array([5]), 10)[0] == 1.0


def test_a_return_is_divided_among_the_labels_alive() -> None:
    first, last, alive = lives(30)
    returns = np.random.default_rng(2).normal(0, 0.01, 100)
    slow = [
        abs(sum(returns[bar] / alive[bar] for bar in range(f, e + 1))) * 1e4 for f, e in zip(first, last, strict=True)
    ]
    np.testing.assert_allclose(attributed_return(first, last, returns), slow, rtol=1e-12)


def test_the_books_example_of_the_sequential_bootstrap() -> None:
    # Section 4.5.3: labels on bars 0-2, 2-3 and 4-5; after label 2 is drawn the chances are 5/14, 3/14 and 6/14.
    first, last = np.array([0, 2, 4]), np.array([2, 3, 5])
    rng = np.random.default_rng(3)
    draws = [sequential_bootstrap(first, last, 6, rng.random(2)) for _ in range(30_000)]
    second = np.array([draw[1] for draw in draws if draw[0] == 1])
    shares = np.bincount(second, minlength=3) / len(second)
    # Four standard errors of a share of about 10,000 draws.
    np.testing.assert_allclose(shares, np.array([5, 3, 6]) / 14, atol=4 * np.sqrt(0.25 / len(second)))
    opening = np.bincount([draw[0] for draw in draws], minlength=3) / len(draws)
    np.testing.assert_allclose(opening, 1 / 3, atol=4 * np.sqrt(0.25 / len(draws)))


def test_sequential_samples_overlap_less() -> None:
    # Section 4.5.4: ten labels of up to five bars among a hundred give medians of 0.6 and 0.7.
    rng = np.random.default_rng(4)
    plain, sequential = [], []
    for _ in range(300):
        first = np.sort(rng.integers(0, 100, 10))
        last = first + rng.integers(1, 5, 10)
        plain.append(average_of(rng.integers(0, 10, 10), first, last))
        sequential.append(average_of(sequential_bootstrap(first, last, 105, rng.random(10)), first, last))
    assert np.median(plain) == pytest.approx(0.6, abs=0.05)
    assert np.median(sequential) == pytest.approx(0.7, abs=0.05)


def average_of(draw: np.ndarray, first: np.ndarray, last: np.ndarray) -> float:
    return float(average_uniqueness(first[draw], last[draw], 105).mean())


def test_older_labels_count_for_half(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    outcomes = RULES.outcomes(bars)
    plain = sample_weights(bars, outcomes, WeightRules())
    decayed = sample_weights(bars, outcomes, WeightRules(half_life_days=10))
    labelled = np.flatnonzero(outcomes.labelled)
    early, late = labelled[0], labelled[0] + 240
    ratio = (decayed[early] / plain[early]) / (decayed[late] / plain[late])
    days = (bars["timestamp"].iloc[late] - bars["timestamp"].iloc[early]).total_seconds() / 86_400
    assert ratio == pytest.approx(0.5 ** (days / 10))
    assert np.isnan(plain[~outcomes.labelled]).all() and np.isfinite(plain[outcomes.labelled]).all()
    np.testing.assert_array_equal(sample_weights(bars, outcomes, WeightRules(scheme="equal"))[labelled], 1.0)


def test_a_segment_begins_without_a_return_over_the_gap(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    returns = bar_returns(bars)
    assert returns[1000] == pytest.approx(np.log(bars["close"].iloc[1000] / bars["open"].iloc[1000]))
    assert returns[5] == pytest.approx(np.log(bars["close"].iloc[5] / bars["close"].iloc[4]))


def test_only_the_first_bar_of_a_segment_is_measured_from_its_own_open() -> None:
    bars = pd.DataFrame({"open": [9.0, 9.0, 9.0, 9.0], "close": [10.0, 20.0, 40.0, 80.0], "segment": [0, 0, 1, 1]})
    np.testing.assert_allclose(bar_returns(bars), np.log([10 / 9, 2.0, 40 / 9, 2.0]))


def test_unfinished_labels_share_their_bars_too(market_bars: dict[str, pd.DataFrame]) -> None:
    # Else the newest labels would look more unique than they will turn out to be.
    bars = market_bars["SIM1"].iloc[:600]
    whole = sample_weights(bars, RULES.outcomes(bars), WeightRules())
    cut = bars.iloc[:500]
    outcomes: Outcomes = RULES.outcomes(cut)
    part = sample_weights(cut, outcomes, WeightRules())
    np.testing.assert_array_equal(part[outcomes.labelled], whole[:500][outcomes.labelled])


def test_a_label_lives_from_the_bar_after_its_row_to_its_exit() -> None:
    """By hand: bar 2 belongs to two labels, every other bar to one at most, and none to the bar of its decision."""
    bars = pd.DataFrame(
        {"timestamp": pd.date_range("2024-01-01", periods=5, freq="D", tz="UTC"), "segment": np.zeros(5, np.int32),
         "open": 100 * np.exp([0.0, 0.01, 0.03, 0.06, 0.10]), "close": 100 * np.exp([0.01, 0.03, 0.06, 0.10, 0.15])}
    )  # fmt: skip
    ending = np.array([VERTICAL, VERTICAL, NO_VOLATILITY, VERTICAL, NO_VOLATILITY], dtype=np.int8)
    ends = np.array([2, 2, 0, 4, 0])
    outcomes = Outcomes(ending, np.zeros(5, dtype=np.int8), ends, ends)
    unique = sample_weights(bars, outcomes, WeightRules())
    np.testing.assert_allclose(unique, [(1 + 1 / 2) / 2, 1 / 2, np.nan, 1.0, np.nan])
    earned = sample_weights(bars, outcomes, WeightRules(scheme="return_attribution"))
    np.testing.assert_allclose(earned, [200 + 300 / 2, 300 / 2, np.nan, 500.0, np.nan])  # basis points
