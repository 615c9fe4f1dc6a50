"""Labels say which barrier comes first, from the next open on, after costs."""

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.labels.outcome import ENDINGS
from tradewind.learning.labels.rules import LabelRules, make_labels
from tradewind.learning.labels.triple_barrier import THREADED_FROM, TripleBarrier, find_barriers
from tradewind.learning.labels.weights import WeightRules
from tradewind.market import schema
from tradewind.market.volatility import realised_volatility

RULES = TripleBarrier(horizon_bars=6, upper_multiple=0.7, lower_multiple=0.9, volatility_window=10)


def slow_barrier(
    prices: np.ndarray, row: int, volatility: float, horizon: int, side: int, widths: tuple[float, float, float]
) -> tuple[int, int]:
    """The oracle: barrier (1 upper, 2 lower, 3 both, 0 none) and exit row, one bar at a time in plain Python."""
    entry, width = prices[0][row + 1], volatility * horizon**0.5
    profit, stop, cost = widths
    above, below = (stop, profit + cost / width) if side < 0 else (profit + cost / width, stop)
    if side == 0:
        below += cost / width
    top, bottom = entry * np.exp(above * width), entry * np.exp(-below * width)
    for bar in range(row + 1, row + horizon + 1):
        opening, high, low = (column[bar] for column in prices)
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


@pytest.mark.parametrize("cost", [0.0, 0.004])
def test_the_kernel_agrees_with_the_slow_oracle(market_bars: dict[str, pd.DataFrame], cost: float) -> None:
    bars = market_bars["SIM1"].iloc[:900]
    prices = tuple(np.ascontiguousarray(bars[name]) for name in ("open", "high", "low"))
    segment = np.zeros(900, dtype=np.int32)
    rng = np.random.default_rng(0)
    volatility, side = rng.uniform(0.0005, 0.01, 900), rng.integers(-1, 2, 900).astype(np.int8)
    ending, exits, lasts = find_barriers(prices, segment, volatility, side, 6, (0.7, 0.9, cost))
    found = set()
    for row in range(900 - 6):
        expected = slow_barrier(prices, row, volatility[row], 6, side[row], (0.7, 0.9, cost))
        assert (ending[row], exits[row]) == expected
        assert lasts[row] == row + 6
        found.add(int(ending[row]))
    assert found == {0, 1, 2, 3}
    assert (ending[-6:] == -1).all()


def test_two_threads_find_what_one_does(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = pd.concat([market_bars["SIM1"]] * (THREADED_FROM // len(market_bars["SIM1"]) + 2), ignore_index=True)
    prices = tuple(np.ascontiguousarray(bars[name]) for name in ("open", "high", "low"))
    volatility, side = np.full(len(bars), 0.004), np.zeros(len(bars), dtype=np.int8)
    segment = bars["segment"].to_numpy()
    whole = find_barriers(prices, segment, volatility, side, 6, (0.7, 0.9, 0.0))
    cut = THREADED_FROM // 2
    part = find_barriers(tuple(p[:cut] for p in prices), segment[:cut], volatility[:cut], side[:cut], 6, (0.7, 0.9, 0))
    for both, one in zip(whole, part, strict=True):
        np.testing.assert_array_equal(both[: cut - 6], one[: cut - 6])


def test_labels_keep_their_contract_and_count_what_has_none(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    labels, outcomes = make_labels(bars, LabelRules(RULES), WeightRules())
    schema.Labels.validate(labels)
    assert len(labels) + sum(outcomes.missing().values()) == len(bars)
    assert outcomes.missing() == {"unlabelled_horizon": 12, "unlabelled_volatility": 20, "unlabelled_side": 0}
    assert (labels["label"] == labels["barrier"].map({"upper": 1, "lower": -1, "vertical": 0, "ambiguous": 0})).all()
    position = bars.set_index("timestamp").index.get_indexer(labels["timestamp"])
    expected = np.log(bars["close"].to_numpy()[position + 6] / bars["open"].to_numpy()[position + 1])
    np.testing.assert_allclose(labels["forward_return"], expected)


def test_the_entry_is_the_next_open_not_this_close() -> None:
    opening, high, low = (np.array(column) for column in ([100, 110, 110.0], [100, 110.5, 110.5], [100, 109.5, 109.5]))
    args = np.zeros(3, dtype=np.int32), np.full(3, 0.02), np.zeros(3, dtype=np.int8)
    ending, _, _ = find_barriers((opening, high, low), *args, 2, (1.0, 1.0, 0.0))
    assert ENDINGS[ending[0]] == "vertical"  # the jump to the open is no profit


def test_costs_make_fewer_moves_worth_it(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    shares = []
    for cost_bps in (0, 20, 100):
        outcomes = RULES.model_copy(update={"cost_bps": cost_bps}).outcomes(bars)
        shares.append((outcomes.label[outcomes.labelled] != 0).mean())
    assert shares[0] > shares[1] > shares[2] > 0


def test_volatility_is_causal_and_stays_in_its_segment(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    close, segment = bars["close"].to_numpy().copy(), bars["segment"].to_numpy()
    whole = realised_volatility(close, segment, 24)
    assert np.isnan(whole[:24]).all() and np.isnan(whole[1000:1024]).all() and np.isfinite(whole[24:1000]).all()
    close[500:] *= 2
    np.testing.assert_array_equal(realised_volatility(close, segment, 24)[:500], whole[:500])
    returns = np.diff(np.log(bars["close"].to_numpy()))
    assert whole[100] == pytest.approx(np.sqrt(np.mean(returns[76:100] ** 2)))
