"""The store forgets as it keeps: whole or not at all."""

import os
from pathlib import Path

import pytest

from tradewind.datasets.model_store import FolderModelStore, ModelStoreDataset
from tradewind.errors import BadModel


def test_what_is_forgotten_is_gone_and_may_be_kept_again(tmp_path: Path) -> None:
    store = FolderModelStore(tmp_path)
    store.forget("training-1")
    store.put("training-1", {"a": b"1"}, {})
    store.put("training-1", {"a": b"2"}, {})
    assert store.get("training-1") == {"a": b"2"}
    store.forget("training-1")
    assert store.get("training-1") is None and list(tmp_path.iterdir()) == []


def test_a_kill_while_forgetting_leaves_no_torn_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "classifier.linear/folds"
    store = FolderModelStore(folder)
    store.put("one", {"a": b"1", "b": b"2"}, {})
    monkeypatch.setattr("tradewind.datasets.model_store.shutil.rmtree", lambda *_, **__: None)  # killed before it
    store.forget("one")
    assert store.get("one") is None
    monkeypatch.undo()
    again = ModelStoreDataset(path=str(tmp_path)).load().of("classifier.linear")
    assert again.get("one") is None and list(folder.iterdir()) == []


def test_every_file_is_on_the_disk_before_the_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut could leave otherwise: a folder of the right name with empty files in it."""
    order: list[str] = []
    sync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        order.append(f"-> {target.name}")
        return rename(self, target)

    (tmp_path / "folds").mkdir()
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    store = FolderModelStore(tmp_path / "folds")
    store.put("key", {"a.json": b"{}", "b.txt": b"b"}, {})
    assert sorted(order[:3]) == ["a.json", "b.txt", "manifest.json"] and "-> key" in order
    assert set(order[: order.index("-> key")]) >= {"a.json", "b.txt", "manifest.json"}


def test_a_model_that_was_moved_with_its_seal_to_another_key_is_refused(tmp_path: Path) -> None:
    store = FolderModelStore(tmp_path / "folds")
    store.put("one", {"a": b"1"}, {})
    (tmp_path / "folds/one").rename(tmp_path / "folds/two")
    (tmp_path / "folds.seals/one").rename(tmp_path / "folds.seals/two")
    with pytest.raises(BadModel, match="folds/two"):
        store.get("two")
