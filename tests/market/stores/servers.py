"""The stores that every law of `tests/laws/test_stores.py` is held against, and the servers behind them.

A store joins by one line in `STORE_SETTINGS` and one fixture: the settings (as `open_store` takes them) of a store that
is empty and that no other test sees.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tradewind.market.stores.catalogue import open_store

Settings = dict[str, Any]

# The name of a store and of the fixture with its settings.
STORE_SETTINGS = {
    "sqlite": "sqlite_settings",
}


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    return {"kind": "sqlite", "path": str(tmp_path / "store.sqlite")}


@pytest.fixture(params=STORE_SETTINGS)
def store_settings(request: pytest.FixtureRequest) -> Settings:
    """The settings of each store in turn."""
    settings: Settings = request.getfixturevalue(STORE_SETTINGS[request.param])
    return settings


@pytest.fixture
def store(store_settings: Settings) -> Iterator[Any]:
    """Each store in turn, empty."""
    opened = open_store(store_settings)
    yield opened
    opened.close()
