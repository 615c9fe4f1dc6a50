"""A year of minutes of one symbol to checked primary bars, against reading and writing the same rows bare."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner

from tests.benchmarks.conftest import Compare
from tradewind.compute import ComputeRules
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import MarketRules
from tradewind.data.files.deliveries import receive
from tradewind.data.stores.catalogue import open_store
from tradewind.datasets import BarFolderDataset, StoredBarsDataset
from tradewind.market.universe import Universe
from tradewind.pipelines import data_engineering

pytestmark = pytest.mark.benchmark

COLUMNS = ["open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades"]
KEY = BarKey(venue="simulated", symbol="SIM1", timeframe="1m")
CONF = Path(__file__).resolve().parents[2] / "conf/base/catalog_data_engineering.yml"


@pytest.fixture(scope="module")
def received(minute_bars: pd.DataFrame) -> pd.DataFrame:
    """The rows as a source gives them: epoch milliseconds and numbers."""
    opened = minute_bars["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    return minute_bars.assign(open_time=opened)[COLUMNS]


@pytest.fixture(scope="module")
def sources(received: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rows in a SQLite store, in a plain SQLite table and in a CSV file."""
    folder = tmp_path_factory.mktemp("sources")
    store = open_store({"kind": "sqlite", "path": str(folder / "store.sqlite")})
    store.append(receive(received, KEY, "benchmark", datetime(2030, 1, 1, tzinfo=UTC)))
    store.close()
    with closing(sqlite3.connect(folder / "plain.sqlite")) as connection:
        received.to_sql("bars", connection, index=False)
    (folder / "csv").mkdir()
    received.to_csv(folder / "csv/SIM1-1m.csv", index=False)
    return folder


def to_primary(source: Any, folder: Path) -> Path:
    """The stage's own nodes and datasets, from the source to `bars`; the file of the bars."""
    entries = yaml.safe_load(CONF.read_text())
    for entry in entries.values():
        for name in {"path", "filepath"} & set(entry):
            entry[name] = str(folder / entry[name])
    catalog = DataCatalog.from_config(entries)
    catalog["source_bars"] = source
    catalog["params:universe"] = Universe(venue="simulated", symbols=("SIM1",), timeframe="1m")
    catalog["params:data_engineering.market"] = MarketRules()
    catalog["params:compute"] = ComputeRules()
    wanted = data_engineering.create_pipeline().only_nodes("type_bars", "check_bars")
    SequentialRunner().run(wanted, catalog)
    return next((folder / "data/03_primary").rglob("*.parquet"))


def closes(file: Path) -> Any:
    return pq.read_table(file, columns=["close"])["close"].to_numpy()


def cases(sources: Path, folder: Path) -> dict[str, tuple[Callable[[], Any], Callable[[], Any], float]]:
    """Case -> ours, the peer, and the ratio aimed at."""
    import polars as pl

    out = folder / "bare.parquet"
    store = StoredBarsDataset(store={"kind": "sqlite", "path": str(sources / "store.sqlite")})
    files = BarFolderDataset(path=str(sources / "csv"), venue="simulated")
    query = "SELECT * FROM bars"

    def pandas_sqlite() -> Any:
        with closing(sqlite3.connect(sources / "plain.sqlite")) as connection:
            pd.read_sql_query(query, connection).to_parquet(out, index=False)
        return closes(out)

    def polars_sqlite() -> Any:
        with closing(sqlite3.connect(sources / "plain.sqlite")) as connection:
            pl.read_database(query, connection).write_parquet(out)
        return closes(out)

    def pandas_csv() -> Any:
        pd.read_csv(sources / "csv/SIM1-1m.csv").to_parquet(out, index=False)
        return closes(out)

    def polars_csv() -> Any:
        pl.read_csv(sources / "csv/SIM1-1m.csv").write_parquet(out)
        return closes(out)

    def from_store() -> Any:
        return closes(to_primary(store.load(), folder / "store"))

    def from_files() -> Any:
        return closes(to_primary(files.load(), folder / "files"))

    return {
        "SQLite to checked bars, against pandas": (from_store, pandas_sqlite, 1.0),
        "SQLite to checked bars, against polars": (from_store, polars_sqlite, 1.5),
        "CSV to checked bars, against pandas": (from_files, pandas_csv, 1.0),
        "CSV to checked bars, against polars": (from_files, polars_csv, 1.5),
    }


@pytest.mark.parametrize(
    "case", [f"{kind} to checked bars, against {peer}" for kind in ("SQLite", "CSV") for peer in ("pandas", "polars")]
)
def test_to_primary(case: str, sources: Path, tmp_path: Path, compare: Compare) -> None:
    pytest.importorskip("polars", reason="polars is not installed: pip install -e .[bench]")
    ours, peer, goal = cases(sources, tmp_path)[case]
    compare(f"525,600 minutes, {case}", ours, peer, goal)


def test_reading_back(sources: Path, tmp_path: Path, compare: Compare) -> None:
    store = StoredBarsDataset(store={"kind": "sqlite", "path": str(sources / "store.sqlite")})
    file = to_primary(store.load(), tmp_path)
    catalog = DataCatalog.from_config(
        {"checked_bars": {**yaml.safe_load(CONF.read_text())["checked_bars"], "path": str(file.parents[2])}}
    )
    compare(
        "525,600 minutes, bars read back, hash and contract checked, against bare pyarrow",
        lambda: catalog.load("checked_bars")[str(KEY)]()["close"],
        lambda: pq.read_table(file).to_pandas()["close"],
        1.0,
        rounds=9,
    )
