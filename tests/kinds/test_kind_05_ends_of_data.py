"""Kind 5: the end of a symbol's data is the end of its position, of its orders and of its part in the targets."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.trading.engine.backtest import History, portfolio
from tradewind.trading.engine.portfolio import Market, portfolio_account
from tradewind.trading.engine.step import END, REASONS
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

FREE = Costs(taker_fee_bps=0, maker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)
FEE = Costs(taker_fee_bps=10, half_spread_bps=0, slippage_share_of_volatility=0)
HOURS = pd.date_range("2024-01-01 01:00", periods=20, freq="h", tz="UTC", unit="ms").to_numpy()
ONE = OrderRules(max_leverage=1.0)


def flat(n: int, price: float = 100.0, **changed: Any) -> History:
    column = np.full(n, price)
    given = {"open": column, "close": column, "volatility": np.full(n, 0.01), "funding_rate": np.zeros(n),
             "segment": np.zeros(n, dtype=np.int32)}  # fmt: skip
    return History(**(given | changed))


def test_a_delisted_symbol_is_closed_and_its_target_counts_no_more() -> None:
    """The smallest input: two symbols, one ends at bar 5 while it is held; before, the sum of targets stood at 1.5."""
    wanted = {"DEAD": np.full(5, 1.0), "B": np.r_[np.full(5, 0.0), np.full(5, 0.5)]}
    times = {"DEAD": HOURS[:5], "B": HOURS[:10]}
    _, result = portfolio({"DEAD": flat(5), "B": flat(10)}, wanted, times, FEE, ONE)
    (closing,) = result.fills[(result.fills[:, 1] == 0) & (result.fills[:, 2] < 0)]
    assert closing[0] == 5 and closing[3] == 100.0 and REASONS[int(closing[5])] == REASONS[END]
    assert closing[4] == pytest.approx(-closing[2] * 100.0 * 10e-4)  # at cost
    assert not result.positions[0, 5:].any()
    assert result.positions[1, 6:] == pytest.approx(0.5, abs=1e-3)  # all of it: nothing is scaled down for the dead
    assert np.abs(result.positions).sum(axis=0).max() <= 1.0 + 2e-3  # fees come out of the equity


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("latency", [0, 1, 3])
def test_a_decision_that_is_still_due_dies_with_its_symbol(side: float, latency: int) -> None:
    """Decided on the last bars and filled after the end: neither a position nor a part of the sum."""
    costs = FREE.model_copy(update={"latency_bars": latency})
    wanted = {"DEAD": np.r_[np.zeros(3), np.full(2, side)], "B": np.full(12, 1.0)}
    _, result = portfolio({"DEAD": flat(5), "B": flat(12)}, wanted, {"DEAD": HOURS[:5], "B": HOURS[:12]}, costs, ONE)
    assert not result.positions[0, 5:].any()
    np.testing.assert_allclose(result.positions[1, 7 + latency :], 1.0, atol=1e-12)


@pytest.mark.parametrize("order", ["limit", "stop"])
def test_an_order_that_rests_at_the_end_is_never_filled(order: str) -> None:
    rules = OrderRules(order="limit") if order == "limit" else OrderRules(stop_loss=0.05)
    rises = 100.0 + np.arange(5)  # a purchase at the last close is never met
    dead = flat(5, open=rises + 0.5, close=rises + 1, high=rises + 1, low=rises + 0.2) if order == "limit" else flat(5)
    wanted = {"DEAD": np.full(5, 0.5), "B": np.zeros(12)}
    _, result = portfolio({"DEAD": dead, "B": flat(12)}, wanted, {"DEAD": HOURS[:5], "B": HOURS[:12]}, FREE, rules)
    after = result.fills[(result.fills[:, 1] == 0) & (result.fills[:, 0] >= 5)]
    assert [REASONS[int(one[5])] for one in after] == ([] if order == "limit" else [REASONS[END]])
    assert not result.positions[0, 5:].any()


def test_two_ends_at_once_and_one_on_the_last_bar() -> None:
    wanted = {"A": np.full(5, 0.3), "B": np.full(5, -0.3), "C": np.full(8, 0.4)}
    times = {"A": HOURS[:5], "B": HOURS[:5], "C": HOURS[:8]}
    _, result = portfolio({name: flat(len(target)) for name, target in wanted.items()}, wanted, times, FREE, ONE)
    assert sorted(result.fills[result.fills[:, 5] == END][:, 1].tolist()) == [0.0, 1.0]
    np.testing.assert_allclose(result.positions[:, -1], [0.0, 0.0, 0.4], atol=1e-12)  # its own end is the history's


def test_a_symbol_of_one_bar_and_one_that_ended_before_another_began() -> None:
    wanted = {"ONE": np.ones(1), "OLD": np.full(4, 1.0), "NEW": np.full(6, 1.0), "ALL": np.zeros(12)}
    times = {"ONE": HOURS[:1], "OLD": HOURS[:4], "NEW": HOURS[6:12], "ALL": HOURS[:12]}
    _, result = portfolio({name: flat(len(target)) for name, target in wanted.items()}, wanted, times, FREE, ONE)
    held = dict(zip(wanted, result.positions, strict=True))
    assert not held["ONE"].any()
    np.testing.assert_allclose(held["OLD"], np.r_[0, np.ones(3), np.zeros(8)], atol=1e-12)
    np.testing.assert_allclose(held["NEW"], np.r_[np.zeros(7), np.ones(5)], atol=1e-12)


def test_a_delisting_pays_no_funding_and_borrows_nothing_afterwards() -> None:
    """The closing bar is no bar of the market: nothing is charged on it."""
    funded = flat(5, funding_rate=np.full(5, 0.01))
    costs = FREE.model_copy(update={"borrow_rate_annual": 0.5})
    wanted = {"DEAD": np.full(5, -0.5), "B": np.zeros(12)}
    times = {"DEAD": HOURS[:5], "B": HOURS[:12]}
    _, result = portfolio({"DEAD": funded, "B": flat(12)}, wanted, times, costs, ONE, 8766.0)
    assert result.account["funding"].iloc[1:5].abs().min() > 0
    assert not result.account["funding"].iloc[5:].any() and not result.account["net"].iloc[5:].any()


def test_the_account_of_a_universe_counts_the_closing_fill() -> None:
    histories = {"DEAD": flat(5), "B": flat(10)}
    market = Market(histories, {"DEAD": HOURS[:5], "B": HOURS[:10]})
    table = portfolio_account(market, {"DEAD": np.ones(5), "B": np.zeros(10)}, FEE, ONE)
    assert table["trades"].tolist() == [0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    assert table["exposure"].iloc[1:5].min() > 0.49 and not table["exposure"].iloc[5:].any()
    assert table["cost"].iloc[5] == pytest.approx(0.5 * 10e-4, rel=1e-2)


def test_an_end_that_is_stated_at_the_last_bar_closes_on_the_next_instant() -> None:
    wanted, times = {"A": np.full(5, 0.5), "B": np.zeros(10)}, {"A": HOURS[:5], "B": HOURS[:10]}
    for ends in (None, {"A": HOURS[4]}):
        _, result = portfolio({"A": flat(5), "B": flat(10)}, wanted, times, FREE, ends=ends)
        assert result.fills[result.fills[:, 5] == END][:, 0].tolist() == [5.0]


def test_turnover_is_the_value_traded_over_the_equity_before() -> None:
    """At a price of 200 after the account has grown by half: bought for 0.5, sold for what it is worth."""
    close = np.array([100.0, 100.0, 200.0, 200.0, 200.0])
    history = History(close, close, np.full(5, 0.01), np.zeros(5), np.zeros(5, dtype=np.int32))
    market = Market({"A": history}, {"A": HOURS[:5]})
    table = portfolio_account(market, {"A": np.array([0.5, 0.5, 0.0, 0.0, 0.0])}, FREE, ONE)
    # The units bought for 0.5 at 100 are worth 1.0 at 200, where the account has 1.5.
    np.testing.assert_allclose(table["turnover"], [0.0, 0.5, 0.0, 1.0 / 1.5, 0.0])
    assert table["trades"].tolist() == [0, 1, 0, 1, 0] and str(table["timestamp"].dt.tz) == "UTC"
