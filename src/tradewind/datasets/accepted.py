"""Tables that wait at a gate, and those of them that have passed it: one set of files, two manifests."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tradewind.atomic import write_bytes
from tradewind.datasets.partitioned import MANIFEST, Manifest, PartitionedTableDataset, TableLoader
from tradewind.errors import BadData

ACCEPTED = "_accepted.json"


class CheckedTablesDataset(PartitionedTableDataset):
    """A set of tables that nobody reads until it is accepted: saving it withdraws what was accepted before."""

    def save(self, data: Mapping[str, pd.DataFrame | TableLoader]) -> None:
        """Replace the set; the acceptance goes first, so that new tables never pass under an old one."""
        (self._path / ACCEPTED).unlink(missing_ok=True)
        super().save(data)


class AcceptedTablesDataset(PartitionedTableDataset):
    """Those tables of a `CheckedTablesDataset` in the same folder that are accepted.

    Saving names them in `_accepted.json` and copies nothing, so that a gate costs no second set of files. Loading
    checks the files against it, and refuses where nothing has been accepted.
    """

    manifest_name: str = ACCEPTED

    def save(self, data: Mapping[str, Any]) -> None:
        """Accept the checked tables of these names; their content is what was checked, not what is given here."""
        checked = CheckedTablesDataset(path=str(self._path))._manifest().partitions
        unknown = sorted(set(data) - set(checked))
        if unknown or not data:
            raise BadData(
                f"{self._path}: accepted tables must be among the checked ones, {sorted(checked)}; found "
                f"{unknown or 'none'}"
            )
        manifest = Manifest(partitions={name: checked[name] for name in sorted(data)})
        write_bytes(self._path / ACCEPTED, (manifest.model_dump_json(indent=2) + "\n").encode())

    def _manifest(self) -> Manifest:
        if (self._path / MANIFEST).is_file() and not (self._path / ACCEPTED).is_file():
            raise BadData(
                f"{self._path} holds checked tables that were not accepted: run data_engineering, whose gate says what "
                "is wrong with them"
            )
        return super()._manifest()
