"""One retraining as a user starts it, killed while it registers: the same command goes on, once."""

import os
import signal
from typing import Any

import pytest
import yaml

from tests.end_to_end.conftest import LEAN, write_lean
from tradewind.operations.registry.records import Roles
from tradewind.operations.registry.registry import Registry

pytestmark = pytest.mark.slow

# What so short a market can show; the rules of the verdict have tests of their own.
EASY = {
    "models": ["linear"],
    "evaluation": {**LEAN["evaluation"], "verdict": {"judged": None, "confidence": 0.55, "cost_multiple": 1.0}},
    "operations": {"retraining": {"at_least": "watch"}},
}


def easy_project(project: Any) -> Any:
    write_lean(project)
    (project.folder / "conf/lean/parameters.yml").write_text(yaml.safe_dump({**LEAN, **EASY}))
    return project


def killed_after(project: Any, line: str, *words: str) -> str:
    """What a retraining printed that dies at this line."""
    process, read = project.start("retrain", "--env", "lean", *words), ""
    for one in process.stdout:
        read += one
        if line in one:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, read[-4000:]
    return read


def test_a_retraining_that_is_killed_goes_on_and_registers_once(new_project: Any) -> None:
    project = easy_project(new_project)
    first = killed_after(project, "linear@1 is registered")
    assert "retraining 1, manual: asked for by " in first
    again = project.kedro("retrain", "--env", "lean")
    assert "going on with retraining 1 (manual" in again and "it was cut off at register" in again
    assert "nothing to make: all" in again  # of the models
    assert "first: linear@1 is the first champion of development" in again
    registry = Registry(project.data("lean") / "09_deployment/registry")
    assert registry.roles("development") == Roles(1) and len(registry.versions()) == 1
    page = (project.data("lean") / "09_deployment/retraining.md").read_text()
    assert "**the first champion** (version 1)" in page
