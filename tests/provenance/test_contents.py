"""A hash of a file is remembered where nothing but its content could have changed it."""

import hashlib
import os
from pathlib import Path

import pytest

from tradewind.provenance import contents
from tradewind.provenance.contents import Contents


def rewrite(path: Path, content: bytes) -> None:
    """Other content in the same file, its time put back."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "bars.csv"
    found.write_bytes(b"one")
    return found


def test_an_old_files_hash_is_remembered_until_its_size_time_or_place_changes(path: Path, tmp_path: Path) -> None:
    hour_ago = path.stat().st_mtime_ns - 3_600_000_000_000
    os.utime(path, ns=(hour_ago, hour_ago))
    first = Contents(tmp_path, tmp_path / "known.json")
    assert first.of_file(path) == sha256(b"one")
    first.keep()

    def again() -> str:
        return Contents(tmp_path, tmp_path / "known.json").of_file(path)

    rewrite(path, b"two")
    assert again() == sha256(b"one")  # it is remembered: nothing tells this file from that one
    rewrite(path, b"three")
    assert again() == sha256(b"three")
    rewrite(path, b"two")
    os.utime(path, ns=(hour_ago + 1, hour_ago + 1))
    assert again() == sha256(b"two")
    rewrite(path, b"six")
    other = tmp_path / "other.csv"
    other.write_bytes(b"six")
    os.utime(other, ns=(hour_ago, hour_ago))
    other.replace(path)
    assert again() == sha256(b"six")


def test_a_file_that_was_just_written_is_hashed_every_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = path.stat().st_mtime_ns
    found = Contents(path.parent, path.parent / "known.json")
    for later, remembered in ((1_000_000_000, False), (3_000_000_000, True)):
        monkeypatch.setattr(contents, "_clock_ns", lambda _, at=written + later: at)
        assert found.of_file(path) == sha256(path.read_bytes())
        before = path.read_bytes()
        rewrite(path, before[::-1])
        assert found.of_file(path) == sha256(before if remembered else path.read_bytes())
