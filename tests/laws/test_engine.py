"""An account knows no future: what it did up to a bar does not depend on anything later."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.old_loops import fold as old_fold
from tests.oracles.old_loops import step as old_step
from tests.trading.engine.test_orders import RULES, random_history
from tradewind.trading.engine.account import ACCOUNT, SYMBOL_SIZE, AccountRows, AccountState, advance, begin
from tradewind.trading.engine.backtest import MARKET, History, backtest
from tradewind.trading.engine.step import trading_schedule
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

N = 200
HOURLY = 8766.0  # bars of an hour in a year
COSTS = Costs(taker_fee_bps=5.0, half_spread_bps=1.0, slippage_share_of_volatility=0.05)
Account = Callable[[History, np.ndarray, Costs], pd.DataFrame]


def history(seed: int) -> History:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.02 * rng.standard_normal(N)))
    opening = np.concatenate([[100.0], close[:-1]])
    funding = np.where(np.arange(N) % 8 == 0, 0.001, 0.0)
    return History(opening, close, 0.02 * (0.5 + rng.random(N)), funding, (np.arange(N) // 70).astype(np.int32))


def targets(seed: int) -> np.ndarray:
    return np.round(np.random.default_rng(seed).uniform(-1, 1, N), 1)


def mixed(first: History, second: History, cut: int) -> History:
    """The first history up to the cut, the second after it; a gap may come at the cut, or elsewhere than it did."""
    columns = ("open", "close", "volatility", "funding_rate")
    joined = {name: np.concatenate([getattr(first, name)[:cut], getattr(second, name)[cut:]]) for name in columns}
    later = first.segment[cut - 1] + (np.arange(N - cut) // 9 + cut % 2)
    return replace(first, **joined, segment=np.concatenate([first.segment[:cut], later]).astype(np.int32))


def check_no_future(account: Account, cut: int) -> None:
    """All after the cut is replaced: prices, volatility, funding, segments; decisions from the last bar before on."""
    before, after = history(1), mixed(history(1), history(2), cut)
    decided = np.concatenate([targets(1)[: cut - 1], targets(2)[cut - 1 :]])
    pd.testing.assert_frame_equal(account(before, targets(1), COSTS)[:cut], account(after, decided, COSTS)[:cut])


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(1, N - 1))
def test_what_comes_later_changes_nothing_before(cut: int) -> None:
    check_no_future(backtest, cut)


def fill_at_the_same_close(past: History, target: np.ndarray, costs: Costs) -> pd.DataFrame:
    return backtest(past, np.roll(target, -1), costs)


def costs_by_tomorrows_volatility(past: History, target: np.ndarray, costs: Costs) -> pd.DataFrame:
    return backtest(replace(past, volatility=np.roll(past.volatility, -2)), target, costs)


def scaled_by_the_whole_sample(past: History, target: np.ndarray, costs: Costs) -> pd.DataFrame:
    return backtest(past, target * min(1.0, 0.01 / float(np.log(past.close).std())), costs)


def closed_before_the_gap(past: History, target: np.ndarray, costs: Costs) -> pd.DataFrame:
    """The account as it was: `engine.account` has the rule that took its place."""
    account, positions = np.empty((len(ACCOUNT), N)), np.zeros((1, N))
    terms = old_step.terms(costs, MARKET, HOURLY)
    old_fold.fold(
        past.matrix[None], past.segment[None], target[None], terms, costs.book_shares, 1 + costs.latency_bars, account,
        positions,
    )  # fmt: skip
    return pd.DataFrame(account.T, columns=ACCOUNT)


@pytest.mark.parametrize(
    "leak",
    [fill_at_the_same_close, costs_by_tomorrows_volatility, scaled_by_the_whole_sample, closed_before_the_gap],
    ids=lambda f: f.__name__,
)
def test_a_planted_leak_is_caught(leak: Account) -> None:
    with pytest.raises(AssertionError):
        for cut in range(1, N, 3):
            check_no_future(leak, cut)


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(2, N))
def test_a_shorter_history_gives_the_same_beginning(cut: int) -> None:
    whole, past = backtest(history(3), targets(3), COSTS), history(3)
    columns = ("open", "close", "volatility", "funding_rate", "segment")
    part = History(**{name: getattr(past, name)[:cut] for name in columns})
    pd.testing.assert_frame_equal(backtest(part, targets(3)[:cut], COSTS), whole[:cut])


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_unit_of_the_price_does_not_matter(factor: float) -> None:
    past = history(4)
    scaled = replace(past, open=past.open * factor, close=past.close * factor)
    np.testing.assert_allclose(
        backtest(scaled, targets(4), COSTS)["equity"], backtest(past, targets(4), COSTS)["equity"], rtol=1e-10
    )


def test_dearer_trading_never_leaves_more() -> None:
    worth = [backtest(history(5), targets(5), COSTS.scaled(k))["equity"].iloc[-1] for k in (0, 0.5, 1, 2, 4)]
    assert worth == sorted(worth, reverse=True)


Carry = Callable[[AccountState], None]
LATE = Costs(impact_coefficient=0.1, borrow_rate_annual=0.05, latency_bars=2)


def in_parts(seed: int, symbols: int, rules: OrderRules, cuts: list[int], carry: Carry) -> AccountRows:
    """An account over bars given part by part; `carry` is what happens to its state in between."""
    histories = [random_history(seed + at) for at in range(symbols)]
    bars, segment = (np.stack([getattr(past, name) for past in histories]) for name in ("matrix", "segment"))
    drawn = np.round(np.random.default_rng(seed).uniform(-1, 1, (symbols, 30)), 1)
    target = np.repeat(drawn, 5, axis=1) * rules.max_leverage
    if symbols > 1:
        gone = np.random.default_rng(seed).random(segment.shape) < 0.1
        segment, target = np.where(gone, -1, segment).astype(np.int32), np.where(gone, 0.0, target)
    schedule, book = trading_schedule(LATE, rules, HOURLY), LATE.book_shares
    state, parts = begin(symbols, 1 + LATE.latency_bars), []
    for first, after in itertools.pairwise([0, *sorted(cuts), segment.shape[1]]):
        here = slice(first, after)
        given = (np.ascontiguousarray(values) for values in (bars[:, :, here], segment[:, here], target[:, here]))
        parts.append(advance(state, *given, schedule, book))
        carry(state)
    account, positions = (np.concatenate([part[at] for part in parts], axis=1) for at in (0, 1))
    return AccountRows(account, positions, np.concatenate([part.fills for part in parts]))


def nothing(state: AccountState) -> None:
    """The state is carried on as it is."""


def lose_what_is_pending(state: AccountState) -> None:
    state.symbols[:, SYMBOL_SIZE:] = 0.0


def check_cuts(seed: int, symbols: int, rules: OrderRules, cuts: list[int], carry: Carry) -> None:
    """An account cut anywhere and carried on is the whole one, to the last bit."""
    whole, parts = in_parts(seed, symbols, rules, [], nothing), in_parts(seed, symbols, rules, cuts, carry)
    for expected, found in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 1000), symbols=st.sampled_from([1, 3]), rules=RULES,
    cuts=st.lists(st.integers(0, 150), min_size=1, max_size=4),
)  # fmt: skip
def test_an_account_cut_anywhere_and_carried_on_is_the_whole(
    seed: int, symbols: int, rules: OrderRules, cuts: list[int]
) -> None:
    check_cuts(seed, symbols, rules, cuts, nothing)


@pytest.mark.parametrize("symbols", [1, 3])
def test_a_cut_that_loses_what_is_pending_is_caught(symbols: int) -> None:
    with pytest.raises(AssertionError):
        for cut in range(10, 150, 3):
            check_cuts(0, symbols, MARKET, [cut], lose_what_is_pending)
