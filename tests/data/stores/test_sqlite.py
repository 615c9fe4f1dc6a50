"""What is particular to the SQLite store: the file, its owners, and what is done when it is not what it should be."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from tests.data.stores.forks import said_in_fork
from tests.data.stores.schedules import delivery, key
from tradewind.data.files.deliveries import merge_rows
from tradewind.data.stores.catalogue import open_store
from tradewind.data.stores.sqlite import Rules, SqliteStore
from tradewind.errors import BadData, BadParameters, TemporaryOutage

DELIVERY = delivery(key(), range(0, 400), 1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "market" / "store.sqlite"


def stored(path: Path, timeout_s: float = 60) -> SqliteStore:
    store = SqliteStore(Rules(path=path, timeout_s=timeout_s))
    store.append(DELIVERY)
    return store


@pytest.mark.parametrize("content", [b"open,high,low\n1,2,3\n", b"", b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_of_something_else_is_named(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"store\.sqlite"):
        SqliteStore(Rules(path=path)).read(key())
    assert path.read_bytes() == content


def test_another_sqlite_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bars (symbol TEXT)")
    with pytest.raises(BadData, match="no store of Tradewind, but another SQLite file"):
        SqliteStore(Rules(path=path)).append(DELIVERY)


def test_a_store_of_a_later_version_is_refused(path: Path) -> None:
    stored(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(BadData, match="a store of version 2, and this Tradewind reads version 1"):
        SqliteStore(Rules(path=path)).keys()


@pytest.mark.parametrize("column", ["open", "volume", "trades", "content_hash"])
def test_a_value_that_was_altered_is_found(path: Path, column: str) -> None:
    stored(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE bars SET {column} = {column} + 1 WHERE open_time % 7 = 0")
        connection.commit()
    with pytest.raises(BadData, match=r"store\.sqlite, binance/BTC/USDT/1h, is damaged: \d+ rows"):
        SqliteStore(Rules(path=path)).read(key())


def test_a_file_that_lost_its_middle_is_named(path: Path) -> None:
    stored(path).close()
    content = bytearray(path.read_bytes())
    content[8192:20480] = bytes(12288)
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"store\.sqlite"):
        SqliteStore(Rules(path=path)).read(key())


def test_a_writer_that_never_ends_is_not_waited_for_forever(path: Path) -> None:
    store = stored(path, timeout_s=0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TemporaryOutage, match=r"store\.sqlite is being written by another process for too long"):
            store.append(DELIVERY)
        assert len(store.read(key())) == 400  # readers do not wait for writers
    store.close()


def test_a_path_that_is_a_folder_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="correct the path"):
        SqliteStore(Rules(path=tmp_path)).keys()


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    for settings in ({}, {"path": "x", "timeout_s": 0}, {"path": "x", "pasword": "hidden"}):
        with pytest.raises(BadParameters, match="store sqlite") as caught:
            open_store({"kind": "sqlite", **settings})
        assert "hidden" not in str(caught.value)


def test_processes_that_begin_at_once_make_one_file(path: Path) -> None:
    """Each of several forked writers finds no file, makes one, and appends its part."""
    given = [delivery(key(), range(20 * number, 20 * number + 30), 1000 + number) for number in range(6)]
    go, started = os.pipe()
    children = []
    for one in given:
        child = os.fork()
        if child == 0:
            os.close(started)
            os.read(go, 1)  # ends when the parent lets go
            status = 1
            try:
                SqliteStore(Rules(path=path)).append(one)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.close(started)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    os.close(go)
    with closing(SqliteStore(Rules(path=path))) as store:
        pd.testing.assert_frame_equal(store.read(key()), merge_rows([one.rows for one in given]))
        assert len(store.ledger()) == 6


def test_an_open_store_may_cross_a_fork(path: Path) -> None:
    store = stored(path)
    other = delivery(key(), range(400, 410), 1001)
    assert said_in_fork(lambda: f"{store.append(other).rows_new} {len(store.read(key()))}") == "10 410"
    assert len(store.read(key())) == 410
    store.close()
    assert not list(path.parent.glob("*-wal"))


def test_anyone_can_query_the_file(path: Path) -> None:
    stored(path).close()
    query = "SELECT count(*), min(low) FROM bars JOIN series ON series = id WHERE symbol = 'BTC/USDT'"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(query).fetchone() == (400, DELIVERY.rows["low"].min())
