"""Agents that wait in a queue: their share of the known gap, the environment against the book, and who takes over."""

import numpy as np
import pytest

from tests.depth import deep
from tradewind.adaptive.rl.execution import queues
from tradewind.adaptive.rl.execution.queues import QueueAgent, TouchEpisodes, decided, observe, train
from tradewind.trading.execution.worlds.order_book.dynamic_programme import evaluate, solve
from tradewind.trading.execution.worlds.order_book.executing import Decision, View
from tradewind.trading.execution.worlds.order_book.strategies import at_once, router_at_touch
from tradewind.trading.execution.worlds.order_book.touch import TouchWorld, arrivals, buy_at_touch
from tradewind.trading.execution.worlds.tasks import QueueAgentRules, TouchTask

LOTS = 3
WORLDS = {
    "shipped": TouchWorld(market_rate=0.5, cancel_rate=0.2, most_orders=12, first_orders=12),
    "deep": TouchWorld(market_rate=0.5, cancel_rate=0.3, most_orders=10, first_orders=8),
}
SMALL = TouchTask(
    quantity=2, world=TouchWorld(market_rate=0.5, cancel_rate=0.3, most_orders=4, first_orders=4, steps=12)
)
FEW = QueueAgentRules(updates=2, episodes=16, batch=64)


def an_agent(task: TouchTask, rules: QueueAgentRules, seed: int) -> QueueAgent:
    return QueueAgent(train(task, rules, [7, 4, seed]), task, router_at_touch(task.world))


def exact_share(task: TouchTask, agent: QueueAgent) -> float:
    base, best = evaluate(task.world, task.lots, at_once).cost, solve(task.world, task.lots).cost
    return (base - evaluate(task.world, task.lots, agent).cost) / (base - best)


def test_a_quickly_trained_agent_closes_four_fifths_of_the_gap_of_a_small_book() -> None:
    agent = an_agent(SMALL, QueueAgentRules(updates=25, episodes=128, batch=256, hidden=32, learning_rate=0.01), 0)
    assert 0.8 < exact_share(SMALL, agent) <= 1.0 + 1e-9
    assert agent.fallback_share == 0.0


@pytest.mark.parametrize("name", list(WORLDS))
@pytest.mark.parametrize("seed", [deep(each) for each in range(5)])
def test_every_seed_closes_four_fifths_on_ten_thousand_held_out_purchases(name: str, seed: int) -> None:
    world = WORLDS[name]
    task = TouchTask(quantity=LOTS, world=world)
    agent = an_agent(task, QueueAgentRules(), seed)
    first, uniforms = arrivals(world, 10_000, np.random.default_rng([8, seed]))
    base, best, ours = (
        buy_at_touch(world, LOTS, policy, first, uniforms).cost
        for policy in (at_once, solve(world, LOTS).policy, agent)
    )
    part = (base - ours).mean() / (base - best).mean()
    error = ((base - ours) - part * (base - best)).std(ddof=1) / 100 / (base - best).mean()
    assert part - 2 * error > 0.8 and exact_share(task, agent) > 0.8
    assert (ours - best).mean() > -2 * (ours - best).std(ddof=1) / 100  # nobody beats the optimum


def test_an_agent_that_knows_the_next_event_beats_the_optimum() -> None:
    """What a leak looks like: of a random generator that is known, the events are known."""
    world = WORLDS["shipped"]
    first, uniforms = arrivals(world, 4_000, np.random.default_rng(3))
    best, chances = solve(world, LOTS).policy, world.probabilities

    def leaking(view: View) -> Decision:
        at = uniforms[:, view.step] - chances[:3].sum()
        leaves = ((at >= 0) & (at < chances[3])) | ((at - chances[3]) / chances[4] >= world.most_orders)
        cross, rest = best(view)
        return Decision(np.where(leaves, cross, 0), rest)

    honest, told = (buy_at_touch(world, LOTS, policy, first, uniforms).cost for policy in (best, leaking))
    assert (honest - told).mean() > 2 * (honest - told).std() / np.sqrt(4_000)


def test_an_episodes_rewards_are_what_the_book_says_the_purchase_cost() -> None:
    episodes = TouchEpisodes(SMALL, 64, 0.0, [3])
    generator = np.random.default_rng(4)
    shown = episodes.reset()
    uniforms, first_books = episodes.uniforms, shown.copy()
    codes = generator.integers(0, 6, (SMALL.world.steps, 64))
    total = np.zeros(64)
    for step in range(SMALL.world.steps):
        shown, rewards, ended, told = episodes.step(codes[step])
        total += rewards
        assert ended.all() == (step == SMALL.world.steps - 1) and len(told) == 64
    assert shown.shape == first_books.shape and not np.array_equal(shown, first_books)  # another round has begun
    first = np.rint(4 * first_books[:, [2, 4]]).astype(np.int64)

    def same(view: View) -> Decision:
        return decided(codes[view.step], view)

    np.testing.assert_allclose(-total, buy_at_touch(SMALL.world, 2, same, first, uniforms).cost, atol=1e-5)


def test_training_is_repeatable() -> None:
    one, again, other = (train(SMALL, FEW, [seed]) for seed in (1, 1, 2))
    assert one.network == again.network != other.network


@pytest.mark.parametrize("fault", ["outside", "no number"])
def test_the_router_takes_over_and_is_counted(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, task = train(SMALL, FEW, [1]), SMALL
    if fault == "outside":  # trained on shorter queues than it meets
        task = SMALL.model_copy(update={"world": SMALL.world.model_copy(update={"most_orders": 2, "first_orders": 2})})
    else:

        class Broken:
            def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
                return [np.full((len(inputs["observation"]), 6), np.nan, dtype=np.float32)]

        monkeypatch.setattr(queues, "make_session", lambda network: Broken())
    router = router_at_touch(SMALL.world)
    agent = QueueAgent(trained, task, router)
    three = np.array([3, 3])
    view = View(2, 10, np.array([2, 1]), np.array([True, False]), three, np.zeros(2, np.int64), three, three, three)
    taken, theirs = agent(view), router(view)
    np.testing.assert_array_equal(taken.cross, theirs.cross)
    np.testing.assert_array_equal(taken.rest, theirs.rest)
    assert agent.fallback_share == 1.0
    assert observe(view, SMALL.world, 2).shape == (2, queues.SHOWN)
