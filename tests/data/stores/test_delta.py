"""Delta Lake: killed clients, writers on two machines, small files, and what delta-rs refuses."""

import os
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.stores.killing import check_kills, receipts_of_fresh
from tests.data.stores.schedules import delivery, key
from tests.depth import deep
from tradewind.data.files.deliveries import Delivery, merge_rows
from tradewind.data.stores.catalogue import open_store
from tradewind.data.stores.delta import DeltaStore, Rules
from tradewind.data.stores.delta_tables import DeltaTables
from tradewind.errors import BadData, BadParameters, TemporaryOutage

Settings = dict[str, Any]


@pytest.mark.parametrize("kills", [4, deep(20)])
def test_killed_clients_lose_nothing(tmp_path: Path, kills: int) -> None:
    told = iter(range(100))

    def settings_of(number: int) -> Settings:
        return {"kind": "delta", "path": str(tmp_path / f"store-{number}")}

    def ask(settings: Settings, deliveries: Sequence[Delivery], kill_after_s: float) -> int:
        return receipts_of_fresh(settings, deliveries, kill_after_s, str(tmp_path / f"told-{next(told)}"))

    check_kills(settings_of, kills, ask)


def write_as_another_machine(settings: Settings, deliveries: Sequence[Delivery], folder: str) -> None:
    """Where temporary files are elsewhere, writers do not see each other's locks, as on two machines."""
    tempfile.tempdir = folder
    store = open_store(settings)
    for one in deliveries:
        store.append(one)


def in_fresh_processes(work: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> list[int | None]:
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.data.stores.killing", "tradewind.data.stores.delta", "deltalake"])
    children = [context.Process(target=work, args=each) for each in arguments]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children]


def test_writers_on_two_machines_add_every_row_once(delta_settings: Settings, tmp_path: Path) -> None:
    given = [delivery(key(), range(10 * number, 10 * number + 20), 200 + number) for number in range(6)]
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    arguments = [(delta_settings, given, str(folder)) for folder in folders]
    assert in_fresh_processes(write_as_another_machine, arguments) == [0, 0]
    store = open_store(delta_settings)
    pd.testing.assert_frame_equal(store.read(key()), merge_rows([one.rows for one in given]))
    assert len(store.ledger()) == 12
    assert store.ledger()["rows_new"].sum() == 70
    stored = DeltaTables(Rules(path=delta_settings["path"])).read("bars", ["open_time"])
    assert stored is not None and len(stored) == 70  # not only merged when read: nothing was written twice


def test_a_forked_process_is_told_how_to_start(delta_settings: Settings) -> None:
    store = open_store(delta_settings)
    store.append(delivery(key(), range(0, 5), 9))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.read(key())
        except BadParameters as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert "start processes by spawn or forkserver" in answer.read()
    os.waitpid(child, 0)


def test_small_files_become_few(tmp_path: Path) -> None:
    tables = DeltaTables(Rules(path=str(tmp_path)))
    for number in range(52):
        tables.append("ledger", pa.table({"number": [number]}))
    found = tables.read("ledger", ["number"])
    assert found is not None and sorted(found["number"].to_pylist()) == list(range(52))
    from deltalake import DeltaTable

    assert len(DeltaTable(str(tmp_path / "ledger")).file_uris()) < 5


def test_a_conflict_that_stays_is_an_outage_and_waits_grow(tmp_path: Path) -> None:
    from deltalake.exceptions import CommitFailedError

    waits: list[float] = []

    def never() -> None:
        raise CommitFailedError("another writer")

    with pytest.raises(TemporaryOutage, match="other writers were first"):
        DeltaTables(Rules(path=str(tmp_path)), waits.append)._try(never)
    assert waits == sorted(waits) and len(waits) == 7


def test_a_torn_file_is_bad_data(delta_settings: Settings) -> None:
    store = DeltaStore(Rules(path=delta_settings["path"]), wait=lambda _: None)
    store.append(delivery(key(), range(0, 5), 9))
    file = next(Path(delta_settings["path"], "bars").rglob("part-*.parquet"))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(BadData, match="cannot be read"):
        store.read(key())


def test_other_engines_see_instants_and_missing_values(delta_settings: Settings) -> None:
    store = open_store(delta_settings)
    store.append(delivery(key(), range(0, 5), 9))
    table = pq.read_table(next(Path(delta_settings["path"], "bars").rglob("part-*.parquet")), partitioning=None)
    assert table.schema.field("open_time").type == pa.timestamp("us", "UTC")
    assert (table["trades"].null_count, table["quote_volume"].null_count, len(table)) == (1, 5, 5)


def test_secrets_of_the_storage_are_not_shown(tmp_path: Path) -> None:
    rules = Rules(path=str(tmp_path), storage_options={"AWS_SECRET_ACCESS_KEY": "the-secret"})
    assert "the-secret" not in f"{rules!r} {DeltaTables(rules)!r}"
    with pytest.raises(BadParameters) as rejected:
        open_store({"kind": "delta", "path": str(tmp_path), "storage_options": {"k": ["the-secret"]}})
    assert "the-secret" not in str(rejected.value)
