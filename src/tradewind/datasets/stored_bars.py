"""Bars and side series in a store. Loading only reads; `kedro backfill` fetches."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset
from pydantic import ValidationError

from tradewind import clock
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import OPTIONAL
from tradewind.data.files.deliveries import receive, settled
from tradewind.data.ingestion.fetch import FetchSettings
from tradewind.data.ingestion.freshness import require_up_to_date
from tradewind.datasets.bar_mirror import read_mirrored
from tradewind.datasets.connection import Connection
from tradewind.errors import BadData, BadParameters
from tradewind.parameters import faults

Loader = Callable[[], pd.DataFrame]

# What the ledger calls rows that a pipeline has written.
CATALOG = "catalog"


class StoredBarsDataset(AbstractDataset[Mapping[str, Any], dict[str, Loader]]):
    """The bars of a store by partition `venue/symbol/timeframe`.

    Args:
        store: settings of the store, `kind` and what that asks for.
        path: folder for a local copy, of which each load reads the months that have not changed; None reads
            everything from the store.
        source: where `kedro backfill --env ...` fetches from. This dataset never opens it.
        fetch: what `kedro backfill --env ...` fetches (`FetchSettings`). A load checks that the store has it.
        metadata: as Kedro takes it.
    """

    def __init__(
        self,
        *,
        store: dict[str, Any],
        path: str | None = None,
        source: dict[str, Any] | None = None,
        fetch: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._store = Connection(store)
        self._path = None if path is None else Path(path)
        self._source, self._fetch = _check_source(source, fetch)
        self.metadata = metadata

    def load(self) -> dict[str, Loader]:
        """A function for each partition that gives its rows as received: open_time in epoch milliseconds, of one bar
        the row that counts last. It can be sent to another process.

        Raises:
            BadData: the store lacks a symbol of `fetch`, or its last bars are too old; names the command to run.
        """
        with self._store.store() as store:
            if self._fetch is not None:
                require_up_to_date(store, self._fetch, clock.now())
            partitions = [str(key) for key in store.keys()]  # noqa: SIM118 - a store is no mapping
        return {name: partial(read_stored_bars, self._store, self._path, name) for name in partitions}

    def identity(self, universe: Any, of_file: Callable[[Path], str]) -> dict[str, Any]:
        """What the stored rows of the universe's symbols add up to, by partition; when they came plays no part."""
        with self._store.store() as store:
            keys = [key for key in store.keys() if key.symbol in universe.symbols]  # noqa: SIM118 - no mapping
            months = {str(key): sorted(store.fingerprints(key).items()) for key in keys}
        contents = {name: [(month, one.rows, one.hash_sum) for month, one in found] for name, found in months.items()}
        return {name: hashlib.sha256(repr(one).encode()).hexdigest()[:16] for name, one in contents.items()}

    def save(self, data: Mapping[str, pd.DataFrame | Loader]) -> None:
        """Add the rows of every partition as a delivery; rows that are stored already change nothing.

        Raises:
            BadData: rows that cannot be read, or are of bars that have not closed: a pipeline writes none.
        """
        with self._store.store() as store:
            for partition in sorted(data):
                rows = data[partition]
                delivery = receive(
                    rows() if callable(rows) else rows, BarKey.from_partition(partition), CATALOG, clock.now()
                )
                if len(delivery.rejected):
                    raise BadData(
                        f"{partition}: {len(delivery.rejected)} rows rejected: {delivery.rejected['reason'][0]}"
                    )
                store.append(delivery)

    def _exists(self) -> bool:
        with self._store.store() as store:
            return bool(store.keys())

    def _describe(self) -> dict[str, Any]:
        return {"store": self._store, "source": self._source, "path": None if self._path is None else str(self._path)}


class StoredSideSeriesDataset(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """The side series of a store (`schema.SideVintages`)."""

    def __init__(self, *, store: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self._store = Connection(store)
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """All vintages of all series, by series, symbol, reference_at and known_at."""
        with self._store.store() as store:
            return store.read_side()

    def identity(self, universe: Any, of_file: Callable[[Path], str]) -> dict[str, Any]:
        """A hash of the stored vintages of each of the universe's series."""
        found = {}
        with self._store.store() as store:
            for name in universe.received_side_series:
                rows = pd.util.hash_pandas_object(store.read_side([name]), index=False).to_numpy()
                found[name] = hashlib.sha256(rows.tobytes()).hexdigest()[:16]
        return found

    def save(self, data: pd.DataFrame) -> None:
        """Add the vintages; those that are stored already change nothing."""
        with self._store.store() as store:
            store.append_side(data)

    def _exists(self) -> bool:
        with self._store.store() as store:
            return len(store.read_side()) > 0

    def _describe(self) -> dict[str, Any]:
        return {"store": self._store}


def read_stored_bars(store: Connection, mirror: Path | None, partition: str) -> pd.DataFrame:
    """The rows of one partition as a source gives them.

    Args:
        store: how to open it.
        mirror: folder that keeps the months already read; None keeps none.
        partition: `venue/symbol/timeframe`.

    Returns:
        Without the store's own columns, and without optional columns that no row fills.
    """
    key = BarKey.from_partition(partition)
    with store.store() as opened:
        rows = opened.read(key) if mirror is None else read_mirrored(opened, mirror, key)
    rows = settled(rows)
    absent = [name for name in OPTIONAL if rows[name].isna().all()]
    return rows.drop(columns=["received_at", "content_hash", *absent])


def _check_source(
    source: dict[str, Any] | None, fetch: dict[str, Any] | None
) -> tuple[Connection | None, FetchSettings | None]:
    if (source is None) != (fetch is None):
        raise BadParameters("catalog: `source` and `fetch` of a stored dataset belong together: give both or neither")
    if source is None or fetch is None:
        return None, None
    try:
        return Connection(source), FetchSettings.model_validate(fetch)
    except ValidationError as error:
        raise BadParameters(f"catalog: the `fetch` settings of a stored dataset are wrong: {faults(error)}") from error
