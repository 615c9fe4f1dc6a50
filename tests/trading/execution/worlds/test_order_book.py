"""The flow of an order book, and our own orders in it."""

import numpy as np
import pytest
from pydantic import ValidationError

from tradewind.errors import BadParameters
from tradewind.trading.execution.worlds.order_book.book import (
    BUY,
    DEPTH,
    FLOW,
    MADE,
    MADE_VALUE,
    OWN,
    SELL,
    TAKEN,
    TAKEN_VALUE,
    empty_book,
    limit_order,
    lots_ahead,
    market_order,
    withdraw,
)
from tradewind.trading.execution.worlds.order_book.executing import (
    Decision,
    OrderBookWorld,
    View,
    buy,
    many,
    purchases,
    seen,
)
from tradewind.trading.execution.worlds.order_book.flow import ZeroIntelligence, opened, send
from tradewind.trading.execution.worlds.order_book.strategies import at_once, post_then_cross, router_in_book


def test_the_same_seed_sends_the_same_messages() -> None:
    flow = ZeroIntelligence()
    first, again, other = (send(opened(flow), flow, 2_000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.messages, again.messages)
    np.testing.assert_array_equal(first.tops, again.tops)
    assert (first.messages != other.messages).any()


def test_far_from_the_best_prices_queues_are_those_of_a_poisson_process() -> None:
    """Arrivals at a rate, each gone at a rate: a Poisson number of orders, its mean the ratio of the rates."""
    flow = ZeroIntelligence(limit_rate=0.5, cancel_rate=0.1, market_rate=0.2, reach=24, most_lots=1, ticks=512)
    book, generator = opened(flow), np.random.default_rng(4)
    counts = []
    for _ in range(3_000):
        send(book, flow, 400, generator)
        bid = int(book.counts[0])
        counts.append(book.levels[bid - 12 : bid - 8, DEPTH].copy())
    orders = np.array(counts)
    mean = orders.mean(axis=1)
    error = mean.std() / np.sqrt(len(mean) / 4)  # a queue is renewed within about four samples
    assert abs(orders.mean() - 5.0) < 3 * error < 0.3
    assert orders.var() == pytest.approx(orders.mean(), rel=0.1)


def test_our_order_waits_for_those_before_it_and_keeps_its_place() -> None:
    book = empty_book(10, 16)
    limit_order(book, BUY, 4, 3, FLOW)
    mine = limit_order(book, BUY, 4, 5, OWN)
    limit_order(book, BUY, 4, 7, FLOW)
    assert lots_ahead(book, mine) == 3
    assert withdraw(book, mine, 1, 2) == 2 and lots_ahead(book, mine) == 3
    assert market_order(book, SELL, 4, FLOW) == 0
    assert lots_ahead(book, mine) == 0 and book.queue(4) == [(1, 2), (2, 7)]
    assert list(book.counts[[TAKEN, TAKEN_VALUE, MADE, MADE_VALUE]]) == [0, 0, 1, 4]
    assert market_order(book, SELL, 20, FLOW) == 11
    assert withdraw(book, mine, 1, 1) == 0, "an order that is gone is not taken back from whoever has its row"
    assert book.missing() == 0


def test_what_we_take_is_counted_by_price_and_side() -> None:
    book = empty_book(10, 16)
    limit_order(book, SELL, 5, 2, FLOW)
    limit_order(book, SELL, 6, 2, FLOW)
    assert market_order(book, BUY, 3, OWN) == 0
    assert list(book.counts[[TAKEN, TAKEN_VALUE]]) == [3, 16]
    limit_order(book, BUY, 4, 3, FLOW)
    assert limit_order(book, SELL, 4, 3, OWN) == -1
    assert list(book.counts[[TAKEN, TAKEN_VALUE]]) == [0, 4]


def test_a_book_that_cannot_hold_its_flow_is_refused() -> None:
    with pytest.raises(ValidationError, match="capacity must exceed the 100 orders"):
        ZeroIntelligence(capacity=120)
    with pytest.raises(BadParameters, match="a book needs a price and room"):
        empty_book(0, 4)


WORLD = OrderBookWorld(steps=12)


def test_a_policy_sees_what_stands_at_the_best_prices_wherever_they_are() -> None:
    book = empty_book(400, 16)
    for side, price, lots in ((BUY, 180, 4), (SELL, 250, 3), (SELL, 250, 6), (SELL, 251, 2)):
        limit_order(book, side, price, lots, FLOW)
    view = seen(many(book, 2), purchases(many(book, 2), 5), 0, 1)
    assert view.offered.tolist() == [9, 9] and view.ahead.tolist() == [4, 4]
    assert (view.bid[0], view.ask[0]) == (180, 250)


def test_a_purchase_in_the_flow_is_done_by_the_deadline_and_waiting_saves_the_spread() -> None:
    costs = {}
    for name, policy in (
        ("one", at_once), ("half", post_then_cross(6)), ("end", post_then_cross(12)), ("router", router_in_book(WORLD)),
    ):  # fmt: skip
        done = buy(WORLD, 10, policy, 500, 3)
        assert (done.unfilled == 0).all() and ((done.made >= 0) & (done.made <= 10)).all()
        costs[name] = done.cost
        if name == "one":
            assert (done.made == 0).all() and (done.cost > 0).all()
    for cheap, dear in (("half", "one"), ("end", "half"), ("router", "half")):
        saved = costs[dear] - costs[cheap]
        assert saved.mean() > 2 * saved.std() / np.sqrt(len(saved))
    np.testing.assert_array_equal(buy(WORLD, 10, post_then_cross(6), 500, 3).cost, costs["half"])
    assert (buy(WORLD, 10, post_then_cross(6), 500, 4).cost != costs["half"]).any()


def test_fees_are_paid_on_what_is_taken_and_what_is_made() -> None:
    dear = WORLD.model_copy(update={"taker_fee": 0.5, "maker_fee": -0.25})
    policy = post_then_cross(6)
    free, paid = buy(WORLD, 10, policy, 200, 3), buy(dear, 10, policy, 200, 3)
    np.testing.assert_allclose(paid.cost - free.cost, 0.5 * (10 - free.made) - 0.25 * free.made, atol=1e-9)
    assert 0 < free.made.mean() < 10


def test_a_policy_that_waits_follows_the_best_bid() -> None:
    """Who would be met at the first best bid alone is met less."""

    def stays(view: View) -> Decision:
        return Decision(0 * view.left, np.full(len(view.left), view.step == 0))

    made, followed = (buy(WORLD, 10, policy, 500, 3).made.mean() for policy in (stays, post_then_cross(12)))
    assert made < followed - 0.5
