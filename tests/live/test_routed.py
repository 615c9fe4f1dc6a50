"""One order over two venues that refuse, fall silent, halve their depth and change their fee, until its deadline."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.depth import deep
from tests.live.test_across_arbitrage import LOW, PAIR, RULES, Levels, Two, a_book
from tradewind.errors import BadParameters
from tradewind.live.across.books import market_of
from tradewind.live.across.desk import Desk, run_across
from tradewind.live.across.routed import RoutedOrder
from tradewind.live.orders.states import Report
from tradewind.live.venue.paper import PaperVenue
from tradewind.operations.journal.journal import read
from tradewind.trading.risk.limits import RiskLimits

LIMITS = RiskLimits(
    max_data_age_s=2.0, orders_a_minute=600, max_gross=5, max_position=5, max_leverage=5, max_order_value=1e6
)
WIDE = RULES.model_copy(update={"limits": LIMITS})
NEAR = a_book(30_000.5)


class Routed(Two):
    """A routed order over both; `fees` are what the venues take at each look."""

    def __init__(self, folder: Path, units: float, seconds: float = 10.0, rules: Any = WIDE) -> None:
        super().__init__(folder, rules)
        self.fees = {"east": 5.0, "west": 5.0}
        self.go_on(LOW, NEAR, 0)
        self.order = RoutedOrder(self.orders, units, self.now_ms + int(1000 * seconds), rules.routed)

    def go_on(self, east: tuple[Levels, Levels], west: tuple[Levels, Levels], ms: int = 200) -> None:
        """A look at both books; after it the order is worked."""
        self.now_ms += ms
        self.orders.now_ms = self.now_ms
        for name, book in (("east", east), ("west", west)):
            self.books[name].replace(*book, self.now_ms)
            self.venues[name].on_book("BTCUSDT", self.books[name], self.now_ms)
        markets = [
            market_of(name, PAIR, book, (self.fees[name], 0.001, 0.001), 0.0) for name, book in self.books.items()
        ]
        self.orders.see(markets, self.now_ms)
        if hasattr(self, "order"):
            self.order.step(self.now_ms)

    def until_over(self, east: tuple[Levels, Levels] = LOW, west: tuple[Levels, Levels] = NEAR) -> dict[str, Any]:
        for _ in range(200):
            if self.order.is_over:
                break
            self.go_on(east, west)
        assert self.order.is_over
        self.check()
        return self.order.summary()

    def sent(self) -> dict[str, float]:
        """Units sent to each market."""
        out: dict[str, float] = {}
        for record in read(self.folder / "journal.jsonl"):
            if record.kind == "sending":
                out[record.body["symbol"]] = out.get(record.body["symbol"], 0.0) + record.body["units"]
        return out

    def ends(self) -> str:
        return [record.body["how"] for record in read(self.folder / "journal.jsonl") if record.kind == "end"][-1]


def test_an_order_is_split_to_the_cheapest_levels_and_done(tmp_path: Path) -> None:
    pair = Routed(tmp_path, 3.0)
    found = pair.until_over()
    assert pair.ends() == "done" and found["left"] == pytest.approx(0.0, abs=1e-9) and found["orders"] == 2
    paid = 30_001 + 30_001.5 + 30_002  # the three cheapest of six levels
    assert found["cost_bps"] == pytest.approx(1e4 * (paid * 1.0005 / 3 / 30_000.25 - 1))
    pair.close()


@pytest.mark.parametrize("units", [2.0, -2.0])
def test_a_venue_that_refuses_is_left_out_and_the_other_gets_its_share(
    tmp_path: Path, units: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Routed(tmp_path, units)
    refusing, submit = pair.venues["west"], PaperVenue.submit

    def refused(self: PaperVenue, order: Mapping[str, Any], now_ms: int) -> None:
        submit(self, order | {"price": 1e-9} if self is refusing else order, now_ms)  # below the smallest value

    monkeypatch.setattr(PaperVenue, "submit", refused)
    found = pair.until_over()
    assert pair.ends() == "done" and set(pair.units()) == {"east BTC/USDT"}
    assert found["done"] == pytest.approx(units) and "refused" in [
        record.body["status"] for record in read(tmp_path / "journal.jsonl") if record.kind == "ended"
    ]
    pair.close()


def test_what_a_silent_venue_was_sent_is_never_sent_again_and_an_alarm_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer comes after ten seconds: it had filled all along."""
    pair = Routed(tmp_path, 3.0, seconds=20.0)
    silent, held = pair.venues["west"], list[Report]()
    poll = PaperVenue.poll

    def polled(self: PaperVenue) -> list[Report]:
        said = poll(self)
        if self is not silent or pair.now_ms > 1_010_000:
            said, held[:] = (held + said, []) if self is silent else (said, held)
            return said
        held.extend(said)
        return []

    monkeypatch.setattr(PaperVenue, "poll", polled)
    for _ in range(25):
        pair.go_on(LOW, NEAR)
    assert pair.orders.counts["alarms"] == 1 and not pair.order.is_over
    assert pair.sent() == {"east BTC/USDT": 2.0, "west BTC/USDT": 1.0}
    found = pair.until_over()
    assert pair.ends() == "done" and found["left"] == pytest.approx(0.0, abs=1e-9)
    assert sum(pair.sent().values()) == pytest.approx(3.0)
    pair.close()


