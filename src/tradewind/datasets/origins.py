"""What made the tables of a data folder, as a dataset: for what is taken out of the project."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tradewind.errors import BadData
from tradewind.provenance.records import Record


class OriginsDataset(AbstractDataset[Any, dict[str, Any]]):
    """The records of a data folder by dataset, as they are stored; read only, for a run writes them by itself."""

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """The records; none where nothing was recorded.

        Raises:
            BadData: one of them was altered.
        """
        found = {}
        for file in sorted(self._path.glob("[!_.]*.json")):
            try:
                document = json.loads(file.read_bytes())
            except ValueError as error:
                raise BadData(
                    f"{file} is not JSON ({error}): delete it, the next `kedro run` makes the table anew"
                ) from (error)
            found[Record.of_document(document, str(file)).dataset] = document
        return found

    def save(self, data: Any) -> None:
        """Refused: nobody says what made a table but the run that makes it."""
        raise BadData("origins are read only: a run records what it makes")

    def _exists(self) -> bool:
        return self._path.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
