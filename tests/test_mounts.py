"""Data on a disk of its own: behind a link, as a mount, on one without hard links or locks, or away."""

import errno
import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.files.test_deliveries import KEY, at, received
from tests.mounts import mounted
from tests.operations.bundles import bundle_files
from tradewind import atomic
from tradewind.atomic import first_file, make_folder, rename, write_bytes
from tradewind.data.files.deliveries import receive
from tradewind.data.stores.catalogue import open_store
from tradewind.datasets.model_store import ModelStores
from tradewind.datasets.partitioned import PartitionedTableDataset
from tradewind.datasets.trial_ledger import TrialLedgerDataset
from tradewind.errors import BadParameters
from tradewind.folder_lock import locked
from tradewind.operations.bundle.sealing import place_of, read_bundle, write_bundle
from tradewind.operations.journal.fence import Fence, adopt
from tradewind.operations.journal.halt_file import is_halted, write_halt_file
from tradewind.operations.journal.journal import Entry, Journal, read

TABLE = pd.DataFrame({"number": np.arange(5)})


@pytest.fixture(params=["a link", "a mount", "links within"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The data folder of a project, all or each layer of which is on another disk."""
    folder = tmp_path / "project" / "data"
    folder.parent.mkdir()
    with mounted(folder if request.param == "a mount" else tmp_path / "disk") as disk:
        if request.param == "a link":
            folder.symlink_to(disk)
        if request.param == "links within":
            folder.mkdir()
            for layer in ("tables", "models", "ledger", "store", "journal"):
                (disk / layer).mkdir()
                (folder / layer).symlink_to(disk / layer)
        yield folder


def test_everything_that_is_kept_is_kept_on_another_disk(data: Path, tmp_path: Path) -> None:
    with locked(data, "a test"):
        tables = PartitionedTableDataset(path=str(data / "tables"))
        for names in (("a/b", "c"), ("c",)):
            tables.save(dict.fromkeys(names, TABLE))
            assert list(tables.load()) == list(names) and len(tables.load()["c"]()) == 5
        models = ModelStores(data / "models").of("linear")
        for content in (b"old", b"new"):
            models.put("k" * 30, {"weights": content}, {})
            assert models.get("k" * 30) == {"weights": content}
        ledger = TrialLedgerDataset(filepath=str(data / "ledger/trials.jsonl"))
        ledger.save([{"key": "a"}])
        ledger.save([{"key": "b"}])
        assert len(ledger.load()) == 2
        for kind in ("sqlite", "parquet"):
            with closing(open_store({"kind": kind, "path": str(data / "store" / kind)})) as store:
                store.append(receive(received(range(5)), KEY, "test", at(10)))
                assert len(store.read(KEY)) == 5
        turn = Fence(data / "journal/fence").claim(0)
        assert turn is not None
        turn.beat(1)
        path = data / "journal/journal.jsonl"
        with Journal(path) as journal:
            journal.append([Entry("a", {})], 1)
        adopt(path, turn)
        assert len(list(read(path))) == 1
        write_halt_file(data / "journal", "a test")
        assert is_halted(data / "journal")
        files = bundle_files(seed=1)
        identity = write_bundle(data / "models/bundles", files)
        assert read_bundle(place_of(data / "models/bundles", identity), identity) == files
    for layer in ("tables", "models", "ledger", "store", "journal"):
        assert (data / layer).stat().st_dev != tmp_path.stat().st_dev
    assert not list(data.rglob("*.partial")) and not list(data.rglob(".partial-*"))


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EBUSY])
def test_a_name_that_cannot_be_renamed_over_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    target = tmp_path / "file.txt"
    write_bytes(target, b"old")

    def refuse(self: Path, to: Path) -> Path:
        raise OSError(number, os.strerror(number), str(self), None, str(to))

    monkeypatch.setattr(Path, "replace", refuse)
    for attempt in (lambda: write_bytes(target, b"new"), lambda: rename(tmp_path / "other", target)):
        with pytest.raises(BadParameters) as told:
            attempt()
        line = f"{target} cannot be replaced: it is a mount of its own, or on another disk than {tmp_path}"
        assert str(told.value).startswith(line) and "\n" not in str(told.value)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_a_file_that_is_a_mount_of_its_own_is_one_line(tmp_path: Path) -> None:
    """As containers mount single files; the folder around it is what has to be mounted."""
    target, elsewhere = tmp_path / "file.txt", tmp_path / "elsewhere.txt"
    for file in (target, elsewhere):
        file.write_bytes(b"old")
    with mounted(target, "--bind", str(elsewhere)):
        with pytest.raises(BadParameters, match="is a mount of its own, or on another disk"):
            write_bytes(target, b"new")
        assert target.read_bytes() == b"old"


def test_a_disk_that_is_read_only_is_one_line(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        write_bytes(disk / "file.txt", b"old")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for attempt in (
            lambda: write_bytes(disk / "file.txt", b"new"),
            lambda: ModelStores(disk).of("linear").put("k", {"a": b""}, {}),
            lambda: locked(disk, "a test").__enter__(),
        ):
            with pytest.raises(BadParameters, match="may not be written by this user"):
                attempt()
        assert (disk / "file.txt").read_bytes() == b"old"


def test_a_link_to_a_disk_that_is_away_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "disk/data")
    for attempt in (lambda: make_folder(tmp_path / "data/layer"), lambda: write_bytes(tmp_path / "data/a", b"")):
        with pytest.raises(BadParameters, match=r"data is a link to .*disk/data, where there is no folder: mount"):
            attempt()


def test_a_file_system_without_hard_links_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, _: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(self))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(BadParameters, match="knows no hard links"), first_file(tmp_path / "a") as temporary:
        temporary.write_bytes(b"new")
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(BadParameters, match="its file system has no locks"), locked(tmp_path, "a test"):
        pass


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_share_that_cannot_sync_folders_is_used_and_one_that_fails_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    sync = atomic._sync

    def refuse(path: Path) -> None:
        if path.is_dir():
            raise OSError(number, os.strerror(number), str(path))
        sync(path)

    monkeypatch.setattr(atomic, "_sync", refuse)
    if number == errno.EINVAL:
        write_bytes(tmp_path / "a", b"new")
        assert (tmp_path / "a").read_bytes() == b"new"
    else:
        with pytest.raises(atomic.TemporaryOutage, match="cannot be written: Input/output error"):
            write_bytes(tmp_path / "a", b"new")
