"""Everything that was ever tried on a data set: one line each, only ever added to."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tradewind.atomic import write_bytes
from tradewind.errors import BadData

Entries = list[dict[str, Any]]


class TrialLedgerDataset(AbstractDataset[Entries, Entries]):
    """A ledger of trials in a JSON-lines file.

    Saving adds the entries whose `key` the file does not have yet and changes nothing else, so that the same run twice
    counts once. Written atomically: a killed run leaves the old ledger or the new one.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Entries:
        """All entries, oldest first; none if nothing was ever tried."""
        if not self._filepath.exists():
            return []
        entries = []
        for number, line in enumerate(self._filepath.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                entry = json.loads(line)
                entry["key"]
            except (ValueError, TypeError, KeyError) as error:
                raise BadData(
                    f"{self._filepath}, line {number} is no ledger entry ({error}): restore the file, or move it away "
                    "and know that earlier trials are no longer counted"
                ) from error
            entries.append(entry)
        return entries

    def save(self, data: Entries) -> None:
        """Add what is new."""
        entries = self.load()
        keys = {entry["key"] for entry in entries}
        fresh = [entry for entry in data if entry["key"] not in keys]
        if fresh or not self._filepath.exists():
            lines = [json.dumps(entry, sort_keys=True, allow_nan=False) for entry in [*entries, *fresh]]
            write_bytes(self._filepath, "".join(f"{line}\n" for line in lines).encode())

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
