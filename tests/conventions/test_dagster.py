"""The Dagster definitions are what the pipelines, the commands and systemd's timers are; Dagster itself takes them."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import click
import pytest

from tests.conftest import STAGES
from tests.conventions.test_scheduling import FIRST, FOLDER, registered_edges, require_command, units
from tests.tools.test_tools import tool

FILE = FOLDER / "tradewind_exchange_dagster.py"
UNITS = {
    "daily": "tradewind-run", "watch": "tradewind-watch",
    "retrain_weekly": "tradewind-retrain-weekly", "retrain_monthly": "tradewind-retrain-monthly",
}  # fmt: skip
DAGSTER = os.environ.get("TRADEWIND_DAGSTER") or shutil.which("dagster")
needs_dagster = pytest.mark.skipif(
    DAGSTER is None, reason="Dagster has an environment of its own: TRADEWIND_DAGSTER=/path/to/its/bin/dagster"
)
Command = tuple[str, ...]


class Definitions(NamedTuple):
    """What the file defines: edges of the assets, commands of an asset or job, and when a job is run."""

    edges: set[tuple[str, str]]
    commands: dict[str, list[Command]]
    schedules: dict[str, tuple[str, str]]


def defined(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Definitions:
    """The file's definitions, executed with a stand-in for Dagster that only collects."""
    found, ran, assets = Definitions(set(), {}, {}), list[list[str]](), dict[str, Callable[[], None]]()

    def asset(deps: tuple[Any, ...] = (), **_: Any) -> Any:
        def keep(function: Any) -> Any:
            assets[function.__name__] = function
            found.edges.update((one.__name__, function.__name__) for one in deps)
            return function

        return keep

    def schedule(job: Any, cron_schedule: str, execution_timezone: str) -> None:
        found.schedules[getattr(job, "__name__", "daily")] = (cron_schedule, execution_timezone)

    def job(**_: Any) -> Any:
        def keep(function: Any) -> Any:
            assets[function.__name__] = function
            return function

        return keep

    stand_in = ModuleType("dagster")
    stand_in.__dict__.update(
        asset=asset, job=job, op=lambda **_: lambda function: function, ScheduleDefinition=schedule,
        RetryPolicy=SimpleNamespace, in_process_executor=None, define_asset_job=lambda name, **_: name,
        AssetSelection=SimpleNamespace(all=lambda: None), Definitions=lambda **parts: SimpleNamespace(**parts),
    )  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "dagster", stand_in)
        patched.setattr(subprocess, "run", lambda command, **_: ran.append(command))
        file = folder / "definitions.py"
        file.write_text(source)
        scope = runpy.run_path(str(file))
        assert {one.__name__ for one in scope["defs"].assets} == {FIRST, *STAGES}
        for name, function in assets.items():
            ran.clear()
            function()
            found.commands[name] = [tuple(one) for one in ran]
    return found


def cron_of(calendar: str) -> str:
    """The five fields of cron for a systemd time of this project's timers."""
    found = re.fullmatch(r"(Sun )?\*-\*-(\*|\d\d) (\d\d):(\d\d):00 UTC", calendar)
    assert found is not None, calendar
    weekday, day, hour, minute = found.groups()
    day_of_month = "*" if day == "*" else int(day)
    return f"{int(minute)} {int(hour)} {day_of_month} * {0 if weekday else '*'}"


