"""Kernels run where nothing may be written to: numba alone would refuse to import them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
# A mount of its own that cannot be written to, as systemd's ProtectSystem makes it.
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
KERNEL = "from tradewind.market import volatility; import numba, os; print(os.environ.get('NUMBA_CACHE_DIR', 'none'))"


def run(program: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    command = ["unshare", "--mount", "sh", "-c", READ_ONLY, str(SOURCE), sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**kept, "PYTHONPATH": str(SOURCE), "TMPDIR": str(tmp_path), **environment},
    )  # fmt: skip


@pytest.fixture
def can_mount(tmp_path: Path) -> None:
    if run("", tmp_path).returncode:
        pytest.skip("a mount of its own needs root")


def test_a_project_that_may_write_nowhere_starts(can_mount: None, tmp_path: Path) -> None:
    nowhere = {"XDG_CACHE_HOME": str(SOURCE / "cache")}
    ran = run(KERNEL, tmp_path, **nowhere)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(str(tmp_path / "tradewind-kernels-")) and list(tmp_path.iterdir()) == []
    # Without that folder numba does what is guarded against.
    alone = run(f"import tradewind, os; os.environ.pop('NUMBA_CACHE_DIR'); {KERNEL}", tmp_path, **nowhere)
    assert "no locator available" in alone.stderr
    said = run("from tradewind import doctor; print(*doctor.check_machine(doctor.Path('/')))", tmp_path, **nowhere)
    assert "compiled at each start" in said.stdout


def test_a_folder_of_the_user_is_enough(can_mount: None, tmp_path: Path) -> None:
    ran = run(KERNEL, tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (ran.returncode, ran.stdout) == (0, "none\n"), ran.stderr
