"""The stores that every law of `tests/laws/test_stores.py` is held against, and the servers behind them.

A store joins by one line in `STORE_SETTINGS` and one fixture: the settings (as `open_store` takes them) of a store that
is empty and that no other test sees.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.data.stores.real_servers import PASSWORD, USER, InfluxServer, PostgresServer
from tradewind.data.stores.catalogue import open_store

Settings = dict[str, Any]

# The name of a store and of the fixture with its settings.
STORE_SETTINGS = {
    "sqlite": "sqlite_settings",
    "parquet": "parquet_settings",
    "s3": "s3_settings",
    "postgres": "postgres_settings",
    "influx": "influx_settings",
    "delta": "delta_settings",
}


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    return {"kind": "sqlite", "path": str(tmp_path / "store.sqlite")}


@pytest.fixture
def parquet_settings(tmp_path: Path) -> Settings:
    return {"kind": "parquet", "path": str(tmp_path / "store")}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3, in this process."""
    moto = pytest.importorskip("moto.server", reason="pip install 'moto[server]'")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_settings(s3_server: str) -> Settings:
    path = f"test-{secrets.token_hex(6)}"
    make_bucket = Request(f"{s3_server}/{path}", method="PUT")
    with urlopen(make_bucket, timeout=30) as answer:
        assert answer.status == 200
    return {
        "kind": "parquet", "path": f"s3://{path}/market", "endpoint_url": s3_server, "region": "us-east-1",
        "key": "the-key-of-the-test", "secret": "the-secret-of-the-test",
    }  # fmt: skip


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def postgres_settings(postgres_server: PostgresServer) -> Settings:
    return {"kind": "postgres", "url": postgres_server.url(), "schema_name": f"test_{secrets.token_hex(6)}"}


@pytest.fixture(scope="session")
def influx_server() -> Iterator[InfluxServer]:
    server = InfluxServer()
    yield server
    server.remove()


@pytest.fixture
def influx_settings(influx_server: InfluxServer) -> Settings:
    database = f"test_{secrets.token_hex(6)}"
    return {"kind": "influx", "url": influx_server.url, "database": database, "user": USER, "password": PASSWORD}


@pytest.fixture
def delta_settings(tmp_path: Path) -> Settings:
    return {"kind": "delta", "path": str(tmp_path / "delta")}


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
