"""A disk that is full, or a write that the kernel cuts short: the old content stays, and the error says what to do."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.stores.forks import said_in_fork
from tests.data.stores.schedules import delivery, key
from tradewind.data.files.deliveries import merge_rows
from tradewind.data.stores.catalogue import open_store
from tradewind.datasets import ParquetTableDataset, PartitionedTableDataset
from tradewind.datasets.documents import JSONDataset, TextDataset
from tradewind.datasets.model_store import FolderModelStore
from tradewind.datasets.trial_ledger import TrialLedgerDataset
from tradewind.errors import TemporaryOutage

SMALL, LARGE = delivery(key(), range(0, 50), 100_000), delivery(key(), range(20, 6000), 100_001, broken=(4,))


def contents(store: Any) -> tuple[Any, ...]:
    return store.read(key()).fillna(-1).to_dict("list"), store.rejected().to_dict("list"), store.covered(key())


def largest(folder: Path) -> int:
    return max(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def append_large(settings: dict[str, Any]) -> str:
    open_store(settings).append(LARGE)
    return "stored"


def check_after_failure(settings: dict[str, Any], before: tuple[Any, ...]) -> None:
    """All that was stored is there; what failed is not, or in whole months; delivered again it is complete."""
    with closing(open_store(settings)) as store:
        rows = store.read(key())
        if settings["kind"] == "sqlite":
            assert contents(store) == before
        pd.testing.assert_frame_equal(
            merge_rows([rows, SMALL.rows]).drop(columns="received_at"), rows.drop(columns="received_at")
        )
        assert (len(store.rejected()), len(store.ledger())) == (0, 1)
        store.append(LARGE)
        pd.testing.assert_frame_equal(store.read(key()), merge_rows([SMALL.rows, LARGE.rows]))
        assert len(store.rejected()) == 1


@pytest.mark.parametrize("room", [0, 1, 5000, 9000])
@pytest.mark.parametrize("kind", ["sqlite", "parquet"])
def test_a_store_without_room_keeps_what_it_has(kind: str, room: int, tmp_path: Path) -> None:
    settings = {"kind": kind, "path": str(tmp_path / "market" / "store")}
    with closing(open_store(settings)) as store:
        store.append(SMALL)
        before = contents(store)
    limit = largest(tmp_path) + room if kind == "sqlite" else room
    said = said_in_fork(lambda: append_large(settings), limit)
    assert said.startswith(TemporaryOutage.__name__) and str(tmp_path) in said and "free space" in said, said
    check_after_failure(settings, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with a megabyte of room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode != 0:
        pytest.skip(f"this user may not mount a small disk: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["sqlite", "parquet"])
def test_a_store_on_a_full_disk_keeps_what_it_has(kind: str, small_disk: Path) -> None:
    settings = {"kind": kind, "path": str(small_disk / "store")}
    with closing(open_store(settings)) as store:
        store.append(SMALL)
        before = contents(store)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(TemporaryOutage, match="free space"):
            store.append(LARGE)
        filler.unlink()
    check_after_failure(settings, before)


TABLE = pd.DataFrame({"number": np.random.default_rng(1).normal(size=30_000)})
DATASETS: dict[str, tuple[Any, Any, Any]] = {
    "table": (lambda path: ParquetTableDataset(filepath=path), TABLE.head(10), TABLE),
    "tables": (lambda path: PartitionedTableDataset(path=path), {"a": TABLE.head(10)}, {"a": TABLE, "b": TABLE}),
    "json": (lambda path: JSONDataset(filepath=path), [1], list(range(100_000))),
    "text": (lambda path: TextDataset(filepath=path), "old", "x" * 200_000),
    "ledger": (
        lambda path: TrialLedgerDataset(filepath=path), [{"key": "a"}], [{"key": str(n)} for n in range(9999)],
    ),
}  # fmt: skip


def loaded(name: str, path: Path) -> Any:
    found = DATASETS[name][0](str(path)).load()
    if isinstance(found, dict):
        found = {partition: load() for partition, load in found.items()}
    return str(found)


@pytest.mark.parametrize("room", [0, 5000, 100_000])
@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_without_room_keeps_what_it_has(name: str, room: int, tmp_path: Path) -> None:
    make, old, new = DATASETS[name]
    path = tmp_path / "saved"
    make(str(path)).save(old)
    before = loaded(name, path)
    files = sorted(tmp_path.rglob("*"))

    def save() -> str:
        try:
            make(str(path)).save(new)
        except Exception as error:  # noqa: BLE001 - Kedro wraps what a dataset raises
            return f"{type(error.__cause__ or error).__name__}: {error}"
        return "saved"

    said = said_in_fork(save, room)
    assert said.startswith(TemporaryOutage.__name__) and "free space" in said, said
    assert loaded(name, path) == before
    assert sorted(tmp_path.rglob("*")) == files
    make(str(path)).save(new)
    assert loaded(name, path) != before


@pytest.mark.parametrize("room", [0, 1000, 70_000])
def test_a_model_store_without_room_keeps_what_it_has_and_says_so(room: int, tmp_path: Path) -> None:
    """The system names no file where a write finds no room: that was a traceback at the end of a long training."""
    store = FolderModelStore(tmp_path / "folds")
    store.put("one", {"model.txt": b"x" * 10}, {})
    files = {"model.txt": b"x" * 60_000, "more.txt": b"y" * 90_000}
    said = said_in_fork(lambda: str(store.put("two", files, {})), room)
    assert said.startswith(TemporaryOutage.__name__) and str(tmp_path) in said and "free space" in said, said
    assert store.get("one") == {"model.txt": b"x" * 10} and store.get("two") is None
    store.put("two", files, {})
    assert store.get("two") == files
