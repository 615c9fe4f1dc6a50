"""One table in one Parquet file."""

from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from tradewind.atomic import atomic_file
from tradewind.datasets import parquet


class ParquetTableDataset(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """A table in one Parquet file, written atomically and read back with the dtypes it was saved with.

    Kedro's own Parquet dataset writes in place, so a killed run leaves half a file that the next one takes for
    whole.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """The table. A file that is missing or not whole is refused with what to do."""
        return parquet.read_table(self._filepath)

    def save(self, data: pd.DataFrame) -> None:
        """Replace the file."""
        with atomic_file(self._filepath) as temporary:
            parquet.write_table(data, temporary, self._filepath)

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows, for Kedro-Viz."""
        return TablePreview(parquet.preview_table(self._filepath, nrows))

    def _exists(self) -> bool:
        return parquet.is_complete(self._filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
