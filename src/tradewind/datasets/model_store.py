"""Fitted models on disk: safe formats beside a manifest whose hashes are checked before anything is parsed.

A manifest that lies beside its model can be rewritten together with it. Its own hash is therefore kept outside the
store, as the model's seal (`folds.seals/KEY` for `folds/KEY`), and the record of what made the list of a run's models
holds it, too.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tradewind.atomic import new_folder, write_bytes
from tradewind.errors import BadModel

MANIFEST = "manifest.json"
SEALS = ".seals"
Files = dict[str, bytes]


class FolderModelStore:
    """A folder with one sub-folder a model, named by its key; each appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """A store in `folder`, which is made when the first model is kept."""
        self._folder = folder

    def get(self, key: str) -> Files | None:
        """The files under `key`, or None if nothing was kept there.

        Raises:
            BadModel: the manifest or a file is missing, torn, altered or belongs to another key, or the manifest is
                not the one that was sealed.
        """
        place = self._place(key)
        return read_sealed(place, key)[0] if place.exists() else None

    def put(self, key: str, files: Files, about: dict[str, Any]) -> None:
        """Keep the files and what there is to know about them; a folder renamed into place is whole.

        A kill at any moment leaves the old model with its seal, the new one with its own, or no model.

        Args:
            key: a fingerprint of all that the files follow from.
            files: contents by name.
            about: facts for the manifest, as JSON.

        Raises:
            TemporaryOutage: the disk is full or fails.
            BadParameters: this user may not write there.
        """
        place = self._place(key)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
        manifest = json.dumps({"key": key, "sha256": hashes, "about": about}, indent=1).encode()
        with new_folder(place, {**files, MANIFEST: manifest}) as temporary:
            self.forget(key)
            write_bytes(seal_of(place), hashlib.sha256(manifest).hexdigest().encode())
            temporary.rename(place)

    def forget(self, key: str) -> None:
        """Drop what is kept under `key`, if anything; a kill meanwhile leaves it whole or gone."""
        place = self._place(key)
        if place.exists():
            going = Path(tempfile.mkdtemp(prefix=".partial-", dir=self._folder))
            place.rename(going / "gone")
            shutil.rmtree(going, ignore_errors=True)
        seal_of(place).unlink(missing_ok=True)

    def _place(self, key: str) -> Path:
        return self._folder / key[:24]


def seal_of(place: Path) -> Path:
    """Where the hash of the manifest is kept of the model whose folder is `place`."""
    return place.parent.with_name(place.parent.name + SEALS) / place.name


def read_sealed(place: Path, key: str | None = None) -> tuple[Files, dict[str, Any]]:
    """As `read_model`, of a model in the store where it was kept, after its manifest was held against its seal.

    Args:
        place: its folder.
        key: that the manifest must name; None takes any.

    Raises:
        BadModel: as `read_model`; there is no seal, or the manifest is not the one that was sealed.
    """
    try:
        sealed, found = seal_of(place).read_bytes(), (place / MANIFEST).read_bytes()
    except OSError as error:
        raise BadModel(f"{place}: the model is not whole ({error}): {_remedy(place)}") from error
    if hashlib.sha256(found).hexdigest().encode() != sealed:
        raise BadModel(f"{place}: its manifest is not the one that was sealed in {seal_of(place)}: {_remedy(place)}")
    return read_model(place, key)


def read_model(place: Path, key: str | None = None) -> tuple[Files, dict[str, Any]]:
    """The files of one stored model after their hashes were checked, and what its manifest says about it.

    A copy elsewhere has no seal, only its own manifest: in the store use `read_sealed`.

    Args:
        place: its folder.
        key: that the manifest must name; None takes any.

    Raises:
        BadModel: the manifest or a file is missing, torn, altered or belongs to another key.
    """
    remedy = _remedy(place)
    try:
        manifest = json.loads((place / MANIFEST).read_bytes())
        hashes, about = manifest["sha256"], manifest["about"]
        if key not in (None, manifest["key"]):
            raise BadModel(f"{place}: the manifest belongs to another model: {remedy}")
        if not isinstance(hashes, dict) or not hashes:
            raise ValueError("the manifest names no files with their hashes")
        if not isinstance(about, dict):
            raise ValueError("the manifest says nothing about the model")
        files = {name: (place / Path(name).name).read_bytes() for name in hashes}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadModel(f"{place}: the model is not whole ({error}): {remedy}") from error
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != hashes[name]:
            raise BadModel(f"{place / name}: the hash is not the manifest's, the file was altered: {remedy}")
    return files, about


def _remedy(place: Path) -> str:
    return f"delete {place}, the next run trains it again"


class ModelStores:
    """The stores of all models: `NAME/folds` below one folder for the model called NAME (`classifier.xgboost`)."""

    def __init__(self, folder: Path) -> None:
        """Stores below `folder`, each made when its first model is kept."""
        self._folder = folder

    def of(self, name: str) -> FolderModelStore:
        """The store of one model."""
        folder = self._folder / name / "folds"
        for partial in folder.glob(".partial-*"):
            shutil.rmtree(partial, ignore_errors=True)  # left by a killed run
        return FolderModelStore(folder)


class ModelStoreDataset(AbstractDataset[None, ModelStores]):
    """The stores of all models. Nodes are handed the stores themselves: it is what lets a killed run go on."""

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> ModelStores:
        """The stores; empty ones where there is no folder yet."""
        return ModelStores(self._path)

    def save(self, data: None) -> None:
        """Refused: models are kept one by one, through their store."""
        raise BadModel("a model store is filled through its put method, not saved as a whole")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
