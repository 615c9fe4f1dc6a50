"""The import contracts of pyproject.toml hold, and each of them can fail."""

import os
import re
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
        [str(LINTER), "--cache-dir", str(project / "cache")],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copied_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy for all faults: what is imported where is read once, and each fault is taken out again."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(PROJECT / "pyproject.toml", folder)
    shutil.copytree(PROJECT / "src/tradewind", folder / "src/tradewind", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_rooms_import_only_what_they_may(copied_project: Path) -> None:
    result = _lint(copied_project)
    assert result.returncode == 0, result.stdout + result.stderr


def _module(fault: str) -> Path:
    """Where a fault is planted: the path above with the fault's number, so that all have a file of their own."""
    path, number = Path(PLANTED[fault][0]), list(PLANTED).index(fault)
    if path.name == "__init__.py":
        return path.parent.with_name(f"{path.parent.name}_{number}") / "__init__.py"
    return path.with_name(f"{path.stem}_{number}.py")


def _plant(project: Path, fault: str) -> Path:
    module = project / "src/tradewind" / _module(fault)
    module.parent.mkdir(exist_ok=True)
    module.write_text(PLANTED[fault][1])
    return module


@pytest.fixture(scope="module")
def broken(copied_project: Path) -> str:
    """What the linter says of all of them at once."""
    planted = [_plant(copied_project, fault) for fault in PLANTED]
    result = _lint(copied_project)
    for module in planted:
        shutil.rmtree(module.parent) if module.name == "__init__.py" else module.unlink()
    assert result.returncode != 0 and "BROKEN" in result.stdout, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_violation_is_caught(broken: str, fault: str) -> None:
    module = _module(fault)
    name = (module.parent if module.name == "__init__.py" else module.with_suffix("")).as_posix().replace("/", ".")
    imports = re.search(rf"\btradewind\.{re.escape(name)} -> \w", broken)
    has_no_place = re.search(rf"not listed as layers:\s+- tradewind\.{re.escape(name)}\n", broken)
    assert has_no_place if fault.startswith("a room with no place") else imports, broken
