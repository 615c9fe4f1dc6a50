"""A folder of recorded exchange streams, one file for each venue, symbol and day."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from kedro.io import AbstractDataset, DatasetError

from tradewind.data.files.columnar import read_parquet
from tradewind.data.files.contents import require_regular
from tradewind.errors import BadData

_NAME = re.compile(r"(?P<venue>[A-Za-z0-9._-]+)/(?P<symbol>[A-Za-z0-9._-]+)_(?P<day>[0-9]{8})\.parquet")


class StreamFolderDataset(AbstractDataset[None, dict[str, Callable[[], pd.DataFrame]]]):
    """The files `VENUE/SYMBOL_YYYYMMDD.parquet` below a folder as partitions `venue/symbol/day`, read when asked for.

    Their columns are those of `tradewind.data.order_book.events`, in the order received. Where they are not `required`,
    a folder that is missing or holds none has no partitions.
    """

    def __init__(self, *, path: str, required: bool = True, metadata: dict[str, Any] | None = None) -> None:
        self._path, self._required = Path(path), required
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[], pd.DataFrame]]:
        """A function for each file.

        Raises:
            BadData: the folder is missing or holds no such file, and one is required.
        """
        found: dict[str, Callable[[], pd.DataFrame]] = {}
        for file in sorted(self._path.rglob("*.parquet")):
            name = _NAME.fullmatch(file.relative_to(self._path).as_posix())
            if name:
                found[f"{name['venue']}/{name['symbol']}/{name['day']}"] = partial(_read, file)
        if not found and self._required:
            raise BadData(
                f"{self._path} holds no file VENUE/SYMBOL_YYYYMMDD.parquet: put recorded streams there, or name their "
                "folder in TRADEWIND_STREAMS"
            )
        return found

    def identity(self, universe: Any, of_file: Callable[[Path], str]) -> dict[str, Any]:
        """Hashes of all files by their place in the folder."""
        files = sorted(self._path.rglob("*.parquet"))
        return {file.relative_to(self._path).as_posix(): of_file(file)[:16] for file in files}

    def save(self, data: None) -> None:
        """Refused: the folder belongs to its user."""
        raise DatasetError(f"the streams in {self._path} are only read")

    def _exists(self) -> bool:
        return self._path.is_dir() or not self._required

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}


def _read(file: Path) -> pd.DataFrame:
    """The table of a recorded stream, within the limits on files."""
    try:
        require_regular(file)
        return read_parquet(file, str(file)).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"{file} is not a complete Parquet file ({error}): record or fetch it again") from error
