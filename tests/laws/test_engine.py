"""An account knows no future: what it did up to a bar does not depend on anything later."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.trading.engine.backtest import History, backtest
from tradewind.trading.execution.costs import Costs

N = 200
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
    """The first history up to the cut, the second after it, on the same segments."""
    columns = ("open", "close", "volatility", "funding_rate")
    return replace(
        first, **{name: np.concatenate([getattr(first, name)[:cut], getattr(second, name)[cut:]]) for name in columns}
    )


def check_no_future(account: Account, cut: int) -> None:
    """Everything after the cut is replaced: prices, volatility, funding; decisions from the last bar before it on."""
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


@pytest.mark.parametrize(
    "leak",
    [fill_at_the_same_close, costs_by_tomorrows_volatility, scaled_by_the_whole_sample],
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
    # The last bar of a segment is closed once the next one is seen to be of another.
    pd.testing.assert_frame_equal(backtest(part, targets(3)[:cut], COSTS)[: cut - 1], whole[: cut - 1])


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
