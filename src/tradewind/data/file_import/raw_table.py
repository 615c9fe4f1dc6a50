"""A file as a table of cells, before it is known what they are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class RawTable:
    """Columns of cells by name; `source_row` numbers the table's rows in the file, `ragged` are the file's other rows.

    `has_names` is false where columns are only numbered. `zone` is the time zone that the file states, with the words.
    """

    columns: dict[str, pa.Array]
    source_row: npt.NDArray[np.int64]
    ragged: tuple[tuple[int, str], ...] = ()
    has_names: bool = True
    zone: tuple[str, str] | None = None

    @property
    def rows(self) -> int:
        """How many rows the file has, ragged ones included."""
        return len(self.source_row) + len(self.ragged)
