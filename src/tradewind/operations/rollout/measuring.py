"""What an account's journal shows of a time: uptime, critical events, gap to the twin, drawdown."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from tradewind.errors import BadData
from tradewind.market.timeframes import bar_duration_ms
from tradewind.operations.journal.journal import read

DAY_MS = 86_400_000


class Measured(NamedTuple):
    """What was measured, and the head of the journal that it was measured on.

    Attributes:
        seq, hash: of the last record that was read.
        from_ms, to_ms: the time that was looked at.
        days: since the run's first record, up to `to_ms`.
        uptime, critical, gap, drawdown: see `plan.Go`; None where nothing was decided.
        equity: the last one.
    """

    seq: int
    hash: str
    from_ms: int
    to_ms: int
    days: float
    uptime: float
    critical: int
    gap: float | None
    drawdown: float | None
    equity: float | None

    def to_body(self) -> dict[str, Any]:
        """As values of JSON."""
        return self._asdict()


def measure(journal: Path, from_ms: int, to_ms: int, last: int | None = None) -> Measured:
    """Measure a run's journal, every record of it checked.

    Args:
        journal: of the account's run.
        from_ms: begin of the time looked at, UTC milliseconds as the journal's writer read them.
        to_ms: its end.
        last: number of the last record to read; None: all.

    Raises:
        BadData: a record is not what was written, the journal ends before `last`, or it is of no account's run.
    """
    seq, digest, began, bar_ms, critical = 0, "", to_ms, 0, 0
    rows: list[tuple[int, float, float]] = []
    for record in read(journal):
        if last is not None and record.seq > last:
            break
        seq, digest = record.seq, record.hash
        if seq == 1:
            if record.kind != "run_started" or "timeframe" not in record.body:
                raise BadData(f"{journal} is of no account's run: name its folder in the plan (run)")
            began, bar_ms = record.at_ms, bar_duration_ms(record.body["timeframe"])
        if not from_ms < record.at_ms <= to_ms:
            continue
        if record.kind == "account":
            rows.append((record.body["timestamp"], record.body["equity"], record.body["twin"]))
        critical += _is_critical(record.kind, record.body)
    if last is not None and seq < last:
        raise BadData(f"{journal} ends at record {seq}, not at {last}: its end was cut off")
    expected = max((to_ms - max(from_ms, began)) // bar_ms, 1) if bar_ms else 1
    uptime = min(len({at for at, _, _ in rows}) / expected, 1.0)
    return Measured(
        seq, digest, from_ms, to_ms, max(to_ms - began, 0) / DAY_MS, uptime, critical, _gap(rows), _drawdown(rows),
        rows[-1][1] if rows else None,
    )  # fmt: skip


def _is_critical(kind: str, body: Any) -> bool:
    """A fault, or a limit that halted or reduced; what an operator orders is none."""
    return kind == "fault" or (kind == "state_changed" and body.get("who") in ("limit", "fault"))


def _gap(rows: list[tuple[int, float, float]]) -> float | None:
    """The largest change of account minus twin since the first row, as a share of its equity."""
    if not rows or not all(math.isfinite(one) for row in rows for one in row[1:]) or rows[0][1] <= 0:
        return None
    begin = rows[0][1] - rows[0][2]
    return max(abs(equity - twin - begin) for _, equity, twin in rows) / rows[0][1]


def _drawdown(rows: list[tuple[int, float, float]]) -> float | None:
    peak, worst = 0.0, 0.0
    for _, equity, _ in rows:
        if not math.isfinite(equity):
            return None
        peak = max(peak, equity)
        worst = max(worst, 1.0 - equity / peak if peak > 0 else 1.0)
    return worst if rows else None
