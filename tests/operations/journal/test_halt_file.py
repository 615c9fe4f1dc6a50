"""The HALT file: never there without its reason, and there even where the disk is full."""

import errno
import threading
import time
from pathlib import Path

import pytest

from tradewind.errors import TradewindError
from tradewind.operations.journal.halt_file import HALT_FILE, halt_reason, is_halted, write_halt_file

READS = 3000


def reasons_seen(folder: Path, reads: int) -> set[str]:
    """What a reader sees of the file while another writes it again and again."""
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            write_halt_file(folder, f"drill {number}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    seen = {halt_reason(folder) for _ in range(reads) if is_halted(folder)}
    done.set()
    writer.join()
    return seen


def test_a_reader_never_sees_a_file_without_its_reason(tmp_path: Path) -> None:
    write_halt_file(tmp_path, "drill")
    seen = reasons_seen(tmp_path, READS)
    assert seen and all(one.startswith("drill") for one in seen)
    assert [one.name for one in tmp_path.iterdir()] == [HALT_FILE]


def test_a_file_written_in_place_is_seen_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault of the test above."""

    def in_place(partial: Path, target: Path) -> None:
        with target.open("w") as file:
            time.sleep(0.001)  # opened and empty, as for a moment it always is
            file.write(partial.read_text())

    monkeypatch.setattr(Path, "replace", in_place)
    write_halt_file(tmp_path, "drill")
    assert "HALT file" in reasons_seen(tmp_path, READS)


def test_a_full_disk_halts_without_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(Path, "write_text", full)
    write_halt_file(tmp_path, "drill")
    assert is_halted(tmp_path) and halt_reason(tmp_path) == "HALT file"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TradewindError, match="absent"):
        write_halt_file(tmp_path / "absent", "drill")


def test_a_file_that_is_no_text_halts_all_the_same(tmp_path: Path) -> None:
    (tmp_path / HALT_FILE).write_bytes(b"\xff\xfe")
    assert is_halted(tmp_path) and halt_reason(tmp_path) == "HALT file"
