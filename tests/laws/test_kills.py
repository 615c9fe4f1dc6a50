"""kill -9 at random points of ingestion, for each store on this disk: what a receipt was given for is there,
nothing is there twice, nothing is unreadable, and delivering again ends where nobody was killed."""

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.data.stores.forks import killed_after
from tests.data.stores.schedules import delivery, key, random_deliveries
from tests.depth import deep
from tradewind.atomic import write_bytes
from tradewind.data.files.deliveries import IDENTITY, Delivery, merge_rows
from tradewind.data.stores.catalogue import open_store
from tradewind.data.stores.tables import rejected_rows

KINDS: dict[str, dict[str, Any]] = {"sqlite": {}, "parquet": {"compact_files": 3}}

Opener = Callable[[Path], Any]


def opener(kind: str) -> Opener:
    return lambda path: open_store({"kind": kind, "path": str(path), **KINDS[kind]})


@pytest.fixture(scope="module")
def given() -> list[Delivery]:
    """Deliveries of one market that overlap, correct and repeat each other."""
    found = random_deliveries(key(), np.random.default_rng(11), 30)
    return [*found, found[3], found[17]]


def check_rows(store: Any, given: list[Delivery], acknowledged: int) -> None:
    """The rows of at least the acknowledged deliveries, at most of the given ones, each once."""
    rows, done = store.read(key()), given[:acknowledged]
    assert not rows.duplicated(IDENTITY).any()
    pd.testing.assert_frame_equal(merge_rows([rows, *(one.rows for one in done)]), rows)
    everything = merge_rows([one.rows for one in given])
    assert len(merge_rows([everything, rows])) == len(everything)


def check_records(store: Any, given: list[Delivery], acknowledged: int) -> None:
    """The rejected rows, spans and lines of the ledger of at least the acknowledged deliveries."""
    stored, done = store.rejected(), given[:acknowledged]
    pd.testing.assert_frame_equal(rejected_rows(pd.concat([stored, *(one.rejected for one in done)])), stored)
    assert len(store.ledger()) >= acknowledged
    asked = {(one.covered, one.received_at_ms) for one in done}
    assert asked <= set(store.covered(key()))


def check_no_part(store: Any, given: list[Delivery], acknowledged: int) -> None:
    """The last delivery, which nobody acknowledged, is there as a whole or not at all."""
    rows = store.read(key())
    possible = [merge_rows([one.rows for one in given[:n]]) for n in (acknowledged, acknowledged + 1)]
    assert any(rows.equals(table) for table in possible)


def contents(store: Any) -> tuple[Any, ...]:
    return (
        rows_of(store), store.fingerprints(key()), store.covered(key()), store.rejected().to_dict("list")
    )  # fmt: skip


def rows_of(store: Any) -> tuple[Any, ...]:
    return tuple(store.read(key()).fillna(-1.0).to_dict("list").items())


@dataclass(frozen=True)
class Trial:
    """What is opened, what is delivered to it, and what must hold after each kill and at the end."""

    opened: Opener
    given: list[Delivery]
    checks: tuple[Callable[..., None], ...]
    contents: Callable[[Any], Any]


def kill_and_check(trial: Trial, folder: Path, kills: int) -> int:
    """Deliver and kill so often, on to a new store when all is delivered; how many kills fell into the work."""
    given = trial.given
    with closing(trial.opened(folder / "uninterrupted")) as store:
        begun = monotonic()
        for one in given:
            store.append(one)
        pace = (monotonic() - begun) / len(given)
        expected = trial.contents(store)
    rng, within, acknowledged, number = np.random.default_rng(12), 0, 0, 0
    for _ in range(kills):

        def ingest(acknowledge: Callable[[], None], number: int = number, start: int = acknowledged) -> None:
            store = trial.opened(folder / f"store-{number}")
            acknowledge()  # ready
            for one in given[start:]:
                store.append(one)
                acknowledge()

        calls, was_killed = killed_after(ingest, float(rng.uniform(0, 4 * pace)))
        acknowledged, within = acknowledged + max(calls - 1, 0), within + was_killed
        with closing(trial.opened(folder / f"store-{number}")) as store:
            for check in trial.checks:
                check(store, given, acknowledged)
            if acknowledged == len(given):
                assert trial.contents(store) == expected
                number, acknowledged = number + 1, 0
    with closing(trial.opened(folder / f"store-{number}")) as store:
        for one in given:
            store.append(one)
        assert trial.contents(store) == expected
    return within


@pytest.mark.parametrize("kills", [20, deep(200)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    kind: str, kills: int, given: list[Delivery], tmp_path: Path
) -> None:
    checks = (check_rows, check_records, *((check_no_part,) if kind == "sqlite" else ()))
    within = kill_and_check(Trial(opener(kind), given, checks, contents), tmp_path, kills)
    assert within > 0.8 * kills


class OneFile:
    """Bars in one file that is written anew by each delivery."""

    def __init__(self, path: Path, write: Callable[[Path, bytes], Any]) -> None:
        self.path, self.write = path, write

    def append(self, delivery: Delivery) -> None:
        content = io.BytesIO()
        merge_rows([self.read(delivery.key), delivery.rows]).to_parquet(content)
        self.write(self.path, content.getvalue())

    def read(self, key: Any) -> pd.DataFrame:
        return pd.read_parquet(self.path) if self.path.exists() else merge_rows([])

    def close(self) -> None:
        pass


class OneTable:
    """Bars in a table without a key, where a delivery that is there is not inserted again."""

    def __init__(self, path: Path, parts: int) -> None:
        self.parts = parts
        self.connection = sqlite3.connect(path)
        self.connection.execute(f"CREATE TABLE IF NOT EXISTS bars ({', '.join(merge_rows([]))})")

    def append(self, delivery: Delivery) -> None:
        known = set(self.read(delivery.key)["open_time"])
        if not set(delivery.rows["open_time"]) <= known:
            for part in np.array_split(np.arange(len(delivery.rows)), self.parts):
                rows = delivery.rows.iloc[part].itertuples(index=False, name=None)
                self.connection.executemany("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                self.connection.commit()

    def read(self, key: Any) -> pd.DataFrame:
        found = self.connection.execute("SELECT * FROM bars").fetchall()
        return pd.DataFrame(found, columns=list(merge_rows([]))).astype(merge_rows([]).dtypes.to_dict())

    def close(self) -> None:
        self.connection.close()


NAIVE: dict[str, tuple[Opener, Opener]] = {
    "a file written in place": (lambda path: OneFile(path, Path.write_bytes), lambda path: OneFile(path, write_bytes)),
    "a delivery in two commits": (lambda path: OneTable(path, 2), lambda path: OneTable(path, 1)),
}


@pytest.mark.parametrize("kills", [8, deep(20)])
@pytest.mark.parametrize("fault", NAIVE)
def test_a_naive_store_is_caught_and_its_mended_twin_is_not(fault: str, kills: int, tmp_path: Path) -> None:
    apart = [delivery(key(), range(500 * number, 500 * number + 500), 10_000) for number in range(12)]
    naive, mended = (Trial(opened, apart, (check_rows,), rows_of) for opened in NAIVE[fault])
    kill_and_check(mended, tmp_path, kills)
    (tmp_path / "naive").mkdir()
    with pytest.raises((AssertionError, pa.ArrowException, OSError)):
        kill_and_check(naive, tmp_path / "naive", 200)