def test_a_halved_depth_and_another_fee_are_planned_anew(tmp_path: Path) -> None:
    pair = Routed(tmp_path, 4.0)
    pair.go_on(LOW, NEAR)
    pair.fees["west"] = 50.0  # from now on
    half = a_book(30_000.0, 0.5)
    found = pair.until_over(half, NEAR)
    plans = [record.body for record in read(tmp_path / "journal.jsonl") if record.kind == "plan"]
    assert pair.ends() == "done" and found["left"] == pytest.approx(0.0, abs=1e-9) and len(plans) > 1
    assert next(child["venue"] for child in plans[1]["children"]) == "east BTC/USDT"
    pair.close()


def test_at_the_deadline_nothing_more_is_sent_and_the_rest_is_reported_with_its_cost(tmp_path: Path) -> None:
    pair = Routed(tmp_path, 9.0, seconds=3.0)
    taken: tuple[Levels, Levels] = ([(29_999.0, 1.0)], [(30_100.0, 0.0005)])  # less than a lot
    pair.go_on(LOW, NEAR)
    pair.go_on(LOW, NEAR)
    found = pair.until_over(taken, taken)
    last = [record.at_ms for record in read(tmp_path / "journal.jsonl") if record.kind == "sending"][-1]
    assert pair.ends() == "deadline" and last < pair.order.deadline_ms
    assert 0 < found["done"] < 9.0 and found["left"] == pytest.approx(9.0 - found["done"])
    assert found["left_would_cost_bps"] == pytest.approx(1e4 * (30_100 / 30_000.25 - 1)) and found["reasons"]
    pair.go_on(LOW, NEAR)
    assert pair.order.summary()["orders"] == found["orders"]
    pair.close()


def test_a_halt_in_the_middle_ends_the_order_as_it_is_and_the_position_is_its_fills(tmp_path: Path) -> None:
    pair = Routed(tmp_path, 6.0)
    thin = a_book(30_000.0, 0.5)
    pair.go_on(thin, thin)
    pair.go_on(thin, thin)
    pair.halted = True
    found = pair.until_over(thin, thin)
    assert pair.ends() == "halted" and 0 < found["done"] < 6.0
    assert sum(pair.units().values()) == pytest.approx(found["done"])
    pair.close()


@pytest.mark.parametrize(("units", "seconds", "what"), [
    (0.0, 1.0, "quantity must be a finite number other than 0"),
    (float("nan"), 1.0, "quantity must be a finite number"),
    (1.0005, 1.0, "quantity must be a multiple of the lot of 0.001"), (1.0, 0.0, "the deadline has passed"),
])  # fmt: skip
def test_what_is_no_order_is_refused(tmp_path: Path, units: float, seconds: float, what: str) -> None:
    with pytest.raises(BadParameters, match=what):
        Routed(tmp_path, units, seconds)


def test_the_desk_works_an_order_over_simulated_venues(tmp_path: Path) -> None:
    lines: list[str] = []
    desk = Desk(WIDE, tmp_path, PAIR, {}, None, -2.5, 30.0)
    found = asyncio.run(run_across(desk, lines.append))
    assert found["done"] == pytest.approx(-2.5) and "-2.5 of -2.5 units at" in lines[-1]
    gate = RULES.model_copy(update={"limits": RiskLimits(max_data_age_s=2.0, max_order_value=20.0)})
    refused = asyncio.run(run_across(Desk(gate, tmp_path / "gate", PAIR, {}, None, 2.5, 60.0), lines.append))
    assert refused["done"] == 0.0 and refused["rejected"] == 2 and "0 of 2.5 units, by 0 orders; 2.5 left" in lines[-1]
    assert "the risk gate refuses: max_value, 20 allowed" in lines[-1]


