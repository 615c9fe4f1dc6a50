import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import type_bars
from tradewind.data.files.dialect import BarDialect
from tradewind.data.sources.files import discover, read_bar_file
from tradewind.errors import BadData, BadParameters

KEY = BarKey(venue="v", symbol="S", timeframe="1h")
HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01
OPENED = [START + hour * HOUR for hour in range(3)]
PLAIN = BarDialect()


def csv(times: list[Any], header: str = "time,open,high,low,close,volume") -> str:
    rows = [f"{time},{10 + i}.5,{11 + i},{9 + i},{10 + i},{i}" for i, time in enumerate(times)]
    return "\n".join([header, *rows]) + "\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def _write(content: str | bytes, name: str = "S-1h.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def read(path: Path, **dialect: Any) -> pd.DataFrame:
    return read_bar_file(path, KEY, BarDialect(**dialect))


def columnar(names: dict[str, str] | None = None) -> pa.Table:
    return pa.table(
        {
            "timestamp": pa.array(OPENED, pa.timestamp("ms", "UTC")),
            "open": [10.5, 11.5, 12.5],
            "high": [11.0, 12.0, 13.0],
            "low": [9.0, 10.0, 11.0],
            "close": [10.0, 11.0, 12.0],
            "volume": [0.0, 1.0, 2.0],
        }
    ).rename_columns(names or {})


def same_rows(frame: pd.DataFrame) -> bool:
    typed, untyped = type_bars(frame, KEY)
    expected, _ = type_bars(columnar().to_pandas().rename(columns={"timestamp": "open_time"}), KEY)
    return untyped.empty and typed.equals(expected)


@pytest.mark.parametrize("factor", [0.001, 1, 1_000, 1_000_000])
def test_the_epoch_unit_is_recognised(write: Any, factor: float) -> None:
    frame = read(write(csv([int(opened * factor) for opened in OPENED])))
    assert frame["open_time"].tolist() == OPENED
    assert same_rows(frame)


@pytest.mark.parametrize(
    ("times", "dialect"),
    [
        (["2024-01-01", "2024-01-01T01:00:00Z", "2024-01-01T02:00:00+00:00"], {"time_format": None}),
        (["2024-01-01 00:00", "2024-01-01 01:00:00", "2024-01-01T02:00:00.000"], {}),
        (["2024-01-01T00:00Z", "2024-01-01T03:00+02:00", "2023-12-31T21:00-05:00"], {}),
        (["2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 03:00"], {"timezone": "Europe/Berlin"}),
        (["01.01.2024 00:00", "01.01.2024 01:00", "01.01.2024 02:00"], {"time_format": "%d.%m.%Y %H:%M"}),
        (["2024-01-01 12-AM", "2024-01-01 01-AM", "2024-01-01 02-AM"], {"time_format": "%Y-%m-%d %I-%p"}),
        ([opened + HOUR for opened in OPENED], {"time_is": "close"}),
        ([opened + HOUR - 1 for opened in OPENED], {"time_is": "close"}),
    ],
)
def test_times_are_read_in_their_format_and_zone(write: Any, times: list[Any], dialect: dict[str, Any]) -> None:
    path = write(csv(times))
    if times[0] == "2024-01-01":
        with pytest.raises(BadData, match="some times have a zone, others none"):
            read(path, **dialect)
        return
    assert same_rows(read(path, **dialect))


@pytest.mark.parametrize(
    ("header", "dialect"),
    [
        ("Open Time,Open,High,Low,Close,Volume", {}),
        ('"date","o","h","l","c","v"', {}),
        ("unix,OPEN,HIGH,LOW,CLOSE,base volume", {}),
        ("when,first,top,bottom,last,size", {"columns": {
            "open_time": "when", "open": "first", "high": "top", "low": "bottom", "close": "last", "volume": "size"}}),
    ],
)  # fmt: skip
def test_columns_are_recognised_or_configured(write: Any, header: str, dialect: dict[str, Any]) -> None:
    assert same_rows(read(write(csv(OPENED, header)), **dialect))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_recognised(write: Any, delimiter: str) -> None:
    assert same_rows(read(write(csv(OPENED).replace(",", delimiter))))


