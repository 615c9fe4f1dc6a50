"""Journals of accounts, as a session writes them, in what a rollout reads of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tradewind.operations.journal.journal import Entry, Journal

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
START_MS = 1_767_225_600_000  # 2026-01-01


def write_account(
    path: Path, equity: Sequence[float], twin: Sequence[float], begin_ms: int = START_MS,
    skipped: Sequence[int] = (), events: Mapping[int, Sequence[tuple[str, dict[str, Any]]]] | None = None,
) -> None:  # fmt: skip
    """An hourly account; hours in `skipped` (from 1) have no record, `events` are written in the same hour."""
    with Journal(path) as journal:
        journal.append([Entry("run_started", {"timeframe": "1h", "run": "r"})], begin_ms)
        hour, rows = 0, list(zip(equity, twin, strict=True))
        while rows:
            hour += 1
            at = begin_ms + hour * HOUR_MS
            entries = [Entry(kind, body) for kind, body in (events or {}).get(hour, ())]
            if hour not in skipped:
                value, other = rows.pop(0)
                entries.append(Entry("account", {"timestamp": at, "equity": value, "twin": other}))
            if entries:
                journal.append(entries, at)
