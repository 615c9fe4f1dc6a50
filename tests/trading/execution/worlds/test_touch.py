"""Buying at the touch: the dynamic programme against the book itself, ways to buy against the optimum, and a leak."""

from collections.abc import Iterator

import numpy as np
import pytest
from pydantic import ValidationError

from tests.depth import deep
from tradewind.errors import BadData, BadParameters
from tradewind.trading.execution.worlds.order_book import touch
from tradewind.trading.execution.worlds.order_book.book import (
    BUY,
    FLOW,
    MADE,
    MADE_VALUE,
    NEXT,
    OWN,
    SELL,
    STANDING,
    TAKEN,
    TAKEN_VALUE,
    Book,
    empty_book,
    limit_order,
)
from tradewind.trading.execution.worlds.order_book.dynamic_programme import evaluate, solve
from tradewind.trading.execution.worlds.order_book.executing import (
    AT,
    LEFT,
    OVER,
    ROW,
    WAITING,
    Decision,
    Policy,
    View,
    purchases,
    seen,
)
from tradewind.trading.execution.worlds.order_book.strategies import (
    at_once,
    planned_at_touch,
    post_then_cross,
    rates_of,
    router_at_touch,
    watched_queues,
)
from tradewind.trading.execution.worlds.order_book.touch import TouchWorld, arrivals, buy_at_touch

LOTS, EPISODES = 3, 10_000
WORLD = TouchWorld(market_rate=0.5, cancel_rate=0.2, most_orders=12, first_orders=12)
SMALL = TouchWorld(
    market_rate=0.6, cancel_rate=0.3, most_orders=2, first_orders=2, steps=5, taker_fee=0.1, maker_fee=-0.05
)
State = tuple[int, int, int, int, int]


def states(world: TouchWorld, lots: int) -> Iterator[State]:
    """Lots left, posted, ahead, behind, offered."""
    most = world.most_orders
    for left in range(1, lots + 1):
        for offered in range(1, most + 1):
            yield from ((left, 0, ahead, 0, offered) for ahead in range(1, most + 1))
            yield from (
                (left, 1, ahead, behind, offered) for ahead in range(most + 1) for behind in range(most - ahead + 1)
            )


def built(world: TouchWorld, state: State) -> tuple[Book, np.ndarray]:
    """A book in a state, and our purchase in it."""
    left, posted, ahead, behind, offered = state
    book = empty_book(4, 2 * world.most_orders + 4)
    limit_order(book, BUY, touch.BELOW, 1000, STANDING)
    limit_order(book, SELL, touch.ABOVE, 1000, STANDING)
    own = purchases(Book(*(table[None] for table in book)), left)[0]
    for _ in range(ahead):
        limit_order(book, BUY, touch.LOW, 1, FLOW)
    if posted:
        own[WAITING], own[AT] = book.counts[NEXT], touch.LOW
        own[ROW] = limit_order(book, BUY, touch.LOW, left, OWN)
    for _ in range(behind):
        limit_order(book, BUY, touch.LOW, 1, FLOW)
    for _ in range(offered):
        limit_order(book, SELL, touch.HIGH, 1, FLOW)
    return book, own


