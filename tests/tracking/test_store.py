"""The store is whole, and finished runs are found in it."""

import multiprocessing
import os
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tradewind.errors import BadData, BadParameters
from tradewind.tracking.store import COMPARED, load_run, make_store


def test_a_store_that_was_killed_in_the_making_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    child = multiprocessing.get_context("spawn").Process(target=make_store, args=(f"sqlite:///{path}",))
    child.start()
    while not any(file.stat().st_size > 100_000 for file in tmp_path.glob(".*.partial")):
        assert child.is_alive()
    child.kill()
    child.join()
    assert not path.exists()
    make_store(f"sqlite:///{path}")
    assert [one.name for one in mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()] == ["Default"]
    assert list(tmp_path.iterdir()) == [path]
    before = path.read_bytes()
    make_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_store_that_may_not_be_written_to_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, allowed = tmp_path / "mlflow.db", os.access
    store.touch()
    for closed in (store, tmp_path):
        with monkeypatch.context() as here:  # root may write everywhere
            here.setattr(os, "access", lambda path, mode, closed=closed: path != closed and allowed(path, mode))
            with pytest.raises(BadParameters, match=f"^{closed} cannot be written to, where MLflow's store is"):
                make_store(f"sqlite:///{store}")
    make_store(f"sqlite:///{store}")


def test_a_run_is_found_by_place_name_or_id_and_else_named_in_the_error(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("tradewind", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("tradewind")
    keys = []
    for number in range(3):
        with mlflow.start_run(run_name=f"run {number}") as active:
            keys.append(active.info.run_id)
            if number == 2:
                continue  # a run that stopped before its verdict
            mlflow.set_tags({"verdict": "go", "judged": "linear"})
            mlflow.log_param("seed", number)
            for name in COMPARED:
                file = tmp_path / f"{name}.parquet"
                pd.DataFrame({"strategy": [name], "number": [number]}).to_parquet(file)
                mlflow.log_artifact(str(file), artifact_path=name)
    for reference, number in (("last", 1), ("last~1", 0), ("run 0", 0), (keys[1][:12], 1)):
        found = load_run(reference, uri, "tradewind")
        assert (found.key, found.parameters["seed"]) == (keys[number][:8], str(number))
        assert found.leaderboard["number"].tolist() == [number]
    for reference in ("last~5", "run 2", "nothing"):
        with pytest.raises(BadData, match=f"0 runs fit '{reference}'; the latest with a verdict are: .*run 1"):
            load_run(reference, uri, "tradewind")
    (tmp_path / "artifacts" / keys[0] / "artifacts" / "significance" / "significance.parquet").unlink()
    with pytest.raises(BadData, match="has no significance"):
        load_run("run 0", uri, "tradewind")
    for store, experiment in ((uri, "another"), (f"sqlite:///{tmp_path / 'nothing.db'}", "tradewind")):
        with pytest.raises(BadData, match="no run has reached a verdict yet: `kedro run --env quick` makes one"):
            load_run("last", store, experiment)
    assert not (tmp_path / "nothing.db").exists(), "a look makes no store"
