"""Bars in PostgreSQL, or in TimescaleDB's compressed hypertables where the server has the extension."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import numpy as np
import numpy.typing as npt
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cells import EARLIEST_MS, LATEST_MS
from tradewind.data.files.deliveries import VALUES, Delivery, Receipt, Span, reading_order, stored_columns
from tradewind.data.stores import postgres_statements as statements
from tradewind.data.stores.base import Fingerprint
from tradewind.data.stores.integrity import intact_rows
from tradewind.data.stores.postgres_connections import Connections, Rules
from tradewind.data.stores.tables import (
    check_vintages,
    covered_spans,
    ledger_rows,
    merge_vintages,
    no_vintages,
    rejected_rows,
)

if TYPE_CHECKING:
    from tradewind.data.stores.postgres_schema import SqlConnection

__all__ = ["PostgresStore", "Rules"]

# PostgreSQL's binary COPY: rows of fixed width, so that numpy makes a whole table at once.
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH_MS = 946_684_800_000  # PostgreSQL counts microseconds from 2000-01-01
_KIND = {name: ">f8" if name in VALUES else ">i8" for name in statements.COLUMNS}
_ROW = np.dtype(
    [("cells", ">i2"), *(cell for name, kind in _KIND.items() for cell in ((f"{name}_bytes", ">i4"), (name, kind)))]
)
_PIECE_BYTES = 1 << 20


class PostgresStore:
    """`base.Store`; a delivery is one transaction, and is stored once even where the answer was lost on its way."""

    def __init__(self, rules: Rules, wait: Callable[[float], None] = time.sleep) -> None:
        """The store that `rules` name; it connects when first asked. `wait` gets the seconds between attempts."""
        self._connections = Connections(rules, wait)
        self._schema = rules.schema_name

    def append(self, delivery: Delivery) -> Receipt:
        """Add a delivery, all of it or nothing (`base.Store.append`)."""
        delivery_id = uuid4()
        return self._connections.ask(lambda connection: self._append(connection, delivery, delivery_id))

    def keys(self) -> list[BarKey]:
        """Which bars there are, sorted."""
        found = sorted(self._fetch(statements.KEYS))
        return [BarKey(venue=venue, symbol=symbol, timeframe=timeframe) for venue, symbol, timeframe in found]

    def read(self, key: BarKey, span: Span | None = None) -> pd.DataFrame:
        """The stored rows in `deliveries.reading_order`.

        Raises:
            BadData: a row is not the one that was stored.
        """
        since, until = (int(EARLIEST_MS), int(LATEST_MS)) if span is None else (span.since_ms, span.until_ms)
        pieces = self._connections.ask(lambda connection: self._read(connection, key, since, until))
        cells = {name: np.concatenate(columns) for name, columns in zip(_KIND, zip(*pieces, strict=True), strict=False)}
        if not cells:
            return stored_columns()
        for name in statements.TIMES:
            cells[name] = cells[name] // 1000 + _EPOCH_MS
        order = reading_order(cells)
        rows = pd.DataFrame({name: cells[name][order] for name in stored_columns()})
        return intact_rows(rows, f"{key} in {self._connections.where}")

    def fingerprints(self, key: BarKey) -> dict[str, Fingerprint]:
        """What each month adds up to, summed by the server."""
        found = self._fetch(statements.FINGERPRINTS, key.model_dump())
        return {month: Fingerprint(*sums) for month, *sums in found}

    def covered(self, key: BarKey) -> list[tuple[Span, int]]:
        """The spans that a source has answered for, each with when it was asked (epoch ms)."""
        return covered_spans(self._fetch(statements.COVERED, key.model_dump()))

    def rejected(self) -> pd.DataFrame:
        """Every rejected row, each content once, sorted by all columns."""
        return rejected_rows(self._fetch(statements.REJECTED))

    def ledger(self) -> pd.DataFrame:
        """Every delivery, in the order of received_at."""
        return ledger_rows(self._fetch(statements.LEDGER))

    def append_side(self, vintages: pd.DataFrame) -> int:
        """Add values of side series; how many are new."""
        checked = check_vintages(vintages)
        if checked.empty:
            return 0
        given = {name: checked[name].tolist() for name in checked}

        def add(connection: "SqlConnection") -> int:
            with connection.transaction():
                added: int = connection.execute(statements.composed(statements.ADD_SIDE, self._schema), given).rowcount
                other = statements.composed(statements.OTHER_SIDE, self._schema)
                if differing := connection.execute(other, given).fetchall():
                    merge_vintages([checked, _vintages(differing)], self._connections.where)
                return added

        return self._connections.ask(add)

    def read_side(self, series: Sequence[str] | None = None) -> pd.DataFrame:
        """The stored vintages of the named series (default: all)."""
        found = self._fetch(statements.SIDE, {"series": None if series is None else list(series)})
        return merge_vintages([_vintages(found)], self._connections.where)

    def close(self) -> None:
        """Give back the connections that nobody is using."""
        self._connections.close()

    def _read(
        self, connection: "SqlConnection", key: BarKey, since: int, until: int
    ) -> list[list[npt.NDArray[np.generic]]]:
        """Pieces of a year, each with its cells by column; all of one moment."""
        columns, years = (
            statements.composed(each, self._schema) for each in (statements.READ_COLUMNS, statements.YEARS)
        )
        named = {**key.model_dump(), "since": since, "until": until}
        pieces = []
        with connection.transaction():
            connection.execute(statements.ONE_MOMENT)
            first, last = connection.execute(years, named).fetchone()
            for year in range(first, last + 1) if first is not None else ():
                edges = np.array([f"{year}-01-01", f"{year + 1}-01-01"], dtype="datetime64[ms]").astype(np.int64)
                named |= {"since": max(since, int(edges[0])), "until": min(until, int(edges[1]))}
                sent = connection.execute(columns, named, binary=True).fetchone()
                if sent[0] is not None:
                    pieces.append([_native(cells, kind) for cells, kind in zip(sent, _KIND.values(), strict=True)])
        return pieces

    def _append(self, connection: "SqlConnection", delivery: Delivery, delivery_id: UUID) -> Receipt:
        named: dict[str, object] = {"delivery_id": delivery_id, "source": delivery.source}
        named |= {**delivery.key.model_dump(), "received_at": delivery.received_at_ms}

        def run(statement: str) -> Any:
            return connection.execute(statements.composed(statement, self._schema), named)

        with connection.transaction():
            if stored := run(statements.FIND_LINE).fetchone():  # committed before, and the answer was lost
                return _receipt(delivery, stored[0])
            if run(statements.FIND_KEY).fetchone()[0] is None:
                run(statements.ADD_KEY)
            named["key_id"] = run(statements.FIND_KEY).fetchone()[0]
            receipt = _receipt(delivery, self._add_rows(connection, named, delivery.rows))
            if len(delivery.rejected):
                first = rejected_rows(delivery.rejected)
                named |= {name: first[name].tolist() for name in ("source_row", "reason", "content")}
                run(statements.ADD_REJECTED)
            if delivery.covered is not None:
                named |= {"since": delivery.covered.since_ms, "until": delivery.covered.until_ms}
                run(statements.ADD_COVERED)
            named |= vars(receipt)
            run(statements.ADD_LINE)
            return receipt

    def _add_rows(self, connection: "SqlConnection", named: dict[str, object], rows: pd.DataFrame) -> int:
        """How many of the rows are new; they arrive by COPY in a table of this transaction."""
        if rows.empty:
            return 0
        connection.execute(statements.composed(statements.ARRIVING, self._schema))
        packed = memoryview(_pack(rows))
        with connection.cursor().copy(statements.composed(statements.COPY_ARRIVING, self._schema)) as copy:
            for start in range(0, len(packed), _PIECE_BYTES):
                copy.write(packed[start : start + _PIECE_BYTES])
        return int(connection.execute(statements.composed(statements.ADD_ROWS, self._schema), named).fetchone()[0])

    def _fetch(self, statement: str, named: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        query = statements.composed(statement, self._schema)
        return self._connections.ask(lambda connection: connection.execute(query, named).fetchall())


def _receipt(delivery: Delivery, rows_new: int) -> Receipt:
    rows_known = len(delivery.rows) - rows_new + delivery.repeated
    return Receipt(delivery.rows_received, rows_new, rows_known, len(delivery.rejected))


def _pack(rows: pd.DataFrame) -> bytes:
    """Stored rows as PostgreSQL's binary COPY has them."""
    packed = np.empty(len(rows), dtype=_ROW)
    packed["cells"] = len(_KIND)
    for name in _KIND:
        cells = rows[name].to_numpy()
        packed[f"{name}_bytes"] = 8
        packed[name] = (cells - _EPOCH_MS) * 1000 if name in statements.TIMES else cells
    return b"".join((_HEADER, packed.tobytes(), _TRAILER))


def _native(sent: bytes, kind: str) -> npt.NDArray[np.generic]:
    """Cells that were sent highest byte first, in this machine's order."""
    return np.frombuffer(sent, dtype=kind).astype(kind.replace(">", "="))


def _vintages(rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(no_vintages()))
    for name in ("reference_at", "known_at"):
        table[name] = pd.to_datetime(table[name].astype("int64"), unit="ms", utc=True).dt.as_unit("ms")
    return table.astype({"series": "str", "symbol": "str", "value": "float64"})
