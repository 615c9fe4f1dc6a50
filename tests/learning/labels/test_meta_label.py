"""Whether a proposed bet pays: its profit before its stop, after costs."""

import numpy as np
import pandas as pd

from tradewind.learning.labels.meta_label import MetaLabel, judge_bets, primary_side
from tradewind.learning.labels.triple_barrier import TripleBarrier

RULES = MetaLabel(primary_window=8, horizon_bars=6, profit_multiple=0.6, stop_multiple=0.9, volatility_window=10)


def test_a_long_and_a_short_bet_are_mirror_images(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    ones = np.ones(len(bars), dtype=np.int8)
    mirrored = bars.assign(
        open=1e4 / bars["open"], close=1e4 / bars["close"], high=1e4 / bars["low"], low=1e4 / bars["high"]
    )
    long, short = judge_bets(bars, ones, RULES), judge_bets(mirrored, -ones, RULES)
    paid = long.labelled & (long.label != 0)
    assert paid.any() and (long.label[long.labelled] == 0).any()
    assert (long.label != -short.label).mean() < 0.005  # rounding at a barrier
    assert ((long.label == 1) | (long.label == 0)).all()


def test_a_bet_pays_when_its_barrier_comes_first_or_it_ends_in_profit(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM2"]
    rules = RULES.model_copy(update={"cost_bps": 15.0})
    side = primary_side(bars, "momentum", 8)
    outcomes = rules.outcomes(bars)
    barriers = TripleBarrier(
        horizon_bars=6, upper_multiple=0.6, lower_multiple=0.9, volatility_window=10, cost_bps=15
    ).touched(bars, side)
    net = side[:-6] * np.log(bars["close"].to_numpy()[6:] / bars["open"].to_numpy()[1:-5]) - 15e-4
    for row in np.flatnonzero(outcomes.labelled):
        reached = {1: 1, 2: -1}.get(int(barriers.ending[row]), 0)
        paid = reached == side[row] if reached else barriers.ending[row] == 0 and net[row] > 0
        assert outcomes.label[row] == (side[row] if paid else 0)


def test_the_rule_bets_with_the_last_bars_or_against_them(market_bars: dict[str, pd.DataFrame]) -> None:
    bars = market_bars["SIM1"]
    side = primary_side(bars, "momentum", 8)
    close = bars["close"].to_numpy()
    assert (side[:8] == 0).all() and (side[1000:1008] == 0).all()
    np.testing.assert_array_equal(side[8:1000], np.sign(close[8:1000] - close[:992]))
    np.testing.assert_array_equal(primary_side(bars, "reversal", 8), -side)
    missing = RULES.outcomes(bars).missing()
    assert missing["unlabelled_side"] == int(((side == 0) & (np.arange(len(bars)) % 1000 >= 10)).sum())
