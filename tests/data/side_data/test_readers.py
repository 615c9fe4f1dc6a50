import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.collection import collect_side_series, read_series
from tradewind.data.side_data.delivery import SideDelivery
from tradewind.data.side_data.files import SeriesFiles
from tradewind.data.side_data.tables import schema_of
from tradewind.errors import BadData, BadParameters
from tradewind.market import schema

NOW = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


def read(folder: Path, name: str, *, symbols: tuple[str, ...] = ("A",), now: int = NOW, **files: Any) -> SideDelivery:
    (delivery,) = read_series(name, SeriesFiles(**files), folder, now, symbols)
    schema.SideVintages.validate(delivery.vintages)
    assert delivery.rows_received == delivery.rows_accepted + len(delivery.rejected)
    return delivery


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return name


def parquet(folder: Path, name: str, **columns: Any) -> str:
    table = pd.DataFrame(columns)
    if "timestamp" in table:
        table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601").dt.as_unit("ms")
    table.to_parquet(folder / name)
    return name


def known(delivery: SideDelivery) -> list[str]:
    return delivery.vintages["known_at"].dt.strftime("%Y-%m-%d %H:%M").tolist()


HOURS = ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00"]


def test_settlements_are_usable_after_they_took_place(tmp_path: Path) -> None:
    name = parquet(tmp_path, "A.parquet", timestamp=HOURS, funding_rate=[1e-4, -2e-4, 3e-4])
    delivery = read(tmp_path, "funding", files="{symbol}.parquet")
    assert delivery.vintages["value"].tolist() == [1e-4, -2e-4, 3e-4]
    assert ((delivery.vintages["known_at"] - delivery.vintages["reference_at"]) == pd.Timedelta(milliseconds=1)).all()
    assert delivery.key.file == name


def test_open_interest_is_read_from_a_venues_csv(tmp_path: Path) -> None:
    text = "symbol,sumOpenInterest,timestamp\nA,100.5,1704067200000\nA,101.5,1704070800000\n"
    written(tmp_path, "A.csv", text)
    delivery = read(tmp_path, "open_interest", files="{symbol}.csv")
    assert known(delivery) == ["2024-01-01 00:05", "2024-01-01 01:05"]
    assert delivery.vintages["value"].tolist() == [100.5, 101.5]


FAULTS = [
    ("", "1", "time is missing"),
    ("soon", "1", "time is not an instant"),
    ("1815-06-18", "1", "time is not between 1900 and 2100"),
    ("2024-02-02", ".", "value is missing"),
    ("2024-02-02", "", "value is missing"),
    ("2024-02-02", "n/a", "value is not a number"),
    ("2024-02-02", "1e999", "value is not finite"),
    ("2024-02-02", "101", "value lies outside 0 to 100 index, 0 to 100"),
    ("2024-02-02", "7,5", "the line has 3 cells, the header 2"),
    ("2024-01-01", "30", "duplicate of another row"),
    ("2024-01-01", "31", "superseded by a later row for the same time"),
]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_every_bad_row_is_refused_with_its_reason_and_its_place(tmp_path: Path, suffix: str) -> None:
    good = [("2024-01-01", "30"), ("2024-01-02", "40"), *((f"2023-{m:02d}-01", "5") for m in range(1, 13))]
    lines = ["Date,value", *(",".join(row[:2]) for row in [*FAULTS, *good])]
    written(tmp_path, f"index.{suffix}", "\ufeff" + "\n".join(lines) + "\n")
    delivery = read(tmp_path, "fear_greed", files=f"index.{suffix}")
    assert delivery.rejected["reason"].tolist() == [fault[2] for fault in FAULTS]
    assert delivery.rejected["source_row"].tolist() == list(range(len(FAULTS)))
    assert json.loads(delivery.rejected["content"][5])["value"] == "n/a"
    assert (delivery.rows_received, delivery.rows_accepted) == (len(FAULTS) + len(good), len(good))


def test_the_last_of_two_rows_for_one_period_is_kept(tmp_path: Path) -> None:
    written(tmp_path, "f.csv", "date,value\n2024-01-01,10\n2024-01-02,20\n2024-01-01,11\n")
    delivery = read(tmp_path, "fear_greed", files="f.csv")
    assert delivery.vintages["value"].tolist() == [11.0, 20.0]


FRED = """timestamp,series,value,assumed_available_at
2024-01-01,UNRATE,3.7,2024-02-11
2024-01-01,PAYEMS,157000,2024-02-11
2024-01-01,UNRATE,3.8,2024-03-20
2024-02-01,UNRATE,3.9,2024-03-13
2024-03-01,UNRATE,.,2024-04-10
2024-04-01,UNRATE,3.5,2024-03-01
"""


def test_fred_is_joined_on_publication_and_revisions_are_kept(tmp_path: Path) -> None:
    written(tmp_path, "fred.csv", FRED)
    delivery = read(tmp_path, "unemployment", files="fred.csv")
    assert delivery.vintages["value"].tolist() == [3.7, 3.8, 3.9]
    assert known(delivery) == ["2024-02-11 00:00", "2024-03-20 00:00", "2024-03-13 00:00"]
    assert delivery.rejected["reason"].tolist() == ["value is missing", "published before the period it is of"]
    assert delivery.rejected["source_row"].tolist() == [4, 5]  # rows of the file, not of the series


