"""Ten thousand damaged files: a typed error, a question, or rows that satisfy the contract, every one accounted for."""

import gzip
import io
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tradewind.errors import TradewindError
from tradewind.market.bar_key import BarKey
from tradewind.market.cleaning import check_bars, type_bars
from tradewind.market.imports.importer import Refused, Understanding, understand
from tradewind.market.sources.dialect import BarDialect, ImportSettings
from tradewind.market.sources.files import read_bar_file

N_FILES = 10_000
ROWS = 10
HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01
NOW = datetime(2025, 1, 1, tzinfo=UTC)
KEY = BarKey(venue="v", symbol="S", timeframe="1h")
SETTINGS = ImportSettings(venue="v", symbol="S", timezone="UTC", volume_unit="base")
LONG = ImportSettings(timezone="UTC", volume_unit="base")
LARGEST_GROWTH = 256 << 20  # bytes, beside some 200 MB that the libraries take themselves: below 512 MB

# None of these is a number, a time, or a side.
JUNK = (
    "", "n/a", "NaN", "nan", "inf", "-inf", "1e999", "1,5", "0x10", "1_000", "--3", "12.3.4", "\x00", "é", "1e", "$5",
    "TRUE", "2024-13-45", "99/99/9999", '"', "=1+1", "１２", "9" * 400, "x" * 3000, "1e-", "+", "null",
)  # fmt: skip
BYTES = b'\x00\xff",;\n\r\t{}[]e.-9Z'


@dataclass(frozen=True)
class Sample:
    """A file: its name, its bytes, and the row (from 0) that cannot be imported, if it is known."""

    name: str
    content: bytes
    bad_row: int | None = None


def bars(rows: int = ROWS) -> dict[str, list[Any]]:
    rng = np.random.default_rng(3)
    close = 100 + rng.normal(0, 1, rows).cumsum()
    opened = np.r_[100.0, close[:-1]]
    return {
        "open_time": [START_MS + row * HOUR_MS for row in range(rows)],
        "open": opened.round(2).tolist(),
        "high": (np.maximum(opened, close) + 0.7).round(2).tolist(),
        "low": (np.minimum(opened, close) - 0.7).round(2).tolist(),
        "close": close.round(2).tolist(),
        "volume": rng.uniform(1, 9, rows).round(4).tolist(),
    }


