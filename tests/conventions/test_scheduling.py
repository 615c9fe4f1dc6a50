"""What is shipped for schedulers is what the pipelines and the commands are now."""

import ast
import configparser
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import jinja2
import pytest
import yaml

from tests.conftest import PROJECT, STAGES
from tradewind.cli import cli
from tradewind.pipeline_registry import register_pipelines

FOLDER = PROJECT / "docs/scheduling"
DAG = FOLDER / "tradewind_exchange_dag.py"
ENV = "exchange"
FIRST = "backfill"

Edges = set[tuple[str, str]]


def stages_of(source: str) -> tuple[str, set[str], Edges]:
    """The id, the tasks and the dependencies (earlier, later) of an Airflow DAG, by its syntax alone."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    named = {ast.unparse(mark).split("(")[0]: one for one in functions for mark in one.decorator_list}
    decorator = next(mark for mark in named["dag"].decorator_list if isinstance(mark, ast.Call))
    dag_id = next(word.value.value for word in decorator.keywords if word.arg == "dag_id")  # type: ignore[attr-defined]
    tasks = {one.name for one in functions if any(ast.unparse(mark) == "task" for mark in one.decorator_list)}
    shifts = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift)]
    edges = {(shift.left.slice.value, shift.right.slice.value) for shift in shifts}  # type: ignore[attr-defined]
    return dag_id, tasks, edges


def registered_edges() -> Edges:
    """Which stage reads what another writes."""
    stages = {name: register_pipelines()[name] for name in STAGES}
    edges = {
        (earlier, later)
        for earlier, writing in stages.items()
        for later, reading in stages.items()
        if reading.inputs() & writing.all_outputs()
    }
    return edges | {(FIRST, STAGES[0])}


def check_dag(source: str) -> None:
    dag_id, tasks, edges = stages_of(source)
    assert dag_id == f"tradewind_{ENV}"
    assert tasks == {FIRST, *STAGES}
    assert edges == registered_edges()
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for earlier, later in edges:
        sorter.add(later, earlier)
    sorter.prepare()


def test_the_dag_has_the_stages_and_what_they_wait_for() -> None:
    check_dag(DAG.read_text())


@pytest.mark.parametrize(
    ("fault", "planted"),
    [
        ('    tasks["classifier"] >> tasks["evaluation"]\n', ""),
        ('tasks["feature_engineering"] >> tasks["classifier"]', 'tasks["classifier"] >> tasks["feature_engineering"]'),
        ("    @task\n    def evaluation", "    def evaluation"),
        ('dag_id="tradewind_exchange"', 'dag_id="tradewind"'),
    ],
)
def test_a_dag_that_is_not_the_pipelines_is_caught(fault: str, planted: str) -> None:
    source = DAG.read_text()
    assert fault in source
    with pytest.raises((AssertionError, CycleError)):
        check_dag(source.replace(fault, planted))


def test_the_dag_is_what_would_be_exported_now() -> None:
    """Rendered as kedro-airflow renders it; if this fails, `make airflow` writes it anew."""
    environment = jinja2.Environment(
        autoescape=True, loader=jinja2.FileSystemLoader(FOLDER), lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    settings = yaml.safe_load((PROJECT / "conf/base/airflow.yml").read_text())["default"]
    assert settings["stages"] == list(STAGES)
    pipeline = register_pipelines()["__default__"]
    text = environment.get_template("airflow_dag.j2").render(
        dag_name="tradewind", env=ENV, pipeline=pipeline, **settings
    )
    assert DAG.read_text() == text


def commands_of_the_dag(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the tasks would run: the DAG is executed with decorators that only collect its functions."""
    tasks: list[Any] = []

    class Later:
        def __rshift__(self, other: object) -> object:
            return other

    def task(function: Any) -> Any:
        tasks.append(function)
        return Later

    sdk = ModuleType("airflow.sdk")
    sdk.dag, sdk.task = (lambda **_: lambda function: function), task  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    ran: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **how: ran.append(command))
    runpy.run_path(str(DAG), run_name="dag")
    for one in tasks:
        one()
    return iter(ran)


