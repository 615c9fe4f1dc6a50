import subprocess
import sys
import time
from pathlib import Path

import pytest

from tradewind.datasets.atomic import atomic_file, is_abandoned, write_bytes


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


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "file[1].txt"
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from tradewind.datasets.atomic import atomic_file\n"
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