def test_freds_vintages_are_known_when_their_day_is_over(tmp_path: Path) -> None:
    written(tmp_path, "v.csv", "date,realtime_start,value\n2024-01-01,2024-02-02,3.7\n2024-01-01,2024-03-08,3.8\n")
    assert known(read(tmp_path, "unemployment", files="v.csv")) == ["2024-02-03 00:00", "2024-03-09 00:00"]


def test_freds_plain_files_fall_back_on_the_rule(tmp_path: Path) -> None:
    written(tmp_path, "DGS10.csv", "observation_date,DGS10\n2024-01-02,3.95\n2024-01-03,.\n2024-01-04,3.99\n")
    delivery = read(tmp_path, "treasury_10y", files="DGS10.csv", delay_hours=12)
    assert known(delivery) == ["2024-01-07 12:00", "2024-01-09 12:00"]
    assert delivery.rejected["reason"].tolist() == ["value is missing"]


def test_a_basis_is_known_at_the_close_of_its_bar_and_holes_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path, "perp.parquet", timestamp=[*HOURS, "2024-01-01 03:00"], close=[101.0, 100.0, 0.0, 100.0])
    parquet(tmp_path, "spot.parquet", timestamp=[HOURS[0], HOURS[2], "2024-01-01 03:00"], close=[100.0, 100.0, 99.0])
    delivery = read(tmp_path, "basis", files="perp.parquet", against="spot.parquet", of="A")
    np.testing.assert_allclose(delivery.vintages["value"], [0.01, 100 / 99 - 1])
    assert known(delivery) == ["2024-01-01 01:00", "2024-01-01 04:00"]
    assert delivery.rejected["reason"].tolist() == ["spot.parquet has no value for this time", "value is not positive"]
    assert set(delivery.vintages["symbol"]) == {""}  # `of` makes it the market's


def test_a_venues_mark_is_known_when_its_bar_closes(tmp_path: Path) -> None:
    parquet(tmp_path, "A.parquet", timestamp=HOURS, close=[100.0, 101.0, 102.0])
    now = int(pd.Timestamp("2024-01-01 02:30", tz="UTC").timestamp() * 1000)
    delivery = read(tmp_path, "mark_price", files="{symbol}.parquet", now=now)
    assert known(delivery) == ["2024-01-01 01:00", "2024-01-01 02:00"]
    assert delivery.vintages["value"].tolist() == [100.0, 101.0]
    assert delivery.rejected["reason"].tolist() == ["the bar has not closed yet"]


def test_a_bar_that_is_still_open_has_no_basis(tmp_path: Path) -> None:
    for name in ("perp", "spot"):
        parquet(tmp_path, f"{name}.parquet", timestamp=HOURS, close=[100.0, 100.0, 100.0])
    now = int(pd.Timestamp("2024-01-01 02:59", tz="UTC").timestamp() * 1000)
    delivery = read(tmp_path, "basis", files="perp.parquet", against="spot.parquet", of="A", now=now)
    assert delivery.rejected["reason"].tolist() == ["the bar has not closed yet"]


def test_a_spread_is_against_the_mean_of_the_others_within_their_common_span(tmp_path: Path) -> None:
    parquet(tmp_path, "a.parquet", timestamp=["2023-12-31", *HOURS], funding_rate=[9e-4, 4e-4, 5e-4, 6e-4])
    parquet(tmp_path, "b.parquet", timestamp=HOURS, funding_rate=[1e-4, 1e-4, 1e-4])
    parquet(tmp_path, "c.parquet", timestamp=[HOURS[0], HOURS[2]], funding_rate=[3e-4, 3e-4])
    delivery = read(tmp_path, "funding_spread", files="a.parquet", against=("b.parquet", "c.parquet"), of="A")
    np.testing.assert_allclose(delivery.vintages["value"], [2e-4, 4e-4])
    assert delivery.rejected["reason"].tolist() == ["c.parquet has no value for this time"]
    assert delivery.rejected["source_row"].tolist() == [2]
    assert delivery.rows_received == 3


def test_a_pattern_names_a_symbol_or_what_it_is_priced_in(tmp_path: Path) -> None:
    for name in ("BTCUSDT", "BTC-USD"):
        parquet(tmp_path, f"{name}.parquet", timestamp=HOURS, close=[1.0, 1.0, 1.0])
    delivery = read(
        tmp_path, "price_spread", files="{symbol}.parquet", against="{base}-USD.parquet", symbols=("BTCUSDT",)
    )
    assert delivery.vintages["value"].tolist() == [0.0, 0.0, 0.0]
    assert set(delivery.vintages["symbol"]) == {"BTCUSDT"}


