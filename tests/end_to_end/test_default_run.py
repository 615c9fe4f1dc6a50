"""From a fresh project to a report, and again with the same bytes, stage by stage."""

import json
import re
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from tests.conftest import STAGES
from tests.conventions.test_snippets import code_of
from tests.end_to_end.conftest import NODE_ENDED, PLANTED
from tradewind.operations.registry.records import Roles
from tradewind.operations.registry.registry import Registry

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
    # The market has a loud edge. Ninety days can hardly show one: the edge lasts for days, so that their returns go
    # together, and the test counts such days as fewer.
    assert verdict["sharpe"] > 2 and verdict["probability_of_edge"] > 0.8
    board = pd.read_parquet(reporting / "leaderboard.parquet").set_index("strategy")
    assert board.loc[verdict["best_model"], "sharpe_low"] > 1
    assert verdict["probability_of_edge"] <= 1 and verdict["oracle_share"] > 0.5


def test_a_planted_secret_is_in_no_record_of_the_run(finished_project: Any) -> None:
    """Neither in MLflow's database and artefacts nor in tables, reports, curves, provenance or what was printed."""
    folder = finished_project.folder
    credentials = folder / "conf/local/credentials.yml"
    files = [path for path in folder.rglob("*") if path.is_file() and path != credentials]
    read = {str(path.relative_to(folder)): path.read_bytes() for path in files if "src/" not in str(path)}
    artefacts = [name for name in read if name.startswith("mlartifacts/")]
    assert {"mlflow.db"} < set(read) and len(artefacts) > 10 and len(read) > 100
    read["printed"] = (folder.parent / "printed.txt").read_bytes()
    assert PLANTED.encode() in credentials.read_bytes()
    assert [name for name, content in read.items() if PLANTED.encode() in content] == []
    assert b"judged" in read["mlflow.db"] and b"taker_fee_bps" in read["mlflow.db"]  # what it holds would be found


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
    assert len(paths) == 9
    for path in paths:
        forecasts = pd.read_parquet(path)
        window = folds.loc[forecasts["fold"]]
        inside = (forecasts["timestamp"].to_numpy() >= window["test_start"].to_numpy()) & (
            forecasts["timestamp"].to_numpy() < window["test_end"].to_numpy()
        )
        assert inside.all()
        assert set(forecasts["fold"]) == set(folds.index)


