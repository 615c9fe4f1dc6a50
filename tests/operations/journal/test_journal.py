"""A journal keeps what it was given, and shows every change that was made to it."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import BadData, BadParameters, TemporaryOutage
from tradewind.operations.journal.anchors import drop_anchor, verify
from tradewind.operations.journal.journal import Entry, Journal, is_in_use, read
from tradewind.operations.journal.records import canonical, plain

KINDS = 3


def filled(path: Path, count: int = 60) -> tuple[int, str]:
    with Journal(path) as journal:
        for number in range(count):
            journal.append([Entry(f"kind{number % KINDS}", {"number": number, "price": 100 / (number + 3)})], number)
        return journal.head


def tampered(content: bytes, how: str, at: int, bit: int) -> bytes:
    """A journal's bytes after one record was edited, removed, moved or the end was cut off between records."""
    lines = content.splitlines(keepends=True)
    if how == "bit":
        place = (at * 7919 + bit) % len(content)
        return content[:place] + bytes([content[place] ^ (1 << bit % 8)]) + content[place + 1 :]
    if how == "removed":
        return b"".join(lines[:at] + lines[at + 1 :])
    if how == "moved":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
        return b"".join(lines)
    if how == "doubled":
        return b"".join([*lines[: at + 1], lines[at], *lines[at + 1 :]])
    return b"".join(lines[: at + 1])


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append([Entry("bars", {"close": 0.1 + 0.2}), Entry("decision", {"target": -0.5}, cause=-1)], 5)
        journal.append([Entry("sent", {"id": "a"}, cause=2)], 6)
        head = journal.head
    found = list(read(path))
    assert [one.body for one in found] == [{"close": 0.1 + 0.2}, {"target": -0.5}, {"id": "a"}]
    assert [(one.seq, one.cause, one.at_ms) for one in found] == [(1, 0, 5), (2, 1, 5), (3, 2, 6)]
    assert head == (3, found[-1].hash)
    with Journal(path) as journal:
        assert journal.head == head and journal.torn_bytes == 0


def test_reading_on_begins_after_the_record_that_was_read_last(tmp_path: Path) -> None:
    """What was acted on is not told again, or fills would count twice after a restart."""
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append([Entry("a", {"number": one}) for one in range(4)], 1)
    assert [[one.seq for one in read(path, after)] for after in (0, 2, 4)] == [[1, 2, 3, 4], [3, 4], []]


def test_a_journal_is_in_use_as_long_as_its_writer_has_it_open(tmp_path: Path) -> None:
    """A backup leaves alone what a running system writes."""
    path = tmp_path / "journal.jsonl"
    assert not is_in_use(path)
    with Journal(path) as journal:
        journal.append([Entry("a", {})], 1)
        assert is_in_use(path)
    assert not is_in_use(path)


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    heads = {filled(tmp_path / name) for name in ("one", "two")}
    assert len(heads) == 1
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert canonical({"b": 1, "a": 0.1}) == b'{"a":0.1,"b":1}'


def test_what_json_has_not_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for body in ({"edge": float("nan")}, {"edge": float("inf")}, {"edge": object()}):
            with pytest.raises(BadData):
                journal.append([Entry("fine", {}), Entry("bad", body)], 1)
        assert journal.head[0] == 0 and path.stat().st_size == 0
        given = {"edge": np.nan, "row": (1, np.float32(0.5)), "n": np.int64(3)}
        journal.append([Entry("decision", plain(given))], 1)
    assert next(read(path)).body == {"edge": None, "row": [1, 0.5], "n": 3}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    folder = tmp_path_factory.mktemp("journal")
    head = filled(folder / "journal.jsonl")
    drop_anchor(folder / "elsewhere" / "anchors.jsonl", head, 99)
    return (folder / "journal.jsonl").read_bytes(), folder


def check_tampering(kept: tuple[bytes, Path], how: str, at: int, bit: int) -> None:
    content, folder = kept
    changed = folder / "changed.jsonl"
    changed.write_bytes(tampered(content, how, at, bit))
    with pytest.raises(BadData):
        verify(changed, folder / "elsewhere" / "anchors.jsonl")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["bit", "removed", "moved", "doubled", "cut"]), st.integers(0, 58), st.integers(0, 5000))
def test_every_tampering_is_seen(kept: tuple[bytes, Path], how: str, at: int, bit: int) -> None:
    check_tampering(kept, how, at, bit)


