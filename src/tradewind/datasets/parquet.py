"""How every table is laid out in Parquet, and how it is read back exactly."""

import hashlib
import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tradewind.errors import BadData

_MAGIC = b"PAR1"
MAX_PENDING = 8  # pages, each up to a megabyte


@dataclass(frozen=True)
class Written:
    """What a written file holds."""

    bytes: int
    sha256: str


def write_table(table: pd.DataFrame, file: Path, path: Path) -> Written:
    """Write `table` as Parquet; equal tables give equal bytes.

    Floating columns are split by byte and not dictionary-encoded, which suits noisy numbers: two thirds of the size and
    a third of the time of the defaults. Text and integers keep their dictionary. The index is not part of a table and
    is not kept. Row groups go to the disk as they are encoded, so that the file is never held in memory.

    Args:
        table: any index.
        file: that is written.
        path: where it will stand in the end, for messages.

    Returns:
        Size in bytes and SHA-256 of the file.

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
    with _HashedFile(file) as sink:
        pq.write_table(
            arrow,
            pa.PythonFile(sink, mode="w"),
            compression="zstd",
            compression_level=-1,
            use_dictionary=[name for name in arrow.column_names if name not in floating],
            column_encoding=dict.fromkeys(floating, "BYTE_STREAM_SPLIT") or None,
            write_statistics=[name for name in arrow.column_names if name not in floating],
            row_group_size=1 << 18,
        )
    return Written(sink.size, sink.digest.hexdigest())


class _HashedFile:
    """A file for Arrow to write to, hashed and written by a second thread while the next pages are encoded."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()
        self.digest, self.size, self.closed = hashlib.sha256(), 0, False

    def write(self, content: bytes) -> int:
        """Queue the content; waits when much is queued already."""
        if len(self._pending) > MAX_PENDING:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._put, content))
        self.size += len(content)
        return len(content)

    def _put(self, content: bytes) -> None:
        self.digest.update(content)
        self._file.write(content)

    def tell(self) -> int:
        """How much has been written."""
        return self.size

    def flush(self) -> None:
        """Nothing: what counts is the end."""

    def close(self) -> None:
        """Nothing: Arrow closes its own end before the last of it is on the disk."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for put in self._pending:
                put.result()
        finally:
            self.closed = True
            self._thread.shutdown()
            self._file.close()


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


@dataclass(frozen=True)
class Measured:
    """What a file that was written before holds."""

    rows: int
    bytes: int
    sha256: str


def measured(path: Path) -> Measured:
    """Size, hash and rows of the table in the file at `path`.

    Raises:
        BadData: the file is missing, unreadable, truncated, or not Parquet.
    """
    if not path.is_file():
        raise BadData(f"{path} does not exist: run the stage that writes it")
    content = path.read_bytes()
    try:
        rows = pq.ParquetFile(pa.BufferReader(content)).metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise BadData(
            f"{path} is not a complete Parquet file ({error}): delete it and run the stage that writes it"
        ) from error
    return Measured(rows, len(content), hashlib.sha256(content).hexdigest())


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
