"""Commands load what they use: none pays for MLflow, torch or pandas that does not need them.

Modules are counted, so that the test says the same on every machine. CPU seconds are bounded beside it, far above what
they are: three times as much, because a first start compiles Python's files, and because the same work takes up to
twice the CPU time on a machine that does much else. `make bench` measures them.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MODELS = {"torch", "lightning", "stable_baselines3", "gymnasium", "sklearn", "lightgbm", "xgboost", "onnxruntime"}
TABLES = {"pandas", "numpy", "pyarrow"}
PARTS = {"scipy.special", "scipy.stats", "scipy.linalg"}  # numba loads scipy itself, and no part of it
OTHERS = {
    "mlflow",
    "numba",
    "scipy",
    "plotly",
    "optuna",
    "pandera",
    "sqlalchemy",
    "tensorboard",
    "ccxt",
    "kedro_datasets",
} | PARTS
PROGRAM = """
import json, sys
from kedro.framework.cli.cli import main
arguments, parts = map(json.loads, sys.argv[1:])
sys.argv = ["kedro", *arguments]
try:
    main()
except SystemExit:
    pass
loaded = {name for name, module in sys.modules.items() if module is not None}
print(json.dumps(sorted({name.partition(".")[0] for name in loaded} | loaded & set(parts))))
"""
CSV = "time,open,high,low,close,volume\n" + "".join(
    f"2024-01-01T{hour:02}:00:00Z,1.0,1.1,0.9,1.05,10\n" for hour in range(24)
)

MAY_NOT_LOAD = {
    "--help": (["--help"], MODELS | TABLES | OTHERS),
    "run --help": (["run", "--help"], MODELS | TABLES | OTHERS),
    "doctor": (["doctor"], MODELS | TABLES | OTHERS),
    "import-bars --dry-run": (
        ["import-bars", "CSV", "--dry-run", "--venue", "binance", "--symbol", "BTCUSDT"],
        MODELS | OTHERS,
    ),
    # Blocks of parameters stand beside the kernels that they are for, which numba compiles.
    "status": (["status", "--stage", "source"], MODELS | OTHERS - {"numba", "scipy"}),
    "run, with a wrong node": (["run", "--nodes", "no_such_node"], MODELS | OTHERS),
    # Its outputs are kept in memory alone, so that there is nothing to make: parameters are checked and the plan is
    # made as for every run, and MLflow and nodes are left out.
    "run, before MLflow and its first node": (
        ["run", "--env", "test", "--nodes", "evaluation.describe_run"],
        MODELS | OTHERS - {"numba", "scipy"},
    ),
}
# CPU seconds of a start, user and system.
BUDGET_S, MARGIN = 1.5, 3.0


def cpu_seconds() -> float:
    """User and system time of all child processes so far."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def modules_loaded(arguments: list[str]) -> set[str]:
    """The top modules that a `kedro` command has loaded when it is done."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "KEDRO_DISABLE_TELEMETRY": "1"}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(arguments), json.dumps(sorted(PARTS))],
        cwd=PROJECT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Warning" not in result.stderr, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("command", MAY_NOT_LOAD)
def test_a_command_loads_nothing_heavy_that_it_does_not_use(command: str, tmp_path: Path) -> None:
    arguments, heavy = MAY_NOT_LOAD[command]
    file = tmp_path / "btc.csv"
    file.write_text(CSV)
    before = cpu_seconds()
    loaded = modules_loaded([str(file) if one == "CSV" else one for one in arguments])
    spent = cpu_seconds() - before
    assert loaded & heavy == set()
    assert 0.1 < spent < MARGIN * BUDGET_S, f"{spent:.1f} s of CPU"


def test_what_is_loaded_is_seen() -> None:
    assert {"mlflow", "pandas"} <= modules_loaded(["mlflow", "--help"])
