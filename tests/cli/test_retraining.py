"""`kedro retrain` on a few days of simulated bars: what stops it, who is in its way, and what asks for it."""

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from kedro.framework.project import configure_project

from tests.operations.bundles import bundle_files
from tests.test_sessions import Untracked, holding
from tradewind import hooks
from tradewind.cli import cli, retraining
from tradewind.learning.models.chosen import _Chosen
from tradewind.operations.journal.journal import read
from tradewind.operations.registry.records import Reason, Roles
from tradewind.operations.registry.registry import Registry
from tradewind.operations.retraining.attempts import History, history_of
from tradewind.sessions import PROVENANCE

PROJECT = Path(__file__).resolve().parents[2]
DATA = Path("data/env/tiny")
STRICT = "data_engineering: {market: {reject_share_limit: 0.0}}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with an environment of four days, whose gate takes no bad bar; its market has some."""
    shutil.copytree(PROJECT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("credentials.yml"))
    own = tmp_path / "conf/tiny"
    own.mkdir()
    (own / "globals.yml").write_text("market: {days: 4, timeframe: 1h, start: '2022-01-01', planted_edge: 3.0}\n")
    (own / "parameters.yml").write_text(f"models: [linear]\nuniverse: {{symbols: [SIM1, SIM2]}}\n{STRICT}\n")
    registry = Registry(tmp_path / DATA / "09_deployment/registry")
    registry.register(bundle_files(seed=1))
    registry.move("development", "champion", 1, None, Reason("test", "the first"))
    monkeypatch.setattr(hooks, "open_tracking", lambda context: Untracked())
    monkeypatch.setattr("tradewind.tracking.take_over", lambda *_: None)
    monkeypatch.setattr(retraining, "LOOK_EVERY_S", 0.01)
    monkeypatch.chdir(tmp_path)
    configure_project("tradewind")
    monkeypatch.setattr(_Chosen, "names", None)
    yield tmp_path
    PROVENANCE.end()
    configure_project("tradewind")


def kedro_retrain(project: Path, *words: str) -> Result:
    command = cli.get_command(click.Context(cli), "retrain")
    assert command is not None
    return CliRunner().invoke(command, [*words], obj=SimpleNamespace(project_path=project))


def history(project: Path) -> History:
    return history_of(read(project / DATA / "09_deployment/retraining/journal.jsonl"))


def errors(result: Result) -> list[str]:
    assert result.exit_code == 1 and "Traceback" not in result.output
    return [line for line in result.output.splitlines() if line.startswith("Error: ")]


def champion_stays(project: Path) -> None:
    registry = Registry(project / DATA / "09_deployment/registry")
    assert registry.roles("development") == Roles(1) and len(registry.versions()) == 1


@pytest.mark.depth
def test_too_little_history_stops_it_and_with_other_settings_the_same_retraining_goes_on(project: Path) -> None:
    taken = "data_engineering.market.reject_share_limit=0.5,feature_engineering.folds.n_folds=100"
    (line,) = errors(kedro_retrain(project, "--env", "tiny", "--params", taken))
    assert "fold" in line and "in node feature_engineering." in line
    champion_stays(project)
    result = kedro_retrain(project, "--env", "tiny", "--params", taken.partition(",")[0])
    assert result.exit_code == 0 and "going on with retraining 1 (manual" in result.output
    assert "kept: linear is not tried, version 1 stays: the verdict is " in result.output
    assert history(project).attempts[-1].ended is not None
    champion_stays(project)


def test_a_second_one_says_who_is_in_the_way_or_waits(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("fork")
    folder = project / DATA / "09_deployment/retraining"
    ready, done = context.Event(), context.Event()
    other = context.Process(target=holding, args=(folder, ready, done))
    other.start()
    try:
        assert ready.wait(600)
        (line,) = errors(kedro_retrain(project, "--env", "tiny"))
        assert f"is in use by process {other.pid} since " in line and "kedro run --env other" in line
        assert not (folder / "journal.jsonl").exists()
        work = retraining.ProjectWork(SimpleNamespace(project_path=project), "tiny", "", True, True)  # type: ignore[arg-type]
        waited = []

        def let_go(seconds: float) -> None:
            waited.append(seconds)
            done.set()
            other.join()

        monkeypatch.setattr(retraining.time, "sleep", let_go)
        with work.alone():
            assert waited == [0.01] and not other.is_alive()
    finally:
        done.set()
        other.join()


def watched(project: Path, changed: bool) -> None:
    """What the monitoring stage leaves."""
    folder = project / DATA / "09_deployment"
    table: dict[str, Any] = {
        "symbol": "SIM1", "kind": "features", "window_from": pd.Timestamp("2022-01-01", tz="UTC"),
        "window_to": pd.Timestamp("2022-01-31", tz="UTC"), "rows": 720, "column": ["rsi_14", "log_return_1"],
        "component": "location", "over_threshold": [2.5 if changed else 0.5, 0.25], "changed": [changed, False],
    }  # fmt: skip
    pd.DataFrame(table).to_parquet(folder / "drift.parquet")
    summary = {"environment": "development", "version": 1, "degraded": False, "headline": "linear (version 1): quiet"}
    (folder / "monitoring.json").write_text(json.dumps(summary))


def test_drift_starts_one_a_quiet_market_does_not_and_bad_bars_stop_it_at_the_gate(project: Path) -> None:
    words = ("--env", "tiny", "--because", "drift")
    (line,) = errors(kedro_retrain(project, *words))
    assert "run `kedro run --env tiny --pipelines monitoring` first" in line
    watched(project, changed=False)
    quiet = kedro_retrain(project, *words)
    assert (quiet.exit_code, quiet.output) == (0, "nothing to do: linear (version 1): quiet\n")
    assert history(project) == History((), ())
    watched(project, changed=True)
    begun = kedro_retrain(project, *words)
    assert "retraining 1, drift: changed since training: rsi_14 of SIM1 (2.5 times its limit)\n" in begun.output
    assert "left out: the environment has no store that is filled from a source" in begun.output
    (line,) = errors(begun)
    assert "are rejected, more than data_engineering.market.reject_share_limit 0" in line
    (attempt,) = history(project).attempts
    assert attempt.step == "data" and attempt.stopped == line.removeprefix("Error: ")
    page = (project / DATA / "09_deployment/retraining.md").read_text()
    assert "unfinished in data: " in page and "| drift |" in page
    champion_stays(project)


def test_wrong_rules_are_named_before_anything_begins(project: Path) -> None:
    wrong = kedro_retrain(project, "--env", "tiny", "--params", "operations.retraining.cooldown_days=1")
    (line,) = errors(wrong)
    assert "operations.retraining.cooldown_days: there is no such key" in line
    assert not (project / DATA / "09_deployment/retraining/journal.jsonl").exists()