def one_step(world: TouchWorld, state: State, decision: tuple[int, int]) -> list[tuple[float, float, State | None]]:
    """Probability, cost and next state (None where the purchase is over) of each event, as the book itself has it."""
    chances = world.probabilities
    widths = np.r_[chances[:4], np.full(2 * world.most_orders, chances[4])]
    assert widths.sum() == pytest.approx(1.0)
    book, mine = built(world, state)
    books = Book(*(np.repeat(table[None], len(widths), axis=0) for table in book))
    own = np.repeat(mine[None], len(widths), axis=0)
    cross, rest = np.full(len(widths), decision[0]), np.full(len(widths), bool(decision[1]))
    middles = np.cumsum(widths) - widths / 2
    touch._step(books, own, cross, rest, False, chances, world.most_orders, middles)
    counts = books.counts
    cost = counts[:, TAKEN_VALUE] + counts[:, MADE_VALUE] - 1.5 * (counts[:, TAKEN] + counts[:, MADE])
    cost = cost + world.taker_fee * counts[:, TAKEN] + world.maker_fee * counts[:, MADE]
    view = seen(books, own, 0, 1)
    out: list[tuple[float, float, State | None]] = []
    for event, width in enumerate(widths):
        assert Book(*(table[event] for table in books)).missing() == 0
        found = (view.left, view.posted, view.ahead, view.behind, view.offered)
        after = tuple(int(each[event]) for each in found)
        is_over = own[event, OVER] or own[event, LEFT] == 0
        out.append((float(width), float(cost[event]), None if is_over else after))  # type: ignore[arg-type]
    return out


def test_the_dynamic_programme_has_the_transitions_of_the_book() -> None:
    """Backward induction over steps that the book itself takes, from every state, by every decision and event."""
    moves = {
        state: [
            one_step(SMALL, state, (cross, rest))
            for cross in range(state[0] + 1)
            for rest in ((1,) if state[1] else (0, 1))
        ]
        for state in states(SMALL, 2)
    }

    def at_market(state: State) -> float:
        here = min(state[0], state[4])
        return 0.6 * here + 1.6 * (state[0] - here)

    values = {state: at_market(state) for state in moves}
    for _ in range(SMALL.steps):
        values = {
            state: min(sum(p * (cost + (values[to] if to else 0.0)) for p, cost, to in events) for events in choices)
            for state, choices in moves.items()
        }
    first = [values[2, 0, bid, 0, ask] for bid in (1, 2) for ask in (1, 2)]
    assert solve(SMALL, 2).cost == pytest.approx(np.mean(first), abs=1e-12)


def simulated(policy: Policy, seed: int, world: TouchWorld = WORLD, episodes: int = EPISODES) -> np.ndarray:
    return buy_at_touch(world, LOTS, policy, *arrivals(world, episodes, np.random.default_rng(seed))).cost


def share(policy: Policy, seed: int) -> tuple[float, float]:
    """Of the gap between one order at once and the optimum, with its standard error, all on the same noise."""
    base, best, cost = (simulated(each, seed) for each in (at_once, solve(WORLD, LOTS).policy, policy))
    part = (base - cost).mean() / (base - best).mean()
    spread = (base - cost) - part * (base - best)
    return float(part), float(spread.std() / np.sqrt(EPISODES) / (base - best).mean())


