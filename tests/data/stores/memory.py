"""A store that is its own definition: what is delivered is kept in lists and united when it is read."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Delivery, Receipt, Span, merge_rows
from tradewind.data.stores.base import Fingerprint
from tradewind.data.stores.months import rows_by_month
from tradewind.data.stores.tables import (
    check_vintages,
    covered_spans,
    ledger_line,
    ledger_rows,
    merge_vintages,
    rejected_rows,
)


class MemoryStore:
    """Not for several threads."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.lines: list[tuple[str | int, ...]] = []
        self.vintages: list[pd.DataFrame] = []

    def append(self, delivery: Delivery) -> Receipt:
        before = len(self.read(delivery.key))
        self.deliveries.append(replace(delivery, rows=delivery.rows.copy()))
        new, rejected = len(self.read(delivery.key)) - before, len(delivery.rejected)
        receipt = Receipt(delivery.rows_received, new, delivery.rows_received - new - rejected, rejected)
        self.lines.append(ledger_line(delivery, receipt))
        return receipt

    def keys(self) -> list[BarKey]:
        found = {str(one.key): one.key for one in self.deliveries if len(one.rows)}
        return sorted(found.values(), key=lambda key: (key.venue, key.symbol, key.timeframe))

    def read(self, key: BarKey, span: Span | None = None) -> pd.DataFrame:
        rows = merge_rows([one.rows for one in self.deliveries if one.key == key])
        if span is not None:
            rows = rows[(rows["open_time"] >= span.since_ms) & (rows["open_time"] < span.until_ms)]
        return rows.reset_index(drop=True)

    def fingerprints(self, key: BarKey) -> dict[str, Fingerprint]:
        return {
            month: Fingerprint(
                len(rows),
                sum(rows["received_at"].tolist()),
                sum(number & 0x7FFFFFFF for number in rows["content_hash"].tolist()),
            )
            for month, rows in rows_by_month(self.read(key)).items()
        }

    def covered(self, key: BarKey) -> list[tuple[Span, int]]:
        spans = [(one.covered, one.received_at_ms) for one in self.deliveries if one.key == key]
        return covered_spans((span.since_ms, span.until_ms, at) for span, at in spans if span is not None)

    def rejected(self) -> pd.DataFrame:
        tables = [one.rejected for one in self.deliveries if len(one.rejected)]
        return rejected_rows(pd.concat(tables) if tables else [])

    def ledger(self) -> pd.DataFrame:
        return ledger_rows(self.lines)

    def append_side(self, vintages: pd.DataFrame) -> int:
        before = self.read_side()
        union = merge_vintages([before, check_vintages(vintages)], "memory")
        self.vintages = [union]
        return len(union) - len(before)

    def read_side(self, series: Sequence[str] | None = None) -> pd.DataFrame:
        rows = merge_vintages(self.vintages, "memory")
        return rows if series is None else rows[rows["series"].isin(series)].reset_index(drop=True)

    def close(self) -> None:
        pass
