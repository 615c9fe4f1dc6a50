"""What is saved is recorded where the catalog asks for it."""

import re
from itertools import permutations
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
from tradewind.errors import BadParameters
from tradewind.hooks import MlflowHooks, TrackingHooks
from tradewind.tracking.headline import MOST_METRICS
from tradewind.tracking.recorders import RECORDERS, record_epochs, record_learning_curves, record_parameters

PROJECT = Path(__file__).parents[2]


class Stored:
    """A dataset as the hook sees it: where it lies and what the catalog says of it."""

    def __init__(self, path: Path, kind: str | None) -> None:
        self._filepath = path
        self.metadata = {"tracking": kind} if kind else None


def record(kind: str | None, content: Any, path: Path, name: str = "thing") -> str:
    """The id of the active run, after the hook has been told of a saved dataset."""
    hooks = TrackingHooks()
    hooks.after_catalog_created(catalog={name: Stored(path, kind)})  # type: ignore[arg-type]
    hooks.after_dataset_saved(dataset_name=name, data=content)
    return mlflow.active_run().info.run_id


VERDICT = {
    "verdict": "no-go", "strategy": "xgboost", "named": False, "reasons": ["x"], "sharpe": 0.3, "sharpe_low": -0.5,
    "sharpe_high": 1.1, "holdout_sharpe": 0.2, "detectable_sharpe": 1.4, "probability_of_edge": 0.6, "trials": 40,
    "probability_of_loss": 0.25, "models_compared": 2, "best_model_sharpe": 0.3, "oracle_share": float("nan"),
}  # fmt: skip
BOARD = pd.DataFrame({
    "strategy": ["linear", "xgboost"], "sharpe": [0.1, 0.3], "total_return": [0.01, 0.02], "max_drawdown": [0.1, 0.2],
    "turnover_per_year": [50.0, 60.0], "cost_per_year": [0.03, 0.04], "win_rate": [0.4, 0.5],
})  # fmt: skip
PAIRS = pd.DataFrame({
    "model": ["linear", "xgboost", "xgboost"], "against": ["class shares", "linear", "class shares"],
    "loss": [1.09, 1.2, 1.08],
})  # fmt: skip
METRICS = pd.DataFrame({
    "model": "xgboost", "fold": [0, 1, -1], "role": "walk_forward", "metric": "log_loss", "value": [1.0, 0.9, 0.95],
})  # fmt: skip
EPOCHS = pd.DataFrame({
    "epoch": [0, 1], "train_loss": [1.0, 0.8], "noise_scale": [np.nan, 300.0], "model": "lstm", "fold": 2,
    "is_best": [False, True],
})  # fmt: skip


def record_evaluation(folder: Path, order: tuple[str, ...]) -> str:
    """The id of a run that has saved what stands on it, in this order, and a model's tables."""
    contents = {"verdict": VERDICT, "leaderboard": BOARD, "forecast_comparison": PAIRS}
    tables = {"classifier.xgboost.fold_metrics": METRICS, "classifier.linear.fold_metrics": METRICS}
    for name in (*tables, *order):
        path = folder / f"{name}.{'json' if name == 'verdict' else 'parquet'}"
        path.write_bytes(b"as it was saved")
        content: Any = (tables | contents)[name]
        record("verdict" if name == "verdict" else "table", content, path, name)
    return record("epochs", EPOCHS, folder / "epochs.parquet", "deep_learning.lstm.epochs")


@pytest.mark.parametrize("order", list(permutations(("verdict", "leaderboard", "forecast_comparison"))))
def test_a_dozen_numbers_of_the_judged_strategy_stand_on_the_run_in_whatever_order_they_come(
    client: Any, tmp_path: Path, order: tuple[str, ...]
) -> None:
    recorded = client.get_run(record_evaluation(tmp_path, order)).data
    assert len(recorded.metrics) <= MOST_METRICS == 12
    assert sorted(recorded.metrics.items()) == [
        ("edge/probability", 0.6), ("edge/probability_of_loss", 0.25), ("edge/sharpe", 0.3),
        ("edge/sharpe_detectable", 1.4), ("edge/sharpe_high", 1.1), ("edge/sharpe_holdout", 0.2),
        ("edge/sharpe_low", -0.5), ("forecast/log_loss", 1.08), ("trading/cost_per_year", 0.04),
        ("trading/max_drawdown", 0.2), ("trading/total_return", 0.02), ("trading/turnover_per_year", 60.0),
    ]  # fmt: skip
    assert (recorded.tags["verdict"], recorded.tags["judged"]) == ("no-go", "xgboost")


