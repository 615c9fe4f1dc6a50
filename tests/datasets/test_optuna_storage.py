"""Studies live in one file; what is no study store is refused with what to do."""

from pathlib import Path

import optuna
import pytest
from kedro.io.core import DatasetError

from tradewind.datasets.model_store import ModelStoreDataset
from tradewind.datasets.optuna_storage import OptunaStorageDataset
from tradewind.errors import BadData


def test_a_study_is_there_again_and_looking_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "06_models/classifier.xgboost/studies.sqlite"
    dataset = OptunaStorageDataset(path=str(tmp_path / "06_models"))
    assert dataset.exists()
    study = optuna.create_study(study_name="one", storage=dataset.load().of("classifier.xgboost"))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    before = path.read_bytes()
    again = OptunaStorageDataset(path=str(tmp_path / "06_models")).load().of("classifier.xgboost")
    assert optuna.get_all_study_names(again) == ["one"]
    assert path.read_bytes() == before


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one/studies.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but long enough to look like one" * 30)
    with pytest.raises(BadData, match=r"(?s)is not an Optuna store .*delete it"):
        OptunaStorageDataset(path=str(tmp_path)).load().of("one")


def test_stores_are_not_saved_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="written by Optuna"):
        OptunaStorageDataset(path=str(tmp_path)).save({})  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="filled through its put method"):
        ModelStoreDataset(path=str(tmp_path)).save({})  # type: ignore[arg-type]


def test_what_a_killed_run_left_half_written_is_swept_away(tmp_path: Path) -> None:
    folder = tmp_path / "classifier.linear/folds"
    (folder / ".partial-abc").mkdir(parents=True)
    (folder / ".partial-abc/model.txt").write_text("half")
    store = ModelStoreDataset(path=str(tmp_path)).load().of("classifier.linear")
    assert list(folder.iterdir()) == []
    assert store.get("k" * 64) is None
