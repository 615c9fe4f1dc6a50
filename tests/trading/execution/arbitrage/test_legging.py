"""Two legs through refusals, parts and delays: what stands alone never costs more than its budget, measured outside."""

import heapq
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tradewind.errors import BadParameters
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.trading.execution.arbitrage.legging import Intent, Leg, LegRules, Order

RULES = LegRules()
LEGS = (Leg("a X/USD", True), Leg("b X/USD", False))


class Course(NamedTuple):
    """How an intent went: value times seconds that stood alone, what is held in the end, alarms, whether it ended."""

    exposed: float
    net: float
    alarms: list[str]
    is_over: bool
    orders: list[Order]


def run(generator: np.random.Generator, rules: LegRules = RULES, late: float = 1.0, keeps: bool = True) -> Course:
    """Venues that refuse, fill in part, and answer as late as they may; exposure is measured at the fills themselves.

    Args:
        generator: of the schedule.
        rules: of the intent.
        late: answers take up to so many times `answer_s`.
        keeps: whether the last of `tries` orders that take a leg back is filled.
    """
    recorded: list[tuple[str, Mapping[str, Any]]] = []
    intent = Intent("i", LEGS, float(generator.uniform(10, 500)), 100.0, rules, lambda *entry: recorded.append(entry))
    price, net, exposed, since, unwound = 100.0, 0.0, 0.0, 0.0, 0
    events: list[tuple[float, int, str, str, float]] = []
    sent: list[Order] = []

    def send(orders: list[Order], now: float) -> None:
        nonlocal unwound
        for order in orders:
            written = [body["key"] for kind, body in recorded if kind == "order"]
            assert order.key in written, "an order was sent that is not written down"
            unwound += order.purpose == "unwind"
            share = float(generator.choice([0.0, generator.random(), 1.0]))
            if order.purpose == "unwind" and unwound >= rules.tries and keeps:
                share = 1.0
            answers = now + late * rules.answer_s * generator.choice([1.0, generator.random()])
            fills = now + (answers - now) * generator.choice([0.0, generator.random(), 1.0])
            amount = order.quantity * share
            heapq.heappush(events, (fills, len(sent) * 2, "fill", order.key, amount if order.buys else -amount))
            heapq.heappush(events, (answers, len(sent) * 2 + 1, "answer", order.key, amount))
            sent.append(order)

    send(intent.start(0.0), 0.0)
    while events and len(sent) < 60:
        now, _, kind, key, amount = heapq.heappop(events)
        exposed += abs(net) * price * (now - since)
        price, since = min(price * (1 + 0.001 * generator.random()), 102.0), now
        if kind == "fill":
            net += amount
        else:
            if now > intent.wakes_at:
                intent.at(now)
            send(intent.answered(key, amount, now), now)
            assert intent.answered(key, amount, now) == []  # the same answer again
    return Course(exposed, net, intent.alarms, intent.is_over, sent)


TAKEN_BACK = "is taken back"


def broken(course: Course) -> list[str]:
    """Alarms of promises that were not kept."""
    return [alarm for alarm in course.alarms if TAKEN_BACK not in alarm]


@pytest.mark.parametrize("schedules", [2_000, pytest.param(10_000, marks=pytest.mark.depth)])
def test_no_schedule_exceeds_the_budget_and_all_end_flat(schedules: int) -> None:
    generator = np.random.default_rng(11)
    courses = [run(generator) for _ in range(schedules)]
    used = np.array([course.exposed for course in courses]) / RULES.budget
    assert used.max() <= 1.0 and used.max() > 0.5  # the bound is met closely, so that it says something
    assert all(course.is_over and not broken(course) and abs(course.net) < 1e-6 for course in courses)
    # A leg that has to be taken back is told, once, and no other.
    for course in courses:
        told = [alarm for alarm in course.alarms if TAKEN_BACK in alarm]
        assert len(told) == any(order.purpose == "unwind" for order in course.orders)
    purposes = {order.purpose for course in courses for order in course.orders}
    assert purposes == {"open", "hedge", "unwind"}


def test_an_intent_that_is_not_cut_to_its_budget_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LegRules, "largest_quantity", lambda self, price: float("inf"))
    courses = [run(np.random.default_rng(seed)) for seed in range(300)]
    over = [course for course in courses if course.exposed > RULES.budget]
    assert over and all(any("budget" in alarm for alarm in broken(course)) for course in over)


@pytest.mark.parametrize(("late", "keeps"), [(4.0, True), (1.0, False)])
def test_a_venue_that_breaks_its_promise_raises_an_alarm_before_the_budget_is_exceeded_unseen(
    late: float, keeps: bool
) -> None:
    courses = [run(np.random.default_rng(seed), late=late, keeps=keeps) for seed in range(400)]
    assert any(course.exposed > RULES.budget for course in courses) or not keeps
    assert all(broken(course) for course in courses if course.exposed > RULES.budget)
    assert any("did not" in alarm for course in courses for alarm in course.alarms)


def test_what_the_journal_holds_is_enough_to_tell_what_stands_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "legs.jsonl")
    intent = Intent("i", LEGS, 10.0, 100.0, RULES.model_copy(update={"hedges": 0}),
                    lambda kind, body: [journal.append([Entry(kind, body)], 0), None][1])  # fmt: skip
    first, second = intent.start(0.0)
    assert intent.answered(second.key, 0.0, 0.1) == []
    (back,) = intent.answered(first.key, 4.0, 0.2)
    assert (back.purpose, back.market, back.buys, back.quantity) == ("unwind", "a X/USD", False, 4.0)
    journal.close()
    kinds = [record.kind for record in read(tmp_path / "legs.jsonl")]
    # The unwinding before it is sent, and that a leg stood alone.
    assert kinds == ["intent", "order", "order", "answer", "answer", "alarm", "order"]
    assert intent.unhedged == 4.0 and not intent.is_over


@pytest.mark.parametrize(("quantity", "legs"), [(0.0, LEGS), (float("nan"), LEGS), (1.0, (LEGS[0], LEGS[0]))])
def test_what_is_no_intent_is_refused(quantity: float, legs: tuple[Leg, Leg]) -> None:
    with pytest.raises(BadParameters, match="positive|one leg must buy"):
        Intent("i", legs, quantity, 100.0, RULES, lambda kind, body: None)


def test_an_answer_of_more_than_was_ordered_is_refused() -> None:
    intent = Intent("i", LEGS, 1.0, 100.0, RULES, lambda kind, body: None)
    order = intent.start(0.0)[0]
    with pytest.raises(BadParameters, match="cannot have been filled"):
        intent.answered(order.key, 2.0, 0.1)
