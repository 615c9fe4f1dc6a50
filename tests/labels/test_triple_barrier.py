"""Labels say which barrier comes first, from the next open on, and never look past their horizon."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.labels.triple_barrier import TripleBarrier, find_barriers, make_labels
from tradewind.labels.weights import average_uniqueness
from tradewind.market import schema
from tradewind.market.volatility import realised_volatility

RULES = TripleBarrier(horizon_bars=6, upper_multiple=0.7, lower_multiple=0.9, volatility_window=10)


def slow_barrier(
    prices: np.ndarray, row: int, volatility: float, horizon: int, multiples: tuple[float, float]
) -> tuple[int, int]:
    """The oracle: barrier (1 upper, 2 lower, 3 both, 0 none) and exit row, one bar at a time in plain Python."""
    entry = prices[row + 1][0]
    width = volatility * horizon**0.5
    top, bottom = entry * np.exp(multiples[0] * width), entry * np.exp(-multiples[1] * width)
    for bar in range(row + 1, row + horizon + 1):
        opening, high, low, _ = prices[bar]
        touched = {name for name, hit in (("top", high >= top), ("bottom", low <= bottom)) if hit}
        if touched == {"top", "bottom"}:
            if opening >= top:
                return 1, bar
            if opening <= bottom:
                return 2, bar
            return 3, bar
        if touched:
            return (1 if "top" in touched else 2), bar
    return 0, row + horizon


def test_the_kernel_agrees_with_the_slow_oracle(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"].iloc[:900]
    prices = np.ascontiguousarray(bars[["open", "high", "low", "close"]].to_numpy())
    segment = np.zeros(900, dtype=np.int32)
    rng = np.random.default_rng(0)
    volatility = rng.uniform(0.0005, 0.01, 900)
    barrier, exits, lasts = find_barriers(prices, segment, volatility, 6, (0.7, 0.9))
    found = set()
    for row in range(900 - 6):
        assert (barrier[row], exits[row]) == slow_barrier(prices, row, volatility[row], 6, (0.7, 0.9))
        assert lasts[row] == row + 6
        found.add(int(barrier[row]))
    assert found == {0, 1, 2, 3}
    assert (barrier[-6:] == -1).all()


def test_labels_keep_their_contract_and_count_what_has_none(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    labels, missing = make_labels(bars, RULES)
    schema.Labels.validate(labels)
    assert len(labels) + sum(missing.values()) == len(bars)
    assert missing == {"unlabelled_horizon": 12, "unlabelled_volatility": 20}  # two segments
    assert (labels["label"] == labels["barrier"].map({"upper": 1, "lower": -1, "vertical": 0, "ambiguous": 0})).all()
    position = bars.set_index("timestamp").index.get_indexer(labels["timestamp"])
    expected = np.log(bars["close"].to_numpy()[position + 6] / bars["open"].to_numpy()[position + 1])
    np.testing.assert_allclose(labels["forward_return"], expected)


def changed_after(bars: pd.DataFrame, row: int) -> pd.DataFrame:
    factor = np.where(np.arange(len(bars)) > row, 1.5, 1.0)
    return bars.assign(**{name: bars[name] * factor for name in ("open", "high", "low", "close")})


@settings(max_examples=25, deadline=None)
@given(row=st.integers(30, 900))
def test_a_label_knows_nothing_beyond_its_horizon(market_bars: dict[str, pd.DataFrame], row: int) -> None:
    bars = market_bars["SIM1"]
    before, _ = make_labels(bars, RULES)
    after, _ = make_labels(changed_after(bars, row), RULES)
    ended = before["horizon_end"] <= bars["timestamp"].iloc[row]
    columns = ["label", "forward_return", "exit_time", "barrier"]
    pd.testing.assert_frame_equal(before.loc[ended, columns], after.loc[ended, columns])


def test_a_label_that_looks_beyond_its_horizon_is_caught(market_bars: dict[str, pd.DataFrame]) -> None:
    bars, row = market_bars["SIM1"], 400
    longer = RULES.model_copy(update={"horizon_bars": 7})
    before, _ = make_labels(bars, RULES)
    claimed_end = dict(zip(before["timestamp"], before["horizon_end"], strict=True))
    planted, after = (make_labels(table, longer)[0] for table in (bars, changed_after(bars, row)))
    ended = planted["timestamp"].map(claimed_end) <= bars["timestamp"].iloc[row]
    assert not planted.loc[ended, "forward_return"].equals(after.loc[ended, "forward_return"])


def test_the_entry_is_the_next_open_not_this_close() -> None:
    prices = np.array([[100, 100, 100, 100], [110, 110.5, 109.5, 110], [110, 110.5, 109.5, 110.0]], dtype=float)
    barrier, _, _ = find_barriers(prices, np.zeros(3, dtype=np.int32), np.full(3, 0.02), 2, (1.0, 1.0))
    assert barrier[0] == 0  # the jump to the open is no profit


def test_average_uniqueness_is_that_of_the_slow_oracle() -> None:
    rng = np.random.default_rng(1)
    first = np.sort(rng.integers(0, 80, 40))
    last = first + rng.integers(0, 15, 40)
    alive = [sum(f <= bar <= e for f, e in zip(first, last, strict=True)) for bar in range(100)]
    slow = [np.mean([1 / alive[bar] for bar in range(f, e + 1)]) for f, e in zip(first, last, strict=True)]
    np.testing.assert_allclose(average_uniqueness(first, last, 100), slow, rtol=1e-12)
    assert average_uniqueness(np.array([3]), np.array([5]), 10)[0] == 1.0


def test_volatility_is_causal_and_stays_in_its_segment(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    close, segment = bars["close"].to_numpy().copy(), bars["segment"].to_numpy()
    whole = realised_volatility(close, segment, 24)
    assert np.isnan(whole[:24]).all() and np.isnan(whole[1000:1024]).all() and np.isfinite(whole[24:1000]).all()
    close[500:] *= 2
    np.testing.assert_array_equal(realised_volatility(close, segment, 24)[:500], whole[:500])
    returns = np.diff(np.log(bars["close"].to_numpy()))
    assert whole[100] == pytest.approx(np.sqrt(np.mean(returns[76:100] ** 2)))
