"""Many tables of one shape, one Parquet file each, replaced as a set."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tradewind.atomic import atomic_file, is_abandoned, is_partial, rename, write_bytes
from tradewind.datasets import parquet
from tradewind.errors import BadData
from tradewind.parameters import faults

MANIFEST = "_manifest.json"
# Below the dataset's folder: no part of it begins with a dot, none is empty, so none leads out.
_FILE = r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*"
_PARTITION = re.compile(_FILE)

TableLoader = Callable[[], pd.DataFrame]


class Entry(BaseModel):
    """What the manifest knows of one partition; `file` is relative to the dataset's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=rf"^{_FILE}$")
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """Which files make up a set of tables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    partitions: dict[str, Entry]


class PartitionedTableDataset(AbstractDataset[Mapping[str, Any], dict[str, TableLoader]]):
    """A set of tables by partition id (such as `simulated/SIM1/1h`), each in its own Parquet file.

    A file is named after its partition and its content, and `_manifest.json` says which files make up the set.
    The manifest is replaced last and atomically: before that a reader sees the whole old set, after it the whole
    new one. Files that no manifest names are removed afterwards. Equal tables give equal files and an equal
    manifest.
    """

    manifest_name: str = MANIFEST

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, TableLoader]:
        """A function for each partition, which reads its table and checks it against the manifest's hash."""
        manifest = self._manifest()
        for partition, entry in manifest.partitions.items():
            self._check_size(partition, entry)
        return {
            partition: partial(_read_verified, self._path / entry.file, partition, entry.sha256)
            for partition, entry in manifest.partitions.items()
        }

    def save(self, data: Mapping[str, pd.DataFrame | TableLoader]) -> None:
        """Replace the set; values may be tables, or functions that return them (called one by one)."""
        if not data:
            raise BadData(f"{self._path}: a set of tables needs at least one partition, found none")
        for partition in data:
            if _PARTITION.fullmatch(partition) is None:
                raise BadData(
                    f"{self._path}: a partition is named by letters, digits, '.', '_', '-' and '/', found {partition!r}"
                )
        entries = {partition: self._write(partition, data[partition]) for partition in sorted(data)}
        manifest = Manifest(partitions=entries)
        write_bytes(self._path / MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode())
        self._remove_unnamed({entry.file for entry in entries.values()})

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows of the first partition, for Kedro-Viz."""
        first = next(iter(self._manifest().partitions.values()), None)
        return TablePreview(parquet.preview_table(self._path / first.file, nrows) if first else {})

    def _write(self, partition: str, table: pd.DataFrame | TableLoader) -> Entry:
        frame = table() if callable(table) else table
        unnamed = self._path / f"{partition}-unnamed.parquet"
        with atomic_file(unnamed) as temporary:
            written = parquet.write_table(frame, temporary, self._path / partition)
        file = f"{partition}-{written.sha256[:12]}.parquet"
        rename(unnamed, self._path / file)
        return Entry(file=file, rows=len(frame), bytes=written.bytes, sha256=written.sha256)

    def _manifest(self) -> Manifest:
        path = self._path / self.manifest_name
        try:
            return Manifest.model_validate(json.loads(path.read_bytes()))
        except FileNotFoundError as error:
            raise BadData(f"{self._path} holds no complete set of tables: run the stage that writes it") from error
        except PermissionError as error:
            raise BadData(f"{path} may not be read by this user: change its permissions") from error
        except (ValueError, ValidationError) as error:
            why = faults(error) if isinstance(error, ValidationError) else str(error)
            raise BadData(f"{path} is damaged ({why}): delete {self._path} and run the stage that writes it") from error

    def _check_size(self, partition: str, entry: Entry) -> None:
        file = self._path / entry.file
        size = file.stat().st_size if file.is_file() else None
        if size != entry.bytes:
            size_found = "no such file" if size is None else f"{size} bytes"
            raise BadData(
                f"{file} (partition {partition}) should have {entry.bytes} bytes, found {size_found}: "
                "run the stage that writes it"
            )

    def _remove_unnamed(self, files: set[str]) -> None:
        for file in self._path.rglob("*"):
            is_stale_table = file.suffix == ".parquet" and file.relative_to(self._path).as_posix() not in files
            if file.is_file() and (is_abandoned(file) if is_partial(file) else is_stale_table):
                file.unlink(missing_ok=True)
        folders = sorted((folder for folder in self._path.rglob("*") if folder.is_dir()), reverse=True)
        for folder in folders:
            if not any(folder.iterdir()):
                folder.rmdir()

    def _exists(self) -> bool:
        try:
            for partition, entry in self._manifest().partitions.items():
                self._check_size(partition, entry)
        except BadData:
            return False
        return True

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}


def _read_verified(file: Path, partition: str, sha256: str) -> pd.DataFrame:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadData(f"{file} (partition {partition}) cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BadData(f"{file} (partition {partition}) is not the file that was saved: run the stage that writes it")
    return parquet.read_table(file, content)
