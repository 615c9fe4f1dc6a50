from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError

from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.collection import collect_side_series
from tradewind.data.side_data.tables import SideCounts, SideQuarantine
from tradewind.data.side_data.vintages import as_known
from tradewind.datasets.side_folder import SideFolderDataset
from tradewind.errors import BadData, BadParameters
from tradewind.learning.features import matrix
from tradewind.market import schema

CONF = Path(__file__).resolve().parents[2] / "conf"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
# Of every series and symbol: rows received, refused; periods.
REAL = {
    ("basis", "BTCUSDT"): (43663, 36, 43627), ("basis", "ETHUSDT"): (41753, 32, 41721),
    ("basis", "SOLUSDT"): (14616, 1, 14615), ("basis", "XRPUSDT"): (40792, 32, 40760),
    ("perp_funding", "BTCUSDT"): (5453, 0, 5453), ("perp_funding", "ETHUSDT"): (5219, 0, 5219),
    ("perp_funding", "SOLUSDT"): (732, 0, 732), ("perp_funding", "XRPUSDT"): (5099, 0, 5099),
    ("funding_spread", ""): (1642, 0, 1642), ("mark_premium", ""): (41125, 0, 41125),
    ("price_spread", ""): (1642, 0, 1642), ("fear_greed", ""): (2401, 0, 2401), ("vix", ""): (3707, 0, 3707),
    ("wti", ""): (3683, 0, 3683), ("brent", ""): (3710, 0, 3710), ("treasury_10y", ""): (820, 0, 820),
    ("fed_target_high", ""): (1197, 0, 1197), ("fed_assets", ""): (171, 0, 171), ("payrolls", ""): (40, 0, 40),
    ("us_event_hours_to_next", ""): (1536, 0, 78618), ("us_event_hours_since_last", ""): (1536, 0, 78618),
}  # fmt: skip


def entry() -> dict[str, Any]:
    return dict(yaml.safe_load((CONF / "real/catalog_sources.yml").read_text())["source_side_series"])


def collected(folder: Path, names: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    source = DataCatalog.from_config({"side": {**entry(), "path": str(folder)}}).load("side")
    return collect_side_series(source, names, SYMBOLS, 0.01)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return collected(shared_data, tuple(dict.fromkeys(name for name, _ in REAL)))


def test_the_real_files_are_read_whole(real: tuple[pd.DataFrame, ...]) -> None:
    vintages, rejected, counts = real
    found = {
        (row.series, row.symbol): (row.rows_received, row.rows_rejected, row.vintages) for row in counts.itertuples()
    }
    assert found == REAL
    schema.SideVintages.validate(vintages)
    SideQuarantine.validate(rejected)
    SideCounts.validate(counts)
    assert set(rejected["reason"].str.replace("[A-Z]{3}USDT", "S", regex=True)) == {
        "ohlcv_spot/binance/S-1h.parquet has no value for this time"  # the exchange's outages
    }


def test_real_values_are_known_when_they_were(real: tuple[pd.DataFrame, ...]) -> None:
    vintages = real[0]

    def known(name: str, reference: str, symbol: str = "") -> str:
        rows = vintages[(vintages["series"] == name) & (vintages["symbol"] == symbol)]
        (instant,) = rows.loc[rows["reference_at"] == pd.Timestamp(reference, tz="UTC"), "known_at"]
        return str(instant)[:23]

    assert known("perp_funding", "2024-01-01 08:00", "SOLUSDT") == "2024-01-01 08:00:00.001"
    assert known("vix", "2020-03-16") == "2020-03-16 21:15:00+00:"
    assert known("wti", "2020-04-20") == "2020-04-21 21:00:00+00:"
    assert known("payrolls", "2024-07-01") == "2024-08-11 00:00:00+00:"
    level = as_known(vintages, SERIES)
    oil = level[(level["series"] == "wti") & (level["known_at"] <= pd.Timestamp("2020-04-22", tz="UTC"))]
    assert oil["value"].iloc[-1] == -36.98  # the negative price is real
    mood = vintages[(vintages["series"] == "fear_greed")].set_index("known_at")["value"]
    assert pd.Timestamp("2018-04-15", tz="UTC") not in mood.index  # the days 2018-04-14 to 16 are missing


def check_bars_see_what_was_published(vintages: pd.DataFrame, level: pd.DataFrame) -> None:
    """Every ten hours of a week, a bar sees the newest value whose publication lies behind it, looked up one by one."""
    closes = np.arange(1_640_995_200_000, 1_641_600_000_000, 36_000_000, dtype=np.int64)
    for name in ("vix", "payrolls", "fear_greed"):
        rows = vintages[vintages["series"] == name]
        seen = matrix.as_known(closes, level[level["series"] == name])
        published = matrix.epoch_ms(rows["known_at"])
        for close, value in zip(closes, seen, strict=True):
            assert value == rows["value"].to_numpy()[published <= close][-1]


def test_no_bar_sees_a_value_before_it_was_published(real: tuple[pd.DataFrame, ...]) -> None:
    check_bars_see_what_was_published(real[0], as_known(real[0], SERIES))


def test_a_join_on_the_reference_is_caught(real: tuple[pd.DataFrame, ...]) -> None:
    early = real[0].assign(known_at=real[0]["reference_at"])
    with pytest.raises(AssertionError):
        check_bars_see_what_was_published(real[0], as_known(early, SERIES))


def test_the_folder_of_nobody_is_empty_and_says_what_to_set(tmp_path: Path) -> None:
    dataset = SideFolderDataset(path="")
    assert dataset.exists()
    assert dataset.load() == {}
    with pytest.raises(BadData, match=r"names \['vix'\].*TRADEWIND_SIDE_DATA"):
        collect_side_series(dataset.load(), ("vix",), SYMBOLS, 0.01)


def test_only_the_series_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / "vix.csv").write_text("date,close\n2024-01-02,13.2\n")
    dataset = SideFolderDataset(
        path=str(tmp_path), series={"vix": {"files": "vix.csv"}, "wti": {"files": "absent.csv"}}
    )
    vintages, _, _ = collect_side_series(dataset.load(), ("vix",), SYMBOLS, 0.01)
    assert vintages["value"].tolist() == [13.2]


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({"vox": {"files": "vix.csv"}}, "series must be among"),
        ({"vix": {"file": "vix.csv"}}, "side series vix are described wrongly"),
    ],
)
def test_an_unknown_series_or_setting_is_refused(series: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(BadParameters, match=message):
        SideFolderDataset(path="", series=series)


def test_a_folder_that_is_not_there_stops_and_nothing_is_written(tmp_path: Path) -> None:
    dataset = SideFolderDataset(path=str(tmp_path / "absent"))
    assert not dataset.exists()
    with pytest.raises((BadParameters, DatasetError), match="is not a folder"):
        dataset.load()
    with pytest.raises(DatasetError, match="only read"):
        dataset.save({"vix": 1})  # type: ignore[arg-type]
    assert "absent" in str(dataset)
