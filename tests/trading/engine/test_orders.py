"""Orders on histories small enough to check by hand: stops, limits, sizes, leverage, impact; and no money is lost."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.trading.engine.backtest import History, Result, run
from tradewind.trading.engine.step import END, LIQUIDATION, PROFIT, STOP, TARGET, TIME
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

YEAR = 8766.0  # hours in a year, by which borrowing is charged
FREE = Costs(taker_fee_bps=0, maker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)


def history(bars: list[tuple[float, float, float, float]], **others: Any) -> History:
    """From open, high, low, close."""
    opening, high, low, close = (np.array(column, dtype=float) for column in zip(*bars, strict=True))
    n = len(bars)
    rest = {"volatility": np.full(n, 0.01), "funding_rate": np.zeros(n), "segment": np.zeros(n, dtype=np.int32)} | {
        name: np.asarray(values) for name, values in others.items()
    }
    return History(opening, close, high=high, low=low, **rest)


def fills(result: Result) -> list[tuple[int, float, float, int]]:
    return [(int(f[0]), round(f[2], 9), round(f[3], 9), int(f[5])) for f in result.fills]


FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.mark.parametrize(
    ("target", "bar", "price", "reason"),
    [
        (1.0, (100, 101, 94, 99), 95, STOP),
        (1.0, (90, 99, 89, 98), 90, STOP),  # opens beyond the stop: filled there
        (1.0, (100, 111, 99, 108), 110, PROFIT),
        (1.0, (115, 116, 99, 108), 115, PROFIT),
        (1.0, (100, 111, 94, 100), 95, STOP),  # both: the stop comes first
        (-1.0, (100, 106, 99, 101), 105, STOP),
        (-1.0, (100, 101, 89, 92), 90, PROFIT),
    ],
)
def test_a_stop_and_a_profit_are_filled_at_their_level_or_a_worse_open(
    target: float, bar: tuple[float, float, float, float], price: float, reason: int
) -> None:
    rules = OrderRules(stop_loss=0.05, take_profit=0.10)
    result = run(history([FLAT, FLAT, bar, FLAT]), np.full(4, target), FREE, rules)
    assert fills(result)[1:] == [(2, -0.01 * target, price, reason)]  # and no way back in while the target stays
    assert result.account["equity"].iloc[-1] == pytest.approx(1 + target * (price / 100 - 1))


def test_a_target_that_changes_enters_again_after_a_stop() -> None:
    bars = [FLAT, FLAT, (100, 100, 94, 95), FLAT, FLAT]
    result = run(history(bars), np.array([1, 1, 1, 0.5, 0.5]), FREE, OrderRules(stop_loss=0.05))
    assert [(row, reason) for row, _, _, reason in fills(result)] == [(1, TARGET), (2, STOP), (4, TARGET)]


def test_a_stop_stands_below_the_mean_price_of_all_that_was_bought() -> None:
    high = (110.0, 110.0, 110.0, 110.0)
    bars = [FLAT, FLAT, high, (105, 105, 94, 95), FLAT]
    result = run(history(bars), np.array([0.5, 1, 1, 1, 1]), FREE, OrderRules(stop_loss=0.1))
    first, all_units = 0.005, 1.05 / 110
    mean = (first * 100 + (all_units - first) * 110) / all_units
    assert [(int(f[0]), int(f[5])) for f in result.fills] == [(1, TARGET), (2, TARGET), (3, STOP)]
    assert result.fills[2, 3] == pytest.approx(0.9 * mean)


def test_a_position_is_held_so_long_and_no_longer() -> None:
    result = run(history([FLAT] * 7), np.ones(7), FREE, OrderRules(max_holding_bars=3))
    assert [(row, reason) for row, _, _, reason in fills(result)] == [(1, TARGET), (4, TIME)]


def test_a_limit_order_is_met_only_when_the_price_trades_through_it() -> None:
    costs = Costs(taker_fee_bps=50, maker_fee_bps=10, half_spread_bps=9, slippage_share_of_volatility=0)
    bars = [FLAT, (101, 102, 100, 101.5), (102, 103, 101, 102), FLAT]
    result = run(history(bars), np.ones(4), costs, OrderRules(order="limit"))
    # Bar 1 touches 100 without trading through; bar 2 trades through 101.5, its last close.
    assert fills(result)[0][:3] == (2, round(1 / 101, 9), 101.5)  # sized when it was decided
    assert result.fills[0, 4] == pytest.approx(0.001 * 101.5 / 101)
    better = run(history([FLAT, (99, 100, 98, 99), FLAT]), np.ones(3), costs, OrderRules(order="limit"))
    assert fills(better)[0][2] == 99  # a better open is taken


def test_an_order_is_no_larger_than_its_share_of_the_volume() -> None:
    rules = OrderRules(max_participation=0.1, capital=10_000)
    volume = np.array([0, 300.0, 500.0, 1000.0, 1000.0])
    result = run(history([FLAT] * 5, volume=volume), np.ones(5), FREE, rules)
    assert [round(f[2] * 10_000, 6) for f in result.fills] == [30, 50, 20]  # 100 units in all
    assert result.account["position"].iloc[-1] == pytest.approx(1)


def test_lots_ticks_and_the_smallest_order() -> None:
    odd = [FLAT, (33.337, 34, 33, 33.5), FLAT]
    rules = OrderRules(capital=1000, lot_size=5)
    assert run(history(odd), np.ones(3), FREE, rules).fills[0, 2] * 1000 == pytest.approx(25)  # of 29.99
    tick = run(history(odd), np.ones(3), FREE, OrderRules(tick_size=0.01)).fills[0]
    assert tick[4] == pytest.approx(tick[2] * (33.34 - 33.337))
    assert len(run(history(odd), np.full(3, 0.01), FREE, OrderRules(min_notional=2000)).fills) == 0
    closing = run(history([FLAT] * 4), np.array([1.0, 0, 0, 0]), FREE, OrderRules(min_notional=90_000))
    assert len(closing.fills) == 2  # what is held may always be sold


def test_leverage_is_liquidated_where_the_margin_ends() -> None:
    rules = OrderRules(max_leverage=5, maintenance_margin=0.05, liquidation_fee_bps=100)
    result = run(history([FLAT, FLAT, (100, 100, 80, 95), FLAT]), np.full(4, 5.0), FREE, rules)
    level = 80 / 0.95  # 0.05 units: 1 + 0.05 (p - 100) = 0.05 * 0.05 p
    assert fills(result)[1] == (2, -0.05, pytest.approx(level), LIQUIDATION)
    assert result.account["equity"].iloc[2] == pytest.approx(1 + 0.05 * (level - 100) - 0.01 * 0.05 * level)
    gap = run(history([FLAT, FLAT, (70, 75, 70, 72), FLAT]), np.full(4, 5.0), FREE, rules)
    assert gap.account["equity"].tolist()[2:] == [0.0, 0.0]  # opens below: nothing is left, and nothing is owed


def test_a_short_that_trebles_within_the_bar_is_lost_though_it_closes_low() -> None:
    result = run(history([FLAT, FLAT, (100, 300, 100, 100), FLAT]), np.full(4, -1.0), FREE)
    assert result.account["equity"].tolist()[2:] == [0.0, 0.0]


def test_no_dust_is_traded() -> None:
    past = random_history(4)
    target = np.repeat(np.round(np.random.default_rng(4).uniform(-1, 1, 30), 1) / 3, 5)
    sizes = np.abs(run(past, target, COSTS, bars_per_year=YEAR).fills[:, 2])
    assert sizes.min() > 1e-6


def test_slippage_models_add_up() -> None:
    costs = Costs(
        taker_fee_bps=1, half_spread_bps=2, slippage_bps=3, slippage_share_of_volatility=0.1, impact_coefficient=0.5,
        book=((0.0, 0.0), (200_000.0, 8.0)),
    )  # fmt: skip
    past = history([FLAT] * 3, volume=np.full(3, 4000.0), usual_volume=np.full(3, 4000.0))
    result = run(past, np.ones(3), costs, OrderRules(capital=100_000))
    expected = 6e-4 + 0.1 * 0.01 + 0.5 * 0.01 * np.sqrt(1000 / 4000) + 4e-4
    assert result.fills[0, 4] == pytest.approx(expected)
    assert costs.round_trip_share(0.01, 1000 / 4000, 100_000.0) == pytest.approx(2 * expected)
    assert Costs(maker_fee_bps=-1).maker_fee_bps == -1  # a rebate


def test_borrowing_is_paid_by_shorts_alone() -> None:
    costs = FREE.model_copy(update={"borrow_rate_annual": 0.1})
    for target, paid in ((-1.0, 0.1 / 8766), (1.0, 0.0)):
        account = run(history([FLAT] * 3), np.full(3, target), costs, bars_per_year=YEAR).account
        assert account["funding"].iloc[1] == pytest.approx(paid)


RISING = (100.0, 120.0, 100.0, 120.0)


@pytest.mark.parametrize("target", [-1.0, 1.0])
def test_funding_and_borrowing_are_charged_on_the_value_at_the_open(target: float) -> None:
    """The bar closes a fifth higher, which does not count; a long borrows nothing."""
    costs = FREE.model_copy(update={"borrow_rate_annual": 0.1})
    rates = [0.0, 0.001, 0.0]
    account = run(history([FLAT, RISING, RISING], funding_rate=rates), np.full(3, target), costs, bars_per_year=YEAR)
    borrowed = 0.1 / YEAR if target < 0 else 0.0
    assert account.account["funding"].iloc[1] == pytest.approx(0.001 * target + borrowed, rel=1e-12)


def test_a_short_that_nothing_happens_to_borrows_on_every_bar() -> None:
    costs = FREE.model_copy(update={"borrow_rate_annual": 0.1})
    account = run(history([FLAT] * 5), np.full(5, -1.0), costs, bars_per_year=YEAR).account
    paid = account["funding"] * np.r_[1.0, account["equity"][:-1]]
    np.testing.assert_allclose(paid, [0.0, *[0.1 / YEAR] * 4], rtol=1e-12)


@pytest.mark.parametrize(("rate", "fee"), [(0.1, 0.0), (0.0, 1000.0), (0.0, 0.0)])
def test_what_funding_and_fees_took_brings_the_liquidation_nearer(rate: float, fee: float) -> None:
    """Two units of equity long at 100: wiped out at 50, or at 60 where a fifth of the equity is gone before."""
    costs = FREE.model_copy(update={"taker_fee_bps": fee})
    past = history([FLAT, (100, 100, 55, 100), FLAT], funding_rate=[0.0, rate, 0.0])
    result = run(past, np.full(3, 2.0), costs, OrderRules(max_leverage=2.0))
    reasons = [(price, reason) for _, _, price, reason in fills(result)]
    assert reasons == ([(100.0, TARGET), (60.0, LIQUIDATION)] if rate or fee else [(100.0, TARGET)])


def test_each_way_out_pays_its_own_fee() -> None:
    costs = FREE.model_copy(update={"maker_fee_bps": 2.0, "taker_fee_bps": 7.0})
    rules = OrderRules(take_profit=0.1, stop_loss=0.1, liquidation_fee_bps=50.0, max_leverage=2.0)
    for bar, price, bps in (((100, 111, 99, 100), 110.0, 2.0), ((100, 101, 89, 100), 90.0, 7.0)):
        result = run(history([FLAT, FLAT, bar]), np.full(3, 0.5), costs, rules)
        assert result.fills[1, 4] == pytest.approx(-result.fills[1, 2] * price * bps * 1e-4)
    rules = OrderRules(liquidation_fee_bps=50.0, max_leverage=2.0, maintenance_margin=0.25)
    result = run(history([FLAT, FLAT, (100, 101, 60, 100)]), np.full(3, 2.0), costs, rules)
    assert int(result.fills[1, 5]) == LIQUIDATION
    assert result.fills[1, 4] == pytest.approx(-result.fills[1, 2] * result.fills[1, 3] * 50e-4)


def test_a_fill_without_a_known_volatility_pays_what_does_not_depend_on_it() -> None:
    costs = Costs(taker_fee_bps=10, half_spread_bps=0, slippage_share_of_volatility=0.5, impact_coefficient=0.5)
    past = history([FLAT] * 3, volatility=[np.nan, 0.02, np.nan])
    account = run(past, np.ones(3), costs).account
    assert account["cost"].tolist() == pytest.approx([0.0, 10e-4, 0.0])


def random_history(seed: int, n: int = 150) -> History:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.02 * rng.standard_t(4, n)))
    opening = np.r_[100.0, close[:-1]] * np.exp(0.003 * rng.standard_normal(n))
    high = np.maximum(opening, close) * np.exp(np.abs(0.01 * rng.standard_normal(n)))
    low = np.minimum(opening, close) * np.exp(-np.abs(0.01 * rng.standard_normal(n)))
    funding = np.where(np.arange(n) % 8 == 0, 0.001 * rng.standard_normal(n), 0.0)
    segment = np.cumsum(rng.random(n) < 0.02).astype(np.int32)
    volume = np.exp(rng.normal(7, 1, n))
    return History(opening, close, 0.02 * (0.5 + rng.random(n)), funding, segment, high, low, volume, volume)


RULES = st.builds(
    OrderRules,
    order=st.sampled_from(["market", "limit"]),
    stop_loss=st.sampled_from([None, 0.01, 0.04]),
    take_profit=st.sampled_from([None, 0.02, 0.1]),
    max_holding_bars=st.sampled_from([None, 1, 7]),
    max_leverage=st.sampled_from([1.0, 4.0]),
    maintenance_margin=st.sampled_from([0.0, 0.05]),
    liquidation_fee_bps=st.sampled_from([0.0, 50.0]),
    max_participation=st.sampled_from([None, 0.05]),
    min_notional=st.sampled_from([0.0, 500.0]),
    lot_size=st.sampled_from([0.0, 0.01]),
    tick_size=st.sampled_from([0.0, 0.01]),
)
COSTS = Costs(impact_coefficient=0.1, borrow_rate_annual=0.05, slippage_bps=0.5, latency_bars=1)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10_000), rules=RULES)
def test_the_money_is_that_of_a_ledger_of_the_fills(seed: int, rules: OrderRules) -> None:
    """Cash and units kept from the fills alone come to the account's equity on every bar, whatever the rules."""
    past = random_history(seed)
    rng = np.random.default_rng(seed + 1)
    target = np.repeat(np.round(rng.uniform(-1, 1, 30), 1), 5) * rules.max_leverage
    result = run(past, target, COSTS, rules, YEAR)
    account = result.account
    before = np.r_[1.0, account["equity"].to_numpy()[:-1]]
    cash, units = 1.0, 0.0
    for row in range(len(past.close)):
        for fill in result.fills[result.fills[:, 0] == row]:
            cash -= fill[2] * fill[3] + fill[4]
            units += fill[2]
        cash -= account["funding"].iloc[row] * before[row]
        if account["equity"].iloc[row] == 0.0:
            assert cash + units * past.close[row] < 1e-9  # lost, with what a lender lost beyond it
            assert (account["equity"].iloc[row:] == 0).all()
            return
        assert cash + units * past.close[row] == pytest.approx(account["equity"].iloc[row], rel=1e-9)
    assert set(result.fills[:, 5]) <= {TARGET, STOP, PROFIT, TIME, LIQUIDATION, END}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), rules=RULES, cut=st.integers(2, 148))
def test_orders_know_no_future(seed: int, rules: OrderRules, cut: int) -> None:
    past, other = random_history(seed), random_history(seed + 5)
    names = ("open", "close", "volatility", "funding_rate", "high", "low", "volume", "usual_volume")
    mixed = {name: np.r_[getattr(past, name)[:cut], getattr(other, name)[cut:]] for name in names}
    changed = History(
        **mixed,
        segment=np.r_[past.segment[:cut], past.segment[cut - 1] + 1 + np.arange(150 - cut) // 20].astype(np.int32),
    )
    target = np.repeat(np.round(np.random.default_rng(seed).uniform(-1, 1, 30), 1), 5) * rules.max_leverage
    decided = np.r_[target[: cut - 2], -target[cut - 2 :]]
    before = run(past, target, COSTS, rules, YEAR).account[:cut]
    after = run(changed, decided, COSTS, rules, YEAR).account[:cut]
    np.testing.assert_array_equal(before.to_numpy(), after.to_numpy())
