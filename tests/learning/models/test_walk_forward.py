"""Every fold is trained on its own past, kept, and taken from the store only when nothing has changed."""

import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from tradewind.datasets.model_store import FolderModelStore, read_model
from tradewind.errors import BadData, BadModel, BadParameters, TemporaryOutage
from tradewind.learning.models import catalogue, scoring, tuning, walk_forward
from tradewind.learning.models.base import Sample
from tradewind.learning.models.boosting import BoostingForecaster, BoostingParameters
from tradewind.learning.models.calibration import ProbabilityScaling, fit_scaling
from tradewind.learning.models.tuning import TuningRules
from tradewind.learning.models.walk_forward import TrainingRules, forecast_table, train_folds
from tradewind.market import schema
from tradewind.validation.research_run import NullModelStore

RULES = TrainingRules(max_rounds=15, early_stopping_rounds=5)
KIND = catalogue.row_model("lightgbm")
PARAMETERS = BoostingParameters(min_child_weight=5, learning_rate=0.1)


def train(rows: pd.DataFrame, folds: pd.DataFrame, store: FolderModelStore, seed: int = 7) -> list[Any]:
    return train_folds(KIND, PARAMETERS, rows, folds, RULES, store, seed)


@pytest.fixture
def store(tmp_path: Path) -> FolderModelStore:
    return FolderModelStore(tmp_path / "folds")


def test_forecasts_cover_every_test_row_once(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, store: FolderModelStore
) -> None:
    trained = train(model_rows, model_folds, store)
    forecasts = walk_forward.forecast_table(trained, 12)
    schema.Forecasts.validate(forecasts)
    tested = model_rows[model_rows["timestamp"] >= model_folds["test_start"].min()]
    assert len(forecasts) == len(tested)
    importance = walk_forward.importance_table(trained)
    assert importance["feature"].iloc[0] == "log_return_1"
    assert set(walk_forward.learning_curves(trained)["fold"]) == {0, 1, 2}


def test_a_fold_never_learns_from_its_future(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, tmp_path: Path
) -> None:
    """Other labels and features from the second test on leave the first fold's forecasts as they were."""
    start = model_folds["test_start"].iloc[1]
    later = model_rows["horizon_end"] >= start
    changed = model_rows.copy()
    changed.loc[later, "label"] = -changed.loc[later, "label"]
    changed.loc[model_rows["timestamp"] >= start, ["log_return_1", "f1"]] = 9.0
    first = model_folds.iloc[:1]
    before, after = (
        walk_forward.forecast_table(train(rows, first, FolderModelStore(tmp_path / str(number))), 12)
        for number, rows in enumerate((model_rows, changed))
    )
    pd.testing.assert_frame_equal(before, after)


def test_folds_trained_in_other_processes_are_those_trained_here(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte, under the same keys: where a fold is trained is no part of what it is."""
    monkeypatch.setattr(walk_forward, "TRAINING_MODULES", ())  # none of them is needed for trees
    here, there = FolderModelStore(tmp_path / "here"), FolderModelStore(tmp_path / "there")
    elsewhere = RULES.model_copy(update={"executor": "processes"})
    own = train(model_rows, model_folds, here)
    sent = train_folds(KIND, PARAMETERS, model_rows, model_folds, elsewhere, there, 7)
    pd.testing.assert_frame_equal(forecast_table(own, 12), forecast_table(sent, 12))
    for one, other in zip(own, sent, strict=True):
        assert one.key == other.key
        assert here.get(one.key) == there.get(one.key) == other.forecaster.files()
        pd.testing.assert_frame_equal(one.test, other.test)
    lost = train_folds(KIND, PARAMETERS, model_rows, model_folds.iloc[:1], elsewhere, NullModelStore(), 7)
    assert lost[0].forecaster.files() == own[0].forecaster.files()


def test_finished_folds_are_not_trained_again(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, store: FolderModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = walk_forward.forecast_table(train(model_rows, model_folds, store), 12)

    def refuse(self: BoostingForecaster, *samples: Sample) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(KIND, "fit", refuse)
    pd.testing.assert_frame_equal(walk_forward.forecast_table(train(model_rows, model_folds, store), 12), before)
    for changes in ({"seed": 8}, {"rows": model_rows.assign(f1=model_rows["f1"] + 1)}):
        with pytest.raises(AssertionError, match="trained again"):
            train(changes.get("rows", model_rows), model_folds, store, changes.get("seed", 7))


@pytest.mark.parametrize("fault", ["altered", "truncated", "removed", "swapped", "no manifest"])
def test_a_stored_model_that_is_not_what_was_kept_is_refused(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, store: FolderModelStore, tmp_path: Path, fault: str
) -> None:
    train(model_rows, model_folds, store)
    one, other, *_ = sorted(path for path in (tmp_path / "folds").iterdir() if path.is_dir())
    model = one / "model.txt"
    content = bytearray(model.read_bytes())
    match fault:
        case "altered":
            content[len(content) // 2] ^= 1
            model.write_bytes(content)
        case "truncated":
            model.write_bytes(content[: len(content) // 2])
        case "removed":
            model.unlink()
        case "swapped":
            for path in other.iterdir():
                (one / path.name).write_bytes(path.read_bytes())
        case "no manifest":
            (one / "manifest.json").unlink()
    with pytest.raises(BadModel, match="the next run trains it again"):
        train(model_rows, model_folds, store)


def test_the_rows_of_a_fold_are_given_up_once_a_model_of_rows_has_its_samples(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, store: FolderModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are as large as the samples, and folds are trained side by side."""
    held, learning = list[weakref.ref[Any]](), list[bool]()
    split, learn = walk_forward.split_training, KIND._learn

    def watched(rows: pd.DataFrame, rules: TrainingRules) -> Any:
        training = split(rows, rules)
        held.append(weakref.ref(training))
        return training

    def learned(self: Any, train: Sample, valid: Sample) -> Any:
        learning.append(held[-1]() is not None)
        return learn(self, train, valid)

    monkeypatch.setattr(walk_forward, "split_training", watched)
    monkeypatch.setattr(KIND, "_learn", learned)
    train(model_rows, model_folds.iloc[:1], store)
    assert learning == [False]


def test_a_manifest_cannot_name_a_file_elsewhere(store: FolderModelStore, tmp_path: Path) -> None:
    store.put("k" * 64, {"model.txt": b"x"}, {})
    manifest = tmp_path / "folds" / ("k" * 24) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("model.txt", "../../../etc/passwd"))
    with pytest.raises(BadModel, match="not whole"):
        read_model(manifest.parent, "k" * 64)


