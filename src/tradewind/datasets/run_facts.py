"""Who is running: what a report says of the run that wrote it."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tradewind import clock
from tradewind.errors import BadData


class RunFactsDataset(AbstractDataset[Any, dict[str, str]]):
    """Date, command, commit and MLflow run of the run that loads it; read only, and never the same twice."""

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> dict[str, str]:
        """`date` (UTC), `command` as it was typed, `commit` of the project's code, and `run`, MLflow's id."""
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        return {
            "date": f"{clock.now():%Y-%m-%d %H:%M} UTC", "command": command, "commit": code_commit(), "run": _run(),
        }  # fmt: skip

    def save(self, data: Any) -> None:
        """Refused: nobody says who is running but the run itself."""
        raise BadData("run_facts is read only: it describes the run that loads it")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}


def code_commit() -> str:
    """The commit of the code, and whether files differ from it; without git or a repository, that."""
    git, folder = shutil.which("git"), Path(__file__).resolve().parent
    if git is None:
        return "unknown: git is not installed"
    asked = ([git, "rev-parse", "--short=12", "HEAD"], [git, "status", "--porcelain", "--untracked-files=no"])
    answers = [subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False) for words in asked]  # noqa: S603
    if any(one.returncode for one in answers):
        return "unknown: not a git repository"
    commit, changed = (one.stdout.strip() for one in answers)
    return f"{commit} with changes" if changed else commit


def _run() -> str:
    """The id of the MLflow run that is open; without one, that."""
    mlflow = sys.modules.get("mlflow")
    active = mlflow.active_run() if mlflow is not None else None
    return f"MLflow {active.info.run_id[:8]}" if active is not None else "not recorded in MLflow"
