"""Events a second of the order book world, on one core: drawn, matched and counted.

`pytest -m benchmark tests/benchmarks/test_order_book.py -s` alone takes some seconds.
"""

import time
from typing import Any

import numpy as np
import pytest

from tradewind.trading.execution.worlds.order_book.flow import (
    MESSAGE_SIZE,
    TOP_SIZE,
    ZeroIntelligence,
    advance,
    opened,
    send,
)

pytestmark = pytest.mark.benchmark
EVENTS, ROUNDS = 1_000_000, 5


def test_a_million_events_take_less_than_a_second(results: list[dict[str, Any]]) -> None:
    flow = ZeroIntelligence(ticks=4096)
    book, generator = opened(flow), np.random.default_rng(1)
    send(book, flow, 10_000, generator)
    none = np.zeros((0, MESSAGE_SIZE), dtype=np.int64), np.zeros((0, TOP_SIZE), dtype=np.int64)
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        assert advance(book, flow.rates, generator.random((EVENTS, 2)), *none)
        seconds.append(time.process_time() - start)
    spent = sorted(seconds)[ROUNDS // 2]
    assert book.missing() == 0
    case = "a million events of the order book, CPU seconds against 1 allowed"
    results.append(
        {"case": case, "ours": spent, "peer": 1.0, "unit": "s", "ratio": spent, "goal": 1.0, "rounds": ROUNDS}
    )
