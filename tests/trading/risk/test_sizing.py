"""The largest order that passes is what trying every size finds, and its limits are the gate's own."""

import dataclasses

import numpy as np
import pytest

from tests.trading.risk.test_gate import INSTRUMENTS, LIMITS, NOW, some
from tradewind.trading.risk.gate import Order, RiskView, check
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.risk.sizing import largest_allowed, rate_is_free_ms
from tradewind.trading.risk.states import ACTIVE

VIEW = RiskView(NOW, ACTIVE, 10_000.0, 10_000.0, 10_000.0, {}, {"AAA": 100.0}, {"AAA": NOW}, INSTRUMENTS)


def by_trying(order: Order, view: RiskView, limits: object, lot: float) -> float:
    """The largest of all multiples of the lot that passes."""
    sign = 1.0 if order.units > 0 else -1.0
    for lots in range(int(abs(order.units) / lot + 1e-6), 0, -1):
        if check(order._replace(units=sign * round(lots * lot, 10)), view, limits) is None:  # type: ignore[arg-type]
            return sign * round(lots * lot, 10)
    return 0.0


@pytest.mark.parametrize("seed", range(4))
def test_what_is_allowed_is_what_trying_every_size_finds(seed: int) -> None:
    """Lots are coarse, so that every size can be tried; positions, orders on their way and all limits as they come."""
    rng, cut, none, seen = np.random.default_rng(seed), 0, 0, 0
    instruments = {
        name: one.model_copy(update={"lot_size": 0.5, "min_quantity": 1.0}) for name, one in INSTRUMENTS.items()
    }
    while seen < 150:
        order, view, limits = some(rng)
        view = dataclasses.replace(view, instruments=instruments, frozen=frozenset(), paused=False)
        if order.symbol not in instruments or not abs(order.units) < 2_000 or order.units == 0:
            continue
        seen += 1
        order = order._replace(units=np.sign(order.units) * max(round(abs(order.units) * 2) / 2, 0.5))
        found = largest_allowed(lambda units, like=order: like._replace(units=units), order.units, view, limits)
        assert found.units == by_trying(order, view, limits, 0.5), (order, found)
        assert (found.refused is None) == (found.units == order.units)
        cut += 0 < abs(found.units) < abs(order.units)
        none += found.units == 0
    assert cut > 10 and none > 10


def test_a_worse_price_of_a_larger_order_counts() -> None:
    def ask(units: float) -> Order:
        return Order("one", "AAA", units, round(100.0 + units / 10, 2), "limit")

    found = largest_allowed(ask, 40.0, VIEW, LIMITS)  # a collar of 200 bps ends just below 102
    assert found.units == pytest.approx(19.949) and found.refused is not None
    assert found.refused.code == "price_collar"
    wide = largest_allowed(ask, 40.0, VIEW, LIMITS.model_copy(update={"price_collar_bps": 1000.0}))
    assert wide.units * ask(wide.units).price == pytest.approx(3_000, abs=1.5) and wide.refused is not None
    assert wide.refused.code == "max_value"


def test_no_size_passes_where_the_smallest_does_not() -> None:
    def ask(units: float) -> Order:
        return Order("one", "AAA", units, 100.0)

    found = largest_allowed(ask, 5.0, VIEW, LIMITS.model_copy(update={"max_order_value": 9.0}))
    assert found.units == 0.0 and found.refused is not None and found.refused[:2] == ("max_value", 9.0)
    for units in (float("nan"), 0.0, float("inf")):
        assert largest_allowed(ask, units, VIEW, LIMITS).units == 0.0
    unknown = largest_allowed(lambda units: ask(units)._replace(symbol="CCC"), 5.0, VIEW, LIMITS)
    assert unknown.units == 0.0 and unknown.refused is not None and unknown.refused.code == "unknown_symbol"


@pytest.mark.parametrize("price", [0.07, 1.0, 33.3, 60_001.0])
def test_the_smallest_order_passes_and_one_lot_less_does_not(price: float) -> None:
    instrument = Instrument(symbol="A", tick_size=0.01, lot_size=0.001, min_quantity=0.002, min_notional=10.0)
    least = instrument.smallest(price)
    assert least * price >= 10.0 and least >= 0.002
    assert round(least - 0.001, 10) < 0.002 or round(least - 0.001, 10) * price < 10.0


def test_the_rate_is_free_when_the_oldest_order_of_the_minute_is_over() -> None:
    sent = tuple(NOW - age for age in (70_000, 50_000, 40_000, 30_000, 20_000, 10_000))
    full = dataclasses.replace(VIEW, sent_ms=sent)
    at = rate_is_free_ms(full, LIMITS)  # five a minute
    assert at == NOW + 10_000
    order = Order("one", "AAA", 1.0, 100.0)
    for now, code in ((at - 1, "order_rate"), (at, None)):
        view = dataclasses.replace(full, now_ms=now, seen_ms={"AAA": now})
        found = check(order, view, LIMITS)
        assert (found.code if found else None) == code
    assert rate_is_free_ms(dataclasses.replace(VIEW, sent_ms=sent[:5]), LIMITS) == NOW
