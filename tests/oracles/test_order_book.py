"""The compiled order book against one of dicts and deques, event by event, and faults that this must notice."""

import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest

from tests.depth import deep
from tests.oracles.slow_book import SlowBook
from tradewind.errors import BadParameters
from tradewind.trading.execution.worlds.order_book import book as compiled_book
from tradewind.trading.execution.worlds.order_book import flow as compiled_flow
from tradewind.trading.execution.worlds.order_book.book import (
    BUY,
    FREE,
    MADE,
    MADE_VALUE,
    SENT,
    TAKEN,
    TAKEN_VALUE,
    TRADES,
    UNFILLED,
    WITHDRAWN,
    Book,
    empty_book,
)
from tradewind.trading.execution.worlds.order_book.flow import (
    LIMIT,
    ZeroIntelligence,
    opened,
    replay,
    send,
)

TICKS = 40
FLOW = ZeroIntelligence(ticks=2048)


def any_messages(events: int, generator: np.random.Generator) -> np.ndarray:
    """Limit orders that trade at once or rest, by three owners, market orders, and cancellations, whole or in part, of
    orders that rest, are gone or never were."""
    kind = generator.choice(3, events, p=[0.5, 0.2, 0.3])
    side = generator.choice([1, -1], events)
    middle = TICKS // 2 + np.cumsum(generator.choice([-1, 0, 1], events, p=[0.01, 0.98, 0.01]))
    price = np.clip(middle - side * generator.integers(-3, 9, events), 0, TICKS - 1)
    lots = generator.integers(1, 9, events)
    owner = generator.choice(3, events, p=[0.8, 0.15, 0.05])
    sent = np.cumsum(kind < 2) - (kind < 2)
    target = np.maximum(sent - generator.integers(-2, 60, events), -1)
    return np.column_stack([kind, side, price, lots, owner, target]).astype(np.int64)


def first_difference(book: Book, messages: np.ndarray, tops: np.ndarray, slow: SlowBook) -> int | None:
    """The event after which the two books differ in their tops; every queue, count and trade is compared at the end."""
    for event, message in enumerate(messages.tolist()):
        slow.act(message)
        if slow.top() != tops[event].tolist():
            return event
    counts = book.counts
    trades = book.trades[: len(slow.trades)].tolist()
    same = trades == slow.trades and all(
        book.queue(price) == [(order[0], order[1]) for side in slow.queues.values() for order in side.get(price, ())]
        for price in range(slow.ticks)
    )
    same &= [counts[SENT], counts[WITHDRAWN], counts[UNFILLED]] == [slow.sent, slow.withdrawn, slow.unfilled]
    same &= [counts[each] for each in (TAKEN, TAKEN_VALUE, MADE, MADE_VALUE)] == slow.own
    return None if same and book.missing() == 0 else len(messages)


@pytest.mark.parametrize("events", [100_000, deep(1_000_000)])
def test_any_messages_leave_the_same_book_and_trades(events: int) -> None:
    messages = any_messages(events, np.random.default_rng(events))
    book, slow = empty_book(TICKS, 4096, 4 * events), SlowBook(TICKS)
    tops = replay(book, messages)
    assert first_difference(book, messages, tops, slow) is None
    assert len(slow.trades) > events / 4 and slow.own[0] and slow.own[2] and slow.withdrawn