def text(columns: dict[str, list[Any]], delimiter: str = ",", before: str = "") -> bytes:
    lines = [delimiter.join(columns), *(delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    return (before + "\n".join(lines) + "\n").encode()


def csv_samples() -> list[Sample]:
    plain = bars()
    stamps = pd.to_datetime(plain["open_time"], unit="ms")
    prices = {name: plain[name] for name in ("open", "high", "low", "close")}
    money = [round(volume * close, 2) for volume, close in zip(plain["volume"], plain["close"], strict=True)]
    mixed = [at // 1000 if row % 3 else at for row, at in enumerate(plain["open_time"])]
    trades = {
        "timestamp": plain["open_time"], "id": list(range(ROWS)), "side": ["buy", "sell"] * (ROWS // 2),
        "price": plain["close"], "amount": plain["volume"],
    }  # fmt: skip
    events = {
        "Start": [f"01/{day + 10}/2024 13:30:00" for day in range(ROWS)], "Name": [f"Event {n}" for n in range(ROWS)],
        "Impact": ["HIGH"] * ROWS, "Currency": ["USD"] * ROWS,
    }  # fmt: skip
    long = {
        "open_time": plain["open_time"], "exchange": ["a", "b"] * (ROWS // 2), "pair": ["A/B"] * ROWS,
        "contract": ["spot", "perpetual"] * (ROWS // 2), **prices, "volume": plain["volume"],
    }  # fmt: skip
    return [
        Sample("plain.csv", text(plain)),
        Sample("semicolon.csv", text(plain, ";")),
        Sample("iso.csv", text({"date": [str(at) for at in stamps], **prices, "volume": plain["volume"]})),
        Sample(
            "redundant.csv",
            text(
                {
                    "unix": mixed,
                    "date": [at.strftime("%Y-%m-%d %I-%p") for at in stamps],
                    "symbol": ["A/B"] * ROWS,
                    **prices,
                    "Volume A": plain["volume"],
                    "Volume B": money,
                    "tradecount": list(range(1, ROWS + 1)),
                },
                before="https://example.com\n",
            ),
        ),
        Sample("long.csv", text(long)),
        Sample("trades.csv", text(trades)),
        Sample("events.csv", text(events)),
    ]


def stream_line(row: int) -> str:
    at = START_MS + row
    trade = {"e": "trade", "E": at, "s": "AB", "t": row, "p": "10.5", "q": "2", "T": at, "m": True}
    return f"{at * 1_000_000} {json.dumps({'stream': 'ab@trade', 'data': trade})}"


def json_samples() -> list[Sample]:
    plain = bars()
    rows = [list(row) for row in zip(*plain.values(), strict=True)]
    return [
        Sample("lists.json", json.dumps(rows).encode()),
        Sample("objects.json", json.dumps([dict(zip(plain, row, strict=True)) for row in rows]).encode()),
        Sample("stream.txt", ("\n".join(map(stream_line, range(ROWS))) + "\n").encode()),
    ]


def arrow_table(columns: dict[str, Any] | None = None) -> pa.Table:
    plain: dict[str, Any] = bars()
    plain["open_time"] = pa.array(plain["open_time"], pa.timestamp("ms", "UTC"))
    return pa.table({**plain, **(columns or {})})


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def feather(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(table, sink)
    return sink.getvalue()


COLUMNS: tuple[Callable[[], Any], ...] = (
    lambda: pa.array([[1.0]] * ROWS), lambda: pa.array([{"a": 1}] * ROWS), lambda: pa.array([True] * ROWS),
    lambda: pa.array([b"1.5"] * ROWS), lambda: pa.nulls(ROWS), lambda: pa.array([Decimal("100.5")] * ROWS),
    lambda: pa.array(["100.5", "junk"] * (ROWS // 2)).dictionary_encode(), lambda: pa.array([1e308] * ROWS),
    lambda: pa.array([float("nan")] * ROWS), lambda: pa.array([float("inf")] * ROWS), lambda: pa.array([-5.0] * ROWS),
    lambda: pa.array([2**62] * ROWS), lambda: pa.array([2**64 - 1] * ROWS, pa.uint64()),
    lambda: pa.array(range(ROWS), pa.date32()), lambda: pa.array([2**62] * ROWS, pa.timestamp("us")),
    lambda: pa.array([-(2**62)] * ROWS, pa.timestamp("us", "UTC")), lambda: pa.array(range(ROWS), pa.time64("ns")),
    lambda: pa.array([*(at * 1000 for at in bars()["open_time"][1:]), 2**62], pa.timestamp("us", "UTC")),
    lambda: pa.array(range(ROWS), pa.duration("ms")), lambda: pa.array([None, 100.0] * (ROWS // 2)),
    lambda: pa.array(["1e999"] * ROWS, pa.large_string()), lambda: pa.array([100.5] * ROWS, pa.float32()),
    lambda: pa.array(["a" * 5000] * ROWS), lambda: pa.array([[]] * ROWS, pa.list_(pa.float64())),
)  # fmt: skip


def mutate_bytes(sample: Sample, rng: np.random.Generator) -> Sample:
    content = bytearray(sample.content)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, max(len(content), 1)))
        choice = int(rng.integers(0, 6))
        if choice == 0 and content:
            content[at % len(content)] ^= 1 << int(rng.integers(0, 8))
        elif choice == 1:
            content[at:at] = bytes(rng.choice(list(BYTES), int(rng.integers(1, 4))).astype(np.uint8))
        elif choice == 2:
            del content[at : at + int(rng.integers(1, 30))]
        elif choice == 3:
            content[at:at] = content[at : at + int(rng.integers(1, 60))]
        elif choice == 4:
            del content[at:]
        elif content:
            content[at % len(content)] = BYTES[int(rng.integers(0, len(BYTES)))]
    return replace(sample, content=bytes(content))


def mutate_cells(sample: Sample, rng: np.random.Generator) -> Sample:
    """Junk in one cell of a text table that has to be a number or a time, or another order of its columns."""
    lines = sample.content.decode().splitlines()
    mark = ";" if sample.name == "semicolon.csv" else ","
    header = 1 if sample.name == "redundant.csv" else 0
    names = lines[header].split(mark)
    choice = int(rng.integers(0, 8))
    if choice < 5:
        needed = [
            n
            for n, name in enumerate(names)
            if name in ("open_time", "open", "high", "low", "close", "volume", "price", "amount")
        ]
        row = int(rng.integers(0, len(lines) - header - 1))
        cells = lines[header + 1 + row].split(mark)
        column = needed[int(rng.integers(0, len(needed)))] if needed else 0
        cells[column] = JUNK[int(rng.integers(0, len(JUNK)))]
        lines[header + 1 + row] = mark.join(cells)
        return replace(sample, content=("\n".join(lines) + "\n").encode("utf-8", "replace"), bad_row=row)
    column, other = (int(at) for at in rng.integers(0, len(names), 2))
    if choice == 5:
        names[column] = names[other]
    elif choice == 6:
        names[column] = ("", "x" * 50_000, "close", "\u202e", "Open Time", "amount")[int(rng.integers(0, 6))]
    else:
        lines = [mark.join(cell for n, cell in enumerate(line.split(mark)) if n != column) for line in lines]
        names = lines[header].split(mark)
    lines[header] = mark.join(names)
    return replace(sample, content=("\n".join(lines) + "\n").encode("utf-8", "replace"))


def mutate_encoding(sample: Sample, rng: np.random.Generator) -> Sample:
    decoded = sample.content.decode("utf-8", "replace")
    choice = int(rng.integers(0, 6))
    if choice < 3:
        return replace(sample, content=decoded.encode(("utf-16", "utf-16-le", "utf-32")[choice]))
    if choice == 3:
        return replace(sample, content=b"\xef\xbb\xbf" + sample.content.replace(b"\n", b"\r\n"))
    if choice == 4:
        return replace(sample, content=gzip.compress(sample.content, 1)[: int(rng.integers(1, 400))])
    return replace(sample, content=gzip.compress(sample.content, 1))


def mutate_json(sample: Sample, rng: np.random.Generator) -> Sample:
    """Junk of any type in one cell, or nesting."""
    if sample.name == "stream.txt":
        return mutate_bytes(sample, rng)
    if rng.integers(0, 12) == 0:
        depth = int(10 ** rng.integers(1, 6))
        return replace(sample, content=b"[" * depth + b"1" + b"]" * (depth if rng.integers(0, 2) else 0))
    rows = json.loads(sample.content)
    row = int(rng.integers(0, len(rows)))
    key = int(rng.integers(0, 6)) if isinstance(rows[row], list) else list(rows[row])[int(rng.integers(0, 6))]
    values = (None, True, "junk", [1], {"a": 1}, "", float("nan"), float("inf"), 10**400, "1e999", -1e308, "\ud800")
    rows[row][key] = values[int(rng.integers(0, len(values)))]
    return replace(sample, content=json.dumps(rows).encode(), bad_row=row)


def mutate_arrow(sample: Sample, rng: np.random.Generator) -> Sample:
    if rng.integers(0, 3) == 0:
        return mutate_bytes(sample, rng)
    table = arrow_table()
    for _ in range(int(rng.integers(1, 3))):
        column = int(rng.integers(0, table.num_columns))
        name = (
            table.column_names[int(rng.integers(0, table.num_columns))]
            if rng.integers(0, 6) == 0
            else table.column_names[column]
        )
        table = table.set_column(column, name, COLUMNS[int(rng.integers(0, len(COLUMNS)))]())
    if rng.integers(0, 6) == 0:
        table = table.remove_column(int(rng.integers(0, table.num_columns)))
    return replace(sample, content=feather(table) if sample.name.endswith("feather") else parquet(table))


def damaged(number: int, rng: np.random.Generator, samples: dict[str, list[Sample]]) -> Sample:
    group = ("csv", "csv", "json", "arrow")[number % 4]
    sample = samples[group][int(rng.integers(0, len(samples[group])))]
    mutations = {
        "csv": (mutate_bytes, mutate_bytes, mutate_cells, mutate_cells, mutate_encoding),
        "json": (mutate_bytes, mutate_json, mutate_json),
        "arrow": (mutate_arrow,),
    }[group]
    return mutations[int(rng.integers(0, len(mutations)))](sample, rng)


def all_samples() -> dict[str, list[Sample]]:
    table = arrow_table()
    return {
        "csv": csv_samples(),
        "json": json_samples(),
        "arrow": [Sample("bars.parquet", parquet(table)), Sample("bars.feather", feather(table))],
    }


def lines_of(content: bytes) -> list[bytes]:
    """The lines, read by nothing of ours."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            content = content.decode(name).encode()
    return content.removeprefix(b"\xef\xbb\xbf").splitlines()


def expected_rows(sample: Sample, found: Understanding) -> int:
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


def require_sound(sample: Sample, found: Understanding, number: int = 0) -> None:
    """Every row of the file is there once, accepted or refused, and the accepted ones are sound.

    Of files whose bad row is not known, each fourth is also brought to checked bars, which takes longer than the rest.
    """
    assert found.rows == found.accepted + len(found.refused.reason)
    assert found.rows == expected_rows(sample, found), "rows were swallowed or made up"
    refused = set(found.refused.source_row.tolist())
    is_checked = number % 4 == 0 or (sample.bad_row is not None and sample.bad_row not in refused)
    for part in found.bars:
        numbers = part.rows.to_numpy(dtype=np.float64)
        assert np.isfinite(numbers[:, :6]).all() and not np.isinf(numbers).any()
        if is_checked and len(part.rows):
            typed, unreadable = type_bars(part.rows, part.key)
            checked, rejected = check_bars(typed, part.key, NOW)
            assert len(checked) + len(rejected) + len(unreadable) == len(part.rows)
            require_contract(checked)
            refused |= set(part.source_row[rejected["source_row"]].tolist())
    for table in found.tables.values():
        numbers = table.select_dtypes("number").to_numpy(dtype=np.float64)
        assert np.isfinite(numbers).all()
        assert table["timestamp"].notna().all()
    if found.vintages is not None:
        assert np.isfinite(found.vintages["value"]).all()
        assert not found.vintages.duplicated(["series", "symbol", "reference_at", "known_at"]).any()
    if sample.bad_row is not None:
        assert sample.bad_row in refused, f"row {sample.bad_row} is bad, and was accepted"


def import_one(path: Path) -> Understanding:
    return understand(path, LONG if path.name == "long.csv" else SETTINGS)


def examine(sample: Sample, path: Path, reader: Callable[[Path], Understanding] = import_one, number: int = 0) -> str:
    """What became of the file: refused (a typed error), asked, or imported."""
    path.write_bytes(sample.content)
    try:
        found = reader(path)
    except TradewindError:
        return "refused"
    if found.notes.needs:
        return "asked"
    require_sound(sample, found, number)
    return "imported"


def examine_folder_file(sample: Sample, path: Path) -> str:
    """The same for the reader of folders, which asks nothing."""
    path.write_bytes(sample.content)
    try:
        received = read_bar_file(path, KEY, BarDialect())
        typed, unreadable = type_bars(received, KEY)
    except TradewindError:
        return "refused"
    checked, rejected = check_bars(typed, KEY, NOW)
    assert len(received) == len(checked) + len(rejected) + len(unreadable)
    require_contract(checked)
    if path.suffix == ".csv":
        assert len(received) == sum(len(line) > 0 for line in lines_of(sample.content)[1:]), (
            "rows were swallowed or made up"
        )
    if sample.bad_row is not None:
        assert sample.bad_row in {*unreadable["source_row"], *rejected["source_row"]}
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


def test_ten_thousand_damaged_files_give_typed_errors_or_sound_rows_within_the_memory(tmp_path: Path) -> None:
    outcomes, growth = in_a_child(lambda: run_all(tmp_path, range(N_FILES), seed=1))
    assert sum(outcomes.values()) == N_FILES
    assert growth < LARGEST_GROWTH, f"{growth >> 20} MB"
    assert min(outcomes.get(kind, 0) for kind in ("refused", "imported")) > N_FILES // 10, outcomes


@pytest.mark.parametrize(
    "sample", [sample for group in all_samples().values() for sample in group], ids=lambda s: s.name
)
def test_the_files_before_they_are_damaged_are_whole(sample: Sample, tmp_path: Path) -> None:
    found = None

    def reader(path: Path) -> Understanding:
        nonlocal found
        found = import_one(path)
        return found

    assert examine(sample, tmp_path / sample.name, reader) == "imported"
    assert found is not None and found.accepted == found.rows == ROWS


def swallowing(path: Path) -> Understanding:
    """A planted fault: what is refused is left out, and nobody hears of it."""
    found = import_one(path)
    return replace(found, rows=found.accepted, refused=Refused(np.empty(0, np.int64), np.empty(0, object), []))


def filling(path: Path) -> Understanding:
    """A planted fault: what is no number becomes the number above it."""
    found = import_one(path)
    for part in found.bars:
        part.rows = part.rows.reindex(range(len(part.rows) + len(found.refused.reason))).ffill()
        part.source_row = np.arange(len(part.rows))
    return replace(found, accepted=found.rows, refused=Refused(np.empty(0, np.int64), np.empty(0, object), []))


@pytest.mark.parametrize(("fault", "words"), [(swallowing, "swallowed"), (filling, "is bad, and was accepted")])
def test_a_reader_that_hides_a_bad_row_is_caught(
    fault: Callable[[Path], Understanding], words: str, tmp_path: Path
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
