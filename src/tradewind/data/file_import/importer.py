"""Inspects a file of unknown layout: the kind of its rows, the evidence for each decision, and its rejected rows."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.file_import.bar_files import ImportedBars, price_columns, read_bars
from tradewind.data.file_import.positions import name_by_position
from tradewind.data.file_import.raw_table import RawTable
from tradewind.data.file_import.side_files import (
    event_columns,
    funding_column,
    is_funding_in_open,
    read_events,
    read_funding,
)
from tradewind.data.file_import.stream_files import read_stream
from tradewind.data.file_import.tables import number_cells, read_table, rows_as_text
from tradewind.data.file_import.trade_files import read_trades, trade_columns
from tradewind.data.file_import.volumes import volume_columns
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.contents import as_utf8, kind_of_contents, read_contents
from tradewind.data.files.dialect import ImportSettings, listed_names
from tradewind.data.files.findings import ImportNotes
from tradewind.errors import BadData

RAGGED = "the line has more or fewer cells than the others"
_ANY_KIND = "bars, trades, funding, events or a stream"


@dataclass(frozen=True)
class RejectedRows:
    """Rows of the file that are not imported: number (from 0, without the header), reason and content (JSON)."""

    source_row: npt.NDArray[np.int64]
    reason: npt.NDArray[np.object_]
    content: list[str]

    def counts(self) -> dict[str, int]:
        """How many rows each reason has, most frequent first."""
        return {str(why): int(count) for why, count in pd.Series(self.reason, dtype="str").value_counts().items()}


@dataclass
class ImportPlan:
    """What a file holds. rows = rows of `bars`, `tables` or `vintages` + rows of `rejected`, unless
    settings are missing.

    `tables` are trades (`SYMBOL/trades`, or `trades` where nothing says the symbol), or those of a raw stream (`depth`,
    `bbo`, `trades`), where one row of the file may become several of `depth`: `accepted` counts rows of the file.
    `digest` is the SHA-256 of the file.
    """

    path: Path
    kind: str
    notes: ImportNotes
    rows: int
    accepted: int = 0
    bars: list[ImportedBars] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    vintages: pd.DataFrame | None = None
    rejected: RejectedRows = field(default_factory=lambda: _rejected([], [], []))
    digest: str = ""

    def require_complete(self) -> None:
        """Nothing, if no setting is missing and every row is accounted for.

        Raises:
            BadData: a setting is needed, or the rows do not add up.
        """
        self.notes.require_settled()
        if self.rows != self.accepted + len(self.rejected.source_row):
            raise BadData(
                f"{self.path}: {self.rows} rows read, but {self.accepted} accepted and {len(self.rejected.source_row)} "
                "rejected: the import lost or made up rows"
            )

    def quarantine(self, key: BarKey) -> pd.DataFrame:
        """The rejected rows (`schema.Quarantine`) of one key of bars; rows of no key go with the first."""
        chosen = np.ones(len(self.rejected.reason), dtype=bool)
        others = [bars for bars in self.bars if bars.key != key]
        if self.bars and key != self.bars[0].key:
            own = next(bars for bars in self.bars if bars.key == key)
            chosen = np.isin(self.rejected.source_row, own.rejected_row)
        elif others:
            chosen = ~np.isin(self.rejected.source_row, np.concatenate([bars.rejected_row for bars in others]))
        rows = np.flatnonzero(chosen)
        return pd.DataFrame(
            {
                **key.columns(len(rows)),
                "source_row": self.rejected.source_row[rows],
                "reason": pd.array(self.rejected.reason[rows], dtype="str"),
                "content": pd.array([self.rejected.content[row] for row in rows], dtype="str"),
            }
        )


def inspect_file(path: Path, settings: ImportSettings) -> ImportPlan:
    """What the file holds, as far as it and the settings tell; what they leave open is in `notes.missing_settings`.

    Raises:
        BadData: the file is missing, damaged, in no known format, or contradicts a setting.
    """
    content = read_contents(path)
    plan = _inspect(path, content, settings)
    plan.digest = hashlib.sha256(content).hexdigest()
    return plan


def _inspect(path: Path, content: bytes, settings: ImportSettings) -> ImportPlan:
    notes = ImportNotes(str(path))
    if kind_of_contents(content) == "stream" or settings.kind == "stream":
        return _inspect_stream(path, as_utf8(content, settings.encoding, notes), notes)
    table = read_table(path, content, settings, settings.encoding, notes)
    if not table.has_names and not settings.column_names:
        table = name_by_position(table, notes)
        if notes.missing_settings:
            return ImportPlan(path, settings.kind or "unknown", notes, table.rows)
    elif settings.column_names and len(settings.column_names) == len(table.columns):
        renamed = dict(zip(settings.column_names, table.columns.values(), strict=True))
        table = RawTable(renamed, table.source_row, table.ragged, True, table.zone)
    plan = _by_kind(path, table, settings, notes)
    if not notes.missing_settings:
        plan.require_complete()
        if plan.accepted == 0:
            reason, count = next(iter(plan.rejected.counts().items()))
            raise BadData(
                f"{path}: none of its {plan.rows:,} rows can be imported, {count:,} because {reason} "
                f"(the first holds {plan.rejected.content[0][:160]}): correct the settings or repair the file"
            )
    return plan


def _by_kind(path: Path, table: RawTable, settings: ImportSettings, notes: ImportNotes) -> ImportPlan:
    """The table read as the kind that is given or that its columns show."""
    prices = price_columns(table, settings, notes)
    rate = funding_column(table)
    events, trades = event_columns(table), trade_columns(table)
    kind: str | None = settings.kind
    if kind is not None:
        notes.add_finding("kind", kind, "given")
    elif prices is not None:
        kind, why = _bars_or_funding(table, prices, notes)
        notes.add_finding("kind", kind, why)
    elif {"price", "amount"} <= set(trades):
        kind = "trades"
        notes.add_finding("kind", kind, "there is a price and an amount, and no open, high, low and close")
    elif rate is not None:
        kind = "funding"
        notes.add_finding("kind", kind, f"there is a column {rate!r} and no prices")
    elif events is not None:
        kind = "events"
        notes.add_finding("kind", kind, "there are events with an impact and a currency")
    if kind == "bars" and prices is not None:
        bars_read = read_bars(table, prices, settings, notes)
        if rate is not None:
            notes.add_finding(f"column {rate}", "left out", "import it as well with kind=funding")
        plan = _whole(path, kind, table, notes, bars_read.reason if bars_read else None)
        plan.bars = [_in_file(bars, table) for bars in bars_read.tables] if bars_read else []
        return plan
    if kind == "trades" and {"price", "amount"} <= set(trades):
        traded = read_trades(table, trades, settings, notes)
        plan = _whole(path, kind, table, notes, traded.reason if traded else None)
        plan.tables = (
            {f"{name}/trades" if name else "trades": rows for name, rows in traded.rows.items()} if traded else {}
        )
        return plan
    rate = rate or (prices["open"] if prices else None)
    side = (
        read_funding(table, rate, settings, notes) if kind == "funding" and rate is not None
        else read_events(table, events, settings, notes) if kind == "events" and events is not None
        else None
    )  # fmt: skip
    if side is None and not notes.missing_settings:
        raise BadData(
            f"{path}: the columns {listed_names(list(table.columns))} are not those of {kind or _ANY_KIND}: "
            "name them one by one (columns.open_time=NAME, columns.open=NAME, ...) or all in their order "
            "(column_names=A,B,...), or give skip_lines if that is not the header"
        )
    plan = _whole(path, str(kind), table, notes, side.reason if side else None)
    plan.vintages = side.vintages if side else None
    return plan


def _in_file(bars: ImportedBars, table: RawTable) -> ImportedBars:
    """The bars with the numbers of their rows in the file instead of the table."""
    return replace(bars, source_row=table.source_row[bars.source_row], rejected_row=table.source_row[bars.rejected_row])


def _bars_or_funding(table: RawTable, prices: dict[str, str], notes: ImportNotes) -> tuple[str, str]:
    numbers = {role: number_cells(table.columns[name], name, notes.where) for role, name in prices.items()}
    volumes = volume_columns(table)
    volume = number_cells(table.columns[volumes[0]], volumes[0], notes.where) if volumes else None
    if is_funding_in_open(numbers, volume):
        return (
            "funding",
            f"{prices['open']!r} holds small rates, while high, low, close and volume are 0: they are no prices",
        )
    return "bars", "there are open, high, low and close"


def _whole(
    path: Path, kind: str, table: RawTable, notes: ImportNotes, reason: npt.NDArray[np.object_] | None
) -> ImportPlan:
    """The accounts of a table: rows with a reason and ragged ones are rejected, the others accepted."""
    if reason is None:
        return ImportPlan(path, kind, notes, table.rows)
    rows = np.flatnonzero(reason != "")
    contents = rows_as_text(table, rows)
    ragged = [json.dumps({"line": line[:500]}, ensure_ascii=False) for _, line in table.ragged]
    rejected = _rejected(
        [*table.source_row[rows], *(number for number, _ in table.ragged)],
        [*reason[rows], *[RAGGED] * len(ragged)],
        [*contents, *ragged],
    )
    return ImportPlan(path, kind, notes, table.rows, int((reason == "").sum()), rejected=rejected)


def _inspect_stream(path: Path, content: bytes, notes: ImportNotes) -> ImportPlan:
    stream = read_stream(content)
    notes.add_finding("kind", "stream", "each line is a receive time in nanoseconds and a message in JSON")
    if stream.lines == len(stream.rejected):
        raise BadData(f"{path}: none of its {stream.lines} lines is a message that is known: it is no exchange stream")
    tables = stream.tables()
    notes.add_finding("symbols", ", ".join(sorted(stream.symbols)), "the messages say them")
    for name, table in tables.items():
        notes.add_finding(name, f"{len(table):,} rows", "by the kind of message")
    lag = tables["trades"]["recv_ns"] / 1e6 - tables["trades"]["exch_ms"]
    if len(lag):
        clock = "behind" if lag.median() < 0 else "after"
        notes.add_finding(
            "receive clock", f"{abs(lag.median()) / 1e3:.2f} s {clock} the exchange's", "median over the trades"
        )
    numbers, reasons, lines = zip(*stream.rejected, strict=True) if stream.rejected else ((), (), ())
    contents = [json.dumps({"line": line}, ensure_ascii=False) for line in lines]
    return ImportPlan(
        path, "stream", notes, stream.lines, stream.lines - len(stream.rejected), tables=tables,
        rejected=_rejected(numbers, reasons, contents),
    )  # fmt: skip


def _rejected(numbers: Sequence[Any], reasons: Sequence[Any], contents: list[str]) -> RejectedRows:
    return RejectedRows(np.array(numbers, dtype=np.int64), np.array(reasons, dtype=object), contents)
