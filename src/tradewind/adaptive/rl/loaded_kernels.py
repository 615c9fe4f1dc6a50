"""Whoever imports this module has what episodes run loaded, and compiled where it was not.

Worker processes are forked from one that has (`compute.TRAINING_MODULES`): each would take a second or two for it.
"""

import numpy as np

from tradewind.adaptive.rl.environments import TradingEnv, TradingVecEnv
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.rules import EnvironmentRules
from tradewind.market.calendars import AROUND_THE_CLOCK
from tradewind.trading.engine.backtest import History
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules


def run_episodes() -> None:
    """A few steps on a small market, one environment by itself and many at a time."""
    close = np.exp(0.01 * np.random.default_rng(1).standard_normal(600))
    history = History(close, close, np.full(600, 0.01), np.zeros(600), np.zeros(600, dtype=np.int32))
    market = TradingMarket.from_histories({"A": history}, {"A": np.ones((600, 4), np.float32)})
    rules = EnvironmentRules()
    terms = TradingTerms.from_rules(Costs(), OrderRules(), rules, AROUND_THE_CLOCK.bars_per_year)
    one = TradingEnv(market, terms, rules)
    one.reset(seed=1)
    one.step(1)
    many = TradingVecEnv(market, terms, rules, count=2)
    many.reset()
    many.step(np.zeros(2, dtype=np.int64))


run_episodes()
