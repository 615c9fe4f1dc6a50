"""A folder of side series' files, as venues, agencies and people deliver them."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from pydantic import ValidationError

from tradewind import clock
from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.collection import read_series
from tradewind.data.side_data.delivery import SideDelivery
from tradewind.data.side_data.files import SeriesFiles
from tradewind.errors import BadParameters
from tradewind.parameters import faults

SideFolder = dict[str, Callable[[Sequence[str]], list[SideDelivery]]]


class SideFolderDataset(AbstractDataset[None, SideFolder]):
    """The side series of a folder by name, each read for the symbols it is asked for; the folder is never written to.

    `series` says where each is (`tradewind.data.side_data.files.SeriesFiles`); the names are those of
    `tradewind.data.side_data.catalogue.SERIES`. An empty `path` is a source that has none.
    """

    def __init__(
        self, *, path: str, series: dict[str, dict[str, Any]] | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        self._path = path
        self._files: dict[str, SeriesFiles] = {}
        for name, settings in (series or {}).items():
            if name not in SERIES:
                raise BadParameters(f"series must be among {sorted(SERIES)}, found {name!r}")
            try:
                self._files[name] = SeriesFiles.model_validate(settings)
            except ValidationError as error:
                raise BadParameters(
                    f"the files of side series {name} are described wrongly: {faults(error)}"
                ) from error
        self.metadata = metadata

    def load(self) -> SideFolder:
        """A function for each series that reads it for the symbols: vintages, and refused rows with their reason."""
        if not self._path:
            return {}
        folder = Path(self._path)
        if not folder.is_dir():
            raise BadParameters(f"side data: {folder} is not a folder: correct TRADEWIND_SIDE_DATA or the catalog")
        now_ms = int(clock.now().timestamp() * 1000)
        return {name: partial(read_series, name, files, folder, now_ms) for name, files in self._files.items()}

    def identity(self, universe: Any, of_file: Callable[[Path], str]) -> dict[str, Any]:
        """Hashes of the files of the universe's series and symbols, and how they are read."""
        folder, found = Path(self._path), dict[str, Any]()
        for name in universe.received_side_series if self._path else ():
            files = self._files.get(name)
            if files is None:
                continue
            symbols = dict.fromkeys((*universe.symbols, *([files.of] if files.of else []), ""))
            paths = dict.fromkeys(path for symbol in symbols for path in files.paths(folder, symbol))
            hashes = {path.relative_to(folder).as_posix(): of_file(path)[:16] for path in paths if path.is_file()}
            found[name] = {"read_as": files.model_dump(mode="json"), "files": hashes}
        return found

    def save(self, data: None) -> None:
        """Refused: the folder belongs to its user."""
        raise DatasetError(f"the side files in {self._path} are only read")

    def _exists(self) -> bool:
        return not self._path or Path(self._path).is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"path": self._path, "series": sorted(self._files)}
