"""What a backfill is to do and what it did, in words and tables."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from tradewind.data.ingestion.backfill import Outcome, Task


def plan_rows(tasks: Sequence[Task]) -> list[list[str]]:
    """A head line and a line for each task: how many bars (of a side series: pieces), in how many spans, from when to
    when."""
    rows = [["key", "to ask", "spans", "from", "to"]]
    for task in tasks:
        times = [time for span in task.spans for time in (span.since_ms, span.until_ms)]
        ends = [_instant(min(times)), _instant(max(times))] if times else ["", ""]
        rows.append([str(task.key), _count(task.amount), str(len(task.spans)), *ends])
    return rows


def outcome_rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A head line and a line for each outcome: rows received, new, known and rejected, and bars still missing."""
    rows = [["key", "received", "new", "known", "rejected", "missing", ""]]
    for one in outcomes:
        counts = [_count(n) for n in (one.rows_received, one.rows_new, one.rows_known, one.rows_rejected)]
        missing = "" if one.missing is None else _count(one.missing)
        rows.append([str(one.key), *counts, missing, "FAILED" if one.error is not None else "up to date"])
    return rows


def table_rows(table: pd.DataFrame) -> list[list[str]]:
    """A table of `status`: a head line and a line for each row."""
    names = [name.replace("_", " ") for name in table.columns]
    return [names, *([_cell(cell) for cell in row] for row in table.itertuples(index=False))]


def failed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes that ended early."""
    return [outcome for outcome in outcomes if outcome.error is not None]


def _cell(cell: object) -> str:
    if isinstance(cell, datetime):
        return "" if cell is pd.NaT else f"{cell:%Y-%m-%d %H:%M}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell or "")


def _count(number: int) -> str:
    return f"{number:,}"


def _instant(epoch_ms: int) -> str:
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M}"
