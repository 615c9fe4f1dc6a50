"""A year of one-minute bars into and out of the local stores, against bare pandas, polars and pyarrow."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Delivery, receive
from tradewind.data.stores.base import Store
from tradewind.data.stores.catalogue import open_store

pl = pytest.importorskip("polars", reason="pip install -e .[bench]")
pytestmark = pytest.mark.benchmark

KEY = BarKey(venue="simulated", symbol="SIM1", timeframe="1m")
QUERY = "SELECT * FROM bars ORDER BY open_time"
Compare = Callable[..., None]


@pytest.fixture(scope="module")
def delivery(minute_bars: pd.DataFrame) -> Delivery:
    opened = minute_bars["open_time"].astype("int64")
    return receive(minute_bars.assign(open_time=opened), KEY, "benchmark", datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """A new path at each call; what was at the last one is gone."""
    numbers = count()

    def path() -> Path:
        shutil.rmtree(tmp_path / "bench", ignore_errors=True)
        (tmp_path / "bench").mkdir()
        return tmp_path / "bench" / f"store-{next(numbers)}"

    return path


def filled(kind: str, path: Path, delivery: Delivery) -> Store:
    store = open_store({"kind": kind, "path": str(path)})
    store.append(delivery)
    return store


def to_sqlite(path: Path, rows: pd.DataFrame) -> None:
    with closing(sqlite3.connect(path)) as connection:
        rows.to_sql("bars", connection, index=False)
        connection.commit()


def close_of(table: object) -> np.ndarray:
    return np.asarray(table["close"])  # type: ignore[index]


def test_sqlite(delivery: Delivery, tmp_path: Path, fresh: Callable[[], Path], compare: Compare) -> None:
    rows = delivery.rows
    case = f"{len(rows):,} bars"

    def append() -> None:
        filled("sqlite", fresh(), delivery).close()

    def append_bare() -> None:
        to_sqlite(fresh(), rows)

    name = f"{case} into SQLite, durable and keyed; pandas to_sql"
    compare(name, append, append_bare, goal=1.0, rounds=3, same=False)
    store = filled("sqlite", tmp_path / "ours", delivery)
    to_sqlite(tmp_path / "bare", rows)
    with closing(sqlite3.connect(tmp_path / "bare")) as connection:
        peers = {
            "pandas read_sql_query": lambda: close_of(pd.read_sql_query(QUERY, connection)),
            "polars read_database": lambda: close_of(pl.read_database(QUERY, connection, infer_schema_length=None)),
        }
        for peer, read in peers.items():
            name = f"{case} out of SQLite, checked; {peer}"
            compare(name, lambda: close_of(store.read(KEY)), read, goal=1.0, rounds=3)
    store.close()


def test_parquet(delivery: Delivery, tmp_path: Path, fresh: Callable[[], Path], compare: Compare) -> None:
    rows, bare = delivery.rows, tmp_path / "bare.parquet"
    case = f"{len(rows):,} bars"

    def append() -> None:
        filled("parquet", fresh(), delivery)

    compare(f"{case} into Parquet, durable, by month; pandas to_parquet", append, lambda: rows.to_parquet(fresh()),
            goal=1.5, same=False)  # fmt: skip
    store = filled("parquet", tmp_path / "ours", delivery)
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), bare)
    peers = {
        "pyarrow": lambda: close_of(pq.read_table(bare).to_pandas()),
        "pandas": lambda: close_of(pd.read_parquet(bare)),
        "polars": lambda: close_of(pl.read_parquet(bare).to_pandas()),
    }
    for name, read in peers.items():
        compare(f"{case} out of Parquet, checked; bare {name}", lambda: close_of(store.read(KEY)), read,
                goal=1.0, rounds=15)  # fmt: skip
    compare(f"fingerprints of {case} in Parquet; reading them", lambda: len(store.fingerprints(KEY)),
            lambda: store.read(KEY), goal=0.1, same=False)  # fmt: skip
