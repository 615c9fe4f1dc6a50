"""What the Parquet store keeps as objects: bars of a month, records of deliveries, vintages of a series."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.data.files.deliveries import VALUES, Span, merge_rows, stored_columns
from tradewind.data.stores.base import Fingerprint
from tradewind.data.stores.object_sets import Codec, stem_of
from tradewind.data.stores.tables import merge_vintages, no_vintages

_HASH_BITS = 0x7FFFFFFF
_BARS = pa.schema([(name, pa.float64() if name in VALUES else pa.int64()) for name in stored_columns()])
_VINTAGES = pa.Schema.from_pandas(no_vintages(), preserve_index=False).remove_metadata()


@dataclass(frozen=True)
class BarStem:
    """What the name of a bar object tells: the first and last opening time, and what its rows add up to."""

    first_ms: int
    last_ms: int
    fingerprint: Fingerprint

    @classmethod
    def of(cls, name: str) -> "BarStem":
        """What the object's name tells."""
        first, last, rows, received_sum, hash_sum = (int(part) for part in stem_of(name).split("-"))
        return cls(first, last, Fingerprint(rows, received_sum, hash_sum))

    def overlaps(self, span: Span) -> bool:
        """Whether a row may lie in the span."""
        return self.first_ms < span.until_ms and self.last_ms >= span.since_ms

    def __str__(self) -> str:
        sums = self.fingerprint
        return f"{self.first_ms}-{self.last_ms}-{sums.rows}-{sums.received_sum}-{sums.hash_sum}"


def fingerprint_of(rows: pa.Table) -> Fingerprint:
    """What distinct stored rows add up to."""
    received, hashes = rows["received_at"].to_numpy(), rows["content_hash"].to_numpy()
    return Fingerprint(len(rows), int(received.sum()), int((hashes & _HASH_BITS).sum()))


def bars_table(rows: pd.DataFrame) -> pa.Table:
    """Stored rows for Arrow, in place; NaN stays NaN."""
    return pa.table({name: pa.array(rows[name].to_numpy(), from_pandas=False) for name in stored_columns()})


def merge_bars(tables: Sequence[pa.Table]) -> pa.Table:
    """The union of stored rows, in `deliveries.reading_order`."""
    if len(tables) == 1:
        return tables[0]
    return bars_table(merge_rows([table.to_pandas() for table in tables]))


def _bars_stem(rows: pa.Table) -> str:
    opened = rows["open_time"]
    return str(BarStem(opened[0].as_py(), opened[len(opened) - 1].as_py(), fingerprint_of(rows)))


def _encode_bars(rows: pa.Table) -> bytes:
    # Made to be read: less time and less room than the library's defaults (docs/stores.md). Hashes are noise.
    sink = io.BytesIO()
    pq.write_table(
        rows, sink, compression={**dict.fromkeys(_BARS.names, "lz4"), "content_hash": "none"},
        use_dictionary=["received_at"], write_statistics=False, write_page_checksum=True,
        column_encoding={"open_time": "DELTA_BINARY_PACKED", **dict.fromkeys((*VALUES, "content_hash"), "PLAIN")},
    )  # fmt: skip
    return sink.getvalue()


def _decode(content: bytes, schema: pa.Schema) -> pa.Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"not Parquet: {error}") from error
    if not table.schema.equals(schema):
        raise ValueError(f"its columns are {table.schema.names}")
    return table


def _encode_vintages(vintages: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(vintages, schema=_VINTAGES, preserve_index=False), sink, compression="zstd")
    return sink.getvalue()


def _decode_vintages(content: bytes) -> pd.DataFrame:
    table = _decode(content, _VINTAGES).to_pandas()
    return table.astype(no_vintages().dtypes.to_dict())


Records = list[dict[str, Any]]


def _encode_records(records: Records) -> bytes:
    return "".join(json.dumps(record, sort_keys=True, allow_nan=False) + "\n" for record in records).encode()


def _decode_records(content: bytes) -> Records:
    return [json.loads(line) for line in content.decode().splitlines()]


def merge_records(found: Sequence[Records]) -> Records:
    """Every record once, by its id, in the order of when it was received."""
    by_id = {record["id"]: record for records in found for record in records}
    return sorted(by_id.values(), key=lambda record: (record["received_at"], record["id"]))


def _count(members: Records | pd.DataFrame) -> str:
    return str(len(members))


BARS = Codec[pa.Table](
    suffix="parquet", stem_form=r"\d+(-\d+){4}", is_checked=True, stem=_bars_stem, encode=_encode_bars,
    decode=lambda content: _decode(content, _BARS), merge=merge_bars,
)  # fmt: skip
RECORDS = Codec[Records](
    suffix="jsonl", stem_form=r"\d+", is_checked=False, stem=_count, encode=_encode_records, decode=_decode_records,
    merge=merge_records,
)  # fmt: skip
VINTAGES = Codec[pd.DataFrame](
    suffix="parquet", stem_form=r"\d+", is_checked=False, stem=_count, encode=_encode_vintages, decode=_decode_vintages,
    merge=lambda tables: merge_vintages(tables, "the store"),
)  # fmt: skip


def changes(rows: pd.DataFrame, known: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which of the rows the known ones lack, and which they have with a later `received_at`."""
    identity = ["open_time", "content_hash"]
    joined = rows[identity].merge(known[[*identity, "received_at"]], on=identity, how="left")
    received = joined["received_at"].to_numpy(dtype=np.float64)  # exact: milliseconds stay below 2**53
    is_new = np.isnan(received)
    return is_new, ~is_new & (rows["received_at"].to_numpy() < received)
