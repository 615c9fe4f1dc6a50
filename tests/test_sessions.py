"""Real runs on a few days of simulated bars: guarded, recorded, and only of what is not up to date."""

import logging
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.framework.project import configure_project

from tradewind import folder_lock, hooks
from tradewind.errors import FolderInUse, StaleInput
from tradewind.learning.models.chosen import _Chosen
from tradewind.sessions import PROVENANCE, ProjectSession, close_tracking

PROJECT = Path(__file__).resolve().parents[1]


class Untracked:
    """In place of MLflow."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose environments `tiny` and `null` share a data folder by accident."""
    folder = tmp_path / "ein Projekt für Größen"
    shutil.copytree(PROJECT / "conf", folder / "conf", ignore=shutil.ignore_patterns("credentials.yml"))
    for env, edge in (("tiny", 3.0), ("null", 0.0)):
        own = folder / "conf" / env
        own.mkdir()
        market = f"market: {{days: 12, timeframe: 1h, start: '2022-01-01', planted_edge: {edge}}}"
        (own / "globals.yml").write_text(f"data: data/shared\n{market}\n")
        dirty = "data_engineering: {market: {reject_share_limit: 0.5}}"  # most of so few rows are bad on purpose
        (own / "parameters.yml").write_text(f"models: [linear]\nuniverse: {{symbols: [SIM1, SIM2]}}\n{dirty}\n")
    monkeypatch.setattr(hooks, "open_tracking", lambda context: Untracked())
    monkeypatch.setattr("tradewind.tracking.take_over", lambda *_: None)
    monkeypatch.chdir(tmp_path)  # another working directory than the project's
    configure_project("tradewind")
    monkeypatch.setattr(_Chosen, "names", None)  # what later tests find, whatever models these runs have
    yield folder
    PROVENANCE.end()
    configure_project("tradewind")


def run(project: Path, env: str = "tiny", parameters: dict[str, Any] | None = None, **options: Any) -> list[str]:
    """The nodes of a run, by name."""
    nodes: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg == "Completed node: %s":
                nodes.append(str(record.args[0]).partition(".")[2])

    listener, log = Listening(), logging.getLogger("kedro.runner")
    log.addHandler(listener)
    level = log.level
    log.setLevel(logging.INFO)
    try:
        with ProjectSession.create(project, env=env, runtime_params=parameters or {}) as session:
            given: dict[str, Any] = {"pipeline_names": ["data_engineering"], "to_outputs": ["quarantine"], **options}
            session.run(**given)
    finally:
        log.removeHandler(listener)
        log.setLevel(level)
    return nodes


def test_runs_are_of_what_is_not_up_to_date_and_a_late_stage_stops_with_the_cause(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    every = ["type_bars", "check_bars", "collect_rejected"]
    assert run(project) == every
    with caplog.at_level(logging.INFO, "tradewind.sessions"):
        assert run(project) == []
    assert "nothing to make: all 3 nodes are up to date" in caplog.text
    rules = {"data_engineering": {"market": {"max_gap_bars": 6}}}
    with caplog.at_level(logging.INFO, "tradewind.sessions"):
        assert run(project, parameters=rules) == every[1:]
    assert "parameter data_engineering.market.max_gap_bars was 12, is 6" in caplog.text

    with pytest.raises(StaleInput) as told:
        run(project, env="null", from_nodes=["data_engineering.check_bars"])
    assert "source source_bars: edge was 3.0, is 0.0 (made by --env tiny)" in str(told.value)
    assert "`kedro run --env null --pipelines data_engineering` makes them anew" in str(told.value)

    with pytest.raises(StaleInput, match="typed_bars, .* are stale: parameter universe.symbols was .*SIM2"):
        run(project, parameters={"universe": {"symbols": ["SIM1"]}}, from_nodes=["data_engineering.check_bars"])
    assert run(project, env="null") == every
    records = list((project / "data/shared/provenance").glob("[a-z]*.json"))
    assert records and not any(str(project) in record.read_text() for record in records)


@pytest.mark.parametrize("names", [["deep_learning"], ["deep_learning", "reinforcement_learning", "agent_search"]])
def test_a_stage_without_models_is_nothing_to_do_and_says_so(
    project: Path, caplog: pytest.LogCaptureFixture, names: list[str]
) -> None:
    """A schedule names every stage; `tiny` lists the linear model alone."""
    with caplog.at_level(logging.INFO, "tradewind.sessions"):
        run(project, pipeline_names=names, to_outputs=None)
    assert "deep_learning: nothing to do, for params:models lists no model over windows of bars" in caplog.text
    assert ("agent_search: nothing to do, for params:models lists no agent" in caplog.text) == (len(names) > 1)
    assert not (project / "data/shared/provenance").exists()


def test_filters_that_leave_nothing_of_a_stage_with_models_are_an_error(project: Path) -> None:
    for names in (["data_engineering"], ["deep_learning", "data_engineering"]):
        with pytest.raises(ValueError, match="contains no nodes"):
            run(project, pipeline_names=names, to_outputs=None, tags=["classifier"])


def holding(folder: Path, ready: Any, done: Any) -> None:
    with folder_lock.locked(folder, "kedro run --env other"):
        ready.set()
        done.wait(600)


def test_a_second_run_in_the_same_folder_is_told_who_is_in_the_way(project: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=holding, args=(project / "data/shared", ready, done))
    other.start()
    try:
        assert ready.wait(600)
        with pytest.raises(FolderInUse, match=rf"by process {other.pid} since .* UTC \(kedro run --env other\)"):
            run(project)
    finally:
        done.set()
        other.join()
    assert run(project, to_outputs=["typed_bars"]) == ["type_bars"]


def test_a_run_that_is_interrupted_gives_its_folder_back_and_leaves_no_record_of_what_it_wrote(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tradewind.datasets.partitioned import PartitionedTableDataset

    assert run(project, to_outputs=["typed_bars"]) == ["type_bars"]

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    rules = {"universe": {"symbols": ["SIM1"]}}
    with monkeypatch.context() as patched:
        patched.setattr(PartitionedTableDataset, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(project, parameters=rules)
    assert not (project / "data/shared/provenance/typed_bars.json").exists()
    with folder_lock.locked(project / "data/shared", "the next"):
        pass
    assert run(project, to_outputs=["typed_bars"], parameters=rules) == ["type_bars"]


def test_a_store_that_does_not_answer_does_not_hide_that_a_run_was_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(status: str) -> None:
        raise RuntimeError("database is locked")

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(active_run=lambda: "a run", end_run=locked))
    close_tracking("KILLED")
    assert "MLflow could not record that the run is over (database is locked)" in caplog.text


def test_a_folder_that_may_not_be_written_to_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = PermissionError(13, os.strerror(13), str(project / "data/shared/.lock"))
    (project / "data/shared").mkdir(parents=True)

    def opened(name: Any, flags: int, *rest: Any, **more: Any) -> int:
        if name == ".lock":
            raise refusing
        return real(name, flags, *rest, **more)

    real = os.open
    monkeypatch.setattr(folder_lock.os, "open", opened)
    with pytest.raises(ValueError, match="may not be written by this user: change its permissions"):
        run(project)
