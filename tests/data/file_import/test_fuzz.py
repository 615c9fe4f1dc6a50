"""Damaged files: a typed error, a question, or rows that satisfy the contract, every one accounted for."""

import gzip
import io
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tests.data.file_import.damage import (
    KEY,
    LONG,
    ROWS,
    SETTINGS,
    Sample,
    all_samples,
    bars,
    csv_samples,
    damaged,
    parquet,
    text,
)
from tests.depth import deep
from tradewind.data.file_import.importer import ImportPlan, RejectedRows, inspect_file
from tradewind.data.files.cleaning import check_bars, type_bars
from tradewind.data.files.dialect import BarDialect
from tradewind.data.sources.files import read_bar_file
from tradewind.errors import TradewindError

NOW = datetime(2025, 1, 1, tzinfo=UTC)
LARGEST_GROWTH = 256 << 20  # bytes, beside some 200 MB that the libraries take themselves: below 512 MB


def lines_of(content: bytes) -> list[bytes]:
    """The lines, read by nothing of ours."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    for mark, name in ((b"\xff\xfe\0\0", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            content = content.decode(name).encode()
    return content.removeprefix(b"\xef\xbb\xbf").splitlines()


def expected_rows(sample: Sample, found: ImportPlan) -> int:
    """How many rows the file has, counted without the importer: it only says which line it took for the header."""
    said = {finding.decision: finding.value for finding in found.notes.findings}
    if found.kind == "stream":
        return sum(len(line.strip()) > 0 for line in lines_of(sample.content))
    if said["format"] == "json":
        content = gzip.decompress(sample.content) if sample.content[:2] == b"\x1f\x8b" else sample.content
        return len(json.loads(content.decode("utf-8-sig" if content[:1] == b"\xef" else "utf-8")))
    if said["format"] == "parquet":
        return int(pq.ParquetFile(io.BytesIO(sample.content)).metadata.num_rows)
    if said["format"] == "feather":
        return int(pyarrow.feather.read_table(io.BytesIO(sample.content)).num_rows)
    header = 0 if said["header"] == "none" else int(said["header"].removeprefix("line "))
    lines = lines_of(sample.content)
    above = [line for line in lines[:header] if line.startswith(b"1704") and line.count(b",") >= 4]
    assert not above, "rows were taken for lines above the header"
    return sum(len(line) > 0 for line in lines[header:])


def require_contract(table: pd.DataFrame) -> None:
    """What `schema.Bars` asks of bars, without pandera, which would take longer than the import."""
    prices = table[["open", "high", "low", "close"]].to_numpy()
    volumes = table["volume"].to_numpy()
    assert prices.dtype == volumes.dtype == np.float64
    assert np.isfinite(prices).all() and (prices > 0).all()
    assert np.isfinite(volumes).all() and (volumes >= 0).all()
    assert (prices[:, 2] <= prices.min(axis=1)).all() and (prices[:, 1] >= prices.max(axis=1)).all()
    opened = table["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    assert (np.diff(opened) > 0).all()


def require_sound(sample: Sample, found: ImportPlan, number: int = 0) -> None:
    """Every row of the file is there once, accepted or refused, and the accepted ones are sound.

    Of files whose bad row is not known, each fourth is also brought to checked bars, which takes longer than the rest.
    """
    assert found.rows == found.accepted + len(found.rejected.reason)
    assert found.rows == expected_rows(sample, found), "rows were swallowed or made up"
    rejected = set(found.rejected.source_row.tolist())
    is_checked = number % 4 == 0 or (sample.bad_row is not None and sample.bad_row not in rejected)
    for part in found.bars:
        numbers = part.rows.to_numpy(dtype=np.float64)
        assert np.isfinite(numbers[:, :6]).all() and not np.isinf(numbers).any()
        if is_checked and len(part.rows):
            typed, untyped = type_bars(part.rows, part.key)
            checked, later = check_bars(typed, part.key, NOW)
            assert len(checked) + len(later) + len(untyped) == len(part.rows)
            require_contract(checked)
            rejected |= set(part.source_row[later["source_row"]].tolist())
    for table in found.tables.values():
        numbers = table.select_dtypes("number").to_numpy(dtype=np.float64)
        assert np.isfinite(numbers).all()
        assert table["timestamp"].notna().all()
    if found.vintages is not None:
        assert np.isfinite(found.vintages["value"]).all()
        assert not found.vintages.duplicated(["series", "symbol", "reference_at", "known_at"]).any()
    if sample.bad_row is not None:
        assert sample.bad_row in rejected, f"row {sample.bad_row} is bad, and was accepted"


def import_one(path: Path) -> ImportPlan:
    return inspect_file(path, LONG if path.name == "long.csv" else SETTINGS)


def examine(sample: Sample, path: Path, reader: Callable[[Path], ImportPlan] = import_one, number: int = 0) -> str:
    """What became of the file: refused (a typed error), asked, or imported."""
    path.write_bytes(sample.content)
    try:
        found = reader(path)
    except TradewindError:
        return "refused"
    if found.notes.missing_settings:
        return "asked"
    require_sound(sample, found, number)
    return "imported"


def examine_folder_file(sample: Sample, path: Path) -> str:
    """The same for the reader of folders, which asks nothing."""
    path.write_bytes(sample.content)
    try:
        received = read_bar_file(path, KEY, BarDialect())
        typed, untyped = type_bars(received, KEY)
    except TradewindError:
        return "refused"
    checked, rejected = check_bars(typed, KEY, NOW)
    assert len(received) == len(checked) + len(rejected) + len(untyped)
    require_contract(checked)
    if path.suffix == ".csv":
        assert len(received) == sum(len(line) > 0 for line in lines_of(sample.content)[1:]), (
            "rows were swallowed or made up"
        )
    if sample.bad_row is not None:
        assert sample.bad_row in {*untyped["source_row"], *rejected["source_row"]}
    return "imported"


def memory(field: str) -> int:
    """A line of what the kernel says of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def in_a_child(work: Callable[[], Any]) -> tuple[Any, int]:
    """What the work returns, done in a forked process, and by how many bytes its memory grew at most."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the parent
            before, answer = memory("VmRSS"), work()
            message = json.dumps([answer, memory("VmHWM") - before])
        except BaseException as error:  # noqa: BLE001 - the parent raises it again
            message = json.dumps([f"{type(error).__name__}: {error}", -1])
        os.write(sender, message.encode()[:60_000])
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as pipe:
        text_back = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0 and text_back, f"the process died ({status})"
    answer, growth = json.loads(text_back)
    assert growth >= 0, answer
    return answer, growth


def run_all(folder: Path, files: range, seed: int) -> dict[str, int]:
    rng, samples, outcomes = np.random.default_rng(seed), all_samples(), Counter[str]()
    for number in files:
        sample = damaged(number, rng, samples)
        try:
            if sample.name in ("plain.csv", "semicolon.csv", "bars.parquet", "bars.feather") and number % 3 == 0:
                outcomes[examine_folder_file(sample, folder / sample.name)] += 1
            else:
                outcomes[examine(sample, folder / sample.name, number=number)] += 1
        except Exception as error:
            raise AssertionError(
                f"file {number}, {sample.name}: {type(error).__name__}: {error}; {sample.content[:1500]!r}"
            ) from error
    return dict(outcomes)


@pytest.mark.parametrize("files", [1_000, deep(10_000)])
def test_damaged_files_give_typed_errors_or_sound_rows_within_the_memory(tmp_path: Path, files: int) -> None:
    outcomes, growth = in_a_child(lambda: run_all(tmp_path, range(files), seed=1))
    assert sum(outcomes.values()) == files
    assert growth < LARGEST_GROWTH, f"{growth >> 20} MB"
    assert min(outcomes.get(kind, 0) for kind in ("refused", "imported")) > files // 10, outcomes


@pytest.mark.parametrize(
    "sample", [sample for group in all_samples().values() for sample in group], ids=lambda s: s.name
)
def test_the_files_before_they_are_damaged_are_whole(sample: Sample, tmp_path: Path) -> None:
    found = None

    def reader(path: Path) -> ImportPlan:
        nonlocal found
        found = import_one(path)
        return found

    assert examine(sample, tmp_path / sample.name, reader) == "imported"
    assert found is not None and found.accepted == found.rows == ROWS


def swallowing(path: Path) -> ImportPlan:
    """A planted fault: what is refused is left out, and nobody hears of it."""
    found = import_one(path)
    return replace(found, rows=found.accepted, rejected=RejectedRows(np.empty(0, np.int64), np.empty(0, object), []))


def filling(path: Path) -> ImportPlan:
    """A planted fault: what is no number becomes the number above it."""
    found = import_one(path)
    for part in found.bars:
        part.rows = part.rows.reindex(range(len(part.rows) + len(found.rejected.reason))).ffill()
        part.source_row = np.arange(len(part.rows))
    return replace(found, accepted=found.rows, rejected=RejectedRows(np.empty(0, np.int64), np.empty(0, object), []))


@pytest.mark.parametrize(("fault", "words"), [(swallowing, "swallowed"), (filling, "is bad, and was accepted")])
def test_a_reader_that_hides_a_bad_row_is_caught(
    fault: Callable[[Path], ImportPlan], words: str, tmp_path: Path
) -> None:
    sample = csv_samples()[0]
    bad = replace(sample, content=sample.content.replace(b"\n", b"\nx", 4).replace(b"\nx", b"\n", 3), bad_row=3)
    assert examine(bad, tmp_path / bad.name) == "imported"
    with pytest.raises(AssertionError, match=words):
        examine(bad, tmp_path / bad.name, fault)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip.csv.gz": (lambda: gzip.compress(b"0" * (300 << 20), 1), "refused"),
    "rows.csv.gz": (lambda: gzip.compress(text(bars()) + b"1704067200000,1,1,1,1,1\n" * (4 << 20), 6), "refused"),
    "deep.json": (lambda: b"[" * (4 << 20), "refused"),
    "cells.parquet": (
        lambda: parquet(pa.table({name: pa.repeat(True, 40_000_000) for name in ("open", "close")})),
        "refused",
    ),
    "field.csv": (lambda: text({**bars(), "note": ["x" * (8 << 20)] * ROWS}), "refused"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_fill_the_memory(name: str, tmp_path: Path) -> None:
    make, expected = BOMBS[name]
    path = tmp_path / name
    in_a_child(lambda: path.write_bytes(make()))
    outcome, growth = in_a_child(lambda: examine(Sample(name, path.read_bytes()), path))
    assert outcome == expected
    assert growth < LARGEST_GROWTH, f"{growth >> 20} MB"


def test_the_memory_that_a_file_takes_is_measured() -> None:
    _, growth = in_a_child(lambda: len(b"x" * (300 << 20)))
    assert growth >= LARGEST_GROWTH
