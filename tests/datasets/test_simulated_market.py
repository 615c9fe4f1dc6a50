"""The embedded market: made once, made again when its specification changes, the user's own never touched."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kedro.io.core import DatasetError

from tradewind.datasets import simulated_market
from tradewind.datasets.simulated_market import SimulatedMarketDataset, write_market
from tradewind.errors import BadParameters, TemporaryOutage
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market

SMALL = {"days": 10, "n_symbols": 2, "edge": 1.0, "inject_errors": 5}


def dataset(path: Path, table: str = "bars", **changes: Any) -> SimulatedMarketDataset:
    return SimulatedMarketDataset(filepath=str(path), table=table, simulation=SMALL | changes)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "market.sqlite"


def test_a_missing_file_is_simulated_and_then_only_read(path: Path) -> None:
    bars = dataset(path).load()
    assert list(bars) == ["simulated/SIM1/1h", "simulated/SIM2/1h"]
    written = path.read_bytes()
    assert len(bars["simulated/SIM1/1h"]()) == 245
    assert set(dataset(path, "side_series").load()["series"]) == {"funding", "sentiment"}
    assert list(dataset(path, "oracle").load()) == ["symbol", "timestamp", "expected_return", "target"]
    assert path.read_bytes() == written


def test_a_full_disk_is_told_with_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(simulated_market, "write_market", refuse)
    with pytest.raises(DatasetError) as told:
        dataset(path).load()
    assert isinstance(told.value.__cause__, TemporaryOutage)
    assert "market.sqlite cannot be written: database or disk is full. Free space" in str(told.value.__cause__)


def test_cells_come_as_they_were_delivered(path: Path) -> None:
    raw = dataset(path).load()["simulated/SIM1/1h"]()
    assert "n/a" in set(raw["close"])
    assert raw["open"].isna().any()
    assert raw["open_time"].dtype == "int64"


def test_the_same_specification_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    dataset(path).load()
    other = tmp_path / "other.sqlite"
    dataset(other).load()
    assert path.read_bytes() == other.read_bytes()


def test_another_specification_makes_it_again(path: Path) -> None:
    dataset(path).load()
    before = path.read_bytes()
    dataset(path, seed=8).load()
    assert path.read_bytes() != before


def test_a_market_made_by_command_is_kept(path: Path) -> None:
    write_market(simulate_market(SimulationSpec(days=4, n_symbols=1)), path, "command")
    before = path.read_bytes()
    assert list(dataset(path).load()) == ["simulated/SIM1/1h"]
    assert path.read_bytes() == before


def test_a_users_own_file_is_read_or_refused_but_never_replaced(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bars (venue, symbol, timeframe, open_time, open, high, low, close, volume)")
        connection.execute("INSERT INTO bars VALUES ('x', 'A', '1h', 0, 1, 2, 0.5, 1.5, 3)")
        connection.commit()
    assert dataset(path).load()["x/A/1h"]()["close"].tolist() == [1.5]
    with pytest.raises(DatasetError, match=r"table side_series needs the columns .*known_at"):
        dataset(path, "side_series").load()


def test_what_is_no_market_is_refused_with_a_remedy(path: Path) -> None:
    path.write_bytes(b"this is not a database, though it is long enough to be one" * 20)
    with pytest.raises(DatasetError, match="is not a SQLite file .*delete it"):
        dataset(path).load()
    with pytest.raises(BadParameters, match="table must be one of"):
        dataset(path, "trades")
    with pytest.raises(BadParameters, match="the simulation is not valid"):
        dataset(path, days=-1)


def test_a_source_is_not_saved(path: Path) -> None:
    with pytest.raises(DatasetError, match="a source: make one with `kedro simulate-market`"):
        dataset(path).save({"simulated/SIM1/1h": None})  # type: ignore[arg-type]


def test_an_interrupted_write_leaves_no_market(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tradewind.datasets.simulated_market._insert", fail)
    with pytest.raises(Exception, match="No space left"):
        dataset(path).load()
    assert list(path.parent.iterdir()) == []


def test_the_summary_stands_beside_the_data(path: Path) -> None:
    dataset(path).load()
    with closing(sqlite3.connect(path)) as connection:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
    assert "oracle_net_sharpe" in meta["summary"]
    assert meta["origin"] == "catalog"


def test_true_states_are_kept_beside_the_oracle(path: Path) -> None:
    assert dataset(path, "regimes").load().empty
    states = dataset(path, "regimes", regimes="clear").load()
    assert list(states) == ["symbol", "timestamp", "state"]
    assert len(states) == len(dataset(path, "oracle", regimes="clear").load())
    assert set(states["state"]) <= {"up", "down", "ranging", "volatile"}