@pytest.mark.parametrize("hashes", [{}, ["model.txt"], "model.txt", None, 7])
def test_a_manifest_without_hashes_vouches_for_nothing(store: FolderModelStore, tmp_path: Path, hashes: object) -> None:
    store.put("k" * 64, {"model.txt": b"x"}, {})
    manifest = tmp_path / "folds" / ("k" * 24) / "manifest.json"
    manifest.write_text(json.dumps({"key": "k" * 64, "sha256": hashes, "about": {}}))
    with pytest.raises(BadModel, match="not whole"):
        read_model(manifest.parent, "k" * 64)


def test_a_write_that_fails_leaves_no_model(
    store: FolderModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "folds").mkdir(exist_ok=True)  # the write of the files is what fails
    monkeypatch.setattr("tradewind.atomic.os.fsync", full)
    with pytest.raises(TemporaryOutage, match="No space left .*free space"):
        store.put("k" * 64, {"model.txt": b"x"}, {})
    assert list((tmp_path / "folds").iterdir()) == []
    assert store.get("k" * 64) is None


def test_a_fold_without_rows_is_refused(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, store: FolderModelStore
) -> None:
    with pytest.raises(BadData, match="fold 2 has no rows between"):
        train(model_rows[model_rows["timestamp"] < model_folds["test_start"].iloc[2]], model_folds, store)


def test_scores_stand_beside_rules_that_need_no_model(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, store: FolderModelStore
) -> None:
    forecasts = walk_forward.forecast_table(train(model_rows, model_folds, store), 12)
    metrics, confusion, reliability = scoring.score(forecasts, model_rows, model_folds)
    totals = metrics[metrics["fold"] == -1].set_index(["role", "metric"])
    assert set(metrics["fold"]) == {-1, 0, 1, 2}
    loss = totals.loc[("walk_forward", "log_loss")]
    assert loss["value"] < loss["majority_baseline"]
    assert totals.loc[("walk_forward", "accuracy"), "previous_sign_baseline"] > 0.4  # the first feature is the drift
    assert confusion[confusion["role"] == "walk_forward"]["count"].sum() == loss["rows"]
    assert reliability["observed"].between(0, 1).all()


def test_forecasts_of_rows_or_folds_that_are_gone_are_not_scored(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, store: FolderModelStore
) -> None:
    forecasts = walk_forward.forecast_table(train(model_rows, model_folds, store), 12)
    with pytest.raises(BadData, match="3 of .* forecasts have no row .* train again"):
        scoring.score(forecasts, model_rows.iloc[:-3], model_folds)
    with pytest.raises(BadData, match="no fold in folds"):
        scoring.score(forecasts, model_rows, model_folds.iloc[:-1])


def test_tuning_looks_at_nothing_that_is_ever_tested(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, tmp_path: Path
) -> None:
    """Everything from the first test on may be anything at all: the trials do not move."""
    first = model_folds["test_start"].min()
    scrambled = model_rows.copy()
    after = scrambled["timestamp"] >= first
    scrambled.loc[after, "label"] = np.int8(1)
    scrambled.loc[after, "f1"] = 0.0
    rules = TuningRules(n_trials=2, max_rounds=10, row_stride=2)
    tables = []
    for number, rows in enumerate((model_rows, scrambled)):
        storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / str(number)}.sqlite")
        tables.append(tuning.tune(KIND, rows, model_folds, rules, storage, 7)[1])
    pd.testing.assert_frame_equal(*tables)


