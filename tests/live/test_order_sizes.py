"""An order that is larger than one may be is sent as several, and no slice is smaller than the venue takes."""

from collections.abc import Sequence

import pytest

from tests.live.conftest import CALM
from tests.live.test_session import Make, by_time, opened, records, step_book
from tradewind.learning.features.assembly import Bar
from tradewind.live.orders.executors import Executor, Quote, step_executor
from tradewind.live.orders.states import OrderState
from tradewind.live.runtime import JOURNAL, Runtime
from tradewind.live.session.events import market_event
from tradewind.live.settings import ExecutorRules
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.limits import Instrument


def step_often(runtime: Runtime, bars: Sequence[Bar], steps: int = 14) -> None:
    """One timestamp whose books are shown so often within twenty minutes."""
    at = bars[0].timestamp
    prices = {one.symbol: round(one.close, 2) for one in bars}
    runtime.handle(market_event(at, bars))
    for step in range(steps):
        step_book(runtime, prices, at + 1_000 + 90_000 * step)


@pytest.mark.parametrize("kind", ["market", "limit", "twap", "bracket"])
def test_what_one_order_may_not_be_is_sent_in_several(make_runtime: Make, kind: str) -> None:
    """The gate refused such an order whole, at each bar anew."""
    limits = CALM.model_copy(update={"max_order_value": 8_000.0})
    executor = ExecutorRules(kind=kind, patience_s=300, duration_s=900, slices=3)  # type: ignore[arg-type]
    runtime, bars = opened(make_runtime, limits=limits, executor=executor, rule="buy_and_hold")
    for now in by_time(bars)[:4]:
        step_often(runtime, now)
    held: dict[str, float] = {}
    orders: dict[str, list[float]] = {}
    for one in read(runtime.folder / JOURNAL):
        body = one.body
        if one.kind == "report" and body["what"] == "fill":
            symbol = next(own.symbol for own in runtime.state.orders.values() if own.client_id == body["client_id"])
            held[symbol] = held.get(symbol, 0.0) + body["units"]
        if one.kind == "intent":
            is_exit = held.get(body["symbol"], 0.0) * body["units"] < 0
            assert is_exit or abs(body["units"]) * body["price"] <= 8_000.0
            orders.setdefault(body["client_id"].partition("-")[0], []).append(abs(body["units"]))
    assert not records(runtime, "risk_rejected") and max(len(one) for one in orders.values()) >= 3
    for symbol in runtime.session.symbols:
        assert runtime.state.paper.units[symbol] == pytest.approx(runtime.state.wanted[symbol], abs=2e-3)
        assert runtime.state.paper.units[symbol] * runtime.state.paper.marks[symbol] > 8_000.0


def test_a_rate_that_is_used_up_lets_the_rest_of_an_order_follow(make_runtime: Make) -> None:
    limits = CALM.model_copy(update={"max_order_value": 8_000.0, "orders_a_minute": 4})
    runtime, bars = opened(make_runtime, limits=limits, rule="buy_and_hold")
    now = by_time(bars)[0]
    prices = {one.symbol: round(one.close, 2) for one in now}
    runtime.handle(market_event(now[0].timestamp, now))
    sent = []
    for second in range(2, 400, 2):
        step_book(runtime, prices, now[0].timestamp + 1000 * second)
        sent.append(len(runtime.state.sent_ms))
    assert max(sent) == 4 and len(records(runtime, "intent")) > 8
    assert {one["code"] for one in records(runtime, "risk_rejected")} <= {"order_rate"}
    held, wanted = runtime.state.paper.units, runtime.state.wanted
    assert sum(held.get(name, 0.0) == pytest.approx(wanted[name], abs=2e-3) for name in prices) >= 1


def test_a_slice_is_no_smaller_than_the_smallest_order() -> None:
    instrument = Instrument(symbol="A", tick_size=0.01, lot_size=0.001, min_notional=10.0)
    quote, rules = Quote(99.99, 100.01, 100.0, 0), ExecutorRules(kind="twap", slices=3, duration_s=900)
    sent = []
    for units in (0.25, -0.25, 0.9, 0.15):
        wish = step_executor(Executor(1, "A", "twap", units, 0), [], quote, 0, rules, instrument).send[0]
        sent.append(wish.units)
    assert sent == [0.101, -0.101, 0.3, 0.15]  # of 0.15 the rest would be below the smallest
    done = OrderState("a", "A", 0.15, 100.0, "market", "target", 100.0, 0, "filled", 0.15)
    after = step_executor(Executor(1, "A", "twap", 0.2, 0, sent=1), [done], quote, 10**6, rules, instrument)
    assert after.is_done  # what is left is no order
