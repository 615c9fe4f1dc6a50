"""Ctrl-C, two runs at once, a disk that is full or not ours, another working directory, an installed package: each with
one clear line."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import NODE_ENDED

pytestmark = pytest.mark.slow

STAGE = ("run", "--env", "test", "--pipelines", "data_engineering", "--params=models=linear")


def wait_for(process: Any, node: str) -> str:
    """The lines of a process up to the one that says the end of a node."""
    read = ""
    for line in process.stdout:
        read += line
        if node in line and NODE_ENDED.search(line):
            return read
    raise AssertionError(read)


def test_ctrl_c_ends_in_one_line_and_meanwhile_nobody_else_gets_the_folder(new_project: Any) -> None:
    process = new_project.start(*STAGE)
    wait_for(process, "data_engineering.type_bars")
    os.killpg(process.pid, signal.SIGSTOP)  # so that it is still there when the second has started
    status, printed = new_project.try_kedro(*STAGE)
    assert status == 1
    (line,) = [one for one in printed.splitlines() if one.startswith("Error: ")]
    assert f"data/env/test is in use by process {process.pid} since 20" in line and "kedro run --env test" in line
    assert "Traceback" not in printed

    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGCONT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "Stopped by Ctrl-C: what was complete is kept" in output
    assert "Traceback" not in output and "Aborted" not in output

    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{new_project.folder / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("tradewind").experiment_id])
    assert run.info.status == "KILLED"

    folder = new_project.folder / "notebooks"  # any folder of the project
    asked = [sys.executable, "-m", "kedro", *STAGE, "--to-nodes", "data_engineering.check_bars"]
    again = subprocess.run(asked, cwd=folder, env=new_project._environment(), capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "data_engineering.type_bars" not in again.stdout  # it was complete
    assert not (folder / "mlartifacts").exists() and not (folder / "data").exists()


# What is mounted at `data` for one process, and what is said then.
MOUNTS = [
    ("mount --bind data data && mount -o remount,ro,bind data", "data/env may not be written by this user"),
    ("mount -t tmpfs -o size=1500k none data", "market.sqlite cannot be written: database or disk is full. Free space"),
    (
        "mount -t tmpfs -o size=2300k none data",
        "cannot be written: No space left on device. What was there is unharmed",
    ),
]


@pytest.mark.depth
@pytest.mark.parametrize(("mount", "said"), MOUNTS, ids=["read-only", "full", "full later"])
def test_a_disk_that_is_full_or_read_only_is_told_in_one_line(new_project: Any, mount: str, said: str) -> None:
    def kedro(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-m", *words]
        environment = new_project._environment()
        return subprocess.run(command, cwd=new_project.folder, env=environment, capture_output=True, text=True)

    if kedro("kedro", "--version").returncode:
        pytest.skip("a mount of its own needs root")
    done = kedro("kedro", *STAGE)
    printed = done.stdout + done.stderr
    (line,) = [one for one in printed.splitlines() if one.startswith("Error: ")]
    assert done.returncode == 1 and said in line and "Traceback" not in printed


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package where pip would put it: no pyproject.toml above it."""
    source = Path(__file__).resolve().parents[2] / "src/tradewind"
    shutil.copytree(source, tmp_path / "lib/tradewind", ignore=shutil.ignore_patterns("*.pyc"))
    return tmp_path / "lib"


def packaged(installed: Path, folder: Path, *words: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "KEDRO_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "tradewind", *words]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def test_the_installed_package_runs_where_its_configuration_is_and_says_where_it_is_not(
    installed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "anywhere"
    folder.mkdir()
    status, printed = packaged(installed, folder, "--env", "test")
    assert status == 1
    assert printed.startswith(f"tradewind: there is no configuration in {folder}: run it in a folder that holds")
    assert len(printed.splitlines()) == 1

    shutil.copytree(Path(__file__).resolve().parents[2] / "conf", folder / "conf")
    late = ("run", "--env", "test", "--params=models=linear", "--pipelines", "evaluation")
    status, printed = packaged(installed, folder, *late)
    assert status == 1
    last = printed.strip().splitlines()[-1]
    assert last.startswith("Error: ") and "missing" in last and "--pipelines data_engineering," in last
    assert "Traceback" not in printed
    assert not (installed.parent / "mlflow.db").exists()
