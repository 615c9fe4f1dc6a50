"""Stores and sources by name: from the environment's catalog, from `globals`, or as everybody calls them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.startup import ProjectMetadata

from tradewind.errors import BadParameters

if TYPE_CHECKING:
    from tradewind.datasets.connection import Connection

DEFAULT_STORE = "local"


@dataclass(frozen=True)
class MarketConfiguration:
    """What an environment says of stores and sources; see `conf/base/globals.yml`.

    `dataset` is its entry `source_bars` if that is a stored market, else empty: what a run there uses.
    """

    project: Path
    stores: Mapping[str, Any]
    sources: Mapping[str, Any]
    dataset: Mapping[str, Any]
    credentials: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of_environment(cls, project: ProjectMetadata, env: str | None) -> "MarketConfiguration":
        """Read without a Kedro session, which would start MLflow."""
        from tradewind.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS

        folder = Path(project.project_path)
        loader = CONFIG_LOADER_CLASS(str(folder / "conf"), env=env or os.environ.get("KEDRO_ENV"), **CONFIG_LOADER_ARGS)
        entry = _read(loader, "catalog").get("source_bars", {})
        is_stored = str(entry.get("type", "")).endswith("StoredBarsDataset")
        named = _read(loader, "globals")
        return cls(
            folder, named.get("stores", {}), named.get("sources", {}), entry if is_stored else {},
            _read(loader, "credentials"),
        )  # fmt: skip

    @property
    def fetch(self) -> Mapping[str, Any]:
        """What the environment's runs fetch; empty where they fetch nothing."""
        settings: Mapping[str, Any] = self.dataset.get("fetch") or {}
        return settings

    def store(self, name: str | None) -> "Connection":
        """The store of this name; without one, that which the environment's runs read.

        Raises:
            BadParameters: there is none of this name, or its credentials are missing.
        """
        if name is None and self.dataset:
            return self._connection(self.dataset["store"], "the store of source_bars")
        name = name or DEFAULT_STORE
        if name not in self.stores:
            raise BadParameters(f"there is no store {name!r}; `stores` in globals.yml has {sorted(self.stores)}")
        return self._connection(self.stores[name], f"store {name}")

    def source(self, name: str | None, market: str | None = None) -> "Connection":
        """A source: named in `sources`, else a kind of source, else an exchange as ccxt calls it.

        Its credentials are those that it names, else those of its own name. Without a name it is the source that the
        environment's runs use.

        Raises:
            BadParameters: there is none, or its credentials are missing.
        """
        from tradewind.data.sources.catalogue import SOURCES

        if name is None:
            if not self.dataset.get("source"):
                raise BadParameters(
                    "say --source, such as binance: the environment's runs use none (`--env exchange` does)"
                )
            settings, what = dict(self.dataset["source"]), "the source of source_bars"
        else:
            by_kind = {"kind": name} if name in SOURCES else {"kind": "ccxt", "exchange": name}
            settings, what = dict(self.sources.get(name, by_kind)), f"source {name}"
            if name in self.credentials:
                settings.setdefault("credentials", name)
        if market is not None:
            settings["market"] = market
        return self._connection(settings, what)

    def _connection(self, settings: Mapping[str, Any], what: str) -> "Connection":
        """With credentials filled in, and paths from the project's folder, as the catalog does it."""
        from tradewind.datasets.connection import Connection

        complete = dict(settings)
        named = complete.get("credentials")
        if isinstance(named, str):
            if named not in self.credentials:
                raise BadParameters(
                    f"{what}: there are no credentials {named!r}: add them to conf/local/credentials.yml"
                )
            complete["credentials"] = self.credentials[named]
        if isinstance(complete.get("path"), str) and "://" not in complete["path"]:
            complete["path"] = str(self.project / complete["path"])
        return Connection(complete)


def _read(loader: Any, key: str) -> dict[str, Any]:
    from kedro.config import MissingConfigException

    try:
        return dict(loader[key])
    except MissingConfigException:
        return {}