@pytest.mark.depth
@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(["bit", "removed", "moved", "doubled", "cut"]), st.integers(0, 58), st.integers(0, 5000))
def test_a_thousand_tamperings_are_seen(kept: tuple[bytes, Path], how: str, at: int, bit: int) -> None:
    check_tampering(kept, how, at, bit)


def test_a_cut_end_is_seen_by_the_anchor_alone(kept: tuple[bytes, Path], tmp_path: Path) -> None:
    content, folder = kept
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(tampered(content, "cut", 40, 0))
    assert verify(cut).records == 41
    with pytest.raises(BadData, match="cut off"):
        verify(cut, folder / "elsewhere" / "anchors.jsonl")


def test_the_end_of_another_run_is_seen(kept: tuple[bytes, Path], tmp_path: Path) -> None:
    content, _ = kept
    with Journal(tmp_path / "other") as other:
        for number in range(60):
            other.append([Entry("kind0", {"number": number})], number)
    lines = (tmp_path / "other").read_bytes().splitlines(keepends=True)
    (tmp_path / "spliced").write_bytes(b"".join(content.splitlines(keepends=True)[:30] + lines[30:]))
    with pytest.raises(BadData, match="record 31"):
        verify(tmp_path / "spliced")


def test_a_torn_end_is_cut_off_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    filled(path, 5)
    whole = path.read_bytes()
    for missing in (1, 20, 100):
        path.write_bytes(whole[:-missing])
        assert verify(path).records == 4 and verify(path).torn_bytes > 0
        with Journal(path) as journal:
            assert journal.head[0] == 4 and journal.torn_bytes > 0
            journal.append([Entry("recovered", {"torn_bytes": journal.torn_bytes})], 9)
        assert verify(path) == verify(path)._replace(records=5, torn_bytes=0)
        (torn,) = tmp_path.glob("*.torn-*")
        assert torn.read_bytes() == whole[whole[:-1].rfind(b"\n") + 1 : -missing]


WRITER = """
import sys
from pathlib import Path
from tradewind.operations.journal.journal import Entry, Journal
with Journal(Path(sys.argv[1])) as journal:
    number = journal.head[0]
    while True:
        journal.append([Entry("bars", {"number": number, "filler": "x" * 3000})], number)
        number += 1
        Path(sys.argv[2]).write_text(str(journal.head[0]))
"""


def kill_at_random(tmp_path: Path, times: int) -> None:
    path, said = tmp_path / "journal.jsonl", tmp_path / "said"
    rng = np.random.default_rng(3)
    for _ in range(times):
        before, size = (verify(path).records, path.stat().st_size) if path.exists() else (0, 0)
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(said)])
        until = time.monotonic() + 20
        while time.monotonic() < until and not (path.exists() and path.stat().st_size > size + 3000):
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.05)))
        process.kill()
        process.wait()
        with Journal(path) as journal:
            written = int(said.read_text() or 0) if said.exists() else 0
            assert journal.head[0] >= max(written, before + 1), "a record that was told to be durable is gone"
        assert [one.body["number"] for one in read(path)] == list(range(verify(path).records))


def test_a_killed_writer_loses_nothing_that_it_returned_from(tmp_path: Path) -> None:
    kill_at_random(tmp_path, 3)


@pytest.mark.depth
def test_a_writer_killed_many_times_loses_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, 60)


def test_there_is_one_writer(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl"), pytest.raises(BadParameters, match="in use"):
        Journal(tmp_path / "journal.jsonl")
    Journal(tmp_path / "journal.jsonl").close()


def test_a_full_disk_stops_it_before_anyone_can_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append([Entry("bars", {})], 1)

        def fails(*_: object) -> int:
            raise OSError(errno.ENOSPC, "no room")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", fails)
            with pytest.raises(TemporaryOutage, match="free space"):
                journal.append([Entry("intent", {})], 2)
        # After a failed sync nobody knows what is on the disk: the same writer may not go on.
        with pytest.raises(TemporaryOutage, match="start again"):
            journal.append([Entry("intent", {})], 3)
    with Journal(path) as journal:
        journal.append([Entry("intent", {})], 4)


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        os.dup2(os.open("/dev/full", os.O_WRONLY), journal._file)
        with pytest.raises(TemporaryOutage, match="free space"):
            journal.append([Entry("intent", {})], 2)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> int:
        raise OSError(errno.EROFS, "read-only", str(tmp_path / "journal.jsonl"))

    monkeypatch.setattr(os, "open", refuses)
    with pytest.raises(BadParameters, match="permissions"):
        Journal(tmp_path / "journal.jsonl")
