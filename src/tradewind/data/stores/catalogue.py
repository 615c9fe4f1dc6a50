"""Which stores there are, by the name that configuration calls them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from tradewind.data.stores.base import Store
from tradewind.errors import BadParameters
from tradewind.parameters import faults

# A module has `Rules`, its settings as a pydantic model, and the class named here, which takes them.
STORES = {
    "sqlite": "SqliteStore",
    "postgres": "PostgresStore",
    "influx": "InfluxStore",
    "parquet": "ParquetStore",
    "delta": "DeltaStore",
}


def open_store(settings: Mapping[str, Any]) -> Store:
    """The store that `settings` describe: `kind` and what its `Rules` ask for.

    Raises:
        BadParameters: an unknown kind or setting, or the extra that the store needs is not installed.
    """
    kind = settings.get("kind")
    if kind not in STORES:
        raise BadParameters(f"store.kind must be one of {sorted(STORES)}, found {kind!r}")
    module = import_module(f"tradewind.data.stores.{kind}")
    try:
        rules = module.Rules(**{name: value for name, value in settings.items() if name != "kind"})
    except ValidationError as error:
        raise BadParameters(f"store {kind}: {faults(error, show_values=False)}") from error
    try:
        store: Store = getattr(module, STORES[kind])(rules)
    except ImportError as error:
        raise BadParameters(f"store {kind}: install the extra first, pip install 'tradewind[stores]'") from error
    return store
