"""From a fresh project to a report, again with the same bytes, stage by stage, and after a kill."""

import json
import os
import random
import re
import signal
import subprocess
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from tests.conftest import STAGES

pytestmark = pytest.mark.slow


def test_a_fresh_project_ends_with_a_report_and_a_verdict(finished_project: Any) -> None:
    reporting = finished_project.data("test") / "08_reporting"
    page = (reporting / "report.html").read_text()
    assert "<html" in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?:", page)
    assert (reporting / "report.md").stat().st_size > 2000
    verdict = json.loads((reporting / "verdict.json").read_text())
    assert verdict["verdict"] in {"go", "watch", "no-go"}
    assert verdict["reasons"]
    assert verdict["sharpe_low"] <= verdict["sharpe"] <= verdict["sharpe_high"]
    assert 0 <= verdict["probability_of_edge"] <= 1


def test_every_received_row_is_accepted_or_in_quarantine(finished_project: Any) -> None:
    data = finished_project.data("test")
    counts = pd.read_parquet(data / "02_intermediate/row_counts.parquet")
    quarantine = pd.read_parquet(data / "02_intermediate/quarantine.parquet")
    bars = sum(len(pd.read_parquet(path)) for path in (data / "03_primary/bars").rglob("*.parquet"))
    assert (counts["rows_received"] == counts["rows_accepted"] + counts["rows_rejected"]).all()
    assert counts["rows_rejected"].sum() == len(quarantine) > 0  # the test market has dirty rows
    assert counts["rows_accepted"].sum() == bars


def test_forecasts_are_out_of_sample_in_every_fold(finished_project: Any) -> None:
    data = finished_project.data("test")
    folds = pd.read_parquet(data / "05_model_input/folds.parquet").set_index("fold")
    paths = list((data / "07_model_output/forecasts").rglob("*.parquet"))
    assert len(paths) == 8
    for path in paths:
        forecasts = pd.read_parquet(path)
        window = folds.loc[forecasts["fold"]]
        inside = (forecasts["timestamp"].to_numpy() >= window["test_start"].to_numpy()) & (
            forecasts["timestamp"].to_numpy() < window["test_end"].to_numpy()
        )
        assert inside.all()
        assert set(forecasts["fold"]) == set(folds.index)


def test_a_second_run_changes_no_byte(finished_project: Any) -> None:
    before = finished_project.digests()
    finished_project.kedro("run", "--env", "test")
    assert finished_project.digests() == before


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_runs_alone_from_what_the_catalog_holds(finished_project: Any, stage: str) -> None:
    before = finished_project.digests()
    finished_project.kedro("run", "--pipeline", stage, "--env", "test")
    assert finished_project.digests() == before


def test_killed_runs_leave_nothing_torn_and_the_next_run_ends_as_if_undisturbed(
    finished_project: Any, new_project: Any
) -> None:
    """The next run has another hash seed and other numbers of threads, too: the same bytes all the same."""
    moments = random.Random(7)
    for _ in range(4):
        process = new_project.start("run", "--env", "test")
        try:
            process.communicate(timeout=moments.uniform(6, 25))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for path in new_project.data("test").rglob("*.parquet"):
            pd.read_parquet(path)
    new_project.kedro("run", "--env", "test", PYTHONHASHSEED="1234", OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    ours, theirs = finished_project.digests(), new_project.digests()
    studies = {path for path in ours if "studies" in path}  # a study records when each trial ran
    # A model stands under its key; one that was trained before the kill may be there that the last run did not need.
    assert {path: digest for path, digest in ours.items() if path not in studies} == {
        path: digest for path, digest in theirs.items() if path in ours and path not in studies
    }


def test_an_unknown_parameter_stops_the_run_before_any_node(new_project: Any) -> None:
    status, output = new_project.try_kedro("run", "--env", "test", "--params", "trading.costs.taker_fee_pbs=3")
    assert status != 0
    assert "taker_fee_pbs" in output
    assert "Running node" not in output


def test_a_parameter_in_its_old_place_stops_the_run_with_the_new_one(new_project: Any) -> None:
    status, output = new_project.try_kedro("run", "--env", "test", "--params", "costs.taker_fee_bps=3")
    assert status != 0
    assert "costs is trading.costs now" in output
    assert "Running node" not in output


def test_a_symbol_that_the_source_lacks_is_named(new_project: Any) -> None:
    status, output = new_project.try_kedro("run", "--env", "test", "--params", "universe.symbols=SIM1 NOPE")
    assert status != 0
    assert "NOPE" in output


def test_the_notebook_tour_runs_on_the_catalog(finished_project: Any) -> None:
    (path,) = (finished_project.folder / "notebooks").glob("*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are stripped before a commit"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()


def test_the_run_is_recorded_in_mlflow_with_nested_trials(finished_project: Any) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{finished_project.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tradewind")
    runs = client.search_runs([experiment.experiment_id], max_results=500)
    trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    (parent,) = {run.data.tags["mlflow.parentRunId"] for run in trials[-1:]}
    recorded = client.get_run(parent)
    assert len(trials) >= 2
    assert any("log_loss" in name for name in recorded.data.metrics)
    assert recorded.data.tags["verdict"] in {"go", "watch", "no-go"}
    assert recorded.data.params
    assert {artifact.path for artifact in client.list_artifacts(parent)} >= {"figures"}


def test_the_doctor_and_the_simulator_answer(new_project: Any) -> None:
    assert "matmul" in new_project.kedro("doctor")
    output = new_project.kedro("simulate-market", "--symbols", "2", "--days", "30", "--edge", "0", "--seed", "3")
    assert "market.sqlite" in output
    assert (new_project.folder / "data/01_raw/market.sqlite").stat().st_size > 10_000


def test_the_run_can_be_audited_scored_and_its_verdict_tried(finished_project: Any) -> None:
    folder = finished_project.data("test") / "08_reporting"
    printed = finished_project.kedro("audit", "--env", "test", "--cuts", "1", "--workers", "1")
    assert "Nothing at or before any cut moved" in printed and "| lstm |" not in printed
    assert (folder / "leak_audit.md").read_text() in printed
    printed = finished_project.kedro("scorecard", "--env", "test")
    assert "three-class accuracy" in printed and "lightgbm: one forecast, ms, 99 % of calls" in printed
    tried = ("truth", "--env", "test", "--null", "1", "--planted", "0", "--workers", "1")
    printed = finished_project.kedro(*tried)
    assert "1 markets with nothing to find and 0 with an edge" in printed
    assert (folder / "truth/truth.md").read_text() in printed
