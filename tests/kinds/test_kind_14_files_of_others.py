"""Kind 14: files where others may write: no link is followed, no name leads out, no manifest vouches for itself."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from tradewind.datasets.accepted import ACCEPTED, AcceptedTablesDataset, CheckedTablesDataset
from tradewind.datasets.gathered import GatheredTablesDataset
from tradewind.datasets.model_store import FolderModelStore, read_model, read_sealed, seal_of
from tradewind.datasets.partitioned import MANIFEST, PartitionedTableDataset
from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.folder_lock import NAME, locked
from tradewind.live.dashboard.app import keep_secret
from tradewind.operations.bundle.sealing import (
    identity_of,
    manifest_of,
    place_of,
    read_bundle,
    write_bundle,
)
from tradewind.operations.journal.halt_file import HALT_FILE, write_halt_file
from tradewind.provenance.contents import Contents

ROOT = Path(__file__).parents[2]
TABLE = pd.DataFrame({"a": [1.0, 2.0]})
OUT = ["../outside.parquet", "/outside.parquet", "A/../../outside.parquet", "./../outside.parquet", "A//../x.parquet"]


def test_a_lock_with_a_planted_link_leaves_its_target_as_it_was(tmp_path: Path) -> None:
    """The smallest input: a link in the place of the lock had its target cut to nothing."""
    (tmp_path / "data").mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "data" / NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(BadParameters, match="is not a plain file"), locked(tmp_path / "data", "mine"):
        pass
    assert (tmp_path / "precious").read_text() == "precious"


def partitioned(folder: Path) -> PartitionedTableDataset:
    dataset = PartitionedTableDataset(path=str(folder))
    dataset.save({"A": TABLE})
    return dataset


def gathered(folder: Path) -> PartitionedTableDataset:
    folder.mkdir()
    TABLE.to_parquet(folder / "A.parquet")
    dataset = GatheredTablesDataset(path=str(folder))
    dataset.save(["A"])
    return dataset


def accepted(folder: Path) -> PartitionedTableDataset:
    CheckedTablesDataset(path=str(folder)).save({"A": TABLE})
    dataset = AcceptedTablesDataset(path=str(folder))
    dataset.save({"A": None})
    return dataset


@pytest.mark.parametrize("make", [partitioned, gathered, accepted])
@pytest.mark.parametrize("name", OUT)
def test_no_manifest_names_a_file_outside_its_folder(
    tmp_path: Path, make: Callable[[Path], PartitionedTableDataset], name: str
) -> None:
    dataset = make(tmp_path / "set")
    TABLE.to_parquet(tmp_path / "outside.parquet")
    content = (tmp_path / "outside.parquet").read_bytes()
    file = tmp_path / "set" / (ACCEPTED if make is accepted else MANIFEST)
    said = json.loads(file.read_text())
    said["partitions"]["A"] |= {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    file.write_text(json.dumps(said))
    with pytest.raises((BadData, DatasetError), match="is damaged") as told:
        dataset.load()["A"]()
    assert len(str(told.value).strip().splitlines()) <= 2  # Kedro's line, and ours


FILES = {"model.txt": b"a model", "about.json": b"{}"}


def test_a_bundle_that_was_rewritten_with_its_manifest_is_refused(tmp_path: Path) -> None:
    """Every hash fits: what was registered is another identity."""
    identity = write_bundle(tmp_path, FILES)
    place = place_of(tmp_path, identity)
    changed = FILES | {"model.txt": b"another"}
    (place / "model.txt").write_bytes(changed["model.txt"])
    (place / "manifest.json").write_bytes(manifest_of(changed))
    with pytest.raises(BadModel, match="its manifest is not the one that was registered"):
        read_bundle(place, identity)
    with pytest.raises(BadModel, match="its manifest is not the one that was registered"):
        read_bundle(place, identity_of(manifest_of(FILES | {"about.json": b"[]"})))


@pytest.mark.parametrize("what", ["file", "manifest", "folder", "device", "pipe", "socket"])
def test_a_bundle_behind_a_link_or_no_plain_file_is_refused(tmp_path: Path, what: str) -> None:
    identity = write_bundle(tmp_path / "b", FILES)
    place = place_of(tmp_path / "b", identity)
    name = "manifest.json" if what == "manifest" else "model.txt"
    if what == "folder":
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    elif what in ("file", "manifest"):
        (place / name).rename(tmp_path / name)
        (place / name).symlink_to(tmp_path / name)
    else:
        (place / name).unlink()
        if what == "pipe":
            os.mkfifo(place / name)
        elif what == "device":
            (place / name).symlink_to("/dev/zero")
        else:
            (place / name).mkdir()
    with pytest.raises(BadModel, match="is refused"):
        read_bundle(place, identity)


@pytest.mark.parametrize(
    "fault", ["another file", "another key", "a name that leads out", "no hashes", "a torn manifest"]
)
def test_a_stored_model_that_is_not_what_its_manifest_says_is_refused(tmp_path: Path, fault: str) -> None:
    store = FolderModelStore(tmp_path / "folds")
    key = hashlib.sha256(b"rows").hexdigest()
    store.put(key, dict(FILES), {})
    place = tmp_path / "folds" / key[:24]
    said = json.loads((place / "manifest.json").read_text())
    if fault == "another file":
        (place / "model.txt").write_bytes(b"b model")
    elif fault == "another key":
        said["key"] = key[:24] + "0" * 40
    elif fault == "a name that leads out":
        (tmp_path / "outside.txt").write_bytes(b"outside")
        said["sha256"] = {"../../outside.txt": hashlib.sha256(b"outside").hexdigest()}
    elif fault == "no hashes":
        said["sha256"] = {}
    text = json.dumps(said)
    (place / "manifest.json").write_text(text[: len(text) // 2] if fault == "a torn manifest" else text)
    with pytest.raises(BadModel, match="the next run trains it again"):
        store.get(key)
    with pytest.raises(BadModel, match="the next run trains it again"):
        read_model(place, key)  # where nothing but the manifest vouches


@pytest.mark.parametrize("fault", ["rewritten", "no seal", "another's seal", "said otherwise", "older"])
def test_a_fold_model_that_was_rewritten_with_its_manifest_is_refused(tmp_path: Path, fault: str) -> None:
    """Every hash beside the model fits; the seal is kept outside the store."""
    store, other = FolderModelStore(tmp_path / "folds"), FolderModelStore(tmp_path / "elsewhere")
    one, two = (hashlib.sha256(rows).hexdigest() for rows in (b"rows", b"other rows"))
    store.put(one, FILES | {"model.txt": b"older"}, {"fold": 0})
    older = {path.name: path.read_bytes() for path in (tmp_path / "folds" / one[:24]).iterdir()}
    store.put(one, FILES, {"fold": 0})
    store.put(two, FILES, {"fold": 1})
    place = tmp_path / "folds" / one[:24]
    assert store.get(one) == FILES and read_sealed(place, one) == (FILES, {"fold": 0})
    if fault == "no seal":
        seal_of(place).unlink()
    elif fault == "another's seal":
        seal_of(place).write_bytes(seal_of(tmp_path / "folds" / two[:24]).read_bytes())
    else:
        files = FILES if fault == "said otherwise" else FILES | {"model.txt": b"another model"}
        other.put(one, files, {"fold": 7 if fault == "said otherwise" else 0})
        forged = older if fault == "older" else {
            path.name: path.read_bytes() for path in (tmp_path / "elsewhere" / one[:24]).iterdir()
        }  # fmt: skip
        for name, content in forged.items():
            (place / name).write_bytes(content)
        assert read_model(place, one)[0] != FILES or fault == "said otherwise"  # the manifest itself is in order
    with pytest.raises(BadModel, match="the next run trains it again"):
        store.get(one)
    assert store.get(two) == FILES
    store.forget(one)
    assert store.get(one) is None and not seal_of(place).exists()


def test_a_list_of_models_is_another_where_one_of_them_was_rewritten_and_sealed(tmp_path: Path) -> None:
    """Who can write seals, too, still meets the record of what made the list, which lies with those of the tables."""
    store, key = FolderModelStore(tmp_path / "folds"), "b" * 64
    keys = tmp_path / "models.json"
    keys.write_text(json.dumps({"0": key}))
    contents = Contents(tmp_path, tmp_path / "hashes.json")
    entry = {"type": "tradewind.datasets.JSONDataset", "filepath": str(keys), "metadata": {"tracking": "models"}}
    assert contents.of_entry(entry) is None  # the model is not there
    store.put(key, FILES, {})
    before = contents.of_entry(entry)
    assert before == contents.of_entry(entry) is not None
    store.put(key, FILES | {"model.txt": b"another"}, {})
    assert contents.of_entry(entry) not in (None, before)


def test_a_halt_file_that_is_a_link_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    """A sibling: what writes by name must not write through it."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / HALT_FILE).symlink_to(tmp_path / "precious")
    write_halt_file(tmp_path, "stop")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / HALT_FILE).is_symlink()


