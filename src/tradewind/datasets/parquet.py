"""How every table is laid out in Parquet, and how it is read back exactly."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.errors import BadData

_MAGIC = b"PAR1"


def table_bytes(table: pd.DataFrame, path: Path) -> bytes:
    """`table` as the bytes of a Parquet file; equal tables give equal bytes. Errors name `path`.

    Floating columns are split by byte and not dictionary-encoded, which suits noisy numbers; text and integers
    keep their dictionary. The index is not part of a table and is not kept.

    Raises:
        BadData: not a table, a column name that is not text, or a column Parquet cannot hold.
    """
    if not isinstance(table, pd.DataFrame):
        raise BadData(f"{path}: a table to save must be a pandas DataFrame, found {type(table).__name__}")
    unnamed = [name for name in table.columns if not isinstance(name, str)]
    if unnamed:
        raise BadData(f"{path}: column names must be text, found {unnamed}")
    try:
        arrow = pa.Table.from_pandas(table, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise BadData(f"{path}: the table cannot be stored: {error}") from error
    floating = [field.name for field in arrow.schema if pa.types.is_floating(field.type)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        arrow,
        sink,
        compression="zstd",
        use_dictionary=[name for name in arrow.column_names if name not in floating],
        column_encoding=dict.fromkeys(floating, "BYTE_STREAM_SPLIT") or None,
        row_group_size=1 << 18,
    )
    return sink.getvalue().to_pybytes()


def read_table(path: Path, content: bytes | None = None) -> pd.DataFrame:
    """The table in the file at `path` (or in `content`, if that was read before), with the dtypes it was saved with.

    Raises:
        BadData: the file is missing, unreadable, truncated, or not Parquet.
    """
    try:
        arrow = pq.ParquetFile(path if content is None else pa.BufferReader(content)).read()
    except FileNotFoundError as error:
        raise BadData(f"{path} does not exist: run the stage that writes it") from error
    except PermissionError as error:
        raise BadData(f"{path} may not be read by this user: change its permissions") from error
    except (pa.ArrowException, OSError) as error:
        raise BadData(
            f"{path} is not a complete Parquet file ({error}): delete it and run the stage that writes it"
        ) from error
    return arrow.to_pandas()


def preview_table(path: Path, nrows: int) -> dict[str, Any]:
    """The first `nrows` rows in pandas' split form, as plain JSON values, which is what Kedro-Viz shows."""
    batches = pq.ParquetFile(path).iter_batches(batch_size=max(nrows, 1))
    head = next(batches, None)
    frame = pd.DataFrame() if head is None else pa.Table.from_batches([head]).to_pandas().head(nrows)
    preview: dict[str, Any] = json.loads(frame.to_json(orient="split", date_format="iso", double_precision=6))
    return preview


def is_complete(path: Path) -> bool:
    """Whether `path` is a file that begins and ends as Parquet does."""
    try:
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                return False
            file.seek(-4, 2)
            return file.read(4) == _MAGIC
    except OSError:
        return False
