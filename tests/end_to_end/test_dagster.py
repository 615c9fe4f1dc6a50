"""The Dagster definitions run the project's own commands on a small market: stages to a verdict, and a retraining."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conventions.test_dagster import DAGSTER, FILE, needs_dagster
from tests.end_to_end.test_retraining import short_project
from tradewind.operations.registry.records import Roles
from tradewind.operations.registry.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.depth, needs_dagster]
# The market of this project is simulated and has no store to fill, and its models are neither networks nor agents.
STAGES = "data_engineering,regimes,feature_engineering,classifier,evaluation"


@pytest.mark.timeout(1800)
def test_assets_are_made_and_a_retraining_is_run(new_project: Any, tmp_path: Path) -> None:
    project = short_project(new_project)
    program = project.folder / ".venv/bin/kedro"
    program.parent.mkdir(parents=True)
    own, source = Path(sys.executable).with_name("kedro"), project.folder / "src"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" exec "{own}" "$@"\n')
    program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {
        **os.environ, "DAGSTER_HOME": str(home), "TRADEWIND_PROJECT": str(project.folder), "TRADEWIND_ENV": "lean",
    }  # fmt: skip
    environment.pop("PYTHONPATH", None)
    assert DAGSTER is not None
    for words in (("asset", "materialize", "--select", STAGES), ("job", "execute", "-j", "retrain_weekly")):
        done = subprocess.run(
            [DAGSTER, *words[:2], "-f", str(FILE), *words[2:]], env=environment, cwd=tmp_path, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        assert "RUN_SUCCESS" in done.stderr + done.stdout
    board = pd.read_parquet(project.data("lean") / "08_reporting/leaderboard.parquet")
    assert "linear" in set(board["strategy"])
    registry = Registry(project.data("lean") / "09_deployment/registry")
    assert registry.roles("development") == Roles(1) and len(registry.versions()) == 1