def test_a_search_goes_on_where_it_was_stopped_and_ends_alike(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, tmp_path: Path
) -> None:
    def search(name: str, n_trials: int) -> tuple[Any, pd.DataFrame]:
        storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / name}")
        return tuning.tune(KIND, model_rows, model_folds, TuningRules(n_trials=n_trials, max_rounds=10), storage, 7)

    search("stopped", 2)
    stopped, whole = search("stopped", 4), search("whole", 4)
    assert stopped[0] == whole[0]
    pd.testing.assert_frame_equal(stopped[1], whole[1])
    finished = (tmp_path / "whole").read_bytes()
    search("whole", 4)
    assert (tmp_path / "whole").read_bytes() == finished


@pytest.mark.parametrize("stop", ["interrupted", "killed", "killed before the first trial"])
def test_a_search_stopped_in_its_first_trial_still_tries_the_defaults(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    rules = TuningRules(n_trials=3, max_rounds=10, row_stride=2)

    def search(name: str) -> pd.DataFrame:
        storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / name}")
        return tuning.tune(KIND, model_rows, model_folds, rules, storage, 7)[1]

    whole = search("whole")
    study = optuna.get_all_study_names(f"sqlite:///{tmp_path / 'whole'}")[0]

    def interrupt(self: BoostingForecaster, *samples: Sample) -> None:
        raise KeyboardInterrupt

    match stop:
        case "interrupted":
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(KIND, "fit_samples", interrupt)
                search("stopped")
        case "killed":  # no handler runs: the trial is left as running
            opened = optuna.create_study(study_name=study, storage=f"sqlite:///{tmp_path / 'stopped'}")
            opened.enqueue_trial({"max_depth": 3})
            opened.ask()
        case "killed before the first trial":
            optuna.create_study(study_name=study, storage=f"sqlite:///{tmp_path / 'stopped'}")
    pd.testing.assert_frame_equal(search("stopped"), whole)
    assert whole.loc[0, "max_depth"] == BoostingParameters().max_depth


def test_a_search_goes_on_alike_when_earlier_trials_guide_it(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the random start the sampler reads the stored trials, so that their exact values matter."""

    monkeypatch.setattr(KIND, "search_space", KIND.search_space | {"min_child_weight": (1.0, 20.0)})  # so few rows

    def search(name: str, n_trials: int) -> pd.DataFrame:
        storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / name}")
        rules = TuningRules(n_trials=n_trials, max_rounds=5, row_stride=2)
        return tuning.tune(KIND, model_rows, model_folds, rules, storage, 7)[1]

    search("stopped", 10)
    stopped, whole = search("stopped", 12), search("whole", 12)
    pd.testing.assert_frame_equal(stopped, whole)
    assert whole["value"].nunique() > 4


def test_scaling_mends_overconfidence_and_never_bets_on_a_side() -> None:
    rng = np.random.default_rng(0)
    honest = rng.dirichlet([4, 2, 4], 20_000)
    label = np.array([rng.choice([-1, 0, 1], p=row) for row in honest[:6000]], dtype=np.int8)
    bold = honest**2 / (honest**2).sum(axis=1, keepdims=True)
    scaling = fit_scaling(bold[:6000], label)
    assert scaling.slope == pytest.approx(0.5, abs=0.06)
    mended = scaling.apply(bold[6000:])
    assert np.abs(mended - honest[6000:]).mean() < 0.2 * np.abs(bold[6000:] - honest[6000:]).mean()
    drifting = fit_scaling(np.full((100, 3), 1 / 3), np.ones(100, dtype=np.int8))
    tilted = drifting.apply(np.full((1, 3), 1 / 3))[0]
    assert tilted[0] == pytest.approx(tilted[2])
    assert ProbabilityScaling().apply(honest[:5]) == pytest.approx(honest[:5])


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(BadParameters, match="one of .*xgboost.*, found 'catboost'"):
        catalogue.row_model("catboost")


@pytest.mark.parametrize("name", ["last_value", "volatility_only", "linear", "lightgbm"])
def test_the_table_of_a_stored_model_is_that_of_the_run_that_trained_it(
    model_rows: pd.DataFrame, model_folds: pd.DataFrame, store: FolderModelStore, name: str
) -> None:
    """Model, family and seed included: a second run takes every model from the store and must write the same bytes."""
    kind = catalogue.model(name)
    tables = [
        forecast_table(train_folds(kind, kind.parameters_class(), model_rows, model_folds, RULES, store, 11), 12)
        for _ in range(2)
    ]
    assert set(tables[0]["seed"]) == {11}
    pd.testing.assert_frame_equal(tables[0], tables[1])