def test_what_is_served_by_hand_is_served_to_this_machine_alone() -> None:
    """Every server that a page, a command or the Makefile suggests is bound to the loopback, or says why not."""
    told = [ROOT / "Makefile", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
    suggested = [line for file in told for line in file.read_text().splitlines() if re.search(r"-m http\.server", line)]
    assert suggested and all("--bind 127.0.0.1" in line for line in suggested)


def test_no_command_installs_system_packages_without_being_told_to() -> None:
    for file in (ROOT / "Makefile", ROOT / "tests/install_servers.sh"):
        text = file.read_text()
        if re.search(r"^[^#]*apt-get install -y", text, re.MULTILINE):
            assert "INSTALL_SERVERS" in text and "[y/N]" in text, file


def test_a_secret_is_never_for_others_and_not_written_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the dashboard's token was readable by all until its mode was changed, and a planted link was followed."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "token").symlink_to(tmp_path / "precious")
    modes, renamed = list[int](), Path.replace

    def replace(self: Path, target: Path) -> Path:
        modes.append(self.stat().st_mode & 0o777)
        return renamed(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    before = os.umask(0)
    try:
        keep_secret(tmp_path / "token", "secret")
    finally:
        os.umask(before)
    assert modes == [0o600] and (tmp_path / "token").read_text() == "secret"
    assert not (tmp_path / "token").is_symlink() and (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "precious").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "token"]
