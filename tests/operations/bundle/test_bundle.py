"""A bundle says what its model says, decides as evaluation does, and is refused before parsing when it was touched."""

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.operations.bundles import (
    MEMBERS,
    NAMES,
    TERMS,
    bundle_files,
    findings,
    inputs,
    model_rows,
    stored_model,
)
from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.learning.models import catalogue
from tradewind.learning.models.linear import LinearParameters
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.learning.splits.walk_forward import FoldPlan, make_folds
from tradewind.operations.bundle import contents, sealing
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.making import Procedure, choose, make_bundle, newest, refit, settled
from tradewind.operations.bundle.sealing import MANIFEST, identity_of, place_of, read_bundle, write_bundle


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, str]:
    identity = write_bundle(tmp_path, bundle_files())
    return place_of(tmp_path, identity), identity


@pytest.mark.parametrize("name", ["linear", "lightgbm", "xgboost", "lstm", "equal_weight"])
def test_the_stored_model_and_the_graph_agree(name: str, tmp_path: Path) -> None:
    files = bundle_files(name)
    identity = write_bundle(tmp_path, files)
    bundle = Bundle.from_files(read_bundle(place_of(tmp_path, identity), identity), identity)
    model, rows = stored_model(files, name), inputs(name, 900)
    expected = np.stack([model.predict_row(row) for row in rows])
    np.testing.assert_allclose(bundle.forecaster.predict_many(rows), expected, atol=1e-6)
    assert bundle.probe_error() <= 1e-6
    assert bundle.spec.features == NAMES and bundle.decider().policy.features == NAMES
    if name == "equal_weight":
        assert (bundle.spec.family, set(bundle.spec.parameters)) == ("ensemble", set(MEMBERS))
        alone = [stored_model(bundle_files(one), one) for one in MEMBERS]
        mean = np.mean([one.predict_row(rows[0] if one.window_bars > 1 else rows[0, -1]) for one in alone], axis=0)
        np.testing.assert_allclose(expected[0], mean, atol=1e-12)


def test_refitting_repeats_itself_and_uses_settled_labels_alone() -> None:
    rows = model_rows(1)
    known = settled(rows)
    assert known["horizon_end"].max() <= rows["timestamp"].max() and len(known) == len(rows) - 8
    procedure = Procedure("lightgbm", catalogue.model("lightgbm").parameters_class(), TrainingRules(max_rounds=5), 7)
    assert refit(procedure, known).files() == refit(procedure, known).files()
    other = rows.copy()
    late = other["horizon_end"] > other["timestamp"].max()
    other.loc[late, "label"] = -other.loc[late, "label"]  # what nobody can know yet
    assert refit(procedure, settled(other)).files() == refit(procedure, known).files()


def test_rolling_folds_are_refitted_on_as_much_time_as_each_of_them_had() -> None:
    rows = model_rows(1, 2000)
    folds = {scheme: make_folds(rows["timestamp"], FoldPlan(scheme=scheme), timedelta(hours=1), 4)
             for scheme in ("expanding", "rolling")}  # fmt: skip
    pd.testing.assert_frame_equal(newest(rows, folds["expanding"]), rows)
    rolled = newest(rows, folds["rolling"])
    first = folds["rolling"].iloc[0]
    assert rolled["timestamp"].max() == rows["timestamp"].max()
    assert rolled["timestamp"].max() - rolled["timestamp"].min() < first["train_end"] - first["train_start"]
    assert 0.39 < len(rolled) / len(rows) < 0.41 and rolled.index[0] == 0


def test_a_model_that_hardly_traded_has_no_evidence_to_be_deployed_by() -> None:
    rows, procedure = model_rows(1), Procedure("linear", LinearParameters(), TrainingRules(), 7)
    found = findings("linear", "no-go", rows)
    for figure in ("sharpe", "sharpe_low", "sharpe_high"):
        seldom = replace(found, leaderboard=found.leaderboard.assign(**{figure: np.nan}))
        with pytest.raises(BadData, match="linear traded too seldom for a Sharpe ratio with its interval"):
            make_bundle(procedure, rows, TERMS, seldom, "2026-01-01")


def test_the_verdict_counts_only_for_the_strategy_that_it_is_about() -> None:
    rows = model_rows(1)
    told = findings("linear", "go", rows)
    about_another = type(told)({"verdict": "go", "strategy": "ppo"}, told.leaderboard, told.forecasts, {})
    procedure = Procedure("linear", catalogue.model("linear").parameters_class(), TrainingRules(), 7)
    files = make_bundle(procedure, rows, TERMS, about_another, "2026-01-01")
    assert json.loads(files[contents.SPEC])["evidence"]["verdict"] == "none"
    with pytest.raises(BadData, match="no row of model_input has a settled label"):
        make_bundle(procedure, rows.iloc[:0], TERMS, told, "2026-01-01")


