"""What a file determines is told from it, with its evidence; what it does not is asked for."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.data.file_import.importer import ImportPlan, inspect_file
from tradewind.data.file_import.outcome import summarise, to_deliveries
from tradewind.data.files.dialect import ImportSettings
from tradewind.errors import BadData
from tradewind.market import schema

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01
WHO = {"venue": "v", "symbol": "S", "volume_unit": "base"}


def prices(rows: int = 48) -> dict[str, list[float]]:
    rng = np.random.default_rng(11)
    close = (100 + rng.normal(0, 1, rows).cumsum()).round(2)
    opened = np.r_[100.0, close[:-1]]
    return {
        "open": opened.tolist(),
        "high": (np.maximum(opened, close) + 0.5).round(2).tolist(),
        "low": (np.minimum(opened, close) - 0.5).round(2).tolist(),
        "close": close.tolist(),
    }


def table(times: list[Any], extra: dict[str, list[Any]] | None = None, mark: str = ",") -> str:
    columns = {"date": times, **prices(len(times)), **(extra or {"volume": [5.0] * len(times)})}
    rows = [mark.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return "\n".join([mark.join(columns), *rows]) + "\n"


def hours(count: int = 48, form: str | None = None, start: str = "2024-01-01") -> list[Any]:
    stamps = pd.date_range(start, periods=count, freq="1h")
    return [stamp.strftime(form) if form else int(stamp.value // 10**6) for stamp in stamps]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def _read(content: str | bytes, name: str = "file.csv", **said: Any) -> ImportPlan:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return inspect_file(path, ImportSettings(**{**WHO, **said}))

    return _read


def asked(found: ImportPlan) -> list[str]:
    return [need.setting.split("=")[0] for need in found.notes.missing_settings]


def said(found: ImportPlan, decision: str) -> tuple[str, str]:
    return next((f.value, f.evidence) for f in found.notes.findings if f.decision == decision)


def opened(found: ImportPlan) -> list[int]:
    return found.bars[0].rows["open_time"].tolist()


def test_bars_keep_their_contract_from_file_to_delivery(read: Any) -> None:
    found = read(table(hours()))
    bars = summarise(found, found.bars[0], NOW).bars
    schema.Bars.validate(bars.assign(segment=np.zeros(len(bars), dtype=np.int32)))
    delivery = to_deliveries(found, NOW)[0]
    schema.Quarantine.validate(delivery.rejected)
    assert delivery.source == "file.file.csv" and len(delivery.rows) == delivery.rows_received == 48


@pytest.mark.parametrize(
    ("form", "said_order", "words"),
    [
        ("%d.%m.%Y %H:%M", "day first", "not month first: row 288 has the fields 13, 1, 2024"),
        ("%m/%d/%Y %H:%M", "month first", "not day first: row 288 has the fields 1, 13, 2024"),
        ("%Y-%m-%d %I-%p", "year first", "four digits"),
        ("%d-%m-%Y %I:%M %p", "day first", "not month first"),
    ],
)
def test_the_order_of_a_date_is_told_from_a_field_beyond_twelve(
    read: Any, form: str, said_order: str, words: str
) -> None:
    found = read(table(hours(400, form)), timezone="UTC")
    order, evidence = said(found, "date order of date")
    assert order == said_order and words in evidence
    assert opened(found) == hours(400)


def test_the_order_of_a_date_is_told_from_even_steps(read: Any) -> None:
    found = read(table(hours(200, "%d/%m/%Y %H:%M", "2024-02-01")), timezone="UTC")
    assert said(found, "date order of date")[0] == "day first"
    assert "largest step between rows is then 0.0 days" in said(found, "date order of date")[1]
    assert opened(found) == hours(200, start="2024-02-01")


def test_the_order_of_a_date_that_nothing_tells_is_asked_for(read: Any) -> None:
    text = table(hours(20, "%d/%m/%Y %H:%M", "2024-02-01"))
    assert asked(read(text, timezone="UTC")) == ["date_order"]
    assert opened(read(text, timezone="UTC", date_order="dmy")) == hours(20, start="2024-02-01")
    assert opened(read(text, timezone="UTC", date_order="mdy")) == hours(20, start="2024-01-02")


def test_a_redundant_epoch_tells_the_order_and_the_zone(read: Any) -> None:
    times = hours(20, "%d/%m/%y %H:%M", "2024-02-01")
    found = read(table(times, {"volume": [1.0] * 20, "unix": [at // 1000 for at in hours(20, start="2024-02-01")]}))
    assert "agrees with the epochs" in said(found, "date order of date")[1]
    assert said(found, "time zone") == ("UTC", "date equals the epoch unix in all 20 rows")


@pytest.mark.parametrize("factor", [1e-3, 1, 1e3, 1e6])
def test_the_unit_of_epochs_is_told_by_their_size(read: Any, factor: float) -> None:
    found = read(table([int(at * factor) for at in hours()]))
    assert opened(found) == hours()


def test_epochs_of_four_units_in_one_file_are_read_one_by_one(read: Any) -> None:
    found = read(table([int(at * (1e-3, 1, 1e3, 1e6)[row % 4]) for row, at in enumerate(hours())]))
    assert opened(found) == hours()
    assert said(found, "unit of date")[0] == "s and ms and us and ns"


def test_rows_whose_epoch_and_text_disagree_are_refused(read: Any) -> None:
    times = hours(48, "%Y-%m-%d %H:%M:%S")
    times[5] = "2024-01-02 17:00:00"
    found = read(table(times, {"volume": [1.0] * 48, "unix": hours()}))
    assert found.rejected.counts() == {"unix and date disagree": 1}
    assert found.rejected.source_row.tolist() == [5]


def test_a_zone_is_asked_for_given_or_stated(read: Any) -> None:
    text = table(hours(48, "%Y-%m-%d %H:%M:%S"))
    assert asked(read(text)) == ["timezone"]
    assert opened(read(text, timezone="Asia/Tokyo")) == [at - 9 * HOUR_MS for at in hours()]
    stated = read("All times are UTC\n" + text)
    assert opened(stated) == hours() and "says 'All times are UTC'" in said(stated, "time zone")[1]
    assert opened(read(table([f"{at}+02:00" for at in hours(48, "%Y-%m-%dT%H:%M:%S")]))) == [
        at - 2 * HOUR_MS for at in hours()
    ]


def test_an_hour_that_the_clock_shows_twice_is_decided_by_its_twin_or_refused(read: Any) -> None:
    utc = pd.date_range("2023-10-28 12:00", periods=30, freq="1h", tz="UTC")
    local = [stamp.strftime("%Y-%m-%d %H:%M") for stamp in utc.tz_convert("Europe/London")]
    both = read(table(local), timezone="Europe/London")
    assert opened(both) == [int(stamp.value // 10**6) for stamp in utc]
    assert "2 by their order" in said(both, "times that the clock shows twice")[1]
    backwards = read(table(local[::-1]), timezone="Europe/London")
    assert opened(backwards) == [int(stamp.value // 10**6) for stamp in utc[::-1]]
    lonely = read(table([at for row, at in enumerate(local) if row != 12]), timezone="Europe/London")
    assert len(opened(lonely)) == 28
    assert list(lonely.rejected.counts()) == [
        "the clock shows this time twice, and nothing tells which of the two it is"
    ]


def test_a_time_that_no_clock_shows_is_refused(read: Any) -> None:
    times = hours(48, "%Y-%m-%d %H:%M", "2024-03-31")
    found = read(table(times), timezone="Europe/London")
    assert found.rejected.counts() == {"date is a time that no clock in Europe/London shows": 1}


def test_the_unit_of_a_lonely_volume_is_asked_for(read: Any) -> None:
    text = table(hours())
    assert asked(read(text, volume_unit=None)) == ["volume_unit"]
    money = read(text, volume_unit="quote")
    assert np.allclose(money.bars[0].rows["quote_volume"], 5.0)
    mean = money.bars[0].rows["quote_volume"] / money.bars[0].rows["volume"]
    assert (mean <= money.bars[0].rows["high"]).all() and (mean >= money.bars[0].rows["low"]).all()
    assert asked(read(table(hours(), {"note": ["a"] * 48}))) == ["volume_unit"]
    assert (read(table(hours(), {"note": ["a"] * 48}), volume_unit="none").bars[0].rows["volume"] == 0).all()


@pytest.mark.parametrize(
    ("column", "pair", "money"),
    [("Volume BTC", "BTC/USDT", False), ("Volume USDT", "BTC/USDT", True), ("Volume USDT", "USDT/TRY", False),
     ("quote_volume", "BTC/USDT", True), ("Volume DOGE", "BTC/USDT", None)],
)  # fmt: skip
def test_a_lonely_volume_called_after_an_asset_says_what_it_counts(
    read: Any, column: str, pair: str, money: bool | None
) -> None:
    found = read(table(hours(), {column: [5.0] * 48, "symbol": [pair] * 48}), volume_unit=None, symbol=None)
    assert asked(found) == (["volume_unit"] if money is None else [])
    if money is not None:
        assert ("quote_volume" in found.bars[0].rows) == money


def test_two_volumes_of_a_price_near_one_prove_nothing(read: Any) -> None:
    rows = "\n".join(f"{at},1.0,1.001,0.999,1.0,{1000 + n},{1000 + n}.2" for n, at in enumerate(hours()))
    found = read(f"date,open,high,low,close,Volume A,Volume B\n{rows}", volume_unit=None)
    assert asked(found) == ["columns.volume"]


def test_rows_that_name_no_symbol_are_refused(read: Any) -> None:
    text = table(hours(), {"volume": [5.0] * 48, "symbol": ["A/B"] * 40 + [""] * 4 + ["?" * 40] * 4})
    found = read(text, symbol=None)
    assert found.rejected.counts() == {"the row names no usable venue and symbol": 8}
    assert [str(bars.key) for bars in found.bars] == ["v/A-B/1h"] and found.accepted == 40


def test_instants_beyond_all_calendars_are_refused_with_their_row(tmp_path: Path) -> None:
    at = [*hours(47), 2**62]
    pq.write_table(
        pa.table({"timestamp": pa.array(at, pa.timestamp("us", "UTC")), **prices(), "volume": [1.0] * 48}),
        tmp_path / "file.parquet",
    )
    with pytest.raises(
        BadData, match="no time lies between 1990 and 2100, the first is 1970-01-20"
    ):  # milliseconds that are called microseconds
        inspect_file(tmp_path / "file.parquet", ImportSettings(**WHO))
    at = [*(one * 1000 for one in hours(47)), 2**62]
    pq.write_table(
        pa.table({"timestamp": pa.array(at, pa.timestamp("us", "UTC")), **prices(), "volume": [1.0] * 48}),
        tmp_path / "file.parquet",
    )
    found = inspect_file(tmp_path / "file.parquet", ImportSettings(**WHO))
    assert found.rejected.counts() == {"the time is not between 1990 and 2100": 1}


def test_two_volumes_prove_which_is_which_and_contradictions_are_refused(read: Any) -> None:
    base = np.linspace(2, 9, 48).round(4)
    money = (base * np.array(prices()["close"])).round(2)
    money[7] = base[7]
    found = read(table(hours(), {"Volume B": money.tolist(), "Volume A": base.tolist()}), volume_unit=None)
    assert found.rejected.counts() == {"the volumes agree with the prices in neither order": 1}
    assert said(found, "volume")[0] == "Volume A"
    neither = read(table(hours(), {"Volume B": [1.0] * 48, "Volume A": [3.0] * 48}), volume_unit=None)
    assert asked(neither) == ["columns.volume"]


def test_an_open_that_agrees_with_nothing_is_refused_but_a_crash_is_not(read: Any) -> None:
    columns = prices()
    columns["open"][0] = columns["high"][0] = 390.0
    columns["close"][20] = columns["low"][20] = 31.0
    columns["open"][21], columns["low"][21] = 31.0, 31.0
    base = [4.0] * 48
    money = [4.0 * (low + close) / 2 for low, close in zip(columns["low"], columns["close"], strict=True)]
    names = {"date": hours(), **columns, "volume": base, "quote_volume": money}
    text = "\n".join([",".join(names), *(",".join(map(str, row)) for row in zip(*names.values(), strict=True))])
    found = read(text)
    assert found.rejected.source_row.tolist() == [0]
    assert "the open agrees with nothing" in found.rejected.reason[0]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2), (3, 0, 1, 2)])
def test_columns_without_names_are_told_by_their_numbers(read: Any, order: tuple[int, ...]) -> None:
    columns = list(prices().values())
    rows = [[at, *cells, 5.0] for at, *cells in zip(hours(), *(columns[index] for index in order), strict=True)]
    found = read(json.dumps(rows), "file.json")
    for name, values in prices().items():
        assert found.bars[0].rows[name].tolist() == values
    headless = "\n".join(",".join(map(str, row)) for row in rows)
    assert read(headless).bars[0].rows.equals(found.bars[0].rows)


def test_columns_that_their_numbers_do_not_tell_are_asked_for(read: Any) -> None:
    rows = [[at, 1.0, 1.0, 1.0, 1.0, 5.0] for at in hours()]
    assert asked(read(json.dumps(rows), "file.json")) == ["column_names"]
    names = ("open_time", "open", "high", "low", "close", "volume")
    assert len(opened(read(json.dumps(rows), "file.json", column_names=names))) == 48


def test_lines_that_are_no_rows_are_refused_with_their_text(read: Any) -> None:
    lines = table(hours()).splitlines()
    lines[10] += ",surplus"
    lines[20] = "half a line"
    found = read("\n".join(lines))
    assert found.rejected.counts() == {"the line has more or fewer cells than the others": 2}
    assert found.rejected.source_row.tolist() == [9, 19]
    assert "half a line" in found.rejected.content[1]
    assert found.bars[0].source_row.tolist() == [row for row in range(48) if row not in (9, 19)]


def test_a_quotation_mark_that_swallows_lines_stops(read: Any) -> None:
    lines = table(hours(), {"volume": [1.0] * 48, "note": ["a"] * 48}).splitlines()
    lines[10] = lines[10].replace(",a", ',"a')
    lines[12] = lines[12].replace(",a", ',a"')
    with pytest.raises(BadData, match="a quotation mark is not closed on its line|damaged"):
        read("\n".join(lines))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_tells_the_encoding(read: Any, encoding: str) -> None:
    assert opened(read(table(hours()).encode(encoding))) == hours()


def test_an_encoding_that_nothing_tells_is_asked_for(read: Any) -> None:
    text = table(hours())
    with pytest.raises(BadData, match="NUL bytes.*encoding"):
        read(text.encode("utf-16-le"))
    assert opened(read(text.encode("utf-16-le"), encoding="utf-16-le")) == hours()
    with pytest.raises(BadData, match="no UTF-8 text.*latin-1"):
        read(text.replace("date", "d\xe4te").encode("latin-1"))


def test_gzip_is_unpacked_member_by_member_and_must_be_whole(read: Any) -> None:
    text = table(hours()).encode()
    assert opened(read(gzip.compress(text[:400]) + gzip.compress(text[400:]), "file.csv.gz")) == hours()
    with pytest.raises(BadData, match="damaged"):
        read(gzip.compress(text)[:-9], "file.csv.gz")


def test_text_decimals_and_dictionaries_in_parquet_are_read(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"timestamp": pa.array(hours(), pa.timestamp("ms", "UTC")), **prices()}
    columns["volume"] = pa.array([str(volume) for volume in range(1, 49)]).dictionary_encode()
    columns["open"] = pa.array(columns["open"]).cast(pa.decimal128(20, 2))
    pq.write_table(pa.table(columns), tmp_path / "file.parquet")
    found = inspect_file(tmp_path / "file.parquet", ImportSettings(**WHO))
    assert opened(found) == hours() and found.bars[0].rows["open"].tolist() == prices()["open"]


def test_what_is_said_must_agree_with_the_file(read: Any) -> None:
    with pytest.raises(BadData, match="said to be 5m, but bars step by 3600 s"):
        read(table(hours()), timeframe="5m")
    with pytest.raises(BadData, match="are not those of trades"):
        read(table(hours()), kind="trades")
    with pytest.raises(BadData, match="could each be open: choose one"):
        read(table(hours()).replace("date,open,high", "date,open,o"))


def test_the_account_of_open_questions_names_all_of_them(read: Any) -> None:
    found = read(table(hours(48, "%Y-%m-%d %H:%M")), venue=None, symbol=None, volume_unit=None)
    with pytest.raises(
        BadData, match="(?s)timezone=ZONE .*volume_unit=UNIT .*base, or quote.*venue=NAME .*symbol=NAME"
    ):
        found.require_complete()