def test_lines_before_the_header_and_files_without_one_are_configured(write: Any) -> None:
    assert same_rows(read(write("https://example.com\n" + csv(OPENED)), skip_lines=1))
    headless = csv(OPENED).split("\n", 1)[1]
    assert same_rows(read(write(headless), column_names=("open_time", "open", "high", "low", "close", "volume")))


def test_byte_order_mark_windows_lines_and_compression_are_no_obstacle(write: Any) -> None:
    assert same_rows(read(write(b"\xef\xbb\xbf" + csv(OPENED).replace("\n", "\r\n").encode())))
    assert same_rows(read(write(gzip.compress(csv(OPENED).encode()), "S-1h.csv.gz")))


def test_parquet_and_feather_give_the_same_rows(tmp_path: Path) -> None:
    pq.write_table(columnar(), tmp_path / "S-1h.parquet")
    pyarrow.feather.write_feather(columnar(), str(tmp_path / "S-1h.feather"))
    assert same_rows(read(tmp_path / "S-1h.parquet"))
    assert same_rows(read(tmp_path / "S-1h.feather"))


def test_parquet_saved_by_pandas_with_its_index_is_read(tmp_path: Path) -> None:
    columnar().to_pandas().set_index("timestamp").to_parquet(tmp_path / "named.parquet")
    columnar().to_pandas().set_index("timestamp").rename_axis(None).to_parquet(tmp_path / "unnamed.parquet")
    assert same_rows(read(tmp_path / "named.parquet"))
    assert same_rows(read(tmp_path / "unnamed.parquet"))


def test_decimals_are_numbers(tmp_path: Path) -> None:
    prices = pa.array([Decimal("10.5"), Decimal("11.5"), Decimal("12.5")])
    pq.write_table(columnar().set_column(1, "open", prices), tmp_path / "S-1h.parquet")
    assert same_rows(read(tmp_path / "S-1h.parquet"))


def test_optional_columns_come_along_and_others_are_left(tmp_path: Path) -> None:
    table = columnar().append_column("tradecount", pa.array([1, 2, 3])).append_column("note", pa.array(["a", "b", "c"]))
    pq.write_table(table, tmp_path / "S-1h.parquet")
    frame = read(tmp_path / "S-1h.parquet")
    assert list(frame) == ["open_time", "open", "high", "low", "close", "volume", "trades"]


def test_an_unreadable_time_keeps_its_text_for_quarantine(write: Any) -> None:
    frame = read(write(csv([OPENED[0], "06-AM", OPENED[2]])))
    assert frame["open_time"].tolist() == [OPENED[0], "06-AM", OPENED[2]]
    _, untyped = type_bars(frame, KEY)
    assert untyped[["source_row", "reason"]].to_numpy().tolist() == [[1, "open_time is not an instant"]]
    assert '"06-AM"' in untyped["content"][0]


def test_an_hour_that_the_clock_shows_twice_is_quarantined_not_guessed(write: Any) -> None:
    times = ["2023-10-29 01:00", "2023-10-29 02:00", "2023-10-29 03:00"]
    _, untyped = type_bars(read(write(csv(times)), timezone="Europe/Berlin"), KEY)
    assert untyped["source_row"].tolist() == [1]


def test_text_in_a_price_survives_for_quarantine(write: Any) -> None:
    text = csv(OPENED).replace("11.5", "eleven")
    _, untyped = type_bars(read(write(text)), KEY)
    assert untyped[["source_row", "reason"]].to_numpy().tolist() == [[1, "open is not a number"]]
    assert '"eleven"' in untyped["content"][0]