def test_a_run_after_that_makes_nothing_and_records_nothing(finished_project: Any) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{finished_project.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tradewind").experiment_id
    before, recorded = finished_project.digests(), len(client.search_runs([experiment]))
    printed = finished_project.kedro("run", "--env", "test")
    assert "nothing to make" in printed and not NODE_ENDED.search(printed)
    assert finished_project.digests() == before and len(client.search_runs([experiment])) == recorded
    status = finished_project.kedro("status", "--env", "test", "--stale")
    assert "stale:" not in status and ", 0 of them stale" in status


@pytest.mark.depth
def test_a_retraining_takes_what_is_up_to_date_and_killed_while_it_registers_registers_once(
    finished_project: Any,
) -> None:
    # Of so few days the ensemble's verdict is no-go: another strategy is named before the run, whose verdict is not.
    judged, before = "evaluation.verdict.judged=panel_ridge", finished_project.digests()
    changed = f"{judged},deployment.model=panel_ridge,operations.retraining.at_least=watch"
    words = ("retrain", "--env", "test", "-p", changed)
    finished_project.kedro("run", "--env", "test", "--params", judged)
    judged_anew = finished_project.digests()
    assert judged_anew != before
    first = finished_project.killed_at("panel_ridge@1 is registered", *words)
    assert "retraining 1, manual: asked for by " in first and "the environment has no store" in first
    again = finished_project.kedro(*words)
    assert "going on with retraining 1 (manual" in again and "it was cut off at register" in again
    assert "first: panel_ridge@1 is the first champion of development" in again
    registry = Registry(finished_project.data("test") / "09_deployment/registry")
    assert registry.roles("development") == Roles(1) and len(registry.versions()) == 1
    assert "unchanged: panel_ridge@1, the champion, " in finished_project.kedro(*words)
    assert "the first champion" in finished_project.kedro("retrain", "--env", "test", "--history")
    page = (finished_project.data("test") / "09_deployment/retraining.md").read_text()
    assert "**the first champion** (version 1)" in page and "**the champion's own version** (version 1)" in page
    assert finished_project.digests() == judged_anew
    finished_project.kedro("run", "--env", "test")
    assert finished_project.digests() == before


@pytest.mark.depth
def test_a_second_run_changes_no_byte(finished_project: Any) -> None:
    before = finished_project.digests()
    finished_project.kedro("run", "--env", "test", "--force")
    assert finished_project.digests() == before


@pytest.mark.depth  # `test_killed_runs` runs the stages up to the trees alone, and compares what they make
@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_runs_alone_from_what_the_catalog_holds(finished_project: Any, stage: str) -> None:
    before = finished_project.digests()
    finished_project.kedro("run", "--pipeline", stage, "--env", "test", "--force")
    assert finished_project.digests() == before


def printed_by(notebook: Any) -> list[str]:
    """Lines of logs and warnings among a notebook's outputs."""
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    texts = [one["text"] for one in outputs if one["output_type"] == "stream"]
    # Lines that rich draws are no stream.
    texts += [str(one["data"].get("text/plain", "")) for one in outputs if one["output_type"] == "display_data"]
    return [line for text in texts for line in text.splitlines() if re.search(r"INFO|WARNING|Warning:", line)]


@pytest.mark.parametrize(
    "name", ["01_catalog_tour.ipynb", pytest.param("02_try_an_idea.ipynb", marks=pytest.mark.depth)]
)
def test_notebooks_run_on_the_catalog_without_lines_of_logs(
    finished_project: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("KEDRO_ENV", "test")  # the environment of the finished run, as a user would choose it
    path = finished_project.folder / "notebooks" / name
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are stripped before a commit"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert printed_by(notebook) == []
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    # What an exported page shows: a figure as HTML with its library, beside what Jupyter draws itself.
    assert any("text/html" in one.get("data", {}) and "plotly" in one["data"]["text/html"].lower() for one in outputs)


def test_the_snippet_of_an_exported_network_runs(finished_project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code = code_of("docs/howto/own_ideas.md", "import json")
    folder = finished_project.data("test")
    (partition, *_) = sorted((folder / "05_model_input/model_input").rglob("*.parquet"))
    rows = pd.read_parquet(partition)
    names: dict[str, Any] = {"feature_rows": rows}
    exec(
        code.replace("data/06_models", str(folder / "06_models")).replace(
            "\nexported.predict", "\nsaid = exported.predict"
        ),
        names,
    )
    assert len(names["said"]) > 0


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


@pytest.mark.depth
def test_the_run_can_be_audited_with_its_networks_and_agents(finished_project: Any) -> None:
    printed = finished_project.kedro("audit", "--env", "test", "--cuts", "1", "--places", "20", "--workers", "1")
    assert "Nothing at or before any cut moved" in printed and "| lstm |" in printed
    assert (finished_project.data("test") / "08_reporting/leak_audit.md").read_text() in printed


def test_the_run_can_be_scored(finished_project: Any) -> None:
    printed = finished_project.kedro("scorecard", "--env", "test")
    assert "three-class accuracy" in printed and "lightgbm: one forecast, ms, 99 % of calls" in printed


@pytest.mark.depth
def test_the_run_s_verdict_can_be_tried(finished_project: Any) -> None:
    folder = finished_project.data("test") / "08_reporting"
    tried = ("truth", "--env", "test", "--null", "1", "--planted", "0", "--workers", "1")
    printed = finished_project.kedro(*tried)
    assert "1 markets with nothing to find and 0 with an edge" in printed
    assert (folder / "truth/truth.md").read_text() in printed
