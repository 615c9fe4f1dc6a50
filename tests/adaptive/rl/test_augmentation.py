"""Other histories are made of the bars that there were, whole, in order within a block, and know nothing that comes."""

from collections.abc import Callable

import numpy as np
import pytest

from tradewind.adaptive.rl import augmentation
from tradewind.adaptive.rl.environments import TradingVecEnv
from tradewind.adaptive.rl.episodes import END, START
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.rules import EnvironmentRules

CLOSE, VOLUME, FUNDING = 3, 4, 7


def numbered(market: TradingMarket) -> TradingMarket:
    """Features that say which bar they are of."""
    rows = np.arange(len(market.features), dtype=np.float32)[:, None]
    return TradingMarket(market.bars, rows, market.runs)


def test_a_path_in_another_order_keeps_every_candle_and_what_belongs_to_it(market: TradingMarket) -> None:
    source = numbered(market)
    made = augmentation.add_bootstrap_path(source, 2.0, 20.0, np.random.default_rng(1))
    begun = len(source.features)
    np.testing.assert_array_equal(made.bars[:, :begun], source.bars)
    assert made.runs[:-1].tolist() == source.runs.tolist()
    first, last = made.runs[-1]
    rows = made.features[first:, 0].astype(int)
    assert (
        first == begun
        and last == len(made.features) - 1
        and len(rows) == 2 * (source.runs[:, 1] - source.runs[:, 0]).sum()
    )
    opened, high, low, close = made.bars[:4, first:]
    assert (low <= np.minimum(opened, close)).all() and (np.maximum(opened, close) <= high).all()
    # Each bar relative to the close before it is the source's, and so is its money.
    before = np.r_[source.bars[CLOSE, rows[0] - 1], close[:-1]]
    for place in range(4):
        np.testing.assert_allclose(
            made.bars[place, first:] / before, source.bars[place, rows] / source.bars[CLOSE, rows - 1]
        )
    np.testing.assert_array_equal(made.bars[FUNDING, first:], source.bars[FUNDING, rows])
    follows = np.diff(rows) == 1
    assert 0.9 < follows.mean() < 0.99  # blocks of twenty
    runs = np.searchsorted(source.runs[:, 0], rows, side="right")
    assert (runs[1:] == runs[:-1])[follows].all() and not np.isin(rows, source.runs[:, 0]).any()
    again = augmentation.add_bootstrap_path(source, 2.0, 20.0, np.random.default_rng(1))
    np.testing.assert_array_equal(again.bars, made.bars)
    assert augmentation.add_bootstrap_path(source, 0.0, 20.0, np.random.default_rng(1)) is source


def test_what_comes_after_the_last_bar_that_may_be_learned_from_is_in_no_path(market: TradingMarket) -> None:
    """Bars that lie in the arrays but in no run change nothing; the planted fault is a run that reaches them."""
    cut = 240
    bars, features = market.bars.copy(), market.features.copy()
    bars[:, cut:] *= 1.7
    features[cut:] += 1.0
    for end, agree in ((cut - 1, True), (249, False)):
        runs = np.array([[0, end]])
        paths = [
            augmentation.add_bootstrap_path(TradingMarket(*given, runs), 3.0, 30.0, np.random.default_rng(3))
            for given in ((market.bars, market.features), (bars, features))
        ]
        one, two = ((path.bars[:, 1200:], path.features[1200:]) for path in paths)
        assert one[0].shape[1] == 3 * end
        assert (np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])) == agree


def test_longer_swings_keep_the_order_of_prices(market: TradingMarket) -> None:
    made = augmentation.scale_volatility(market, 2.0)
    for first, last in market.runs:
        close, wide = market.bars[CLOSE, first : last + 1], made.bars[CLOSE, first : last + 1]
        np.testing.assert_allclose(np.diff(np.log(wide)), 2 * np.diff(np.log(close)), atol=1e-12)
    opened, high, low, close = made.bars[:4]
    assert (low <= np.minimum(opened, close) + 1e-9).all() and (np.maximum(opened, close) <= high + 1e-9).all()
    np.testing.assert_array_equal(made.bars[5], 2 * market.bars[5])
    assert augmentation.scale_volatility(market, 1.0) is market


def test_curricula_reach_the_episodes(market: TradingMarket, trading: Callable[..., TradingTerms]) -> None:
    rules = EnvironmentRules(episode_bars=40)
    made = TradingVecEnv(market, trading(rules), rules, count=100, seed=1)
    for level, longest in ((0.25, 10), (1.0, 40), (2.0, 80)):
        made.enter(market, length_level=level)
        made.reset()
        states = made._episodes.states
        assert (states[:, END] - states[:, START]).max() == pytest.approx(longest)
