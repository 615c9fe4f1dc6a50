"""The store that needs nothing but a disk: one SQLite file."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import VALUES, Delivery, Receipt, Span, merge_rows, stored_columns
from tradewind.data.stores.base import Fingerprint
from tradewind.data.stores.integrity import intact_rows
from tradewind.data.stores.months import months_between
from tradewind.data.stores.sqlite_file import SqliteFile
from tradewind.data.stores.tables import (
    LEDGER,
    REJECTED,
    VINTAGE_KEY,
    check_vintages,
    covered_spans,
    ledger_line,
    ledger_rows,
    merge_vintages,
    no_vintages,
    rejected_rows,
)

_EVERYTHING = Span(-(2**62), 2**62)
_BATCH = 50_000  # rows that are Python objects at a time
_COLUMNS = ("open_time", "content_hash", *VALUES, "received_at")
_PACKED = np.dtype(
    [(name, "i8" if name in ("open_time", "content_hash", "received_at") else "f8") for name in _COLUMNS]
)
# No stored value is infinite, so infinity can stand for a missing one on the way out.
_READ = """
SELECT open_time, content_hash, open, high, low, close, volume, ifnull(quote_volume, 9e999), ifnull(trades, 9e999),
       received_at
FROM bars WHERE series = ? AND open_time >= ? AND open_time < ? ORDER BY open_time, content_hash
"""
_SERIES = "SELECT id FROM series WHERE venue = ? AND symbol = ? AND timeframe = ?"


class Rules(BaseModel):
    """`path` is the file, made when it is missing; `timeout_s` is how long to wait for another writer."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: Path
    timeout_s: float = Field(60, gt=0, le=3600)


class SqliteStore:
    """Bars in one table whose key is series, opening time and content; a delivery is one transaction.

    Killed at any moment, a delivery is there as a whole or not at all.
    """

    def __init__(self, rules: Rules) -> None:
        self._path = rules.path
        self._file = SqliteFile(rules.path, rules.timeout_s)

    def append(self, delivery: Delivery) -> Receipt:
        """Add the delivery and its line of the ledger, in one transaction that is on the disk when this returns."""
        rejected = len(delivery.rejected)
        with self._file.writing() as connection:
            series = _make_series(connection, delivery.key)
            new = _insert_bars(connection, series, delivery.rows)
            receipt = Receipt(delivery.rows_received, new, delivery.rows_received - new - rejected, rejected)
            connection.executemany(
                "INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET source_row = min(source_row, excluded.source_row)",
                delivery.rejected[list(REJECTED)].itertuples(index=False, name=None),
            )
            if delivery.covered is not None:
                span = delivery.covered
                values = (series, span.since_ms, span.until_ms, delivery.received_at_ms)
                connection.execute("INSERT OR IGNORE INTO covered VALUES (?, ?, ?, ?)", values)
            line = ledger_line(delivery, receipt)
            connection.execute("INSERT INTO ledger VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", line)
        return receipt

    def keys(self) -> list[BarKey]:
        """Which bars there are, sorted."""
        with self._file.reading() as connection:
            found = connection.execute(
                "SELECT venue, symbol, timeframe FROM series "
                "WHERE EXISTS (SELECT 1 FROM bars WHERE bars.series = series.id) ORDER BY 1, 2, 3"
            ).fetchall()
        return [BarKey(venue=venue, symbol=symbol, timeframe=timeframe) for venue, symbol, timeframe in found]

    def read(self, key: BarKey, span: Span | None = None) -> pd.DataFrame:
        """The stored rows in `deliveries.reading_order`.

        Raises:
            BadData: the file is damaged, or a row is not the one that was stored.
        """
        within = span or _EVERYTHING
        with self._file.reading() as connection:
            series = _find_series(connection, key)
            if series is None:
                return stored_columns()
            # One pass from SQLite's rows into one array: half the time of a list of rows, a third of its memory.
            packed = np.fromiter(connection.execute(_READ, (series, within.since_ms, within.until_ms)), dtype=_PACKED)
        columns = {name: np.ascontiguousarray(packed[name]) for name in _COLUMNS}
        for name in ("quote_volume", "trades"):
            columns[name][np.isinf(columns[name])] = np.nan
        rows = pd.DataFrame({name: columns[name] for name in stored_columns()}, copy=False)
        return merge_rows([intact_rows(rows, f"{self._path}, {key},")])

    def fingerprints(self, key: BarKey) -> dict[str, Fingerprint]:
        """What each month adds up to."""
        with self._file.reading() as connection:
            return dict(_fingerprints(connection, _find_series(connection, key)))

    def covered(self, key: BarKey) -> list[tuple[Span, int]]:
        """The spans that a source has answered for, each with when it was asked."""
        with self._file.reading() as connection:
            wanted = f"SELECT since_ms, until_ms, asked_at FROM covered WHERE series = ({_SERIES})"  # noqa: S608
            return covered_spans(connection.execute(wanted, (key.venue, key.symbol, key.timeframe)).fetchall())

    def rejected(self) -> pd.DataFrame:
        """Every rejected row (`schema.Quarantine`), each content once."""
        with self._file.reading() as connection:
            return rejected_rows(connection.execute(f"SELECT {', '.join(REJECTED)} FROM refused").fetchall())  # noqa: S608

    def ledger(self) -> pd.DataFrame:
        """Every delivery, in the order of `received_at`."""
        with self._file.reading() as connection:
            return ledger_rows(connection.execute(f"SELECT {', '.join(LEDGER)} FROM ledger").fetchall())  # noqa: S608

    def append_side(self, vintages: pd.DataFrame) -> int:
        """Add values of side series; how many are new.

        Raises:
            BadData: a value differs from the one that is stored for the same moment; nothing is added then.
        """
        checked = check_vintages(vintages)
        instants = checked.assign(**{name: checked[name].astype("int64") for name in ("reference_at", "known_at")})
        with self._file.writing() as connection:
            added = connection.executemany(
                "INSERT OR IGNORE INTO side VALUES (?, ?, ?, ?, ?)",
                zip(*(instants[name].tolist() for name in [*VINTAGE_KEY, "value"]), strict=True),
            ).rowcount
            if added < len(checked):
                stored = _read_side(connection, checked["series"].unique().tolist())
                merge_vintages([stored, checked], str(self._path))
        return max(added, 0)

    def read_side(self, series: Sequence[str] | None = None) -> pd.DataFrame:
        """The stored vintages of the named series (default: all)."""
        with self._file.reading() as connection:
            return _read_side(connection, series)

    def close(self) -> None:
        """Give back connections."""
        self._file.close()


