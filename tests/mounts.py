"""Disks of their own for tests, where this user may mount one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """`folder` as a file system of its own, in memory unless the options say otherwise; skips the test where this user
    may not mount one."""
    if not options:
        folder.mkdir(parents=True, exist_ok=True)
    words = options or ("-t", "tmpfs", "-o", "size=64m", "tmpfs")
    try:
        done = subprocess.run(["mount", *words, str(folder)], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode != 0:
        pytest.skip(f"this user may not mount a disk: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
