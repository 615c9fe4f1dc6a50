"""The import contracts of pyproject.toml hold, and each of them can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")

PLANTED = {
    "an upper room imported from a lower one": ("market/planted.py", "import tradewind.learning\n"),
    "strangers on one line": ("learning/planted/__init__.py", "import tradewind.data\n"),
    "strangers inside a room": ("learning/labels/planted.py", "import tradewind.learning.splits\n"),
    "a store that knows the importer": ("data/stores/planted.py", "import tradewind.data.file_import\n"),
    "an order rule that knows the account": ("trading/execution/planted.py", "import tradewind.trading.engine\n"),
    "a room with no place": ("newroom/__init__.py", ""),
    "a room with no place inside data": ("data/newroom/__init__.py", ""),
    "a stage that imports another": ("pipelines/classifier/planted.py", "import tradewind.pipelines.evaluation\n"),
    "a validation that runs nodes": ("validation/planted.py", "import tradewind.pipelines.data_engineering\n"),
    "a stage that knows the validation": ("pipelines/classifier/planted.py", "import tradewind.validation.audit\n"),
    "kedro in the library": ("learning/features/planted.py", "import kedro\n"),
    "kedro in the validation": ("validation/planted.py", "import kedro\n"),
    "mlflow in a room that nobody listed": ("metrics/planted.py", "import mlflow\n"),
    "a dataset that computes": ("datasets/planted.py", "import tradewind.trading.engine\n"),
    "a dataset that knows models": ("datasets/planted.py", "import tradewind.learning.models.base\n"),
    "a dataset called by the library": ("learning/models/planted.py", "import tradewind.datasets\n"),
    "torch outside its rooms": ("trading/engine/planted.py", "import torch\n"),
    "torch in the validation": ("validation/planted.py", "import torch\n"),
    "a web framework outside the doors": ("evaluation/planted.py", "import starlette\n"),
    "a live room known to a lower one": ("trading/planted.py", "import tradewind.live\n"),
    "kedro in the live room": ("live/planted.py", "import kedro\n"),
    "a websocket in the live room": ("live/planted.py", "import websockets\n"),
    "a session that reads the clock": ("live/session/planted.py", "import tradewind.clock\n"),
    "a risk gate that reads the time": ("trading/risk/planted.py", "import time\n"),
    "a journal that knows the live room": ("operations/journal/planted.py", "import tradewind.live.session\n"),
    "kedro in the service": ("serving/planted.py", "def ask():\n    import kedro\n"),
    "mlflow in the console script": ("console/planted.py", "import mlflow\n"),
    "a web server outside the service": ("operations/registry/planted.py", "import fastapi\n"),
    "the service known to the registry": ("operations/registry/planted.py", "import tradewind.serving\n"),
    "a bundle that knows the registry": ("operations/bundle/planted.py", "import tradewind.operations.registry\n"),
    "a stage that knows the service": ("pipelines/deployment/planted.py", "import tradewind.serving\n"),
    "an exchange client outside its room": ("data/quality/planted.py", "def ask():\n    import ccxt\n"),
}


def _lint(project: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    return subprocess.run(
        [str(LINTER), "--no-cache"], cwd=project, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copied_project(tmp_path: Path) -> Path:
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    shutil.copytree(PROJECT / "src/tradewind", tmp_path / "src/tradewind", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_rooms_import_only_what_they_may(copied_project: Path) -> None:
    result = _lint(copied_project)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_violation_is_caught(copied_project: Path, fault: str) -> None:
    path, source = PLANTED[fault]
    module = copied_project / "src/tradewind" / path
    module.parent.mkdir(exist_ok=True, parents=True)
    module.write_text(source)
    result = _lint(copied_project)
    assert result.returncode != 0, result.stdout
    assert "BROKEN" in result.stdout or "Missing layer" in result.stdout + result.stderr, result.stdout + result.stderr
