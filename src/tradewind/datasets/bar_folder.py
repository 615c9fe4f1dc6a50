"""A folder of bar files, as venues, vendors and people deliver them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from pydantic import ValidationError

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.dialect import BarDialect
from tradewind.data.sources.files import DEFAULT_PATTERN, discover, read_bar_file
from tradewind.errors import BadParameters
from tradewind.parameters import faults


class BarFolderDataset(AbstractDataset[None, dict[str, Callable[[], pd.DataFrame]]]):
    """The bar files of a folder by partition, each read when asked for; nothing is ever written to the folder.

    `pattern` says how files are named (fields {symbol}, {timeframe}, {format}), `timeframe` what bars they hold if
    the names do not say, and `dialect` how they are written (`tradewind.data.files.dialect.BarDialect`).
    """

    def __init__(
        self,
        *,
        path: str,
        venue: str,
        pattern: str = DEFAULT_PATTERN,
        timeframe: str | None = None,
        dialect: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._path = Path(path)
        self._venue = venue
        self._pattern = pattern
        self._timeframe = timeframe
        try:
            self._dialect = BarDialect.model_validate(dialect or {})
        except ValidationError as error:
            raise BadParameters(f"the dialect of the bar files in {path} is wrong: {faults(error)}") from error
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[], pd.DataFrame]]:
        """A function for each file that reads its rows: open_time in epoch milliseconds, the rest as received."""
        files = discover(self._path, self._venue, self._pattern, self._timeframe)
        return {
            partition: partial(read_bar_file, file, BarKey.from_partition(partition), self._dialect)
            for partition, file in files.items()
        }

    def identity(self, universe: Any, of_file: Callable[[Path], str]) -> dict[str, Any]:
        """Hashes of the files of the universe's symbols by partition, and how they are read."""
        files = discover(self._path, self._venue, self._pattern, self._timeframe)
        wanted = {name: file for name, file in files.items() if BarKey.from_partition(name).symbol in universe.symbols}
        read_as = {"dialect": self._dialect.model_dump(mode="json")}
        return read_as | {name: of_file(file)[:16] for name, file in wanted.items()}

    def save(self, data: None) -> None:
        """Refused: the folder belongs to its user."""
        raise DatasetError(f"the bar files in {self._path} are only read")

    def _exists(self) -> bool:
        return self._path.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path), "venue": self._venue, "pattern": self._pattern}
