"""Executions inside a recording against the paper venue, event by event, and faults that this must notice."""

import heapq
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.depth import deep
from tests.trading.execution.recordings.streams import Streamed, random_stream, recorded
from tradewind.data.feeds.book import LocalBook
from tradewind.data.order_book import replay as books
from tradewind.live.settings import PaperFills
from tradewind.live.venue.paper import PaperVenue
from tradewind.trading.execution.costs import Costs
from tradewind.trading.execution.recordings import forms, policies, replay
from tradewind.trading.execution.recordings.forms import (
    ARRIVE,
    CANCEL,
    LAND,
    MAKER,
    MAKER_VALUE,
    MIDDLE,
    POST,
    QUANTITY,
    TAKE,
    TAKER,
    TAKER_VALUE,
    Executions,
)
from tradewind.trading.risk.limits import Instrument

HORIZON_MS, VALUE = 2_000, 1_200.0  # a dozen units: more than the best level holds
PLANS = {
    "one order": policies.one_order,
    "slices": policies.equal_slices(40),
    "half": policies.post_then_cross(0.5),
    "end": policies.post_then_cross(1.0),
    "rest": policies.post_only,
}


class Paid(NamedTuple):
    """Units and their value as maker and as taker."""

    maker: float = 0.0
    maker_value: float = 0.0
    taker: float = 0.0
    taker_value: float = 0.0


def on_paper(stream: Streamed, plan: policies.Plan, begin_ms: int, side: int, queue: float, ledger: Path) -> Paid:
    """What one execution pays at the paper venue."""
    depth = [(int(at), 1, rows) for at, rows in stream.depth.groupby("exch_ms", sort=True)]
    trades = [(int(at), 0, rows) for at, rows in stream.trades.groupby("exch_ms", sort=True)]
    free = Costs(taker_fee_bps=1, maker_fee_bps=0)
    venue = PaperVenue(ledger, PaperFills(latency_ms=0, queue_ahead=queue, heartbeat_s=1e9), free,
                       {"X": Instrument(symbol="X", tick_size=0.01, lot_size=1e-6)})  # fmt: skip
    todo = policies.actions(plan, np.array([begin_ms]), HORIZON_MS, 50)
    waiting = list(zip(todo.time_ms.tolist(), todo.what.tolist(), todo.share.tolist(), strict=True))
    book, left, price, quantity, paid = LocalBook(), 0.0, 0.0, 0.0, Paid()

    def told() -> None:
        nonlocal left, paid
        for one in venue.poll():
            if one.what == "fill":
                left -= abs(one.units)
                value = abs(one.units) * one.price
                made = (abs(one.units), value, 0.0, 0.0) if one.is_maker else (0.0, 0.0, abs(one.units), value)
                paid = Paid(*np.add(paid, made))

    for at, kind, rows in heapq.merge(trades, depth, key=lambda one: one[:2]):
        while waiting and waiting[0][0] <= at:
            now, what, share = waiting.pop(0)
            if what == ARRIVE:
                left = quantity = VALUE / book.middle
            elif what == POST:
                price = book.best[0 if side > 0 else 1]
            elif what == CANCEL:
                venue.cancel("rest", now)
            elif what in (LAND, TAKE) and left > 1e-9:
                units = left if what == LAND else min(left, share * quantity)
                name = "rest" if what == LAND else f"take {now}"
                venue.submit({"client_id": name, "symbol": "X", "units": side * units,
                              "price": price if what == LAND else book.middle,
                              "kind": "limit" if what == LAND else "market"}, now)  # fmt: skip
                venue.on_book("X", book, now)
                if what == TAKE:
                    venue.cancel(name, now)
            told()
        if kind:
            book.update(*([(p, q) for s, p, q in zip(rows["side"], rows["price"], rows["qty"], strict=True) if s == one]
                          for one in (1, -1)), at)  # fmt: skip
            venue.on_book("X", book, at)
        else:
            for traded, size in zip(rows["price"].tolist(), rows["qty"].tolist(), strict=True):
                venue.on_trade("X", traded, size, at)
        told()
    venue.close()
    return paid


