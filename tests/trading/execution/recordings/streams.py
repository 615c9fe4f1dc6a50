"""Small recorded streams, made by hand or at random."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tradewind.data.order_book import events
from tradewind.data.order_book.events import BookRules
from tradewind.trading.execution.recordings.recording import Reading, Recording, read_recording

START_MS = 1_704_067_200_000
TICK = 0.01

# (side, price, quantity)
Level = tuple[int, float, float]


class Streamed(NamedTuple):
    """Tables of depth and trades."""

    depth: pd.DataFrame
    trades: pd.DataFrame


def depth_of(*updates: tuple[int, list[Level]], snapshot: bool = True, lost: int | None = None) -> pd.DataFrame:
    """Depth rows of (milliseconds, levels); the first is a snapshot, and `lost` names an update that never came."""
    rows = [
        ((START_MS + at) * 10**6, START_MS + at, 10 * number + 1, 10 * number + 10, snapshot and number == 0, *level)
        for number, (at, levels) in enumerate(updates)
        if number != lost
        for level in levels
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(events.DEPTH))


def trades_of(*trades: tuple[int, float, float]) -> pd.DataFrame:
    """Trades of (milliseconds, price, quantity)."""
    rows = [
        ((START_MS + at) * 1_000_000, START_MS + at, number, price, quantity, True)
        for number, (at, price, quantity) in enumerate(trades)
    ]
    return pd.DataFrame(rows, columns=list(events.TRADES))


def recorded(depth: pd.DataFrame, trades: pd.DataFrame, name: str = "v/X/20240101", max_age_ms: int = 2_000,
             queue_ahead: float = 1.0, contract: float | None = None) -> Recording:  # fmt: skip
    """A recording of a venue that numbers its updates without a gap."""
    books = BookRules(contiguous_venues=("v",), contract_values={"v/X": contract} if contract else {})
    return read_recording(name, depth, trades, None, Reading(queue_ahead, max_age_ms, books))


def book_at(middle: float, quantity: float = 5.0, levels: int = 4) -> list[Level]:
    """Levels a tick apart on both sides."""
    return [
        (side, round(middle - side * TICK * (step + 0.5), 3), quantity) for side in (1, -1) for step in range(levels)
    ]


def random_stream(seed: int, seconds: int = 6) -> Streamed:
    """A book that wanders by ticks with changing quantities, never crossed, and trades at or beyond the best prices."""
    rng = np.random.default_rng(seed)
    middle, levels, updates, trades = 10_000, 6, list[tuple[int, list[Level]]](), list[tuple[int, float, float]]()
    shown: dict[tuple[int, int], float] = {}
    for at in range(0, seconds * 1000, 40):
        middle += int(rng.choice([-1, 0, 1], p=[0.1, 0.8, 0.1]))
        changes = {key: 0.0 for key in shown if key[0] * (key[1] - middle) >= 0}
        for side in (1, -1):
            for step in range(1, levels + 1):
                key = (side, middle - side * step)
                if key not in shown or rng.random() < 0.1:
                    changes[key] = float(rng.integers(0 if step > 1 else 1, 9))
        shown = {key: size for key, size in (shown | changes).items() if size > 0}
        updates.append((at, [(side, round(price * TICK, 2), size) for (side, price), size in changes.items()]))
        if rng.random() < 0.5:
            side = int(rng.choice([1, -1]))
            price = middle - side * int(rng.choice([1, 2, 3], p=[0.85, 0.1, 0.05]))
            trades.append((at + int(rng.integers(0, 40)), round(price * TICK, 2), float(rng.integers(1, 6))))
    return Streamed(depth_of(*(one for one in updates if one[1])), trades_of(*trades))
