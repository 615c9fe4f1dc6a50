"""The first hour of a new user, from a fresh clone to an own idea and back: `make test-all` does all of it."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.depth
def test_the_first_hour_is_what_the_readme_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("this is no clone")
    command = [sys.executable, "tools/first_hour.py", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with capsys.disabled():
        sys.stdout.write(f"\n{done.stdout[-3000:]}")  # the seconds of every step
    assert done.returncode == 0, done.stdout[-6000:]


def test_a_step_that_there_is_not_is_refused() -> None:
    command = [sys.executable, "tools/first_hour.py", "--steps", "fly"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no step is called fly: clone, run, own_file" in done.stderr
