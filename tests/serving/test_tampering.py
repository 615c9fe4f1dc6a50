"""Whatever is done to a bundle on disk, it is refused before anything in it is parsed, and the champion goes on."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.depth import deep
from tests.operations.bundle.test_bundle import _reseal
from tests.operations.bundles import bundle_files
from tests.serving.conftest import LOOSE, ME
from tradewind.operations.bundle import contents, sealing
from tradewind.operations.bundle.sealing import MANIFEST, place_of
from tradewind.operations.registry.registry import BUNDLES, Registry
from tradewind.serving.metrics import Metrics
from tradewind.serving.models_in_service import ModelsInService
from tradewind.serving.settings import ServingSettings


def _flip(place: Path, rng: np.random.Generator) -> None:
    """One bit of one file, any of them."""
    file = place / str(rng.choice(sorted(one.name for one in place.iterdir())))
    content = bytearray(file.read_bytes())
    at = int(rng.integers(8 * len(content)))
    content[at // 8] ^= 1 << at % 8
    file.write_bytes(bytes(content))


def _swap(place: Path, rng: np.random.Generator) -> None:
    """Two files of different contents."""
    files = sorted(one for one in place.iterdir() if one.name != MANIFEST)
    one, other = (files[at] for at in rng.choice(len(files), 2, replace=False))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def _replay(place: Path, rng: np.random.Generator) -> None:
    """All or some of an older version, its manifest among them or not."""
    older = bundle_files(seed=3)
    chosen = [name for name in sorted(older) if rng.random() < 0.5 or name == contents.GRAPH]
    for name in chosen:
        (place / name).write_bytes(older[name])
    if rng.random() < 0.5:
        (place / MANIFEST).write_bytes(sealing.manifest_of(older))


def _link(place: Path, rng: np.random.Generator) -> None:
    """A link to the very same bytes in place of a file, or of the folder."""
    if rng.random() < 0.2:
        place.rename(place.parent / "moved")
        place.symlink_to(place.parent / "moved")
        return
    file = place / str(rng.choice(sorted(one.name for one in place.iterdir())))
    file.rename(place.parent / "outside")
    file.symlink_to(place.parent / "outside")


class Planted:
    """What a pickle could do."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (os.system, ("touch pickled",))


def _pickle(place: Path, rng: np.random.Generator) -> None:
    """A pickle beside the files or in place of one, with a manifest that fits it or not."""
    content = pickle.dumps(Planted())
    name = str(rng.choice(["model.pkl", "probe-features.npy", "forecaster.json", "extra.npy"]))
    if rng.random() < 0.5:
        _reseal(place, {name: content})
    else:
        (place / name).write_bytes(content)


TAMPER = {"a flipped bit": _flip, "swapped files": _swap, "a replay": _replay, "a link": _link, "a pickle": _pickle}


@pytest.mark.parametrize("times", [50, deep(1000)])
def test_every_touched_bundle_is_refused_and_the_champion_goes_on(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(tmp_path / "registry", LOOSE)
    for seed in (1, 2):
        registry.register(bundle_files(seed=seed))
    registry.move("development", "champion", 1, None, ME)
    settings = ServingSettings(registry=tmp_path / "registry", tokens=tmp_path / "tokens.json", gate=LOOSE)
    models = ModelsInService(settings, Metrics())
    assert models.refresh() and models.now.champion is not None and models.now.champion.version == 1
    with registry._transaction() as base:  # past the registry's own look at the bundle
        base.execute("UPDATE roles SET version = 2 WHERE role = 'champion'")
    place = place_of(registry._folder / BUNDLES, registry.version(2).identity)
    whole, rng = tmp_path / "whole", np.random.default_rng(7)
    bundle_files(seed=3)  # made before anybody watches
    shutil.copytree(place, whole)
    parsed = _watch_parsers(monkeypatch)
    refused = dict.fromkeys(TAMPER, 0)
    for number in range(times):
        kind = list(TAMPER)[number % len(TAMPER)]
        TAMPER[kind](place, rng)
        if _same(place, whole):  # two files may be equal
            continue
        assert not models.refresh() and models.now.champion.version == 1, kind
        assert "is refused" in models.refused or "has no place" in models.refused, models.refused
        refused[kind] += 1
        _restore(place, whole)
    assert parsed == [] and not (Path.cwd() / "pickled").exists()
    assert sum(refused.values()) == times, refused
    monkeypatch.undo()
    assert models.refresh() and models.now.champion.version == 2  # untouched it is served


def _watch_parsers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    parsed: list[str] = []
    monkeypatch.setattr(contents.Bundle, "from_files", lambda *_: parsed.append("bundle"))
    monkeypatch.setattr(pickle, "loads", lambda *_: parsed.append("pickle"))
    monkeypatch.setattr(np, "load", lambda *_, **__: parsed.append("array"))
    loads = json.loads

    def only_manifests(content: str | bytes, **given: object) -> object:
        document = loads(content, **given)  # type: ignore[arg-type]
        if "files" not in document:
            parsed.append("document")
        return document

    monkeypatch.setattr(json, "loads", only_manifests)
    return parsed


def _same(place: Path, whole: Path) -> bool:
    if place.is_symlink() or {one.name for one in place.iterdir()} != {one.name for one in whole.iterdir()}:
        return False
    return all(not one.is_symlink() and one.read_bytes() == (whole / one.name).read_bytes() for one in place.iterdir())


def _restore(place: Path, whole: Path) -> None:
    for one in (place, place.parent / "moved", place.parent / "outside"):
        if one.is_symlink() or one.is_file():
            one.unlink()
        elif one.is_dir():
            shutil.rmtree(one)
    shutil.copytree(whole, place)