def _find_series(connection: sqlite3.Connection, key: BarKey) -> int | None:
    found = connection.execute(_SERIES, (key.venue, key.symbol, key.timeframe)).fetchone()
    return None if found is None else int(found[0])


def _make_series(connection: sqlite3.Connection, key: BarKey) -> int:
    found = _find_series(connection, key)
    if found is not None:
        return found
    named = (key.venue, key.symbol, key.timeframe)
    made = connection.execute("INSERT INTO series (venue, symbol, timeframe) VALUES (?, ?, ?)", named)
    return int(made.lastrowid or 0)


def _insert_bars(connection: sqlite3.Connection, series: int, rows: pd.DataFrame) -> int:
    """How many of the rows are new; of the others the earliest `received_at` is kept."""
    new = 0
    for begin in range(0, len(rows), _BATCH):
        batch = rows.iloc[begin : begin + _BATCH]
        numbers = [series] * len(batch)
        values = [batch[name].tolist() for name in _COLUMNS]
        added = connection.executemany(
            "INSERT OR IGNORE INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", zip(numbers, *values, strict=True)
        ).rowcount
        new += added
        if added < len(batch):
            connection.executemany(
                "UPDATE bars SET received_at = ? "
                "WHERE series = ? AND open_time = ? AND content_hash = ? AND received_at > ?",
                zip(values[-1], numbers, values[0], values[1], values[-1], strict=True),
            )
    return new


def _fingerprints(connection: sqlite3.Connection, series: int | None) -> Iterator[tuple[str, Fingerprint]]:
    first, last = (
        connection.execute(f"SELECT {end}(open_time) FROM bars WHERE series = ?", (series,)).fetchone()[0]  # noqa: S608
        for end in ("min", "max")
    )
    if first is None:
        return
    for month, span in months_between(first, last).items():
        rows, received_sum, hash_sum = connection.execute(
            "SELECT count(*), sum(received_at), sum(content_hash & 0x7fffffff) FROM bars "
            "WHERE series = ? AND open_time >= ? AND open_time < ?",
            (series, span.since_ms, span.until_ms),
        ).fetchone()
        if rows:
            yield month, Fingerprint(rows, received_sum, hash_sum)


def _read_side(connection: sqlite3.Connection, series: Sequence[str] | None) -> pd.DataFrame:
    wanted = "" if series is None else "WHERE series IN (SELECT value FROM json_each(?))"
    found = connection.execute(
        f"SELECT series, symbol, reference_at, known_at, value FROM side {wanted} ORDER BY 1, 2, 3, 4",  # noqa: S608
        () if series is None else (json.dumps(list(series)),),
    ).fetchall()
    return pd.DataFrame(found, columns=[*VINTAGE_KEY, "value"]).astype(no_vintages().dtypes.to_dict())
