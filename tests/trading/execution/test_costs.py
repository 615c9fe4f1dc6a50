"""Costs are stated per side, and scale as one."""

import pytest
from pydantic import ValidationError

from tradewind.trading.execution.costs import Costs

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
