"""Bars in Delta Lake, in a folder or on S3, for other engines to read too.

The commits of each table (bars, refused, covered, ledger, side) are atomic; a delivery commits its rows first and its
line of the ledger last, so that a killed delivery made again completes itself.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import VALUES, Delivery, Receipt, Span, merge_rows, stored_columns
from tradewind.data.stores.base import Fingerprint
from tradewind.data.stores.delta_tables import DeltaTables, MergeRule, Rules
from tradewind.data.stores.integrity import intact_rows
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

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DeltaStore", "Rules"]

_KEY = ("venue", "symbol", "timeframe")
_TIMES = ("open_time", "received_at")
_BARS = MergeRule(("month", "open_time", "content_hash"), "received_at", "s.received_at < t.received_at",
                  partitions=(*_KEY, "month"))  # fmt: skip
_REJECTED = MergeRule((*_KEY, "reason", "content"), "source_row", "s.source_row < t.source_row")
_COVERED = MergeRule((*_KEY, "since_ms", "until_ms", "asked_at"))
_SIDE = MergeRule(VINTAGE_KEY)
_HASH_BITS = 0x7FFFFFFF


class DeltaStore:
    """`base.Store`. Not for processes forked from one that used it (delta-rs); `spawn` and `forkserver` are fine."""

    def __init__(self, rules: Rules, wait: Callable[[float], None] = time.sleep) -> None:
        """The store that `rules` name, made when it is first written. `wait` gets the seconds between attempts."""
        import deltalake  # noqa: F401 - a missing extra raises here

        self._tables = DeltaTables(rules, wait)

    def append(self, delivery: Delivery) -> Receipt:
        """Add a delivery in an order that makes it complete when it is made again (`base.Store.append`)."""
        import pyarrow as pa

        key = delivery.key
        new = self._add_rows(key, delivery.rows)
        if len(delivery.rejected):
            first = pa.Table.from_pandas(rejected_rows(delivery.rejected), preserve_index=False)
            self._tables.merge("refused", first, _REJECTED, _within(key, "t."))
        if delivery.covered is not None:
            numbers = (delivery.covered.since_ms, delivery.covered.until_ms, delivery.received_at_ms)
            names = ("since_ms", "until_ms", "asked_at")
            span = pa.table(
                {**{name: [value] for name, value in key.model_dump().items()},
                 **{name: pa.array([number], pa.int64()) for name, number in zip(names, numbers, strict=True)}}
            )  # fmt: skip
            self._tables.merge("covered", span, _COVERED, _within(key, "t."))
        known = len(delivery.rows) - new + delivery.repeated
        receipt = Receipt(delivery.rows_received, new, known, len(delivery.rejected))
        line = zip(LEDGER, ledger_line(delivery, receipt), strict=True)
        self._tables.append("ledger", pa.table({name: [cell] for name, cell in line}))
        return receipt

    def keys(self) -> list[BarKey]:
        """Which bars there are, sorted."""
        found = self._tables.partitions("bars")
        named = sorted({tuple(partition[name] for name in _KEY) for partition in found})
        return [BarKey(venue=venue, symbol=symbol, timeframe=timeframe) for venue, symbol, timeframe in named]

    def read(self, key: BarKey, span: Span | None = None) -> pd.DataFrame:
        """The stored rows in `deliveries.reading_order`.

        Raises:
            BadData: a row is not the one that was stored.
        """
        rows = self._rows(key, list(stored_columns()), span)
        return rows if rows.empty else intact_rows(rows, f"{key} in {self._tables.where}")

    def fingerprints(self, key: BarKey) -> dict[str, Fingerprint]:
        """What each month adds up to, from three columns of its files."""
        rows = self._rows(key, [*_TIMES, "content_hash"], None)
        months = rows["open_time"].to_numpy().astype("datetime64[ms]").astype("datetime64[M]")
        found = {}
        for month in np.unique(months):
            of_month = rows[months == month]
            hashes = of_month["content_hash"].to_numpy() & _HASH_BITS
            sums = int(of_month["received_at"].sum()), int(hashes.sum())
            found[str(month)] = Fingerprint(len(of_month), *sums)
        return found

    def covered(self, key: BarKey) -> list[tuple[Span, int]]:
        """The spans that a source has answered for, each with when it was asked (epoch ms)."""
        names = ("since_ms", "until_ms", "asked_at")
        found = self._tables.read("covered", names, _within(key))
        return [] if found is None else covered_spans(zip(*(found[name].to_pylist() for name in names), strict=True))

    def rejected(self) -> pd.DataFrame:
        """Every rejected row, each content once, sorted by all columns."""
        return rejected_rows(_records(self._tables.read("refused", list(REJECTED))))

    def ledger(self) -> pd.DataFrame:
        """Every delivery, in the order of received_at."""
        return ledger_rows(_records(self._tables.read("ledger", list(LEDGER))))

    def append_side(self, vintages: pd.DataFrame) -> int:
        """Add values of side series; how many are new.

        Raises:
            BadData: a value differs from the one that is stored for the same moment; nothing is added then.
        """
        import pyarrow as pa

        checked = check_vintages(vintages)
        if checked.empty:
            return 0
        named = checked["series"].unique().tolist()
        merge_vintages([self.read_side(named), checked], self._tables.where)
        arriving = pa.Table.from_pandas(checked, preserve_index=False)
        for name in ("reference_at", "known_at"):
            arriving = arriving.set_column(
                arriving.schema.get_field_index(name), name, arriving[name].cast(pa.timestamp("us", "UTC"))
            )
        new = self._tables.merge("side", arriving, _SIDE, _any_of("t.series", named))
        merge_vintages([self.read_side(named), checked], self._tables.where)  # others may have been faster
        return new

    def read_side(self, series: Sequence[str] | None = None) -> pd.DataFrame:
        """The stored vintages of the named series (default: all)."""
        names = list(no_vintages())
        found = None
        if series is None or len(series):
            found = self._tables.read("side", names, "" if series is None else _any_of("series", series))
        table = no_vintages() if found is None else found.to_pandas().astype(no_vintages().dtypes.to_dict())
        return merge_vintages([table[names]], self._tables.where)

    def close(self) -> None:
        """Nothing is held open."""

    def _add_rows(self, key: BarKey, rows: pd.DataFrame) -> int:
        """How many of the rows are new; of the others the earlier `received_at` is kept."""
        import pyarrow as pa

        if rows.empty:
            return 0
        months = rows["open_time"].to_numpy().astype("datetime64[ms]").astype("datetime64[M]").astype(str)
        columns = {name: pa.array(rows[name].to_numpy() * 1000).cast(pa.timestamp("us", "UTC")) for name in _TIMES}
        columns |= {name: pa.array(rows[name].to_numpy(), from_pandas=True) for name in VALUES}
        columns["content_hash"] = pa.array(rows["content_hash"].to_numpy())
        columns |= {name: pa.repeat(value, len(rows)) for name, value in key.model_dump().items()}
        columns["month"] = pa.array(months)
        within = f"{_within(key, 't.')} AND {_any_of('t.month', np.unique(months).tolist())}"
        return self._tables.merge("bars", pa.table(columns), _BARS, within)

    def _rows(self, key: BarKey, names: list[str], span: Span | None) -> pd.DataFrame:
        condition = _within(key)
        if span is not None:
            condition += " AND open_time >= {} AND open_time < {}".format(
                *map(_instant, (span.since_ms, span.until_ms))
            )
        found = self._tables.read("bars", names, condition)
        if found is None or not len(found):
            return stored_columns()[names]
        columns = {name: _numbers(found[name], name) for name in names}
        # Merged again, should another engine have written a row twice.
        return merge_rows([pd.DataFrame(columns)])


def _within(key: BarKey, alias: str = "") -> str:
    return " AND ".join(f"{alias}{name} = {_text(value)}" for name, value in key.model_dump().items())


def _any_of(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(_text, values))})"


def _text(value: str) -> str:
    """A string of SQL; doubling its quote is all that it needs."""
    return "'" + value.replace("'", "''") + "'"


def _instant(epoch_ms: int) -> str:
    return f"arrow_cast({epoch_ms * 1000}, 'Timestamp(Microsecond, Some(\"UTC\"))')"


def _numbers(column: "pa.ChunkedArray", name: str) -> "np.ndarray":
    import pyarrow as pa

    if name in _TIMES:
        return column.cast(pa.int64()).to_numpy() // 1000
    return column.to_numpy()


def _records(found: "pa.Table | None") -> list[list[object]]:
    return [] if found is None else [list(row.values()) for row in found.to_pylist()]