def gated(**limits: float) -> Any:
    return WIDE.model_copy(update={"limits": LIMITS.model_copy(update=limits)})


@pytest.mark.parametrize("units", [3.0, -3.0])
def test_children_are_as_large_as_the_gate_lets_through_and_the_order_is_done(tmp_path: Path, units: float) -> None:
    """Without the cut the gate refuses each child until the deadline."""
    pair = Routed(tmp_path, units, seconds=20.0, rules=gated(max_order_value=10_000.0))
    found = pair.until_over()
    sent = [one.body for one in read(tmp_path / "journal.jsonl") if one.kind == "sending"]
    assert pair.ends() == "done" and found["rejected"] == 0 and found["left"] == pytest.approx(0.0, abs=1e-9)
    assert all(abs(one["units"]) * one["price"] <= 10_000.0 for one in sent)
    assert max(abs(one["units"]) * one["price"] for one in sent) > 9_950.0  # and no smaller than they need be
    pair.close()


def refusals(folder: Path) -> list[str]:
    return [one.body["code"] for one in read(folder / "journal.jsonl") if one.kind == "risk_rejected"]


@pytest.mark.parametrize(("limits", "code", "done"), [
    ({"max_order_value": 20.0}, "max_value", 0.0),  # the smallest order is worth 30
    ({"max_position": 0.3}, "max_position", 1.998),  # 0.999 at each venue, of which 30,000 are allowed
    ({"max_gross": 0.3}, "max_gross", 0.999), ({"max_leverage": 0.3}, "balance", 0.999),
])  # fmt: skip
def test_what_can_never_pass_ends_the_order_at_once_with_reason_and_cost(
    tmp_path: Path, limits: dict[str, float], code: str, done: float
) -> None:
    pair = Routed(tmp_path, 3.0, seconds=60.0, rules=gated(**limits))
    found = pair.until_over()
    assert pair.ends() == "cancelled" and pair.now_ms < 1_000_000 + 5_000
    assert found["done"] == pytest.approx(done, abs=2e-3) and found["left"] == pytest.approx(3.0 - found["done"])
    assert sum(pair.units().values()) == pytest.approx(found["done"])
    assert found["left_would_cost_bps"] > 0 and any(f"refuses: {code}, " in one for one in found["reasons"])
    assert refusals(tmp_path) == [code] * 2  # once a venue, and not at each look
    pair.close()


def test_a_rate_that_frees_before_the_deadline_is_waited_for_and_one_that_does_not_ends_the_order(
    tmp_path: Path,
) -> None:
    rules = gated(max_order_value=20_000.0, orders_a_minute=4)
    late = Routed(tmp_path / "late", 4.0, seconds=30.0, rules=rules)
    found = late.until_over()
    assert late.ends() == "cancelled" and late.now_ms < 1_010_000 and 0 < found["done"] < 4.0
    assert "the risk gate lets 4 orders a minute pass" in found["reasons"] and len(refusals(tmp_path / "late")) <= 2
    late.close()
    early = Routed(tmp_path / "early", 4.0, seconds=90.0, rules=rules)
    for _ in range(450):
        if not early.order.is_over:
            early.go_on(LOW, NEAR)
    assert early.ends() == "done" and early.now_ms > 1_060_000
    early.close()


def test_levels_beyond_the_collar_are_not_asked_for(tmp_path: Path) -> None:
    """The worst level of a child is its price, so that a smaller child is within the collar."""
    pair = Routed(tmp_path, 2.0, seconds=5.0, rules=gated(price_collar_bps=10.0))
    far: tuple[Levels, Levels] = ([(29_999.0, 1.0), (29_000.0, 9.0)], [(30_001.0, 0.5), (31_000.0, 9.0)])
    pair.go_on(far, far)
    assert pair.sent() == {"east BTC/USDT": 0.5, "west BTC/USDT": 0.5}
    pair.close()


