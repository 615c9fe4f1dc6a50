"""Kind 13: files made to fill the memory are refused from their metadata, in every format and at every door."""

import contextlib
import gzip
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tradewind.data.file_import.importer import inspect_file
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.columnar import read_feather, read_parquet
from tradewind.data.files.dialect import BarDialect, ImportSettings
from tradewind.data.files.limits import SETTING, largest_bytes
from tradewind.data.side_data.cells import read_cells
from tradewind.data.sources.files import read_bar_file
from tradewind.datasets.stream_folder import StreamFolderDataset
from tradewind.errors import BadData, BadParameters

KEY = BarKey(venue="x", symbol="A", timeframe="1h")
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
ROWS = 30_000_000  # of 8 bytes in 6 columns: 1.4 GB


def _zeros(rows: int = ROWS) -> pa.Table:
    """Columns that share one piece of memory, so that making the bomb takes little."""
    one = pa.array(np.zeros(1 << 20))
    column = pa.chunked_array([one] * (rows >> 20))
    return pa.table(dict.fromkeys(COLUMNS, column))


def parquet_of_zeros(path: Path) -> None:
    pq.write_table(_zeros(), path, compression="zstd", row_group_size=1 << 20)


def parquet_of_one_long_text(path: Path) -> None:
    """Metadata that tell nothing: a dictionary of one text of a megabyte, 5,000 times."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5000, dtype=np.int32)), pa.array(["x" * (1 << 20)]))
    names = {name: pa.array(np.zeros(5000)) for name in COLUMNS}
    pq.write_table(pa.table({**names, "volume": text}), path)


def feather_of_zeros(path: Path) -> None:
    pyarrow.feather.write_feather(_zeros(), path, compression="zstd")


def feather_of_nulls(path: Path) -> None:
    """A column without any memory, of 10 billion rows."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pa.schema({"open": pa.null()})) as writer:
        for _ in range(10):
            writer.write_batch(pa.record_batch([pa.nulls(1_000_000_000)], names=["open"]))


def feather_of_one_long_text(path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5000, dtype=np.int32)), pa.array(["x" * (1 << 20)]))
    pyarrow.feather.write_feather(pa.table(dict.fromkeys(COLUMNS, text)), path, compression="zstd")


def gzip_of_zeros(path: Path) -> None:
    member = gzip.compress(b"0,0,0,0,0,0\n" * 5_600_000, 1)
    path.write_bytes(gzip.compress(b"unix,open,high,low,close,volume\n") + member * 21)


def gzip_that_lies(path: Path) -> None:
    """The trailer says a few bytes; a second, small member follows the bomb."""
    gzip_of_zeros(path)
    with path.open("ab") as file:
        file.write(gzip.compress(b"0,0,0,0,0,0\n"))


def zip_of_zeros(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("a.csv", "w") as to:
        for _ in range(200):
            to.write(bytes(1 << 20))


def workbook(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as to:
            for _ in range(200):
                to.write(b"<row/>" * 174_763)


def json_of_lists(path: Path) -> None:
    path.write_bytes(b"".join(gzip.compress(part, 1) for part in (b"[", b"[],[],[],[]," * 5_000_000, b"[]]")))


def plain_json_of_lists(path: Path) -> None:
    path.write_bytes(b"[" + b"[]," * 20_000_000 + b"[]]")


def file_of_holes(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"unix,open,high,low,close,volume\n")
        file.truncate(1_400 << 20)


def columns_without_end(path: Path) -> None:
    path.write_text(",".join(f"c{n}" for n in range(1_000_000)) + "\n" + "1," * 999_999 + "1\n")


BOMBS: dict[str, Callable[[Path], None]] = {
    "zeros.parquet": parquet_of_zeros, "text.parquet": parquet_of_one_long_text,
    "zeros.feather": feather_of_zeros, "nulls.feather": feather_of_nulls, "text.feather": feather_of_one_long_text,
    "zeros.csv.gz": gzip_of_zeros, "lies.csv.gz": gzip_that_lies, "a.zip": zip_of_zeros, "a.xlsx": workbook,
    "lists.json.gz": json_of_lists, "lists.json": plain_json_of_lists, "holes.csv": file_of_holes,
    "wide.csv": columns_without_end,
}  # fmt: skip
DOORS = """
import re, sys
from pathlib import Path
from tradewind.errors import BadData
from tests.kinds.test_kind_13_bombs import open_by
def peak():  # of this program; ru_maxrss begins with its parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10
for name, door in [one.split("@") for one in sys.argv[2:]]:
    try:
        open_by(door, Path(sys.argv[1]) / name)
    except BadData as error:
        print(f"{name} {door} refused {peak()} MB: {error}")
    else:
        raise SystemExit(f"{name} at {door} was not refused")
"""


def open_by(door: str, path: Path) -> None:
    """What each door does with a file."""
    if door == "import":
        inspect_file(path, ImportSettings(venue="x", symbol="A", timeframe="1h", volume_unit="base"))
    elif door == "trades":
        inspect_file(path, ImportSettings(kind="trades"))
    elif door == "folder":
        read_bar_file(path, KEY, BarDialect())
    elif door == "side":
        read_cells(path, {"time": ("open_time", "unix"), "value": ("close",)}, frozenset())
    else:
        target = path.parent / "streams/venue" / "S_20240101.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            os.link(path, target)
        StreamFolderDataset(path=str(path.parent / "streams")).load()["venue/S/20240101"]()


def doors_of(name: str) -> list[str]:
    if name.endswith(("zip", "xlsx", "json", "json.gz")):
        return ["import", "trades"]
    return ["import", "trades", "folder", "side"] + (["books"] if name == "zeros.parquet" else [])


def test_every_bomb_is_refused_at_every_door_below_half_a_gigabyte(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("peak memory is told in kB on Linux only")
    for name, make in BOMBS.items():
        make(tmp_path / name)
        (tmp_path / name).touch()
    pairs = [f"{name}@{door}" for name in BOMBS for door in doors_of(name)]
    found = subprocess.run(
        [sys.executable, "-c", DOORS, str(tmp_path), *pairs], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path.cwd())])},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    lines = found.stdout.splitlines()
    assert len(lines) == len(pairs)
    peak = int(lines[-1].split(" refused ")[1].split(" MB")[0])
    assert peak < 512, found.stdout


