"""Clients of stores that are killed while they write, and what must be there afterwards."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.stores.schedules import delivery, key
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Delivery, merge_rows
from tradewind.data.stores.base import Store
from tradewind.data.stores.catalogue import open_store

Settings = dict[str, Any]


def overlapping(of: BarKey, count: int = 3) -> list[Delivery]:
    """Deliveries that overlap, correct each other and refuse a row each."""
    return [
        delivery(of, range(number * 20, number * 20 + 60), 300 + number, version=number % 2, broken=(number + 5,))
        for number in range(count)
    ]


def write_until_killed(settings: Settings, deliveries: Sequence[Delivery], told: int, kill_after_s: float) -> None:
    """Appends, one byte to `told` for each receipt; the kernel ends it after that time, as kill -9 would.

    SIGALRM has no handler here: Python gets no chance to tidy up.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if kill_after_s:
        signal.setitimer(signal.ITIMER_REAL, kill_after_s)
    store = open_store(settings)
    for one in deliveries:
        store.append(one)
        os.write(told, b".")


def receipts_of_forked(settings: Settings, deliveries: Sequence[Delivery], kill_after_s: float) -> int:
    """How many receipts a forked client got before it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_until_killed(settings, deliveries, writing, kill_after_s)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        receipts = len(answer.read())
    os.waitpid(child, 0)
    return receipts


def _write_to_file(settings: Settings, deliveries: Sequence[Delivery], told: str, kill_after_s: float) -> None:
    with Path(told).open("wb", buffering=0) as file:
        write_until_killed(settings, deliveries, file.fileno(), kill_after_s)


def receipts_of_fresh(settings: Settings, deliveries: Sequence[Delivery], kill_after_s: float, told: str) -> int:
    """The same of a client forked from a server process that has used nothing yet."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.data.stores.killing", "tradewind.data.stores.delta", "deltalake"])
    child = context.Process(target=_write_to_file, args=(settings, deliveries, told, kill_after_s))
    child.start()
    child.join()
    return Path(told).stat().st_size if Path(told).exists() else 0


def check_survivors(store: Store, deliveries: Sequence[Delivery], receipts: int, is_whole: bool = False) -> None:
    """All that has a receipt is there, nothing else but a part of the next; made again, all is there.

    `is_whole`: of a delivery without a receipt all or nothing is there.
    """
    of = deliveries[0].key
    found = store.read(of)
    sure = merge_rows([one.rows for one in deliveries[:receipts]])
    possible = merge_rows([one.rows for one in deliveries[: receipts + 1]])
    for identity in ("open_time", "content_hash"):
        assert set(sure[identity]) <= set(found[identity]) <= set(possible[identity])
    if is_whole:
        assert found.equals(sure) or found.equals(possible)
    lines = len(store.ledger().query("symbol == @of.symbol"))
    assert receipts <= lines <= receipts + 1
    assert len(store.covered(of)) >= receipts
    for one in deliveries[receipts:]:
        store.append(one)
    pd.testing.assert_frame_equal(store.read(of), merge_rows([one.rows for one in deliveries]))
    assert [asked for _, asked in store.covered(of)] == sorted(one.received_at_ms for one in deliveries)
    rejected = pd.concat([one.rejected for one in deliveries])
    assert set(store.rejected().query("symbol == @of.symbol")["content"]) == set(rejected["content"])
    total = sum(sums.received_sum for sums in store.fingerprints(of).values())
    assert total == store.read(of)["received_at"].sum()


def check_kills(
    settings_of: Callable[[int], Settings],
    kills: int,
    ask: Callable[[Settings, Sequence[Delivery], float], int],
    is_whole: bool = False,
) -> None:
    """Clients killed at random moments of their work, each with bars of its own; `settings_of` the kill's number."""
    for symbol in ("warm", "undisturbed"):
        began = time.perf_counter()
        assert ask(settings_of(0), overlapping(key(symbol)), 0.0) == 3
    whole_s = time.perf_counter() - began
    # One moment in each of as many equal parts of the work: a few kills fall at its beginning and at its end, too.
    shares = 0.02 + 0.98 * (np.arange(kills) + np.random.default_rng(11).random(kills)) / kills
    found = []
    for number, share in enumerate(shares):
        given = overlapping(key(f"killed {number}"))
        found.append(ask(settings_of(number + 1), given, float(share * whole_s)))
        store = open_store(settings_of(number + 1))
        check_survivors(store, given, found[-1], is_whole)
        store.close()
    assert min(found) < 3 and len(set(found)) > 1, f"the kills did not fall into the work: {found}"
    store = open_store(settings_of(0))
    with pytest.raises(AssertionError):  # the check sees a delivery that has a receipt and is not there
        check_survivors(store, overlapping(key("never delivered")), 1, is_whole)
    store.close()
