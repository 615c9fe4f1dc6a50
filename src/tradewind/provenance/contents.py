"""What is stored of a dataset, told from its entry in the catalog without loading it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tradewind.atomic import write_bytes

# By the last part of a dataset's type.
STORES = {"ModelStoreDataset", "OptunaStorageDataset"}  # filled piece by piece, each piece under a key of its own
VOLATILE = {"RunFactsDataset", "OriginsDataset"}  # who is running
LEDGERS = {"TrialLedgerDataset"}
COLLECTIONS = {"DocumentFolderDataset"}  # of documents that other datasets wrote
DRAWN = {"FigureDataset", "TextDataset"}  # pages and figures
_MANIFESTS = {
    "PartitionedTableDataset": "_manifest.json",
    "CheckedTablesDataset": "_manifest.json",
    "AcceptedTablesDataset": "_accepted.json",
    "GatheredTablesDataset": "_manifest.json",
}
_RACY_NS = 2_000_000_000  # a file that was touched this shortly before it was hashed may change without its time

Entry = Mapping[str, Any]


def kind_of(entry: Entry) -> str:
    """The last part of the dataset's type; MemoryDataset where it has none."""
    return str(entry.get("type") or "MemoryDataset").rpartition(".")[2]


def is_kept(entry: Entry) -> bool:
    """Whether the dataset is stored for later runs, as a whole."""
    return kind_of(entry) not in {"MemoryDataset", "SharedMemoryDataset", *STORES, *VOLATILE, *COLLECTIONS}


class Contents:
    """Hashes of files, each computed once as long as the file's size and time stay."""

    def __init__(self, project: Path, known: Path) -> None:
        """Of a project whose entries may have relative paths.

        Args:
            project: its folder.
            known: the file where hashes are remembered; what is in it never decides by itself.
        """
        self._project, self._file = project, known
        try:
            self._known: dict[str, list[Any]] = dict(json.loads(known.read_bytes()))
        except (OSError, ValueError, TypeError):
            self._known = {}
        self._is_new = False

    def of_entry(self, entry: Entry) -> str | None:
        """A hash of what is stored; empty where it cannot be told from files; None where nothing whole is there."""
        place = entry.get("filepath") or entry.get("path")
        if place is None:
            return ""
        path = self._project / str(place)
        manifest = _MANIFESTS.get(kind_of(entry))
        if manifest is not None:
            return self._of_tables(path, str(entry.get("manifest") or manifest))
        if kind_of(entry) in LEDGERS or path.is_dir():
            return "" if path.exists() else None
        if not path.is_file():
            return None
        if (entry.get("metadata") or {}).get("tracking") == "models":
            return self._of_models(path)
        return self.of_file(path)

    def of_file(self, path: Path) -> str:
        """SHA-256 of the file's content."""
        about = path.stat()
        key, stamp = str(path), [about.st_size, about.st_mtime_ns, about.st_ino]
        known = self._known.get(key)
        if isinstance(known, list) and known[:3] == stamp:
            return str(known[3])
        total = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
        if _clock_ns(path) - about.st_mtime_ns > _RACY_NS:
            self._known[key] = [*stamp, total.hexdigest()]
            self._is_new = True
        return total.hexdigest()

    def keep(self) -> None:
        """Remember the hashes for the next command; a folder that may not be written to is left alone."""
        if self._is_new and self._file.parent.is_dir():
            try:
                write_bytes(self._file, json.dumps(self._known, sort_keys=True).encode())
            except Exception:  # noqa: BLE001 - only speed is lost
                return
            self._is_new = False

    def _of_tables(self, folder: Path, name: str) -> str | None:
        """The hash of a manifest whose files are there, with the sizes that it says."""
        try:
            content = (folder / name).read_bytes()
            for one in json.loads(content)["partitions"].values():
                if (folder / one["file"]).stat().st_size != one["bytes"]:
                    return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return hashlib.sha256(content).hexdigest()

    @staticmethod
    def _of_models(path: Path) -> str | None:
        """The hash of a list of models' keys with the manifests of those models, which lie in the store beside it."""
        try:
            content = path.read_bytes()
            total = hashlib.sha256(content)
            for key in json.loads(content).values():
                manifest = path.parent / "folds" / str(key)[:24] / "manifest.json"
                total.update(hashlib.sha256(manifest.read_bytes()).digest())
        except (OSError, ValueError, AttributeError):
            return None
        return total.hexdigest()


def _clock_ns(path: Path) -> int:
    """The file system's own present, as near as the machine's clock tells it."""
    from tradewind import clock

    return int(clock.now().timestamp() * 1_000_000_000)