POLICIES = {
    "at once": at_once,
    "half the time": post_then_cross(WORLD.steps // 2),
    "to the end": post_then_cross(WORLD.steps),
    "router": evaluate(WORLD, LOTS, router_at_touch(WORLD)).policy,  # asked once at every state
    "optimum": solve(WORLD, LOTS).policy,
}


@pytest.mark.parametrize("name", list(POLICIES))
def test_what_a_policy_costs_is_what_the_induction_says(name: str) -> None:
    cost = simulated(POLICIES[name], 1, episodes=4_000)
    assert abs(cost.mean() - evaluate(WORLD, LOTS, POLICIES[name]).cost) < 2 * cost.std() / np.sqrt(len(cost))


def test_a_market_rate_wrong_by_a_twentieth_is_seen() -> None:
    wrong = WORLD.model_copy(update={"cancel_rate": 1.05 * WORLD.cancel_rate, "limit_rate": WORLD.limit_rate / 1.05})
    cost = simulated(POLICIES["optimum"], 1, wrong)
    assert abs(cost.mean() - solve(WORLD, LOTS).cost) > 2 * cost.std() / np.sqrt(EPISODES)


def test_nobody_beats_the_optimum_without_seeing_the_next_event() -> None:
    generator = np.random.default_rng(5)
    first, uniforms = arrivals(WORLD, EPISODES, generator)
    best = buy_at_touch(WORLD, LOTS, POLICIES["optimum"], first, uniforms).cost
    chances = WORLD.probabilities

    def beats(policy: Policy) -> bool:
        better = best - buy_at_touch(WORLD, LOTS, policy, first, uniforms).cost
        return bool(better.mean() > 2 * better.std() / np.sqrt(EPISODES))

    def leaking(view: View) -> Decision:
        """The optimum, but that it buys at market in the last moment only: when the next event takes a lot it wants."""
        at = uniforms[:, view.step] - chances[:3].sum()
        taken = (at >= 0) & (at < chances[3])
        which = (at - chances[3]) / chances[4] - WORLD.most_orders
        taken |= (which >= 0) & (which < view.offered)
        cross, rest = POLICIES["optimum"](view)
        return Decision(np.where(taken, cross, 0), rest)

    assert not any(beats(POLICIES[name]) for name in ("at once", "to the end", "router"))
    assert beats(leaking), "a policy that knows the next event must stand out"


@pytest.mark.parametrize("seed", [0, *map(deep, range(1, 5))])
def test_the_router_closes_four_fifths_of_the_gap(seed: int) -> None:
    part, error = share(POLICIES["router"], seed)
    assert part - 2 * error > 0.8


def test_exactly_too_and_no_fixed_patience_does() -> None:
    base, best = evaluate(WORLD, LOTS, at_once).cost, solve(WORLD, LOTS).cost

    def closed(policy: Policy) -> float:
        return (base - evaluate(WORLD, LOTS, policy).cost) / (base - best)

    assert 0.85 < closed(POLICIES["router"]) < 1
    assert max(closed(post_then_cross(patience)) for patience in range(0, WORLD.steps + 1, 5)) < 0.65


DEEP = WORLD.model_copy(update={"cancel_rate": 0.3, "most_orders": 10, "first_orders": 8})


@pytest.mark.parametrize("seed", [0, *map(deep, range(1, 5))])
@pytest.mark.parametrize("world", [DEEP, pytest.param(WORLD, marks=pytest.mark.depth)])
def test_the_router_that_plans_closes_four_fifths_of_the_gap_from_rates_that_it_read_off(
    world: TouchWorld, seed: int
) -> None:
    """Where many are cancelled, joining holds the price up against ourselves: the rule that always joins does not."""
    base, best = evaluate(world, LOTS, at_once).cost, solve(world, LOTS).cost
    plan = planned_at_touch(world, LOTS, np.random.default_rng(seed))
    closed = (base - evaluate(world, LOTS, plan.policy).cost) / (base - best)
    assert 0.9 < closed < 1 + 1e-9


def test_rates_are_read_off_queues_and_wrong_ones_would_show() -> None:
    before, after = watched_queues(DEEP, 2_000, np.random.default_rng(1))
    found, chances = rates_of(before, after, DEEP.most_orders), DEEP.probabilities
    truth = (chances[touch.ASK_ARRIVES], chances[touch.BOUGHT], chances[touch.CANCELLED])
    assert found == pytest.approx(truth, rel=0.15)
    assert rates_of(after, before, DEEP.most_orders) != pytest.approx(truth, rel=0.15)  # time the other way round
    with pytest.raises(BadData, match="watched for too short a time"):
        rates_of(np.array([3, 3]), np.array([3, 3]), 10)


def test_a_quantity_or_decision_that_is_none_is_refused() -> None:
    with pytest.raises(BadParameters, match="positive number of whole lots"):
        solve(WORLD, 0)
    with pytest.raises(BadParameters, match="positive number of whole lots"):
        buy_at_touch(WORLD, 0, at_once, *arrivals(WORLD, 2, np.random.default_rng(1)))
    with pytest.raises(BadParameters, match="step 0: the policy buys less than nothing"):
        simulated(lambda view: Decision(view.left + 1, view.posted), 1, episodes=2)
    with pytest.raises(ValidationError, match="first_orders must not exceed"):
        TouchWorld(most_orders=3, first_orders=4)