def check(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = defined(source, folder, monkeypatch)
    assert found.edges == registered_edges()
    for commands in found.commands.values():
        for command in commands:
            require_command(list(command))
    timers = units("timer")
    assert found.schedules == {
        job: (cron_of(timers[unit]["Timer"]["OnCalendar"]), "UTC") for job, unit in UNITS.items()
    }
    for job, unit in UNITS.items():
        given = re.findall(r"^ExecStart(?:Pre)?=(.*)$", (FOLDER / f"{unit}.service").read_text(), re.MULTILINE)
        theirs = {tuple(one.split()[1:]) for one in given}
        ours = found.commands[job] if job != "daily" else found.commands[FIRST]
        named = {one for one in theirs if job != "daily" or one[0] == "backfill"}
        assert {tuple(sorted(one[1:])) for one in ours} == {tuple(sorted(one)) for one in named}, job


def test_the_file_is_what_would_be_made_now() -> None:
    """If this fails, `make dagster` makes it anew."""
    assert FILE.read_text() == tool("dagster_file").rendered()


def test_assets_jobs_and_times_are_those_of_the_pipelines_and_the_timers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(FILE.read_text(), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("fault", "planted"),
    [
        ("deps=[data_engineering, regimes],", "deps=[data_engineering],"),
        ('kedro("run", "--pipelines", "regimes")', 'kedro("run", "--pipelines", "regime")'),
        ('"--because", "degraded", "--keep"', '"--because", "degraded", "--tune"'),
        ('cron_schedule="0 3 * * 0"', 'cron_schedule="0 3 * * 1"'),
        ("        evaluation,\n", ""),
    ],
)
def test_definitions_that_are_not_those_are_caught(
    fault: str, planted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FILE.read_text()
    assert fault in source
    with pytest.raises((AssertionError, click.ClickException)):
        check(source.replace(fault, planted), tmp_path, monkeypatch)


def dagster(folder: Path, *arguments: str, status: int = 0) -> tuple[str, list[str]]:
    """What Dagster printed, and the commands it gave to the project's `kedro`, which here only writes them down."""
    program = folder / "project/.venv/bin/kedro"
    program.parent.mkdir(parents=True, exist_ok=True)
    given = folder / "given.txt"
    program.write_text(f'#!/bin/sh\necho "$@" >> {given}\ncase "$*" in *"$FAILING"*) exit 1;; esac\n')
    program.chmod(0o755)
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {
        **os.environ, "DAGSTER_HOME": str(home), "TRADEWIND_PROJECT": str(folder / "project"), "FAILING": "evaluation",
    }  # fmt: skip
    environment.pop("PYTHONPATH", None)
    assert DAGSTER is not None
    done = subprocess.run(
        [DAGSTER, *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr, given.read_text().splitlines() if given.exists() else []


@needs_dagster
@pytest.mark.depth
def test_dagster_takes_them_and_makes_each_stage_after_what_it_reads(tmp_path: Path) -> None:
    source = FILE.read_text().replace("max_retries=3, delay=600", "max_retries=1, delay=0")
    assert source != FILE.read_text()
    shipped, quick = str(FILE), tmp_path / "quick.py"
    quick.write_text(source)
    said, _ = dagster(tmp_path, "definitions", "validate", "-f", shipped)
    assert "All code locations passed validation" in said
    said, given = dagster(tmp_path, "job", "execute", "-f", str(quick), "-j", "daily", status=1)
    order = [line.split()[0] if line.startswith(FIRST) else line.split()[2] for line in given]
    # The last stage fails in this test, and is tried once more.
    assert sorted(order) == sorted([FIRST, *STAGES, STAGES[-1]]) and order[-2:] == [STAGES[-1]] * 2
    assert all(order.index(earlier) < order.index(later) for earlier, later in registered_edges())
    (tmp_path / "given.txt").unlink()
    _, given = dagster(tmp_path, "job", "execute", "-f", str(quick), "-j", "watch")
    assert [line.split(" --env ")[0] for line in given] == [
        "run --pipelines monitoring",
        *(f"retrain --because {why} --keep --wait" for why in ("degraded", "drift")),
    ]  # fmt: skip
    broken = tmp_path / "broken.py"
    broken.write_text(source.replace("deps=[backfill]", "deps=[evaluation]"))
    said, _ = dagster(tmp_path, "definitions", "validate", "-f", str(broken), status=1)
    assert "evaluation" in said
