"""Orders split over venues: the cheapest split there is, and a reason wherever one is left out."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tradewind.errors import BadParameters
from tradewind.trading.execution.routing import (
    QueueRates,
    Queues,
    TouchCosts,
    VenueBook,
    _ask_gone,
    _met,
    lots_to_cross,
    route,
)


def book(venue: str, best: float = 100.0, **changes: object) -> VenueBook:
    return VenueBook(venue, best + np.arange(5.0), np.full(5, 10.0), opposite=best - 1)._replace(**changes)


def test_the_cheapest_levels_after_fees_are_taken_first() -> None:
    plan = route([book("dear", taker_fee_bps=150.0), book("cheap", best=100.5)], 25.0)
    assert {child.venue: child.quantity for child in plan.children} == {"cheap": 15.0, "dear": 10.0}
    assert plan.unfilled == 0 and plan.reasons == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_no_other_split_is_cheaper(seed: int, buys: bool) -> None:
    """Against a linear programme over all levels."""
    generator = np.random.default_rng(seed)
    sign = 1 if buys else -1
    books = []
    for index in range(generator.integers(1, 5)):
        steps = np.cumsum(generator.uniform(0.01, 1.0, 6))
        books.append(
            VenueBook(f"v{index}", 100.0 + sign * steps, generator.uniform(0.0, 5.0, 6), 100.0 - sign,
                      taker_fee_bps=float(generator.uniform(0, 30)))
        )  # fmt: skip
    quantity = float(generator.uniform(0.1, 0.9) * sum(each.sizes.sum() for each in books))
    plan = route(books, sign * quantity)
    paid = sum(sign * child.expected_value + child.expected_fee for child in plan.children)
    cost = np.concatenate([sign * each.prices * (1 + sign * each.taker_fee_bps * 1e-4) for each in books])
    sizes = np.concatenate([each.sizes for each in books])
    best = linprog(cost, A_eq=np.ones((1, len(cost))), b_eq=[quantity], bounds=list(zip(0 * sizes, sizes, strict=True)))
    assert paid == pytest.approx(best.fun, rel=1e-9)
    assert sum(child.quantity for child in plan.children) == pytest.approx(quantity, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prices": np.array([]), "sizes": np.array([])}, "nothing on this side"),
        ({"opposite": float("nan")}, "other side of its book is empty"),
        ({"opposite": 100.0}, "crossed"),
        ({"age_s": 3.0}, "3 s old"),
        ({"age_s": float("nan")}, "s old"),
        ({"prices": np.array([100.0, np.nan, 102, 103, 104])}, "no positive number"),
        ({"sizes": np.array([1.0, -1, 1, 1, 1])}, "no positive number"),
        ({"prices": np.array([101.0, 100, 102, 103, 104])}, "not in the order"),
    ],
)
def test_a_book_that_cannot_be_believed_is_not_traded_on(changes: dict[str, object], reason: str) -> None:
    alone = route([book("a", **changes)], 5.0)
    assert alone.children == () and alone.unfilled == 5.0 and reason in alone.reasons[0]
    beside = route([book("a", **changes), book("b")], 5.0)
    assert [child.venue for child in beside.children] == ["b"] and beside.unfilled == 0


def test_depth_below_the_size_gives_a_smaller_plan_and_says_so() -> None:
    plan = route([book("a")], 80.0)
    assert plan.unfilled == 30.0 and "30 units find no taker" in plan.reasons[-1]


def test_lots_are_rounded_towards_zero_and_minimums_go_to_the_others() -> None:
    plan = route([book("a", lot_size=3.0), book("b", best=100.2, min_quantity=8.0)], 12.0)
    assert {child.venue: child.quantity for child in plan.children} == {"a": 12.0}
    assert "below its minimum" in plan.reasons[0]
    odd = route([book("a", lot_size=5.0)], 12.0)
    assert odd.children[0].quantity == 10.0 and odd.unfilled == 2.0


@pytest.mark.parametrize("quantity", [0.0, float("nan"), float("-inf")])
def test_a_quantity_that_is_none_is_refused(quantity: float) -> None:
    with pytest.raises(BadParameters, match="quantity"):
        route([book("a")], quantity)


def test_a_venue_gives_one_book() -> None:
    with pytest.raises(BadParameters, match="every venue gives one book"):
        route([book("a"), book("a")], 1.0)


def queues(left: int, ahead: int, offered: int, steps_left: int = 60) -> Queues:
    return Queues(np.array([left]), np.array([ahead]), np.array([offered]), steps_left)


COSTS = TouchCosts(-0.5, 0.5, 1.5)
RATES = QueueRates(arrival=0.13, market=0.06, cancel=0.026)


def test_a_purchase_waits_while_more_is_offered_than_it_needs() -> None:
    assert lots_to_cross(queues(3, 9, 4), RATES, COSTS)[0] == 0
    assert lots_to_cross(queues(3, 9, 3), RATES, COSTS)[0] == 3
    assert lots_to_cross(queues(3, 9, 4), RATES, COSTS, reserve=1.0)[0] > 0


def test_in_the_last_chance_the_place_in_the_queue_decides() -> None:
    crossed = [lots_to_cross(queues(2, ahead, 2), RATES, COSTS)[0] for ahead in range(12)]
    assert crossed[0] == 0 and crossed[-1] == 2 and sorted(crossed) == crossed
    dear = COSTS._replace(crossed=3.5, moved=3.6)
    assert lots_to_cross(queues(2, 11, 2), RATES, dear)[0] == 0


def test_many_purchases_are_decided_as_each_alone() -> None:
    generator = np.random.default_rng(2)
    left, ahead, offered = generator.integers(0, [[5], [12], [6]], (3, 40))
    together = lots_to_cross(Queues(left, ahead, offered, 20), RATES, COSTS)
    alone = [lots_to_cross(queues(*each, 20), RATES, COSTS)[0] for each in zip(left, ahead, offered, strict=True)]
    np.testing.assert_array_equal(together, alone)
    assert 0 < (together > 0).sum() < 40 and (together <= left).all()


def test_the_race_is_that_of_the_queues() -> None:
    """Probability that the first lot is met, and that the best ask is gone, against queues that are drawn."""
    generator, steps, count = np.random.default_rng(6), 40, 20_000
    ahead, offered = np.full(count, 4), np.full(count, 5)
    alone = queues(1, 4, 5, steps)
    at = np.array([[float(steps)]])
    met, gone = (
        _met(alone.ahead, RATES, np.array([[[1]]]), at)[0, 0, 0],
        _ask_gone(alone.offered[None], RATES, at)[1, 0, 0],
    )
    served, empty = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for _ in range(steps):
        market, cancel = generator.random(count) < RATES.market, generator.random(count) < RATES.cancel * ahead
        served |= market & (ahead == 0)
        ahead = np.maximum(ahead - market - cancel, 0)
        leaves = generator.random(count) < RATES.market + RATES.cancel * offered
        offered = np.where(empty, 0, offered + (generator.random(count) < RATES.arrival) - leaves)
        empty |= offered <= 0
    assert met == pytest.approx(served.mean(), abs=0.06)
    assert gone == pytest.approx(empty.mean(), abs=0.06)


def test_a_decision_of_the_router_takes_less_than_a_millisecond() -> None:
    """Of CPU, the least of a few rounds: a split over three venues of 20 levels, and whether to go on waiting."""
    generator = np.random.default_rng(3)
    books = [
        VenueBook(name, 100 + 0.01 * np.arange(20.0), generator.random(20) + 0.1, 99.9, 0.0, 5.0)
        for name in ("a", "b", "c")
    ]
    state = queues(3, 9, 3)

    def seconds(decide: Callable[[], object]) -> float:
        rounds = []
        for _ in range(5):
            began = time.process_time()
            for _ in range(50):
                decide()
            rounds.append((time.process_time() - began) / 50)
        return min(rounds)

    assert seconds(lambda: route(books, 10.0)) < 1e-3
    assert seconds(lambda: lots_to_cross(state, RATES, COSTS)) < 1e-3
