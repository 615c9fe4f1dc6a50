"""Small whole files of every kind, and the ways in which they are damaged."""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.dialect import ImportSettings

ROWS = 10
HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01
KEY = BarKey(venue="v", symbol="S", timeframe="1h")
SETTINGS = ImportSettings(venue="v", symbol="S", timezone="UTC", volume_unit="base")
LONG = ImportSettings(timezone="UTC", volume_unit="base")

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
