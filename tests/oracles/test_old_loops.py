"""The one loop over an account against the four that it replaced, on histories without gaps.

What a gap costs is another rule now (`engine.account`); `test_ledger` and the laws have it.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.oracles.old_loops import episodes as old_episodes
from tests.oracles.old_loops import fold as old_fold
from tests.oracles.old_loops import portfolio_stepping as old_portfolios
from tests.oracles.old_loops import step as old_step
from tests.oracles.old_loops import stepping as old_stepping
from tests.oracles.old_loops import sweep as old_sweep
from tests.trading.engine.test_orders import random_history
from tradewind.adaptive.rl import episodes, portfolio_stepping, stepping
from tradewind.adaptive.rl.rules import EnvironmentRules, RewardRules
from tradewind.trading.engine.account import DECISION_SIZE, SYMBOL_SIZE, advance, begin
from tradewind.trading.engine.step import trading_schedule
from tradewind.trading.engine.sweep import _event_driven
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

HOURLY = 8766.0  # bars of an hour in a year
COSTS = Costs(impact_coefficient=0.1, borrow_rate_annual=0.05, slippage_bps=0.5, latency_bars=1)
RULES = (
    OrderRules(),
    OrderRules(order="limit", stop_loss=0.03, max_holding_bars=9),
    OrderRules(max_leverage=4, maintenance_margin=0.05, take_profit=0.04, max_participation=0.05, lot_size=0.01),
)
N = 300


def market(seeds: int) -> np.ndarray:
    return np.stack([replace(random_history(seed, N), segment=np.zeros(N, np.int32)).matrix for seed in range(seeds)])


def targets(shape: tuple[int, ...], most: float) -> np.ndarray:
    drawn = np.round(np.random.default_rng(1).uniform(-1, 1, (*shape[:-1], shape[-1] // 5)), 1) * most
    return np.repeat(drawn, 5, axis=-1)


@pytest.mark.parametrize("rules", RULES, ids=["market", "limit", "leverage"])
@pytest.mark.parametrize("symbols", [1, 3])
def test_accounts_are_the_same_to_the_bit(rules: OrderRules, symbols: int) -> None:
    bars, segment = market(symbols), np.zeros((symbols, N), dtype=np.int32)
    if symbols > 1:
        segment[2, :40] = segment[1, 100:103] = -1  # listed later; three bars missing
        bars = np.where(segment[:, None, :] < 0, np.nan, bars)
    wanted = np.where(segment < 0, 0.0, targets((symbols, N), rules.max_leverage / symbols**0.5))
    account, positions = np.empty((6, N)), np.zeros((symbols, N))
    terms, book = old_step.terms(COSTS, rules, HOURLY), COSTS.book_shares
    fills = old_fold.fold(bars, segment, wanted, terms, book, 2, account, positions)
    schedule = trading_schedule(COSTS, rules, HOURLY)
    found = advance(begin(symbols, 2), bars, segment, wanted, schedule, book)
    assert len(fills) > 20
    np.testing.assert_array_equal(found.account, account)
    np.testing.assert_array_equal(found.positions, positions)
    np.testing.assert_array_equal(found.fills, fills)


@pytest.mark.parametrize("latency", [1, 3])
def test_the_sweep_is_the_same_to_rounding(latency: int) -> None:
    costs = COSTS.model_copy(update={"borrow_rate_annual": 0.0})
    bars, segment, starts = market(1), np.zeros((1, N), dtype=np.int32), np.arange(0, N, 24)
    wanted, funding, book = targets((N,), 0.5), np.cumsum(bars[0, 0] * bars[0, 7]), costs.book_shares
    old = old_sweep.skim(
        bars[0], funding, segment[0], wanted, old_step.terms(costs, RULES[0], HOURLY), book, latency, starts
    )
    schedule = trading_schedule(costs, RULES[0], HOURLY)
    new = _event_driven(bars, funding, segment, wanted, schedule, book, latency, starts)
    assert old[3] and new[3] and old[2] == new[2] > 20
    np.testing.assert_allclose(new[0], old[0], rtol=1e-12)
    assert new[1] == pytest.approx(old[1], rel=1e-12)


@pytest.mark.parametrize("rules", RULES[:2], ids=["market", "limit"])
def test_episodes_are_the_same(rules: OrderRules) -> None:
    environment, reward = EnvironmentRules(targets=(-1.0, 0.0, 1.0)), RewardRules(turnover_weight=0.1, shaping_weight=1)
    bars, book, seen = market(1)[0], COSTS.book_shares, np.random.default_rng(2).random((N, 2))
    new_tape, old_tape = np.column_stack([bars.T, seen]), np.column_stack([bars.T, np.zeros(N), seen])
    new_rules = episodes.pack_parameters(
        trading_schedule(COSTS, rules, HOURLY), book, episodes.Reward.from_rules(reward, 0.97), environment
    )
    old_rules = old_episodes.packed(
        old_step.terms(COSTS, rules, HOURLY), book, old_episodes.Reward.made(reward, 0.97), environment
    )
    new, old = episodes.make_states(4, 3), old_episodes.make_memory(4, 3)
    for at in range(4):  # each with its own delay, at its own costs
        given = (at, 20 * at, N - 60, bars[3, 20 * at], 1.0 + 0.1 * at, 1 + at % 3)
        episodes.begin(new, *given)
        old_episodes.begin(old, *given)
    new_seen, old_seen = (np.zeros((4, 2 + 5), dtype=np.float32) for _ in range(2))
    rng = np.random.default_rng(3)
    for _ in range(N - 60):
        actions = rng.integers(3, size=4).astype(float) if rng.random() < 0.3 else np.full(4, 2.0)
        done = stepping.step_all(new, actions, new_tape, new_rules, new_seen)
        assert done == old_stepping.step_all(old, actions, old_tape, old_rules, old_seen)
        np.testing.assert_allclose(
            new[:, episodes.STEP_AT : episodes.PENDING], old[:, old_episodes.TOLD_AT : old_episodes.PENDING],
            rtol=1e-12, atol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(new[:, episodes.REWARD], old[:, old_episodes.WORTH], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(new_seen, old_seen, rtol=1e-6, atol=1e-7)


def test_portfolios_are_the_same() -> None:
    bars, book, count, symbols, delay = market(3), COSTS.book_shares, 2, 3, 2
    tape = np.ascontiguousarray(bars.transpose(2, 0, 1))
    old_tape = np.concatenate([tape, np.zeros((N, symbols, 1))], axis=2)
    new, old = (np.zeros((count, portfolio_stepping.ACCOUNT_SIZE)) for _ in range(2))
    new_told, old_told = (np.zeros((count, len(portfolio_stepping.STEP_FIELDS))) for _ in range(2))
    new_done, old_done = (np.zeros(count, dtype=np.int64) for _ in range(2))
    states = np.zeros((count, symbols, SYMBOL_SIZE + DECISION_SIZE * delay))
    old_states, pending = np.zeros((count, symbols, old_step.STATE_SIZE)), np.zeros((count, delay, symbols))
    for at in range(count):
        portfolio_stepping.begin_portfolio(new, states, at, 10 * at, N - 1, tape, 1.0 + 0.2 * at)
        old_portfolios.begin_portfolio(old, old_states, pending, at, 10 * at, N - 1, old_tape, 1.0 + 0.2 * at)
    schedule, terms = (make(COSTS, RULES[1], HOURLY) for make in (trading_schedule, old_step.terms))
    wanted = targets((count, symbols, N), 0.3)
    for row in range(N - 20):
        weights = np.ascontiguousarray(wanted[:, :, row])
        portfolio_stepping.step_portfolios(new, states, weights, tape, delay, schedule, book, new_told, new_done)
        old_portfolios.step_portfolios(old, old_states, pending, weights, old_tape, terms, book, old_told, old_done)
        np.testing.assert_allclose(new_told, old_told, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(new_done, old_done)
