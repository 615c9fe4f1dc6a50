"""The risk gate lets nothing through that breaks a limit, and every one of its checks is needed."""

import dataclasses
import math

import numpy as np
import pytest

from tradewind.trading.risk import gate
from tradewind.trading.risk.gate import CHECKS, GATE_ERROR, MAY_BE_OVERRIDDEN, Order, RiskView, check
from tradewind.trading.risk.limits import Instrument, RiskLimits
from tradewind.trading.risk.states import ACTIVE, HALTED, REDUCING

LIMITS = RiskLimits(max_position=0.5, max_gross=0.9, max_leverage=1.0, max_order_value=3_000, orders_a_minute=5)
WIDE = RiskLimits(max_position=5, max_gross=5, max_leverage=1.0, max_order_value=1e9, orders_a_minute=5)
INSTRUMENTS = {
    name: Instrument(symbol=name, tick_size=0.01, lot_size=0.001, min_quantity=0.002, max_quantity=90, min_notional=10)
    for name in ("AAA", "BBB")
}
NOW = 1_700_000_000_000


def some(rng: np.random.Generator) -> tuple[Order, RiskView, RiskLimits]:
    """An order and a view, most of them nearly in order: each fault comes in a few of a hundred."""

    def rarely(usual, odd, chance=0.03):  # type: ignore[no-untyped-def]
        return odd if rng.random() < chance else usual

    prices = {"AAA": float(rng.uniform(50, 150)), "BBB": float(rng.uniform(5, 15))}
    symbol = rarely(str(rng.choice(["AAA", "BBB"])), "CCC")
    reference = prices.get(symbol, 100.0)
    kind = rarely(str(rng.choice(["market", "limit"])), "stop", 0.01)
    price = reference * (1 + rarely(rng.uniform(-0.015, 0.015), rng.uniform(-0.1, 0.1), 0.06))
    price = round(price, 2) if rng.random() < 0.97 else price
    price = rarely(price, float(rng.choice([math.nan, math.inf, 0.0, -1.0, 1e12])), 0.03)
    units = round(float(rng.normal(0, rng.choice([25, 200, 500]))) * 10 / reference, 3)
    units = rarely(units, float(rng.choice([math.nan, 0.0, math.inf, 0.0015, 5.0005, 0.001, 95.0, 1e9])), 0.08)
    if symbol in prices:
        prices[symbol] = rarely(prices[symbol], float(rng.choice([math.nan, 0.0, -5.0])), 0.02)
    held = {name: round(float(rng.normal(0, 20)), 3) for name in ("AAA", "BBB") if rng.random() < 0.5}
    held = {name: value * (1.0 if name == "AAA" else 10.0) for name, value in held.items()}
    if rng.random() < 0.07:  # two positions, each within its limit, and not their sum
        held = {name: round(4_600 / float(rng.uniform(50, 150) / (1 if name == "AAA" else 10)), 3) for name in prices}
    equity = float(rng.uniform(9_000, 11_000))
    view = RiskView(
        now_ms=NOW, mode=rarely(ACTIVE, str(rng.choice([REDUCING, HALTED])), 0.2),
        equity=rarely(equity, math.nan, 0.01),
        day_start=equity * (1 + rarely(0.0, float(rng.uniform(0, 0.06)), 0.1)),
        peak=equity * (1 + rarely(0.0, float(rng.uniform(0, 0.2)), 0.1)), positions=held, prices=prices,
        seen_ms={name: NOW - int(rarely(1_000, float(rng.uniform(0, 200_000)), 0.1)) for name in ("AAA", "BBB")},
        instruments=INSTRUMENTS, buying={"AAA": float(rng.uniform(0, 10))} if rng.random() < 0.3 else {},
        selling={"BBB": float(rng.uniform(0, 30))} if rng.random() < 0.3 else {},
        sent_ms=tuple(NOW - int(age) for age in rng.uniform(0, 90_000, int(rng.integers(0, 9)))),
        known_ids=frozenset({"one"}), frozen=rarely(frozenset(), frozenset({"AAA", "BBB"}), 0.04),
        clock_skew_ms=int(rarely(100.0, float(rng.uniform(-3_600_000, 3_600_000)), 0.05)),
        paused=rarely(False, True, 0.04), flattening=rng.random() < 0.2,
    )  # fmt: skip
    return (
        Order(rarely("two", str(rng.choice(["one", ""]))), symbol, units, price, kind),
        view,
        rarely(LIMITS, WIDE, 0.3),
    )