def test_no_child_is_below_the_smallest_order_and_a_rest_that_is_ends_the_order(tmp_path: Path) -> None:
    pair = Routed(tmp_path, 1.0, seconds=60.0)
    for name in pair.orders.instruments:
        least = pair.orders.instruments[name].model_copy(update={"min_notional": 3_000.0})  # 0.1 units
        pair.orders.instruments[name] = least
    crumbs: tuple[Levels, Levels] = ([(29_999.0, 1.0)], [(30_001.0, 0.95), (30_200.0, 0.04)])
    nothing: tuple[Levels, Levels] = ([(29_999.0, 1.0)], [(30_201.0, 0.02)])
    found = pair.until_over(crumbs, nothing)
    assert pair.sent() == {"east BTC/USDT": pytest.approx(0.99)} and refusals(tmp_path) == []
    assert pair.ends() == "cancelled" and found["left"] == pytest.approx(0.01) and pair.now_ms < 1_005_000
    assert any("0.01 units are below its smallest order of 0.1" in one for one in found["reasons"])
    pair.close()


def test_what_is_cut_leaves_no_rest_below_the_smallest_order(tmp_path: Path) -> None:
    pair = Routed(tmp_path, 0.34, rules=gated(max_order_value=10_000.0))  # 0.333 would leave 0.007
    for name in pair.orders.instruments:
        least = pair.orders.instruments[name].model_copy(update={"min_notional": 3_000.0})
        pair.orders.instruments[name] = least
    found = pair.until_over()
    sent = [one.body["units"] for one in read(tmp_path / "journal.jsonl") if one.kind == "sending"]
    assert pair.ends() == "done" and min(sent) >= 0.1 and sum(sent) == pytest.approx(0.34) and found["rejected"] == 0
    pair.close()


def in_lots(units: float) -> bool:
    return abs(units / 0.001 - round(units / 0.001)) < 1e-6


@pytest.mark.parametrize("seed", [*range(6), *(deep(each) for each in range(6, 300))])
def test_over_any_books_and_limits_an_order_ends_in_time_and_no_child_is_beyond_the_gate(
    tmp_path: Path, seed: int
) -> None:
    """No child is refused for its size, none is too small, nothing is bought twice, and the position is the fills."""
    rng = np.random.default_rng(seed)
    limits: dict[str, float] = {
        "max_order_value": float(rng.choice([20.0, 500.0, 10_000.0, 1e6])),
        "orders_a_minute": int(rng.choice([3, 10, 600])), "max_position": float(rng.choice([0.05, 0.5, 5.0])),
        "max_gross": float(rng.choice([0.1, 1.0, 5.0])), "price_collar_bps": float(rng.choice([1.0, 20.0, 200.0])),
    }  # fmt: skip
    units = round(float(rng.choice([-1, 1]) * rng.choice([0.001, 0.05, 1.0, 5.0])), 3)
    pair = Routed(tmp_path, units, seconds=float(rng.choice([2.0, 8.0])), rules=gated(**limits))

    def some_book() -> tuple[Levels, Levels]:
        middle, sizes = 30_000.0 + round(float(rng.normal(0, 5)), 2), rng.choice([0.0004, 0.02, 0.7], (2, 3))
        steps = (1.0, 2.0, float(rng.choice([3.0, 400.0])))
        return (
            [(round(middle - far, 2), float(size)) for far, size in zip(steps, sizes[0], strict=True)],
            [(round(middle + far, 2), float(size)) for far, size in zip(steps, sizes[1], strict=True)],
        )

    for _ in range(60):
        if pair.order.is_over:
            break
        pair.go_on(some_book(), some_book())
        assert abs(pair.order.done + pair.order.under_way) <= abs(units) + 1e-9
    assert pair.order.is_over and pair.now_ms <= pair.order.deadline_ms + 1_000
    found = pair.order.summary()
    pair.check()
    assert sum(pair.units().values()) == pytest.approx(found["done"], abs=1e-9)
    assert found["done"] + found["left"] == pytest.approx(units) and (not found["left"] or found["reasons"])
    for one in read(tmp_path / "journal.jsonl"):
        if one.kind == "sending":
            size, price = abs(one.body["units"]), one.body["price"]
            assert in_lots(size) and 5.0 <= size * price <= limits["max_order_value"] * (1 + 1e-9)
    refused = refusals(tmp_path)
    assert len(refused) <= 12 and not {"min_value", "lot_size", "quantity", "tick_size"} & set(refused), refused
    pair.close()
