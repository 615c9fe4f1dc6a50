"""Costs are stated per side, and scale as one."""

import numpy as np
import pytest
from pydantic import ValidationError

from tradewind.errors import BadParameters
from tradewind.trading.engine.step import Bar, taker_cost, trading_schedule
from tradewind.trading.execution.cost_share import side_share
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.orders import OrderRules

COSTS = Costs(taker_fee_bps=10, half_spread_bps=1, slippage_share_of_volatility=0.05, latency_bars=2)


def test_fee_and_half_spread_add_up_in_basis_points() -> None:
    assert COSTS.fixed_share == pytest.approx(0.0011)


def test_scaling_costs_leaves_the_latency() -> None:
    twice = COSTS.scaled(2)
    assert (twice.fixed_share, twice.slippage_share_of_volatility) == (0.0022, 0.1)
    assert (twice.maker_fee_bps, twice.latency_bars) == (4.0, 2)
    assert COSTS.scaled(0).fixed_share == 0.0


@pytest.mark.parametrize(
    "wrong", [{"taker_fee_bps": -1}, {"latency_bars": -1}, {"slippage_share_of_volatility": float("nan")}, {"fee": 1}]
)
def test_costs_below_zero_or_unknown_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Costs(**{**COSTS.model_dump(), **wrong})


def test_a_measured_book_must_rise_and_scales_too() -> None:
    book = Costs(book=((1e4, 0.5), (1e6, 8.0)))
    assert book.scaled(2).book == ((1e4, 1.0), (1e6, 16.0))
    for wrong in (((1e6, 1.0), (1e4, 2.0)), ((1e4, -1.0),)):
        with pytest.raises(ValidationError, match="book must hold points"):
            Costs(book=wrong)


@pytest.mark.parametrize("seed", range(5))
def test_what_decides_and_what_pays_have_one_formula(seed: int) -> None:
    """The share that is decided on is the share that a fill pays, to the bit, with every kind of slippage."""
    rng = np.random.default_rng(seed)
    fee, spread, slip, volatile, impact, walked = rng.uniform(0, 20, 6)
    costs = Costs(
        taker_fee_bps=fee, half_spread_bps=spread, slippage_bps=slip, slippage_share_of_volatility=volatile / 20,
        impact_coefficient=impact, book=((0.0, 0.0), (2e5, walked)),
    )  # fmt: skip
    volatility, units, usual, capital = 0.01 * rng.random(), rng.uniform(0.1, 2), rng.uniform(1e3, 1e4), 1e5
    schedule = trading_schedule(costs, OrderRules(capital=capital), 8766.0)
    bar = Bar(1.0, 1.0, 1.0, 1.0, usual, volatility, usual, 0.0)
    paid = taker_cost(schedule, costs.book_shares, bar, units, 1.0)
    assert paid == units * float(costs.round_trip_share(volatility, units * capital / usual, units * capital)) / 2
    calm = float(costs.round_trip_share(float("nan"), 0.1, 1e5))
    assert calm == float(costs.round_trip_share(0.0, 0.1, 1e5)) < float(costs.round_trip_share(volatility, 0.1, 1e5))


def test_each_part_of_a_side_counts_alone_and_a_book_of_one_point_is_a_book() -> None:
    none = np.zeros((2, 0))
    assert side_share(5e-4, 0.0, 0.0, none, 0.01, 0.04, 1e5) == pytest.approx(5e-4)
    assert side_share(0.0, 0.1, 0.0, none, 0.01, 0.04, 1e5) == pytest.approx(1e-3)
    assert side_share(0.0, 0.0, 0.5, none, 0.01, 0.04, 1e5) == pytest.approx(0.5 * 0.01 * 0.2)
    assert side_share(0.0, 0.0, 0.0, np.array([[1e4], [3e-4]]), 0.01, 0.04, 1e5) == pytest.approx(3e-4)
    two = np.array([[1e4, 2e5], [1e-4, 20e-4]])
    assert side_share(0.0, 0.0, 0.0, two, 0.01, 0.04, 105_000.0) == pytest.approx(10.5e-4)


def test_a_dearer_world_is_dearer_in_every_part_but_its_latency() -> None:
    parts = {"taker_fee_bps": 1.0, "maker_fee_bps": 2.0, "half_spread_bps": 3.0, "slippage_bps": 4.0,
             "slippage_share_of_volatility": 0.5, "impact_coefficient": 0.6, "borrow_rate_annual": 0.7}  # fmt: skip
    thrice = Costs(**parts, book=((1e4, 8.0), (2e4, 9.0)), latency_bars=2).scaled(3).model_dump()
    assert (thrice.pop("book"), thrice.pop("latency_bars")) == (((1e4, 24.0), (2e4, 27.0)), 2)
    assert thrice == pytest.approx({name: 3 * value for name, value in parts.items()})


def test_all_in_costs_are_those_and_nothing_else() -> None:
    costs = COSTS.model_copy(update={"book": ((1e4, 9.0),), "impact_coefficient": 0.5}).of_side(7.0)
    assert float(costs.round_trip_share(0.03, 0.5, 1e6)) == pytest.approx(14e-4)
    assert (costs.maker_fee_bps, costs.borrow_rate_annual, costs.latency_bars) == (7.0, 0.0, 2)


def test_a_book_is_in_basis_points_and_has_no_value_twice() -> None:
    assert Costs(book=((1e4, 5.0), (2e4, 9.0))).book_shares == pytest.approx(np.array([[1e4, 2e4], [5e-4, 9e-4]]))
    with pytest.raises(ValidationError, match="values rising"):
        Costs(book=((1e4, 5.0), (1e4, 9.0)))


def test_a_yearly_rate_is_divided_by_the_bars_of_the_market() -> None:
    costs = Costs(borrow_rate_annual=0.5)
    assert trading_schedule(costs, OrderRules(), 252.0).borrow == 0.5 / 252
    with pytest.raises(BadParameters, match="bars_per_year is needed"):
        trading_schedule(costs, OrderRules(), None)
    assert trading_schedule(Costs(), OrderRules(), None).borrow == 0.0