def differences(
    seed: int, folder: Path, run: Callable[..., Any] = replay.replay_orders, plans: dict[str, policies.Plan] = PLANS
) -> list[str]:
    """Executions whose quantities or values differ between the replay and the paper venue."""
    stream, found = random_stream(seed), []
    queue = (1.0, 0.5)[seed % 2]
    recording = recorded(stream.depth, stream.trades, queue_ahead=queue)
    arrivals = stream.depth["exch_ms"].iloc[0] + np.array([1_000, 2_730, 3_001], dtype=np.int64)
    side = np.array([1, -1, 1])
    for name, plan in plans.items():
        actions = policies.actions(plan, arrivals, HORIZON_MS, 50)
        out = run(recording.updates, recording.trades, recording.venue, Executions(side, np.full(3, VALUE)), actions,
                  3).result  # fmt: skip
        for number, (begin, one) in enumerate(zip(arrivals.tolist(), side.tolist(), strict=True)):
            row, ledger = out[number], folder / f"{seed} {name} {number}.jsonl"
            theirs = on_paper(stream, plan, begin, one, queue, ledger)
            value = row[QUANTITY] * row[MIDDLE] * 1e-4
            ours = Paid(row[MAKER], row[MAKER_VALUE] * value, row[TAKER], row[TAKER_VALUE] * value)
            if not np.allclose(ours, theirs, rtol=1e-9, atol=1e-9):
                found.append(f"{name} {number}: {ours} {theirs}")
    return found


@pytest.mark.parametrize("seed", [1, 4, *(deep(each) for each in range(5, 60))])
def test_executions_are_filled_as_by_the_paper_venue(seed: int, tmp_path: Path) -> None:
    assert differences(seed, tmp_path) == []


FAULTS = {
    "none": ("", ""),
    "what was consumed is there again": ("stands[place] - consumed[place]", "stands[place]"),
    "the queue is forgotten": ("passed = min(mine.ahead[number], qty)", "passed = 0.0"),
    "the queue never shrinks with its level": (
        "mine.ahead[number] = min(mine.ahead[number], _st",
        "mine.ahead[number] = max(mine.ahead[number], _st",
    ),
    "a level gives nothing back": ("stands[place] != shown[place]", "stands[place] < 0.0"),
    "what rests is met at the other's price": (
        "mine.price[number] if resting else",
        "mine.price[number] if False else",
    ),
}


def faulty(right: str, wrong: str) -> Callable[..., Any]:
    """The replay as plain Python, with one text in it replaced."""

    def source(module: Any) -> str:
        return re.sub(r"^@njit.*$", "", inspect.getsource(module), flags=re.MULTILINE)

    plain: dict[str, Any] = {"__name__": books.__name__}
    exec(compile(source(books), "books", "exec"), plain)
    text = source(replay)
    assert not right or right in text
    copy: dict[str, Any] = {"__name__": replay.__name__}
    exec(compile(text.replace(right, wrong) if right else text, "replay", "exec"), copy)
    copy |= {name: plain[name] for name in ("apply_update", "empty_levels", "end_of_update", "is_open")}
    return copy["replay_orders"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_planted_fault_is_noticed(name: str, tmp_path: Path) -> None:
    plans = {each: PLANS[each] for each in ("slices", "end")}
    found = [one for seed in (1, 4, 5, 6) for one in differences(seed, tmp_path, faulty(*FAULTS[name]), plans)]
    assert bool(found) == (name != "none")


def test_the_reasons_are_those_of_the_results() -> None:
    assert set(forms.REASONS) == {forms.NOT_OPEN, forms.NOT_WHOLE, forms.STALE, forms.HOLE}
