"""`pip install tradewind` alone: trees run from data to the report, and what needs an extra says which."""

import os

import pytest

from tests.end_to_end.conftest import Project, write_lean
from tradewind.extras import MODULES

# What only extras bring. kedro-viz and JupyterLab are left: Kedro loads their entry points where they are installed.
# httpx is left, since other libraries may bring it.
REFUSED = sorted(
    {name for extra in ("deep", "agents", "exchanges", "stores", "cluster") for name in MODULES[extra]} - {"httpx"}
)
BLOCKER = """
import sys
from importlib.abc import MetaPathFinder


class Refusing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Refusing())
"""


@pytest.fixture
def lean_project(new_project: Project) -> Project:
    """A project that nobody has run, with a small environment `lean`."""
    write_lean(new_project)
    blocker = new_project.folder / "blocker"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(BLOCKER.format(refused=REFUSED))
    return new_project


def lean(project: Project) -> dict[str, str]:
    """The environment variables of a process that can import nothing of the extras."""
    return {"PYTHONPATH": os.pathsep.join([str(project.folder / "blocker"), str(project.folder / "src")])}


@pytest.mark.slow
def test_trees_run_from_data_to_the_report_without_the_extras(lean_project: Project) -> None:
    output = lean_project.kedro("run", "--env", "lean", **lean(lean_project))
    assert "-- evaluation: " in output  # the stage has ended
    assert "Warning:" not in output  # Python's: those of the quality gate are findings
    report = lean_project.data("lean") / "08_reporting/report.html"
    assert "lightgbm" in report.read_text()


def test_a_run_that_needs_an_extra_is_refused_by_its_name_before_any_node(lean_project: Project) -> None:
    status, output = lean_project.try_kedro("run", "--env", "test", **lean(lean_project))
    assert status == 1
    (line,) = [line for line in output.splitlines() if line]
    assert line.startswith("Error: linear_network, lstm, tft (params:models) needs torch")
    assert "pip install 'tradewind[deep]', or take it out of params:models" in line
    assert not lean_project.data("test").exists()
    status, output = lean_project.try_kedro(
        "run", "--env", "lean", "--params=models=lightgbm linear ppo", **lean(lean_project)
    )
    assert (status, "pip install 'tradewind[agents]'" in output.splitlines()[-1]) == (1, True)
    assert not (lean_project.data("lean") / "02_intermediate").exists()


def test_the_doctor_says_which_extras_are_not_there(lean_project: Project) -> None:
    status, output = lean_project.try_kedro("doctor", **lean(lean_project))
    assert status == 0, output
    assert "extra deep             not installed (torch" in output
    assert "extra agents           not installed (torch" in output