def test_everything_else_is_in_tables_and_files(client: Any, tmp_path: Path) -> None:
    run = record_evaluation(tmp_path, ("leaderboard", "verdict", "forecast_comparison"))
    tables = {"classifier.xgboost.fold_metrics": METRICS, "leaderboard": BOARD, "deep_learning.lstm.epochs": EPOCHS}
    for name, table in tables.items():
        pd.testing.assert_frame_equal(pd.read_csv(client.download_artifacts(run, f"tables/{name}.csv")), table)
    for file in ("verdict/verdict.json", "leaderboard/leaderboard.parquet"):  # kedro compare reads the leaderboard
        assert Path(client.download_artifacts(run, file)).read_bytes() == b"as it was saved"


def test_what_is_missing_is_left_out_of_the_run_and_another_run_adds_nothing(client: Any, tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text("{}")
    with mlflow.start_run(nested=True):
        record("table", BOARD, Path(__file__), "leaderboard")
    agent = {**VERDICT, "strategy": "ppo", "probability_of_loss": None, "sharpe_low": float("nan")}
    run = record("verdict", agent, tmp_path / "verdict.json", "verdict")
    record("table", PAIRS, Path(__file__), "forecast_comparison")
    assert set(client.get_run(run).data.metrics) == {
        "edge/probability", "edge/sharpe", "edge/sharpe_detectable", "edge/sharpe_high", "edge/sharpe_holdout",
    }  # fmt: skip


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


def test_a_run_is_called_by_its_market_and_verdict(client: Any, tmp_path: Path) -> None:
    hooks, universe = TrackingHooks(), {"venue": "v", "symbols": ["A", "B"], "timeframe": "1h"}
    hooks._context = SimpleNamespace(config_loader={"parameters": {"universe": universe}})  # type: ignore[assignment]
    (tmp_path / "verdict.json").write_text("{}")
    hooks.after_catalog_created(catalog={"verdict": Stored(tmp_path / "verdict.json", "verdict")})  # type: ignore[arg-type]
    hooks.after_dataset_saved(dataset_name="verdict", data={"verdict": "no-go", "strategy": "linear", "sharpe": 0.1})
    run = client.get_run(mlflow.active_run().info.run_id)
    assert run.info.run_name == "v A B 1h: no-go"
    assert run.data.tags["commit"] == code_commit() != ""


def test_what_asks_for_nothing_is_left_alone(client: Any, tmp_path: Path) -> None:
    run = record(None, pd.DataFrame(), tmp_path)
    assert client.get_run(run).data.metrics == {}


def test_an_unknown_kind_of_tracking_is_refused(client: Any, tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match=r"thing: metadata.tracking must be one of .*table"):
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


def test_epochs_are_scalars_for_tensorboard(tmp_path: Path) -> None:
    record_epochs("epochs", EPOCHS, tmp_path / "epochs.parquet")
    events = EventAccumulator(str(tmp_path / "tensorboard/lstm/fold_2/epochs"))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("noise_scale")] == [(1, 300.0)]
    assert [point.value for point in events.Scalars("train_loss")] == pytest.approx([1.0, 0.8])


def test_every_kind_that_the_catalog_asks_for_has_a_recorder_and_the_other_way_round() -> None:
    text = "".join(path.read_text() for path in sorted((PROJECT / "conf/base").glob("catalog*.yml")))
    assert set(re.findall(r"tracking: (\w+)", text)) == set(RECORDERS)


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