BAD_FILES: list[tuple[str | bytes, dict[str, Any], str]] = [
    (b"", {}, r"is empty \(0 bytes\): fetch it again"),
    ("\n", {}, "has 1 lines, none after"),
    ("time,open,high,low,close,volume\n", {}, "has a header but no rows"),
    (csv(OPENED, "time,open,high,low,close,size"), {}, "missing 'volume'; the file has the columns .*dialect.columns"),
    (csv(OPENED, "time,open,high,low,close,date"), {}, "'time', 'date' could each be open_time; choose one"),
    (csv(OPENED, "time,open,high,low,close,close"), {}, "could each be close"),
    (csv(OPENED), {"columns": {"volume": "Volume BTC"}}, r"names \['Volume BTC'\], which the file does not have"),
    (csv(OPENED).replace(",12\n", ",12,13\n").replace(",2\n", ",2,3\n"), {}, r"damaged .*Expected 6 columns, got 7"),
    (csv(OPENED)[:-8], {}, r"damaged .*Row #\d.*fetch it again or repair"),
    ("just text\nno table\n", {}, "the delimiter is not clear .*dialect.delimiter"),
    (b"time,open,high,low,close,volume\n\xff\xfe,1,1,1,1,1\n", {}, r"damaged or not a csv file \(.*UTF8"),
    (csv([OPENED[0], OPENED[1] // 1000, OPENED[2]]), {}, r"more than one epoch unit \(row 1 as s, row 0 as ms\)"),
    (csv([1, 2, 3]), {}, "no time is an epoch between 1990 and 2100.*row 0 holds 1"),
    (csv(OPENED), {"time_unit": "s"}, r"dialect.time_unit is s, but row 0 holds 1704067200000.*look like ms"),
    (csv(["01.01.2024", "02.01.2024", "03.01.2024"]), {}, "row 0 of column 'time' holds '01.01.2024'.*time_format"),
]


@pytest.mark.parametrize(("content", "dialect", "message"), BAD_FILES)
def test_a_bad_file_stops_and_names_itself_the_place_and_the_remedy(
    write: Any, content: str | bytes, dialect: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadData, match=f"(?s)S-1h.csv.*{message}"):
        read(write(content), **dialect)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_parquet_file_stops(tmp_path: Path, share: float) -> None:
    path = tmp_path / "S-1h.parquet"
    pq.write_table(columnar(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadData, match=r"S-1h.parquet is damaged or not a parquet file .*fetch it again"):
        read(path)


def test_a_truncated_gzip_file_stops(write: Any) -> None:
    whole = gzip.compress(csv(OPENED * 500).encode())
    with pytest.raises(BadData, match=r"S-1h.csv.gz is damaged"):
        read(write(whole[:-20], "S-1h.csv.gz"))


@contextmanager
def without_privileges() -> Iterator[None]:
    """As an ordinary user: the superuser may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", ["S-1h.csv", "S-1h.parquet"])
def test_a_file_that_may_not_be_read_stops(write: Any, name: str) -> None:
    path = write(csv(OPENED), name)
    path.chmod(0)
    with without_privileges(), pytest.raises(BadData, match=rf"{name} may not be read by this user: change its perm"):
        read(path)


def test_a_missing_file_stops(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"S-1h.csv does not exist"):
        read(tmp_path / "S-1h.csv")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(["S-1h.csv", "S-1h.csv.gz", "S-1h.parquet", "S-1h.feather"]))
def test_any_bytes_give_rows_or_a_typed_error(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadData):
        read(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 150), st.sampled_from([b",", b"\n", b'"', b"\x00", b"9", b"e", b"\xff", b"-", b""]))
def test_one_changed_byte_gives_typed_rows_or_a_typed_error(tmp_path: Path, at: int, byte: bytes) -> None:
    content = csv(OPENED).encode()
    path = tmp_path / "S-1h.csv"
    path.write_bytes(content[:at] + byte + content[at + 1 :])
    try:
        typed, untyped = type_bars(read(path), KEY)
    except BadData:
        return
    assert len(typed) + len(untyped) in (2, 3, 4)
    assert np.isfinite(typed[["open", "high", "low", "close", "volume"]].to_numpy()).all()


def test_files_are_found_by_their_names(write: Any, tmp_path: Path) -> None:
    for name in ("BTC-USD-1h.csv", "ETH-5m.parquet", "README.md", "notes.csv"):
        write("x", name)
    assert discover(tmp_path, "v") == {
        "v/BTC-USD/1h": tmp_path / "BTC-USD-1h.csv",
        "v/ETH/5m": tmp_path / "ETH-5m.parquet",
    }
    assert list(discover(tmp_path, "v", "{symbol}.{format}", timeframe="1d")) == [
        "v/BTC-USD-1h/1d", "v/ETH-5m/1d", "v/notes/1d",
    ]  # fmt: skip


def test_files_in_folders_are_found(tmp_path: Path) -> None:
    (tmp_path / "ETH").mkdir()
    (tmp_path / "ETH" / "1h.csv").write_text("x")
    assert list(discover(tmp_path, "v", "{symbol}/{timeframe}.csv")) == ["v/ETH/1h"]


def test_a_folder_that_cannot_be_used_says_why(write: Any, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="is not a folder: correct the path"):
        discover(tmp_path / "nowhere", "v")
    write("x", "notes.txt")
    with pytest.raises(BadData, match=r"no file is named .*the folder has \['notes.txt'\]"):
        discover(tmp_path, "v")
    write("x", "S-1h.csv")
    write("x", "S-1h.parquet")
    with pytest.raises(BadData, match="both hold v/S/1h: keep one"):
        discover(tmp_path, "v")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    with without_privileges(), pytest.raises(BadData, match="may not be read by this user"):
        discover(locked, "v")


@pytest.mark.parametrize("pattern", ["{symbol}.csv", "{symbol}-{symbol}-{timeframe}", "{coin}-{timeframe}", "all.csv"])
def test_a_pattern_must_say_symbol_and_timeframe(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(BadParameters, match="pattern must hold"):
        discover(tmp_path, "v", pattern)


def test_a_dialect_knows_its_settings() -> None:
    for wrong in ({"time_zone": "UTC"}, {"timezone": "Mars/Base"}, {"columns": {"price": "x"}}, {"delimiter": ",,"}):
        with pytest.raises(ValidationError):
            BarDialect(**wrong)


@pytest.mark.parametrize("times", [OPENED, ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00"]])
def test_reading_numbers_at_once_gives_what_reading_text_gives(write: Any, times: list[Any]) -> None:
    content = csv(times, "time,open,high,low,close,volume")
    at_once = read(write(content))
    assert at_once["open"].dtype == np.float64
    with_junk = read(write(content + f"{times[0]},junk,1,1,1,1\n"))
    assert not pd.api.types.is_numeric_dtype(with_junk["open"].dtype)
    typed, untyped = type_bars(with_junk, KEY)
    assert untyped["reason"].tolist() == ["open is not a number"]
    pd.testing.assert_frame_equal(typed, type_bars(at_once, KEY)[0])


@pytest.mark.parametrize("word", ["nan", "inf", "-Infinity", "1e999", "NaN", "null", "NA", ""])
def test_words_that_a_parser_takes_for_numbers_are_refused(write: Any, word: str) -> None:
    content = csv(OPENED).replace("11.5", word)
    typed, untyped = type_bars(read(write(content)), KEY)
    assert untyped["source_row"].tolist() == [1] and len(typed) == 2
    assert untyped["reason"][0] in ("open is not a number", "open is missing", "open is not finite")


def test_a_quotation_mark_that_swallows_lines_stops(write: Any) -> None:
    lines = csv([START + hour * HOUR for hour in range(6)]).splitlines()
    lines[2], lines[4] = lines[2][:-1] + '"1', lines[4] + '"'
    with pytest.raises(BadData, match="has 6 lines but 4 rows: a quotation mark is not closed on its line"):
        read(write("\n".join(lines)))


def test_decimals_are_the_nearest_numbers(tmp_path: Path) -> None:
    prices = pa.array([Decimal("101.85"), Decimal("0.1"), Decimal("12.3")])
    pq.write_table(columnar().set_column(1, "open", prices), tmp_path / "S-1h.parquet")
    assert read(tmp_path / "S-1h.parquet")["open"].tolist() == [101.85, 0.1, 12.3]


def test_a_bomb_is_refused_before_it_fills_the_memory(write: Any) -> None:
    with pytest.raises(BadData, match=r"grows from .* to .* bytes, over"):
        read(write(gzip.compress(b"0" * (100 << 20)), "S-1h.csv.gz"))


@pytest.mark.parametrize("zone", ["UT{", "Asia/Tokyo", "+02:00"])
def test_the_zone_in_which_a_file_shows_its_instants_does_not_matter(tmp_path: Path, zone: str) -> None:
    shown = pa.array(OPENED, pa.timestamp("ms", "UTC")).cast(pa.timestamp("ms", zone))
    pyarrow.feather.write_feather(columnar().set_column(0, "timestamp", shown), str(tmp_path / "S-1h.feather"))
    assert same_rows(read(tmp_path / "S-1h.feather"))