def test_the_model_to_deploy_is_the_judged_one_the_best_or_a_named_one(caplog: pytest.LogCaptureFixture) -> None:
    board = findings("linear", "go", model_rows(1)).leaderboard
    mean = pd.concat([board, board.iloc[[0]].assign(strategy="equal_weight", sharpe=-1.0)], ignore_index=True)
    trained = ("linear", "lightgbm", "volatility_only", "ppo")
    assert choose("best", mean, trained, "equal_weight") == "linear"
    for judged in ("equal_weight", "ppo", "lightgbm"):
        assert choose("judged", mean, trained, judged) == judged
    assert (
        choose("judged", mean, ("linear",), "equal_weight") == "equal_weight"
    )  # of one model the same, with its verdict
    assert choose("judged", mean, trained, "time_series_momentum") == "linear"
    assert "time_series_momentum was judged and cannot be deployed: linear is" in caplog.text
    assert choose("best", board, ("linear", "volatility_only")) == "linear"
    with pytest.raises(BadParameters, match="found 'volatility_only'"):
        choose("volatility_only", board, ("linear", "volatility_only"))


def _flip(place: Path, name: str) -> None:
    content = bytearray((place / name).read_bytes())
    content[len(content) // 2] ^= 1
    (place / name).write_bytes(bytes(content))


def _swap(place: Path) -> None:
    first, second = (place / contents.PROBE).read_bytes(), (place / contents.EXPECTED).read_bytes()
    (place / contents.PROBE).write_bytes(second)
    (place / contents.EXPECTED).write_bytes(first)


def _link(place: Path) -> None:
    (place / contents.GRAPH).rename(place.parent / "outside.onnx")
    (place / contents.GRAPH).symlink_to(place.parent / "outside.onnx")


def _link_folder(place: Path) -> None:
    place.rename(place.parent / "moved")
    place.symlink_to(place.parent / "moved")


def _reseal(place: Path, names: dict[str, bytes]) -> None:
    """What an attacker does who knows the format: alters a file and writes a manifest that fits."""
    entries = json.loads((place / MANIFEST).read_bytes())
    for name, content in names.items():
        (place / name.replace("/", "_")).write_bytes(content)
        entries["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (place / MANIFEST).write_text(json.dumps(entries))


def _older(place: Path) -> None:
    older = bundle_files(seed=2)
    for name, content in older.items():
        (place / name).write_bytes(content)
    (place / MANIFEST).write_bytes(sealing.manifest_of(older))


def _fifo(place: Path) -> None:
    (place / contents.GRAPH).unlink()
    os.mkfifo(place / contents.GRAPH)


FAULTS: dict[str, Callable[[Path], None]] = {
    "a flipped bit of the model": lambda place: _flip(place, contents.GRAPH),
    "a flipped bit of the manifest": lambda place: _flip(place, MANIFEST),
    "two files swapped": _swap,
    "an older version replayed": _older,
    "a symlink to a file": _link,
    "a symlink to the folder": _link_folder,
    "a pickle": lambda place: _reseal(place, {"model.pkl": pickle.dumps({})}),
    "a traversal": lambda place: _reseal(place, {"../outside.json": b"{}"}),
    "an added file": lambda place: (place / "extra.json").write_text("{}") and None,
    "a missing file": lambda place: (place / contents.PROBE).unlink(),
    "a truncated file": lambda place: os.truncate(place / contents.GRAPH, 100),
    "a pipe in place of a file": _fifo,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_touched_bundle_is_refused_before_anything_is_parsed(
    fault: str, stored: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, identity = stored
    assert read_bundle(place, identity).keys() == bundle_files().keys()
    FAULTS[fault](place)

    def parsed(*_: object) -> None:
        raise AssertionError("something was parsed")

    monkeypatch.setattr(Bundle, "from_files", parsed)
    monkeypatch.setattr(pickle, "loads", parsed)
    with pytest.raises(BadModel, match="is refused|has no place"):
        read_bundle(place, identity)


@pytest.mark.parametrize("name", ["model.pkl", "../up.json", "a/b.json", ".hidden.json", "manifest.json", "model.py"])
def test_a_name_or_format_without_a_place_is_refused_even_if_its_hash_fits(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="has no place in a bundle"):
        write_bundle(tmp_path, {**bundle_files(), name: b"x"})
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_fits_its_own_identity_must_still_name_files_of_safe_formats(stored: tuple[Path, str]) -> None:
    place, _ = stored
    _reseal(place, {"model.pkl": pickle.dumps({})})
    with pytest.raises(BadModel, match="'model.pkl' has no place"):
        read_bundle(place, identity_of((place / MANIFEST).read_bytes()))


def test_features_that_are_computed_otherwise_now_are_refused() -> None:
    files = dict(bundle_files())
    spec = json.loads(files[contents.SPEC]) | {"plan_fingerprint": "0" * 64}
    files[contents.SPEC] = json.dumps(spec).encode()
    with pytest.raises(BadModel, match="computes otherwise"):
        Bundle.from_files(files, "0" * 64)
