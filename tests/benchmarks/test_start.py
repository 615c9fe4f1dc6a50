"""CPU seconds from the start of a command to its own work: what every call of it costs. The budget is 1.5.

Told, not judged: `tests/conventions/test_light_start.py` holds the budget by the modules that are loaded.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# What is typed, and what the answer must hold.
COMMANDS = {
    "kedro --help": (["--help"], "Project specific commands from tradewind"),
    "kedro doctor": (["doctor"], "all is well"),
    "kedro import-bars --dry-run": (
        ["import-bars", "CSV", "--dry-run", "--venue", "binance", "--symbol", "BTCUSDT"],
        "btc.csv: bars, 2 rows",
    ),
    "kedro status": (["status"], "datasets are there"),
    "kedro run with a wrong node": (["run", "--nodes", "nope"], "no node of this pipeline is called"),
    "kedro run, before MLflow and its first node": (
        ["run", "--env", "test", "--nodes", "evaluation.describe_run"],
        "nothing to make",
    ),
}
CSV = "time,open,high,low,close,volume\n2024-01-01T00:00:00Z,1.0,1.1,0.9,1.05,10\n2024-01-01T01:00:00Z,1,1,1,1,1\n"


def cpu_seconds(arguments: list[str], answer: str) -> float:
    """User and system time of one `kedro` command."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src"), "KEDRO_DISABLE_TELEMETRY": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(Path(sys.executable).with_name("kedro")), *arguments]
    result = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert answer in result.stdout + result.stderr, result.stdout + result.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.benchmark
@pytest.mark.parametrize("name", COMMANDS)
def test_the_cpu_seconds_of_a_command_s_start(name: str, tmp_path: Path) -> None:
    arguments, answer = COMMANDS[name]
    file = tmp_path / "btc.csv"
    file.write_text(CSV)
    typed = [str(file) if one == "CSV" else one for one in arguments]
    cpu_seconds(typed, answer)  # Python's own compiled files
    seconds = [cpu_seconds(typed, answer) for _ in range(5)]
    sys.stdout.write(
        json.dumps({"command": name, "cpu_s": round(statistics.median(seconds), 2), "least": round(min(seconds), 2)})
        + "\n"
    )
