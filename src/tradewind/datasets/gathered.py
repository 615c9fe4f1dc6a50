"""Tables and documents that several datasets write, one each, read together."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tradewind.atomic import is_partial, write_bytes
from tradewind.datasets import parquet
from tradewind.datasets.partitioned import MANIFEST, Entry, Manifest, PartitionedTableDataset
from tradewind.errors import BadData


class GatheredTablesDataset(PartitionedTableDataset):
    """Those of a folder's tables that a run reads, by their place in it (`classifier/xgboost`).

    Each table is written by a dataset of its own. Saving names here makes `manifest` say which of them are read, in
    this order, with their hashes: nothing is copied and nothing removed. A table that is not named is not loaded,
    however long it has been lying there; one that was written again since must be gathered again.
    """

    def __init__(self, *, path: str, manifest: str = MANIFEST, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(path=path, metadata=metadata)
        self.manifest_name = manifest

    def save(self, data: Sequence[str]) -> None:  # type: ignore[override]
        """Name the tables.

        Args:
            data: places below the folder, without the suffix; none at all is a set, too.

        Raises:
            BadData: one of them is not there, or is not whole.
        """
        manifest = Manifest(partitions={name: self._entry(name) for name in data})
        write_bytes(self._path / self.manifest_name, (manifest.model_dump_json(indent=2) + "\n").encode())

    def _entry(self, name: str) -> Entry:
        file = f"{name}.parquet"
        measured = parquet.measured(self._path / file)
        return Entry(file=file, rows=measured.rows, bytes=measured.bytes, sha256=measured.sha256)


class DocumentFolderDataset(AbstractDataset[list[dict[str, Any]], list[dict[str, Any]]]):
    """All JSON documents of a folder, each written there by a dataset of its own, by the names of their files."""

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> list[dict[str, Any]]:
        """The documents; none where nothing was ever written.

        Raises:
            BadData: a file is not a JSON document.
        """
        documents = []
        for file in sorted(file for file in self._path.glob("*.json") if not is_partial(file)):
            try:
                documents.append(json.loads(file.read_bytes()))
            except ValueError as error:
                raise BadData(f"{file} is not JSON ({error}): delete it and run the stage that writes it") from error
        return documents

    def save(self, data: list[dict[str, Any]]) -> None:
        """Nothing is written: the documents are there already.

        Raises:
            BadData: one of those given is not.
        """
        there = self.load()
        lacking = [document for document in data if document not in there]
        if lacking:
            raise BadData(f"{self._path} lacks a document that was to be in it: {lacking[0]}")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