def broken(order: Order, view: RiskView, limits: RiskLimits) -> set[str]:
    """What is wrong with an order, told once more in other words; only what can be told is."""
    numbers = [order.units, order.price, view.equity, *view.positions.values()]
    if not all(math.isfinite(one) for one in numbers) or order.units == 0 or order.price <= 0:
        return {"not_finite"}
    if order.kind not in {"market", "limit"}:
        return {"not_finite"}
    if order.symbol not in INSTRUMENTS:
        return {"unknown_symbol"}
    last = view.prices[order.symbol]
    if not last > 0:
        return {"no_price"}
    found, size, one = set(), abs(order.units), INSTRUMENTS[order.symbol]
    held = view.positions.get(order.symbol, 0.0)
    on_side = (view.buying if order.units > 0 else view.selling).get(order.symbol, 0.0)
    is_exit = held != 0 and np.sign(held) != np.sign(order.units) and size + on_side <= abs(held) * (1 + 1e-9)
    found |= {"halted"} if view.mode == "HALTED" else set()
    found |= {"reducing"} if view.mode != "ACTIVE" and not is_exit else set()
    found |= {"paused"} if view.paused and not view.flattening else set()
    found |= {"frozen"} if order.symbol in view.frozen else set()
    found |= {"duplicate"} if order.client_id in {"", "one"} else set()
    found |= {"clock"} if not -30_000 <= view.clock_skew_ms <= 30_000 else set()
    found |= {"price_collar"} if not 0.98 * last <= order.price <= 1.02 * last else set()
    found |= {"lot_size"} if abs(size * 1000 - round(size * 1000)) > 1e-6 or size < 0.0005 else set()
    found |= {"tick_size"} if order.kind == "limit" and abs(order.price * 100 % 1 - 0.5) < 0.5 - 1e-5 else set()
    found |= {"quantity"} if not 0.00199999 <= size <= 90.0001 else set()
    found |= {"min_value"} if size * order.price < one.min_notional else set()
    found |= {"order_rate"} if sum(at > NOW - 60_000 for at in view.sent_ms) >= limits.orders_a_minute else set()
    if not is_exit:
        worst = {}
        for name, price in view.prices.items():
            up, down = view.buying.get(name, 0.0), view.selling.get(name, 0.0)
            if name == order.symbol:
                up, down = (up + size, down) if order.units > 0 else (up, down + size)
            at = view.positions.get(name, 0.0)
            worst[name] = max(abs(at + up), abs(at - down)) * price
        found |= {"stale_data"} if NOW - view.seen_ms[order.symbol] > 90_000 else set()
        found |= {"max_value"} if size * max(last, order.price) > limits.max_order_value * (1 + 1e-6) else set()
        found |= {"max_position"} if worst[order.symbol] > limits.max_position * view.equity * (1 + 1e-6) else set()
        used = {name for name in worst if name == order.symbol or worst[name]}
        if all(view.prices[name] > 0 for name in used):
            gross = sum(worst[name] for name in used)
            found |= {"max_gross"} if gross > limits.max_gross * view.equity * (1 + 1e-6) else set()
            found |= {"balance"} if gross > limits.max_leverage * view.equity * (1 + 1e-6) else set()
        found |= {"daily_loss"} if view.equity <= (1 - limits.daily_loss) * view.day_start * (1 - 1e-9) else set()
        found |= {"drawdown"} if view.equity <= (1 - limits.drawdown) * view.peak * (1 - 1e-9) else set()
    return found


Case = tuple[Order, RiskView, RiskLimits, set[str]]


def cases(count: int, seed: int) -> list[Case]:
    """Orders with what is wrong with each."""
    rng = np.random.default_rng(seed)
    drawn = [some(rng) for _ in range(count)]
    return [(*one, broken(*one)) for one in drawn]


def tally(drawn: list[Case]) -> tuple[dict[str, int], int, list[str]]:
    """How often each code was given, how many orders passed, and what was wrong with those that passed."""
    codes, passed, holes = dict.fromkeys((*CHECKS, GATE_ERROR), 0), 0, []
    for order, view, limits, wrong in drawn:
        found = check(order, view, limits)
        if found is None:
            passed += 1
            holes += sorted(wrong)
        else:
            codes[found.code] += 1
    return codes, passed, holes


@pytest.fixture(scope="module")
def drawn() -> list[Case]:
    return cases(6_000, 1)


def test_what_passes_breaks_no_limit_and_every_code_is_given(drawn: list[Case]) -> None:
    codes, passed, holes = tally(drawn)
    assert holes == []
    assert passed > 250
    assert {code for code, times in codes.items() if not times and code != GATE_ERROR} == set()


@pytest.mark.depth
@pytest.mark.timeout(7200)
def test_a_million_orders() -> None:
    codes, passed, holes = dict.fromkeys((*CHECKS, GATE_ERROR), 0), 0, []
    for seed in range(100):
        some_codes, some_passed, some_holes = tally(cases(10_000, 100 + seed))
        codes = {code: times + some_codes[code] for code, times in codes.items()}
        passed, holes = passed + some_passed, holes + some_holes
    assert holes == [] and passed > 40_000
    assert min(times for code, times in codes.items() if code != GATE_ERROR) >= 1000, codes


# Without these the checks after them refuse by failing: the gate stays shut. That they are there is seen by their code.
SHUT_ANYWAY = ("unknown_symbol", "no_price")


@pytest.mark.parametrize("code", [one for one in CHECKS if one not in SHUT_ANYWAY])
def test_a_gate_without_one_of_its_checks_is_caught(code: str, drawn: list[Case]) -> None:
    fewer = {name: one for name, one in CHECKS.items() if name != code}
    assert any(code in wrong and check(order, view, limits, fewer) is None for order, view, limits, wrong in drawn)


