"""Rewards by their formulas, and what shaping may not change."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.adaptive.rl.conftest import step_value
from tradewind.adaptive.rl.environments import TradingEnv
from tradewind.adaptive.rl.market import TradingMarket, TradingTerms
from tradewind.adaptive.rl.rules import EnvironmentRules, RewardRules

RULES = EnvironmentRules(episode_bars=200, targets=(-1.0, 0.0, 1.0))
DISCOUNT = 0.95


def lived(
    market: TradingMarket, trading: TradingTerms, reward: RewardRules, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewards, net returns and turnover of one episode of random actions."""
    environment = TradingEnv(market, trading, RULES, reward, DISCOUNT)
    environment.reset(options={"row": 300, "cost_scale": 1.0})
    rng = np.random.default_rng(seed)
    rows = []
    over = False
    while not over:
        _, reward, _, over, _ = environment.step(int(rng.integers(3)) if rng.random() < 0.2 else 2)
        rows.append((reward, step_value(environment, "net"), step_value(environment, "turnover")))
    return tuple(np.array(column) for column in zip(*rows, strict=True))  # type: ignore[return-value]


def test_the_plain_reward_is_the_log_return(market: TradingMarket, trading: Callable[..., TradingTerms]) -> None:
    rewards, net, _ = lived(market, trading(RULES), RewardRules(scale=0.01))
    np.testing.assert_allclose(rewards, np.log1p(net) / 0.01)


def test_the_differential_sharpe_is_that_of_the_paper(
    market: TradingMarket, trading: Callable[..., TradingTerms]
) -> None:
    """The derivative of the moving Sharpe ratio by the memory's rate (Moody and Saffell 2001, eq. 13)."""
    rewards, net, _ = lived(market, trading(RULES), RewardRules(base="differential_sharpe", memory_bars=50))
    mean, square, rate, expected = 0.0, 0.0, 1 / 50, []
    for one in net:
        step, step_square = one - mean, one**2 - square
        variance = square - mean**2
        found = (square * step - 0.5 * mean * step_square) / variance**1.5 if variance > 1e-12 else 0.0
        expected.append(min(max(found, -10.0), 10.0))
        if variance > 1e-6:  # against the ratio itself, moved by a small rate
            tiny = 1e-7
            moved = (mean + tiny * step) / np.sqrt(square + tiny * step_square - (mean + tiny * step) ** 2)
            assert found == pytest.approx((moved - mean / np.sqrt(variance)) / tiny, rel=1e-3, abs=1e-3)
        mean, square = mean + rate * step, square + rate * step_square
    np.testing.assert_allclose(rewards, expected, atol=1e-9)


def test_penalties_are_taken_off(market: TradingMarket, trading: Callable[..., TradingTerms]) -> None:
    plain, net, turnover = lived(market, trading(RULES), RewardRules())
    found, _, _ = lived(
        market, trading(RULES), RewardRules(downside_weight=0.5, turnover_weight=0.2, drawdown_weight=2.0)
    )
    equity = np.cumprod(1 + net)
    drawdown = 1 - equity / np.maximum.accumulate(np.r_[1.0, equity])[1:]
    grew = np.maximum(np.diff(np.r_[0.0, drawdown]), 0)
    # A drawdown is measured from the peak before the bar: a new peak has none.
    expected = plain - 0.5 * np.maximum(-np.log1p(net), 0) / 0.01 - 0.2 * turnover - 2.0 * grew / 0.01
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_shaping_adds_the_potential_of_the_last_state_and_nothing_else(
    market: TradingMarket, trading: Callable[..., TradingTerms], seed: int
) -> None:
    """Its discounted sum is that of the last potential alone, whatever was done on the way (Ng et al. 1999)."""
    plain, *_ = lived(market, trading(RULES), RewardRules(), seed)
    shaped, *_ = lived(market, trading(RULES), RewardRules(shaping_weight=0.7), seed)
    power = DISCOUNT ** np.arange(len(plain))
    added = float((power * (shaped - plain)).sum())
    # The episode of 200 bars fades the last potential to nothing.
    assert abs(added) < 0.01 < np.abs(shaped - plain).max()