def test_times_in_a_format_of_their_own_are_asked_for(tmp_path: Path) -> None:
    written(tmp_path, "d.csv", "day.,VIX\n01/31/2024,14\n02/29/2024,13\n")
    columns = {"time": "day.", "value": "VIX"}
    with pytest.raises(BadData, match=r"row 0 holds '01/31/2024'.*time_format"):
        read(tmp_path, "vix", files="d.csv", columns=columns)
    delivery = read(tmp_path, "vix", files="d.csv", columns=columns, time_format="%m/%d/%Y")
    assert delivery.vintages["value"].tolist() == [14.0, 13.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"time,price\n2024-01-01,1\n", r"needs a column value \(value\); it has \['time', 'price'"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"date,value\n20240101,1\n20240102,2\n", "most times are no epoch"),
    ],
)
def test_a_file_that_is_none_stops_with_what_to_do(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(BadData, match=message):
        read(tmp_path, "fear_greed", files="x.csv")


@pytest.mark.parametrize("name", ["x.parquet", "x.feather", "x.csv.gz"])
def test_a_torn_file_is_bad_data(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PAR1 torn")
    with pytest.raises(BadData, match=f"{name} cannot be read"):
        read(tmp_path, "fear_greed", files=name)


def test_a_symbol_without_its_file_stops_and_says_how_to_go_on(tmp_path: Path) -> None:
    parquet(tmp_path, "A.parquet", timestamp=HOURS, funding_rate=[0.0, 0.0, 0.0])
    with pytest.raises(BadData, match=r"side series funding of B: .*B.parquet.*is not there.*set `of`"):
        read_series("funding", SeriesFiles(files="{symbol}.parquet"), tmp_path, NOW, ("A", "B"))


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("basis", {"files": "{symbol}.parquet"}, "against"),
        ("funding", {"files": "a.parquet"}, "is of a symbol"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    tmp_path: Path, name: str, files: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadParameters, match=message):
        read_series(name, SeriesFiles(**files), tmp_path, NOW, ("A",))


@pytest.mark.parametrize(
    "files",
    [
        {"files": "../a.csv"}, {"files": "/a.csv"}, {"files": ""}, {"files": "{venue}.csv"},
        {"files": "a", "tick": "4h"}, {"files": "a", "timeframe": "1x"},
        {"files": "a", "columns": {"close": "c"}}, {"files": "a", "delay_hours": -1},
        {"files": "a", "file": "b"},
    ],
)  # fmt: skip
def test_files_are_named_below_the_folder_and_unknown_keys_refused(files: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        SeriesFiles(**files)


def test_too_many_refused_rows_stop_the_run(tmp_path: Path) -> None:
    written(tmp_path, "f.csv", "date,value\n2024-01-01,10\n2024-01-02,x\n2024-01-03,12\n")
    source = {
        "fear_greed": lambda symbols: read_series("fear_greed", SeriesFiles(files="f.csv"), tmp_path, NOW, symbols)
    }
    vintages, rejected, counts = collect_side_series(source, ("fear_greed",), ("A",), 0.5)
    assert (len(vintages), len(rejected), counts["rows_received"].tolist()) == (2, 1, [3])
    with pytest.raises(BadData, match=r"1 of 3 rows are rejected.*1 x value is not a number \(first in row 1"):
        collect_side_series(source, ("fear_greed",), ("A",), 0.1)


def test_a_revised_series_without_vintages_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def source(text: str) -> Any:
        written(tmp_path, "u.csv", text)
        files = SeriesFiles(files="u.csv")
        return {"unemployment": lambda symbols: read_series("unemployment", files, tmp_path, 0, symbols)}

    one, two = "2024-01-01,2024-02-02,3.7\n", "2024-01-01,2024-03-08,3.8\n"
    collect_side_series(source("date,realtime_start,value\n" + one + two), ("unemployment",), (), 0.0)
    assert not caplog.records
    collect_side_series(source("date,realtime_start,value\n" + one), ("unemployment",), (), 0.0)
    assert "unemployment in u.csv is revised by its publisher" in caplog.text


LINES = ["2024-01-01,2024-02-02,3.7", "2024-02-01,2024-03-08,3.9", "2024-03-01,2024-04-05,3.8"]


def damaged(rng: np.random.Generator) -> bytes:
    """A file of unemployment rates with some of its bytes changed, left out, or said again."""
    content = bytearray(("date,realtime_start,value\n" + "\n".join(LINES * 4) + "\n").encode())
    for _ in range(rng.integers(1, 8)):
        at, length = int(rng.integers(0, len(content))), int(rng.integers(1, 12))
        match rng.integers(0, 3):
            case 0:
                content[at] = int(rng.integers(0, 256))
            case 1:
                del content[at : at + length]
            case 2:
                content[at:at] = content[at : at + length]
    return bytes(content)


def test_a_damaged_file_gives_clean_rows_or_bad_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(200):
        (tmp_path / "x.csv").write_bytes(damaged(rng))
        try:
            delivery = read(tmp_path, "unemployment", files="x.csv")  # contracts and counts are checked in there
        except BadData:
            outcomes["refused"] += 1
            continue
        schema_of(SERIES["unemployment"]).validate(delivery.vintages)
        outcomes["read"] += 1
    assert min(outcomes.values()) > 10