@pytest.mark.parametrize("code", SHUT_ANYWAY)
def test_a_gate_without_these_stays_shut(code: str, drawn: list[Case]) -> None:
    fewer = {name: one for name, one in CHECKS.items() if name != code}
    faulty = [one for one in drawn if code in one[3]]
    assert len(faulty) > 20
    assert all(check(order, view, limits, fewer) is not None for order, view, limits, _ in faulty)


@pytest.mark.parametrize("code", [one for one in CHECKS if one not in SHUT_ANYWAY])
def test_a_check_that_says_the_opposite_is_caught(code: str, drawn: list[Case]) -> None:
    def flipped(order, view, limits):  # type: ignore[no-untyped-def]
        return None if CHECKS[code](order, view, limits) else (0.0, 0.0)

    checks = {**CHECKS, code: flipped}
    assert any(not wrong and check(order, view, limits, checks) is not None for order, view, limits, wrong in drawn)


def good() -> tuple[Order, RiskView]:
    view = RiskView(
        now_ms=NOW, mode=ACTIVE, equity=10_000.0, day_start=10_000.0, peak=10_000.0, positions={"AAA": 20.0},
        prices={"AAA": 100.0, "BBB": 10.0}, seen_ms={"AAA": NOW, "BBB": NOW}, instruments=INSTRUMENTS,
    )  # fmt: skip
    return Order("new", "AAA", 5.0, 100.0), view


def test_an_order_in_order_passes_and_a_gate_that_fails_is_shut() -> None:
    order, view = good()
    assert check(order, view, LIMITS) is None

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    found = check(order, view, LIMITS, {**CHECKS, "balance": fails})
    assert found is not None and found.code == GATE_ERROR
    found = check(order, dataclasses.replace(view, day_start=0.0), LIMITS)
    assert found is not None and found.code == GATE_ERROR


def test_reducing_lets_a_position_shrink_and_no_more() -> None:
    order, view = good()
    view = dataclasses.replace(view, mode=REDUCING, equity=9_000.0, seen_ms={"AAA": NOW - 10**7})
    assert check(order._replace(units=-20.0), view, LIMITS) is None
    for units in (-20.5, 1.0):
        found = check(order._replace(units=units), view, LIMITS)
        assert found is not None
    selling = dataclasses.replace(view, selling={"AAA": 15.0})
    assert check(order._replace(units=-6.0), selling, LIMITS) is not None
    assert check(order._replace(units=-5.0), selling, LIMITS) is None


def test_nothing_passes_a_halt_not_even_an_override() -> None:
    order, view = good()
    every = frozenset(CHECKS)
    halted = dataclasses.replace(view, mode=HALTED, overridden=every)
    found = check(order._replace(units=-1.0), halted, LIMITS)
    assert found is not None and found.code == "halted"
    assert not {"halted", "duplicate", "not_finite", "daily_loss", "drawdown"} & MAY_BE_OVERRIDDEN
    large = order._replace(units=31.0)
    wide = LIMITS.model_copy(update={"max_position": 9.0, "max_gross": 9.0, "max_leverage": 9.0})
    assert check(large, view, wide) == gate.Rejected("max_value", 3_000, 3_100)
    assert check(large, dataclasses.replace(view, overridden=frozenset({"max_value"})), wide) is None


@pytest.mark.parametrize("side", ["buying", "selling"])
def test_what_rests_in_another_symbol_counts_towards_all_positions(side: str) -> None:
    """2,500 here, and nothing held there: but 6,400 may come of what is on order, and 7,000 would be too much."""
    order, view = good()
    assert check(order, dataclasses.replace(view, **{side: {"BBB": 640.0}}), LIMITS) is None
    found = check(order, dataclasses.replace(view, **{side: {"BBB": 700.0}}), LIMITS)
    assert found == gate.Rejected("max_gross", 9_000.0, 9_500.0)


def test_a_pause_stops_decisions_and_not_the_closing_of_all_positions() -> None:
    order, view = good()
    closing = order._replace(units=-20.0)
    paused = dataclasses.replace(view, mode=REDUCING, paused=True)
    found = check(closing, paused, LIMITS)
    assert found is not None and found.code == "paused"
    assert check(closing, dataclasses.replace(paused, flattening=True), LIMITS) is None


def test_only_a_limit_has_to_stand_on_a_tick() -> None:
    """What a market order is expected to pay may lie between two."""
    order, view = good()
    between = order._replace(price=100.005)
    assert check(between, view, LIMITS) is None
    assert check(between._replace(kind="limit"), view, LIMITS) == gate.Rejected("tick_size", 0.01, 100.005)


def test_next_to_nothing_is_no_lot_where_the_venue_sets_no_minimum() -> None:
    order, view = good()
    free = Instrument(symbol="AAA", tick_size=0.01, lot_size=0.001)
    view = dataclasses.replace(view, instruments={"AAA": free, "BBB": free})
    assert check(order._replace(units=1e-10), view, LIMITS) == gate.Rejected("lot_size", 0.001, 1e-10)
    assert check(order._replace(units=0.001), view, LIMITS) is None
