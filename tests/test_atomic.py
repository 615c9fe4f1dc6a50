import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data.stores.forks import said_in_fork
from tradewind.atomic import atomic_file, first_file, is_abandoned, make_folder, write_bytes
from tradewind.errors import BadParameters, TemporaryOutage


def test_the_new_content_replaces_the_old(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    write_bytes(target, b"old")
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_bytes(target, b"old")

    def write_half() -> None:
        with atomic_file(target) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def told(target: Path) -> str:
    write_bytes(target, b"x" * 100_000)
    return "written"


def naive_write(target: Path, content: bytes) -> str:
    """In place, and believing that a write writes all: the fault that the test below must see."""
    with target.open("wb", buffering=0) as file:
        file.write(content)
    return "written"


@pytest.mark.parametrize("limit_bytes", [0, 1, 4096, 99_999])
def test_a_full_disk_or_a_short_write_leaves_the_old_content(tmp_path: Path, limit_bytes: int) -> None:
    target = tmp_path / "file.txt"
    write_bytes(target, b"old")
    said = said_in_fork(lambda: told(target), limit_bytes)
    assert said.startswith(f"{TemporaryOutage.__name__}: {target} cannot be written") and "free space" in said
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
    assert said_in_fork(lambda: told(target), 100_000) == "written"
    assert target.read_bytes() == b"x" * 100_000


@pytest.mark.parametrize("limit_bytes", [1, 4096, 99_999])
def test_a_naive_write_loses_the_old_content_and_says_nothing(tmp_path: Path, limit_bytes: int) -> None:
    target = tmp_path / "file.txt"
    write_bytes(target, b"old")
    assert said_in_fork(lambda: naive_write(target, b"x" * 100_000), limit_bytes) == "written"
    assert len(target.read_bytes()) == limit_bytes


def test_a_folder_that_is_not_ours_is_named(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"

    def refuse() -> None:
        with atomic_file(target) as temporary:
            raise PermissionError(errno.EACCES, "Permission denied", str(temporary))

    with pytest.raises(BadParameters, match=r"file\.txt may not be written by this user"):
        refuse()


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [(errno.EROFS, BadParameters, "may not be written by this user"), (errno.ENOSPC, TemporaryOutage, "free space")],
)
def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], said: str
) -> None:
    def refuse(folder: Path, **how: Any) -> None:
        raise OSError(number, os.strerror(number), str(folder))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(kind, match=f"new .*{said}"):
        make_folder(tmp_path / "new")


def test_an_error_about_another_file_is_left_as_it_is(tmp_path: Path) -> None:
    def refuse() -> None:
        with atomic_file(tmp_path / "file.txt"):
            raise PermissionError(errno.EACCES, "Permission denied", "elsewhere.csv")

    with pytest.raises(PermissionError, match=r"elsewhere\.csv"):
        refuse()


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "file[1].txt"
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from tradewind.atomic import atomic_file\n"
            "with atomic_file(Path(sys.argv[1])) as part:\n"
            "    part.write_bytes(b'half'); print('written', flush=True); time.sleep(60)",
            str(target),
        ],
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    (partial,) = tmp_path.iterdir()
    assert not is_abandoned(partial)
    writer.kill()
    writer.wait()
    writer.stdout.close()
    assert is_abandoned(partial)
    write_bytes(target, b"whole")
    assert list(tmp_path.iterdir()) == [target]


def test_a_writer_that_still_runs_keeps_its_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with atomic_file(target) as mine:
        mine.write_bytes(b"mine")
        write_bytes(target, b"theirs")
        assert mine.exists()
    assert target.read_bytes() == b"mine"


def test_of_two_first_writers_the_first_wins(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with first_file(target) as mine:
        mine.write_bytes(b"mine")
        with first_file(target) as theirs:
            theirs.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]


# Writes two alternating sets of tables until it is killed; each set is one number all over.
WRITER = """
import sys
import pandas as pd
from tradewind.datasets import PartitionedTableDataset, ParquetTableDataset
tables = PartitionedTableDataset(path=sys.argv[1] + "/tables")
table = ParquetTableDataset(filepath=sys.argv[1] + "/table.parquet")
number = 0
while True:
    frame = pd.DataFrame({"number": [float(number)] * 2000})
    tables.save({f"venue/{symbol}/1h": frame for symbol in ("A", "B", "C")})
    table.save(frame)
    if number == 0:
        print("ready", flush=True)
    number += 1
"""


def kill_while_writing(folder: Path, seconds: float) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    writer.kill()
    writer.wait()
    writer.stdout.close()


@pytest.mark.parametrize("seconds", [0.0, 0.003, 0.011, 0.023, 0.037, 0.052])
def test_a_kill_at_any_moment_leaves_whole_tables_of_one_write(tmp_path: Path, seconds: float) -> None:
    from tradewind.datasets import ParquetTableDataset, PartitionedTableDataset

    kill_while_writing(tmp_path, seconds)
    tables = PartitionedTableDataset(path=str(tmp_path / "tables"))
    assert tables.exists()
    numbers = {float(value) for load in tables.load().values() for value in load()["number"]}
    assert len(numbers) == 1
    (number,) = set(ParquetTableDataset(filepath=str(tmp_path / "table.parquet")).load()["number"])
    assert abs(number - numbers.pop()) <= 1


def test_content_reaches_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the file, then the rename, then fsync of the folder: what a power cut may undo is in this order."""
    target, calls = tmp_path / "file.txt", list[tuple[str, str]]()
    write_bytes(target, b"old")
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        calls.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        sync(descriptor)

    def renamed(self: Path, to: Path) -> Path:
        calls.append(("replace", str(self)))
        return replace(self, to)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    with atomic_file(target) as temporary:
        temporary.write_bytes(b"new")
        number = temporary.stat().st_ino
    assert calls == [("fsync", str(temporary)), ("replace", str(temporary)), ("fsync", str(tmp_path))]
    assert target.stat().st_ino == number, "renamed, not copied"


def copied(target: Path, content: bytes) -> None:
    """The twin that copies instead of renaming: a kill within the copy leaves a torn file."""
    temporary = target.with_name("temporary")
    temporary.write_bytes(content)
    shutil.copyfile(temporary, target)


def torn_by_kills(target: Path, write: Callable[[Path, bytes], None], kills: int) -> int:
    """How often a file was neither the old nor the new after its writer had been killed within the write."""
    torn, contents = 0, [bytes([letter]) * 8_000_000 for letter in b"ab"]
    write(target, contents[0])
    for number in range(kills):
        child = os.fork()
        if child == 0:
            while True:
                for content in contents:
                    write(target, content)
        time.sleep(0.05 + 0.01 * (number % 7))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        torn += target.read_bytes() not in contents
        write(target, contents[0])
    return torn


@pytest.mark.depth
def test_a_kill_within_the_write_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    assert torn_by_kills(tmp_path / "a", write_bytes, 40) == 0
    assert torn_by_kills(tmp_path / "b", copied, 40) > 0