@pytest.mark.parametrize("events", [10_000, deep(500_000)])
def test_the_flow_leaves_the_same_book_and_trades(events: int) -> None:
    book, slow = opened(FLOW, 2 * events), SlowBook(FLOW.ticks)
    for side, price in ((1, FLOW.ticks // 2 - 1), (-1, FLOW.ticks // 2 + 1)):
        slow.act([LIMIT, side, price, 1, 0, -1])
    stream = send(book, FLOW, events, np.random.default_rng(5))
    assert first_difference(book, stream.messages, stream.tops, slow) is None
    assert len(slow.trades) > events / 10


def out_of_turn(trades: np.ndarray, events: np.ndarray, before: np.ndarray) -> int:
    """Trades that broke a priority.

    Price: the first trade of a message is at the best price before it, and the later ones are no better. Time: whoever
    stands behind is not served while somebody older stands at the same price, so that the numbers of the resting orders
    never fall there.

    Args:
        trades: as the book keeps them.
        events: the message of each.
        before: the book before each message.
    """
    price, side = trades[:, 2], trades[:, 4]
    best = np.where(side == BUY, before[events, 2], before[events, 0])
    first = np.r_[True, np.diff(events) > 0]
    worse = np.r_[0, np.diff(price)] * side >= 0
    by_price = trades[np.lexsort((np.arange(len(trades)), price))]
    fell = (np.diff(by_price[:, 2]) == 0) & (np.diff(by_price[:, 0]) < 0)
    return int((first & (price != best)).sum() + (~first & ~worse).sum() + fell.sum())


@pytest.mark.parametrize("events", [300_000, deep(10_000_000)])
def test_every_lot_is_accounted_for_and_no_priority_is_broken(events: int) -> None:
    generator, book, part = np.random.default_rng(3), opened(FLOW), 100_000
    top = np.array([[book.counts[0], 1, book.counts[1], 1, 0]])
    last: dict[int, int] = {}
    for _ in range(events // part):
        book = book._replace(trades=np.zeros((part, 5), dtype=np.int64))
        book.counts[TRADES] = 0
        tops = send(book, FLOW, part, generator).tops
        trades = book.trades[: book.counts[TRADES]]
        of_message = np.repeat(np.arange(part), np.diff(tops[:, 4], prepend=0))
        assert len(trades) == len(of_message) > part / 10
        assert out_of_turn(trades, of_message, np.vstack([top, tops[:-1]])) == 0
        prices, at = np.unique(trades[:, 2], return_index=True)
        assert all(trades[row, 0] >= last.get(price, 0) for price, row in zip(prices.tolist(), at, strict=True))
        last |= dict(zip(trades[:, 2].tolist(), trades[:, 0].tolist(), strict=True))
        assert book.missing() == 0 and book.counts[FREE] + sum(map(len, map(book.queue, range(FLOW.ticks)))) == 1024
        assert (tops[:, 0] < tops[:, 2]).all()
        top = tops[-1:]


def test_a_trade_out_of_turn_is_counted() -> None:
    before = np.array([[9, 5, 11, 5, 0], [9, 5, 11, 3, 1]])
    right = np.array([[3, 7, 11, 2, BUY], [4, 8, 11, 1, BUY]])
    assert out_of_turn(right, np.array([0, 1]), before) == 0
    assert out_of_turn(right[::-1], np.array([0, 1]), before) == 1
    assert out_of_turn(right + np.array([0, 0, 1, 0, 0]), np.array([0, 1]), before) == 2


FAULTS = {
    "none": ("", ""),
    "the newest is served first": ("row = book.levels[best, FIRST]", "row = book.levels[best, LAST]"),
    "a lot is lost in a partial fill": (
        "        _reduce(book, row, traded)\n",
        "        _reduce(book, row, traded + (traded < orders[row, LOTS]))\n",
    ),
    "a dearer price is served first": ("best = counts[ASK] if side == BUY", "best = counts[ASK] + 1 if side == BUY"),
    "what is taken back in part goes to the end": (
        "    gone = min(lots, book.orders[row, LOTS])\n",
        "    gone = book.orders[row, LOTS]\n",
    ),
    "whoever trades with itself is served": ("if owner != FLOW and orders[row, OWNER] == owner:", "if False:"),
}


def faulty_replay(right: str, wrong: str) -> Callable[[Book, np.ndarray], np.ndarray]:
    """`replay` over a copy of the matching as plain Python, with one text in it replaced."""

    def source(module: ModuleType) -> str:
        return re.sub(r"^@(matching|njit).*$", "", inspect.getsource(module), flags=re.MULTILINE)

    text = source(compiled_book)
    assert not right or text.count(right) == 1
    matching: dict[str, Any] = {"__name__": compiled_book.__name__}
    exec(compile(text.replace(right, wrong) if right else text, "book", "exec"), matching)
    copy: dict[str, Any] = {"__name__": compiled_flow.__name__}
    exec(compile(source(compiled_flow), "flow", "exec"), copy)
    copy |= {name: matching[name] for name in ("limit_order", "market_order", "withdraw")}
    return cast("Callable[[Book, np.ndarray], np.ndarray]", copy["replay"])


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_planted_fault_is_noticed(name: str) -> None:
    messages, book = any_messages(3_000, np.random.default_rng(8)), empty_book(TICKS, 4096, 12_000)
    try:
        tops = faulty_replay(*FAULTS[name])(book, messages)
        noticed = first_difference(book, messages, tops, SlowBook(TICKS)) is not None
    except IndexError:  # where a fault leads out of the tables
        noticed = True
    assert noticed == (name != "none")


@pytest.mark.parametrize(
    "wrong",
    [[3, 1, 5, 1, 0, -1], [0, 0, 5, 1, 0, -1], [0, 1, TICKS, 1, 0, -1], [1, 1, 5, 0, 0, -1], [2, 1, 5, -1, 0, 0]],
)
def test_a_message_that_is_none_is_refused(wrong: list[int]) -> None:
    with pytest.raises(BadParameters, match="message 1 has no kind"):
        replay(empty_book(TICKS, 8), np.array([[0, 1, 5, 1, 0, -1], wrong], dtype=np.int64))


def test_a_full_book_is_refused_and_not_overrun() -> None:
    messages = np.array([[0, 1, 5, 1, 0, -1]] * 9, dtype=np.int64)
    with pytest.raises(BadParameters, match="more than 8 orders rest"):
        replay(empty_book(TICKS, 8), messages)