@pytest.mark.parametrize("compression", ["zstd", "lz4", "uncompressed"])
def test_honest_files_are_read_as_they_are(tmp_path: Path, compression: str) -> None:
    """The checks themselves change nothing: numbers, text, dictionaries, times, nulls, batches."""
    rng = np.random.default_rng(1)
    table = pa.table(
        {
            "a": rng.normal(size=1000), "b": pa.array([f"t{n % 7}" if n % 5 else None for n in range(1000)]),
            "c": pa.array([f"t{n % 3}" for n in range(1000)]).dictionary_encode(), "d": pa.nulls(1000),
            "e": pa.array(range(1000), pa.timestamp("ms", "UTC")), "f": pa.array([[n] * (n % 3) for n in range(1000)]),
        }
    )  # fmt: skip
    plain = table.set_column(2, "c", table["c"].cast(pa.string()))
    feather, parquet = tmp_path / "a.feather", tmp_path / "a.parquet"
    pyarrow.feather.write_feather(table, feather, compression=compression, chunksize=300)
    pq.write_table(table, parquet, row_group_size=300)
    for found in (
        read_feather(feather, "a"), read_feather(feather.read_bytes(), "a"),
        read_parquet(parquet, "a"), read_parquet(parquet.read_bytes(), "a"),
    ):  # fmt: skip
        assert found.to_pandas().equals(plain.to_pandas())
    assert read_feather(feather, "a", lambda names: names[:1]).column_names == ["a"]
    assert read_parquet(parquet, "a", lambda names: names[1:3]).column_names == ["b", "c"]


def test_a_feather_file_with_a_byte_changed_is_a_typed_error_or_read(tmp_path: Path) -> None:
    path = tmp_path / "a.feather"
    pyarrow.feather.write_feather(pa.table({"a": np.arange(100.0)}), path, compression="lz4")
    content, rng = path.read_bytes(), np.random.default_rng(2)
    for _ in range(300):
        changed = bytearray(content)
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
        with contextlib.suppress(BadData, pa.ArrowException, OSError):
            read_feather(bytes(changed), "a")


def test_the_limit_is_named_with_what_raises_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("unix,open,high,low,close,volume\n" + "1704067200,1,1,1,1,1\n" * 90_000)
    settings = ImportSettings(venue="x", symbol="A", timeframe="1h", volume_unit="base")
    monkeypatch.setenv(SETTING, "1")
    with pytest.raises(BadData, match=rf"holds 1,\d+,\d+ bytes unpacked, more than 1,048,576: .* raise {SETTING}"):
        inspect_file(path, settings)
    monkeypatch.setenv(SETTING, "64")
    assert inspect_file(path, settings).rows == 90_000
    monkeypatch.setenv(SETTING, "many")
    with pytest.raises(BadParameters, match=SETTING):
        largest_bytes()


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "link"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.csv"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    for door in ("import", "folder", "side"):
        with pytest.raises(BadData, match="must be a file|cannot be read"):
            open_by(door, path)


def test_an_archive_that_says_it_grows_beyond_belief_is_not_opened() -> None:
    from tradewind.data.files.deliveries import Span
    from tradewind.data.sources.archive_files import Archive, ArchiveFile, Shelf

    shelf = Shelf("spot", "klines", "A-1h", ("open_time",))
    file = ArchiveFile(shelf, Span(1_704_067_200_000, 1_706_745_600_000), is_month=True)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(f"{file.stem}.csv", bytes(80 << 20))
    with pytest.raises(BadData, match="over 100 times"):
        Archive(None, "", 4000)._unpack(file, content.getvalue())  # type: ignore[arg-type]
