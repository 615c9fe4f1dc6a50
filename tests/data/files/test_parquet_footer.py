"""A footer says here what Arrow reads in it, and a damaged one is an error: Arrow itself would end the process."""

import io
import os
import struct
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.data.files import parquet_footer
from tradewind.data.files.columnar import read_parquet
from tradewind.data.files.parquet_footer import ColumnChunk, column_chunks
from tradewind.errors import BadData


def table(rows: int = 30) -> pa.Table:
    rng = np.random.default_rng(rows)
    times = pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC")
    columns = {
        "open time": times, "close": rng.normal(100, 1, rows), "volume": rng.integers(0, 9, rows),
        "symbol": rng.choice(["BTCUSDT", "ÄÖ", ""], rows), "is_closed": rng.random(rows) > 0.5,
        "book": [[1.0, 2.0]] * rows, "level": [{"bid": 1.0, "ask": "x"}] * rows, "nothing": [None] * rows,
    }  # fmt: skip
    return pa.Table.from_pandas(pd.DataFrame(columns))


def written(rows: int = 30, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(rows), sink, **options)
    return sink.getvalue()


def by_arrow(content: bytes) -> list[ColumnChunk]:
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [
        ColumnChunk(
            one.path_in_schema, one.physical_type == "BYTE_ARRAY", "DELTA_BYTE_ARRAY" in one.encodings,
            max(one.num_values, group.num_rows), one.total_uncompressed_size,
        )
        for group in groups for one in (group.column(number) for number in range(group.num_columns))
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {}, {"compression": "zstd", "row_group_size": 7}, {"use_dictionary": False, "version": "1.0"},
        {"use_dictionary": False, "column_encoding": {"symbol": "DELTA_BYTE_ARRAY"}, "write_page_index": True},
        {"row_group_size": 1, "store_schema": False, "write_statistics": False, "compression": "none"},
    ],
    ids=["plain", "groups", "old", "prefixed", "many groups"],
)  # fmt: skip
def test_the_footer_says_what_arrow_reads_in_it(options: dict[str, Any]) -> None:
    content = written(**options)
    found = list(column_chunks(memoryview(content), "x.parquet"))
    assert found == by_arrow(content) and len(found) >= 9
    assert any(one.is_prefixed for one in found) == ("column_encoding" in options)


def dies(content: bytes) -> bool:
    """Whether a process that asks Arrow for the columns of a file does not live on."""
    child = os.fork()
    if child == 0:
        os.close(2)
        try:
            by_arrow(content)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_any_byte_of_a_footer_may_be_wrong_and_the_process_lives() -> None:
    content = written(compression="zstd")
    (size,) = struct.unpack_from("<i", content, len(content) - 8)
    refused, deadly = 0, list[bytes]()
    for at in range(len(content) - 8 - size, len(content)):
        damaged = bytes([*content[:at], content[at] ^ 1, *content[at + 1 :]])
        try:
            read_parquet(damaged, "x.parquet")
        except (BadData, pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError, TypeError) as error:
            refused += 1
            if "histogram size mismatch" in str(error):
                deadly.append(damaged)
    assert refused > 50 and deadly
    assert dies(deadly[0])  # what is guarded against is there: the same question to Arrow


def test_a_footer_that_is_too_large_or_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = written()
    (size,) = struct.unpack_from("<i", content, len(content) - 8)
    with pytest.raises(BadData, match="its footer is damaged"):
        list(column_chunks(memoryview(content[: -8 - size] + b"\xff" * size + content[-8:]), "x.parquet"))
    monkeypatch.setattr(parquet_footer, "LARGEST_FOOTER", size - 1)
    with pytest.raises(BadData, match=f"its footer has {size:,} bytes, and may have {size - 1:,}"):
        list(column_chunks(memoryview(content), "x.parquet"))
