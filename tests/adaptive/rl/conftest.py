"""A small market to act in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tradewind.adaptive.rl.environments import TradingEnv
from tradewind.adaptive.rl.episodes import STEP_FIELDS
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.rules import EnvironmentRules
from tradewind.trading.engine.backtest import History
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

COSTS = Costs(taker_fee_bps=5.0, half_spread_bps=1.0, slippage_share_of_volatility=0.05, borrow_rate_annual=0.1)


def step_value(environment: TradingEnv, name: str) -> float:
    """One of `episodes.STEP_FIELDS` of the last step."""
    return float(environment.last_step[STEP_FIELDS.index(name)])


def acted(environment: TradingEnv, action: Any, name: str) -> float:
    """A step, and a figure of its account."""
    environment.step(action)
    return step_value(environment, name)


def made_history(seed: int, count: int = 600, cuts: tuple[int, ...] = (250,)) -> History:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(count)))
    opening = np.r_[100.0, close[:-1]] * np.exp(0.001 * rng.standard_normal(count))
    high = np.maximum(opening, close) * (1 + 0.004 * rng.random(count))
    low = np.minimum(opening, close) * (1 - 0.004 * rng.random(count))
    segment = np.searchsorted(np.array(cuts), np.arange(count), side="right").astype(np.int32)
    funding = np.where(np.arange(count) % 8 == 0, 1e-4, 0.0)
    return History(opening, close, np.full(count, 0.01), funding, segment, high, low)


@pytest.fixture(scope="session")
def histories() -> dict[str, History]:
    return {"A": made_history(1), "B": made_history(2, cuts=(100, 400))}


@pytest.fixture(scope="session")
def market(histories: dict[str, History]) -> TradingMarket:
    rng = np.random.default_rng(3)
    features = {name: rng.standard_normal((600, 4)).astype(np.float32) for name in histories}
    return TradingMarket.from_histories(histories, features)


@pytest.fixture(scope="session")
def trading() -> Callable[..., TradingTerms]:
    def make(rules: EnvironmentRules | None = None, costs: Costs = COSTS, **orders: Any) -> TradingTerms:
        return TradingTerms.from_rules(costs, OrderRules(**orders), rules or EnvironmentRules(), 8766.0)

    return make