def units(suffix: str) -> dict[str, configparser.ConfigParser]:
    found = {}
    for file in sorted(FOLDER.glob(f"*.{suffix}")):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(file.read_text())
        found[file.stem] = parser
    return found


CRON_FIELDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


def cron_commands(text: str) -> list[list[str]]:
    """The commands of a file of /etc/cron.d, its five fields of time checked."""
    commands = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#") or re.fullmatch(r"[A-Z_]+=\S+", line):
            continue
        *fields, user, command = line.split(None, 6)
        assert len(fields) == 5 and user == "tradewind", line
        for field, (low, high) in zip(fields, CRON_FIELDS, strict=True):
            assert re.fullmatch(r"(\*|\d+(-\d+)?)(/\d+)?(,(\d+(-\d+)?)(/\d+)?)*", field), f"{field} in {line}"
            assert all(low <= int(number) <= high for number in re.findall(r"(?<!/)\b\d+", field)), f"{field} in {line}"
        assert "%" not in command, "cron reads it as the end of a line"
        commands.append(command.split(".venv/bin/")[1].split(" >> ")[0].split())
    return commands


def require_command(command: list[str]) -> None:
    """The command exists, with these options, and so does its environment."""
    assert Path(command[0]).name == "kedro"
    name, *arguments = command[1:]
    assert (PROJECT / "conf" / arguments[arguments.index("--env") + 1]).is_dir()
    if name == "run":
        context = command_of(name).make_context("run", arguments, resilient_parsing=False)
        chosen = context.params["pipelines"] or "__default__"
        assert set([chosen] if isinstance(chosen, str) else chosen) <= set(register_pipelines())
    else:
        command_of(name).make_context(name, arguments)


def command_of(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, name
    return command


def test_every_scheduled_command_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        commands = list(commands_of_the_dag(patch))
    assert len(commands) == 1 + len(STAGES)
    commands += [unit["Service"]["ExecStart"].split() for unit in units("service").values()]
    commands += cron_commands((FOLDER / "tradewind.cron").read_text())
    assert len(commands) == 1 + len(STAGES) + 5 + 4
    for command in commands:
        require_command(command)
    with pytest.raises(click.ClickException):
        require_command(["kedro", "backfill", "--env", ENV, "--evry", "hour"])


@pytest.mark.parametrize(
    "line", ["61 * * * * tradewind x", "* * * * tradewind x", "0 0 * * 8 tradewind x", "@hourly x"]
)
def test_a_wrong_cron_line_is_caught(line: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        cron_commands(line)


def test_every_timer_has_its_service_and_starts_nothing_as_root() -> None:
    services = units("service")
    assert set(units("timer")) == set(services)
    for unit in services.values():
        assert unit["Service"]["User"] == "tradewind"
        assert unit["Service"]["Type"] == "oneshot"
    for unit in units("timer").values():
        assert unit["Timer"]["OnCalendar"].endswith("UTC")
        assert unit["Timer"]["Persistent"] == "true"


def verify_units(folder: Path, fault: tuple[str, str] = ("", "")) -> str:
    """What systemd says against the units, with a program where they expect one."""
    program = folder / "tradewind/.venv/bin/kedro"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/true")
    files = [file for pattern in ("*.service", "*.timer") for file in sorted(FOLDER.glob(pattern))]
    for file in files:
        text = file.read_text().replace("/opt/tradewind", str(folder / "tradewind")).replace(*fault)
        (folder / file.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *(str(folder / file.name) for file in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr + ("" if done.returncode == 0 else f"exit status {done.returncode}")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    assert verify_units(tmp_path / "shipped") == ""
    for number, fault in enumerate([("RestartSec", "RestartSecs"), ("*-*-* *:02:00 UTC", "hourly past two")]):
        assert verify_units(tmp_path / str(number), fault) != ""
