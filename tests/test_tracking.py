"""What is saved is recorded where the catalog asks for it."""

import multiprocessing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tradewind.datasets.run_facts import code_commit
from tradewind.errors import BadData, BadParameters
from tradewind.hooks import MlflowHooks, TrackingHooks
from tradewind.tracking import (
    COMPARED,
    RECORDERS,
    load_run,
    make_store,
    record_epochs,
    record_learning_curves,
    record_parameters,
)


class Stored:
    """A dataset as the hook sees it: where it lies and what the catalog says of it."""

    def __init__(self, path: Path, kind: str | None) -> None:
        self._filepath = path
        self.metadata = {"tracking": kind} if kind else None


@pytest.fixture
def client(tmp_path: Path) -> Any:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("test", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("test")
    with mlflow.start_run():
        yield mlflow.MlflowClient(uri)


def record(kind: str | None, content: Any, path: Path) -> str:
    """The id of the active run, after the hook has been told of a saved dataset."""
    hooks = TrackingHooks()
    hooks.after_catalog_created(catalog={"thing": Stored(path, kind)})  # type: ignore[arg-type]
    hooks.after_dataset_saved(dataset_name="thing", data=content)
    return mlflow.active_run().info.run_id


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


def test_metrics_keep_their_folds_as_steps(client: Any, tmp_path: Path) -> None:
    metrics = pd.DataFrame(
        {
            "model": "xgboost",
            "fold": [0, 1, -1],
            "role": ["walk_forward"] * 3,
            "metric": "log_loss",
            "value": [1.0, 0.9, 0.95],
        }
    )
    run = record("metrics", metrics, tmp_path / "metrics.parquet")
    history = client.get_metric_history(run, "xgboost.log_loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.9)]
    assert client.get_run(run).data.metrics["xgboost.walk_forward.log_loss"] == 0.95


def test_trials_are_nested_runs(client: Any, tmp_path: Path) -> None:
    trials = pd.DataFrame(
        {"number": [0, 1], "value": [1.1, float("nan")], "state": ["COMPLETE", "FAIL"], "depth": [3, 4]}
    )
    parent = record("trials", trials, tmp_path / "trials.parquet")
    runs = client.search_runs([client.get_experiment_by_name("test").experiment_id])
    nested = {run.data.params["depth"]: run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent}
    assert nested["3"].data.metrics["objective"] == 1.1
    assert nested["4"].data.tags["state"] == "FAIL"
    assert "objective" not in nested["4"].data.metrics


def test_a_file_and_a_folder_become_artifacts(client: Any, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/manifest.json").write_text("{}")
    record("file", None, tmp_path / "models")
    run = record("file", None, tmp_path / "models/manifest.json")
    assert [artifact.path for artifact in client.list_artifacts(run, "thing")] == ["thing/manifest.json"]


def test_the_models_of_all_folds_become_artifacts(client: Any, tmp_path: Path) -> None:
    for key in ("a" * 64, "b" * 64):
        (tmp_path / "folds" / key[:24]).mkdir(parents=True)
        (tmp_path / "folds" / key[:24] / "model.txt").write_text(key)
    run = record("models", {"0": "a" * 64, "1": "b" * 64}, tmp_path / "models.json")
    assert {artifact.path for artifact in client.list_artifacts(run, "thing")} == {"thing/fold_0", "thing/fold_1"}


def test_the_verdict_is_a_tag_and_its_numbers_are_metrics(client: Any, tmp_path: Path) -> None:
    run = record("verdict", {"verdict": "no-go", "sharpe": 0.3, "reasons": ["x"], "holdout_sharpe": None}, tmp_path)
    recorded = client.get_run(run).data
    assert recorded.tags["thing"] == "no-go"
    assert recorded.metrics == {"thing.sharpe": 0.3}


def test_a_run_is_called_by_its_market_and_verdict(client: Any, tmp_path: Path) -> None:
    hooks, universe = TrackingHooks(), {"venue": "v", "symbols": ["A", "B"], "timeframe": "1h"}
    hooks._context = SimpleNamespace(config_loader={"parameters": {"universe": universe}})  # type: ignore[assignment]
    hooks.after_catalog_created(catalog={"verdict": Stored(tmp_path / "verdict.json", "verdict")})  # type: ignore[arg-type]
    hooks.after_dataset_saved(dataset_name="verdict", data={"verdict": "no-go", "sharpe": 0.1})
    run = client.get_run(mlflow.active_run().info.run_id)
    assert run.info.run_name == "v A B 1h: no-go"
    assert run.data.tags["commit"] == code_commit() != ""


def test_what_asks_for_nothing_is_left_alone(client: Any, tmp_path: Path) -> None:
    run = record(None, pd.DataFrame(), tmp_path)
    assert client.get_run(run).data.metrics == {}


def test_an_unknown_kind_of_tracking_is_refused(client: Any, tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match=r"thing: metadata.tracking must be one of .*metrics"):
        record("graffiti", None, tmp_path)


def test_without_a_run_nothing_is_recorded(tmp_path: Path) -> None:
    assert mlflow.active_run() is None
    hooks = TrackingHooks()
    hooks.after_catalog_created(catalog={"thing": Stored(tmp_path, "verdict")})  # type: ignore[arg-type]
    hooks.after_dataset_saved(dataset_name="thing", data={"verdict": "go"})


def test_learning_curves_can_be_read_by_tensorboard(tmp_path: Path) -> None:
    curves = pd.DataFrame(
        {"model": "lightgbm", "fold": 0, "iteration": [0, 1], "train_loss": [1.0, 0.8], "valid_loss": [1.1, 1.0]}
    )
    for _ in range(2):  # a second run replaces the first
        record_learning_curves("curves", curves, tmp_path / "learning_curves.parquet")
    events = EventAccumulator(str(tmp_path / "tensorboard/lightgbm/fold_0/losses"))
    events.Reload()
    assert [point.value for point in events.Scalars("valid_loss")] == pytest.approx([1.1, 1.0])


def test_epochs_are_scalars_and_metrics_with_a_history(client: Any, tmp_path: Path) -> None:
    epochs = pd.DataFrame(
        {
            "epoch": [0, 1], "train_loss": [1.0, 0.8], "noise_scale": [np.nan, 300.0], "model": "lstm", "fold": 2,
            "is_best": [False, True],
        }
    )  # fmt: skip
    record_epochs("epochs", epochs, tmp_path / "epochs.parquet")
    events = EventAccumulator(str(tmp_path / "tensorboard/lstm/fold_2/epochs"))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("noise_scale")] == [(1, 300.0)]
    run = mlflow.active_run()
    assert run is not None
    history = client.get_metric_history(run.info.run_id, "lstm.fold_2.train_loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.8)]


def test_every_kind_has_a_recorder() -> None:
    assert set(RECORDERS) == {"metrics", "trials", "figure", "file", "models", "verdict", "learning_curves", "epochs"}


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
            mlflow.set_tag("verdict", "go")
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


def test_parameters_are_recorded_one_a_value_as_they_are_written(client: Any) -> None:
    parameters = {
        "seed": 7,
        "trading": {"costs": {"taker_fee_bps": 5.0, "book": {}}},
        "universe": {"symbols": ["A", "B"]},
        "classifier": {"xgboost": {"tuning": {"n_trials": 4}}},
    }
    record_parameters(["params:seed", "params:trading.costs", "params:universe", "bars", "parameters"], parameters)
    record_parameters(["params:seed", "params:not.there"], parameters)
    run = mlflow.active_run()
    assert run is not None
    assert client.get_run(run.info.run_id).data.params == {
        "seed": "7",
        "trading.costs.taker_fee_bps": "5.0",
        "universe.symbols": "A B",
    }


def test_a_parameter_of_nodes_that_run_and_of_nodes_that_are_up_to_date_is_recorded_once(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, made = (Node(len, "params:models", name, name=name) for name in ("kept", "made"))
    store = SimpleNamespace(after_catalog_created=lambda **_: None, before_pipeline_run=lambda *_: None)
    monkeypatch.setattr("tradewind.hooks.open_tracking", lambda _: store)
    monkeypatch.setattr(
        "tradewind.hooks.PROVENANCE", SimpleNamespace(plan=SimpleNamespace(make=[made], unchanged=[kept]))
    )
    hooks = MlflowHooks()
    hooks._context = SimpleNamespace(config_loader={"parameters": {"models": ["a", "b"]}})  # type: ignore[assignment]
    catalog = DataCatalog({"kept": MemoryDataset(2)})
    hooks.before_pipeline_run({}, Pipeline([made]), catalog)
    hooks.before_node_run(made, catalog, {}, False)
    assert client.get_run(mlflow.active_run().info.run_id).data.params == {"models": "a b"}
