"""Settings of stores and sources as the catalog gives them: they may hold secrets, and travel to other processes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tradewind.data.sources.base import Source
from tradewind.data.sources.catalogue import open_source
from tradewind.data.stores.base import Store
from tradewind.data.stores.catalogue import open_store
from tradewind.errors import BadParameters


class Connection:
    """How to reach a store or a source: `kind`, its settings, and `credentials` by name, which Kedro fills in.

    Its representation says the kind alone, so that no log and no dashboard of workers shows a key.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        credentials = settings.get("credentials") or {}
        if not isinstance(credentials, Mapping):
            raise BadParameters(
                f"the credentials of {settings.get('kind')!r} are not filled in: name an entry of "
                "conf/local/credentials.yml that holds settings"
            )
        self._settings = {name: value for name, value in settings.items() if name != "credentials"} | dict(credentials)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, open for as long as the block runs."""
        store = open_store(self._settings)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def source(self) -> Iterator[Source]:
        """The source, open for as long as the block runs."""
        source = open_source(self._settings)
        try:
            yield source
        finally:
            source.close()

    def __repr__(self) -> str:
        return f"Connection(kind={self._settings.get('kind')!r})"
