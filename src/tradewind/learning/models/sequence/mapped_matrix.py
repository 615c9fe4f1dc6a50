"""Feature tables larger than memory: standardised into one Arrow file, read through a memory map batch by batch."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.learning.models.sequence.windows import Standardiser, Windows, window_ends

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class MappedMatrix:
    """float32 (rows, features) in an Arrow file, a record batch a table; indexed like an array by rows.

    Only the rows asked for are read. `matrix[rows]` takes an integer array of any shape and gives that shape with the
    features behind it, as an array in memory would.
    """

    def __init__(self, path: Path) -> None:
        """A file that `write_matrix` has written.

        Raises:
            BadData: it is not one.
        """
        try:
            source = pa.ipc.open_file(pa.memory_map(str(path)))
            batches = [source.get_batch(number) for number in range(source.num_record_batches)]
            self.features = tuple(source.schema.metadata[b"features"].decode().split("\n"))
            self.keys = [(batch.column("symbol"), batch.column("timestamp")) for batch in batches]
            self._parts = [_as_matrix(batch, len(self.features)) for batch in batches]
        except (OSError, KeyError, TypeError, pa.ArrowInvalid) as error:
            raise BadData(f"{path} is not a matrix of features: {error}") from error
        self._begins = np.cumsum([0, *(len(part) for part in self._parts)])

    def __len__(self) -> int:
        return int(self._begins[-1])

    def __getitem__(self, rows: Any) -> Floats:
        places = np.asarray(rows, dtype=np.int64)
        flat = places.reshape(-1)
        part_of = np.searchsorted(self._begins, flat, side="right") - 1
        out = np.empty((len(flat), len(self.features)), dtype=np.float32)
        for number in np.unique(part_of):
            inside = part_of == number
            out[inside] = self._parts[number][flat[inside] - self._begins[number]]
        return out.reshape(*places.shape, -1)

    def windows(self, length: int) -> Windows:
        """Every whole window of `length` rows, as `make_windows` finds them in a table in memory.

        Raises:
            BadData: no window fits.
        """
        symbol = np.concatenate([column.to_numpy(zero_copy_only=False) for column, _ in self.keys])
        at = np.concatenate([column.cast(pa.int64()).to_numpy() for _, column in self.keys])
        ends = window_ends(symbol, at, length)
        return Windows(self, ends, ends, length)


def write_matrix(path: Path, tables: Iterable[pd.DataFrame], standardiser: Standardiser) -> None:
    """The tables' features, standardised, as one Arrow file.

    One table is in memory at a time. The file appears whole or not at all.

    Args:
        path: of the file.
        tables: each one symbol's rows in the order of time.
        standardiser: fitted; its features are the columns of the file.

    Raises:
        BadData: a table of several symbols, or out of order.
    """
    width = len(standardiser.features)
    schema = pa.schema(
        [("symbol", pa.string()), ("timestamp", pa.timestamp("ms", "UTC")), ("values", pa.list_(pa.float32(), width))],
        metadata={"features": "\n".join(standardiser.features)},
    )
    partial = path.with_name(f".partial-{path.name}")
    with pa.OSFile(str(partial), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for table in tables:
            if table["symbol"].nunique() > 1 or not table["timestamp"].is_monotonic_increasing:
                raise BadData("each table must hold one symbol's rows in the order of time")
            values = pa.FixedSizeListArray.from_arrays(standardiser.apply(table).reshape(-1), width)
            columns = [
                pa.array(table["symbol"], pa.string()),
                pa.array(table["timestamp"], pa.timestamp("ms", "UTC")),
                values,
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    partial.rename(path)


def _as_matrix(batch: pa.RecordBatch, width: int) -> Floats:
    """The values of a record batch without a copy: they stay in the file until they are read."""
    column = batch.column("values")
    return np.asarray(column.values.to_numpy(zero_copy_only=True)).reshape(len(batch), width)
