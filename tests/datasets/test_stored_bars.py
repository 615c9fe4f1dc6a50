"""A stored market is loaded as any other source is, and kept up to date on the way."""

from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError

from tests.data.ingestion.venue import at, bars_of, key
from tests.data.sources.exchange_server import HOUR_MS, START_MS, ExchangeServer, serve
from tradewind.compute import executor
from tradewind.data.files import cleaning
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span, receive
from tradewind.data.stores.catalogue import open_store
from tradewind.datasets import BarFolderDataset, StoredBarsDataset, StoredSideSeriesDataset
from tradewind.errors import BadData, BadParameters

BTC = BarKey(venue="binance", symbol="BTCUSDT", timeframe="1h")
Settings = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[ExchangeServer]:
    with serve() as server:
        yield server


@pytest.fixture
def settings(sqlite_settings: Settings, server: ExchangeServer) -> Settings:
    """Ten days of two symbols of a spot market."""
    server.asked.clear()
    return {
        "store": sqlite_settings,
        "source": {"kind": "ccxt", "exchange": "binance", "base_url": server.url},
        "fetch": {"symbols": "BTCUSDT ETHUSDT", "since": date(2024, 1, 1), "until": date(2024, 1, 11)},
    }


def klines(server: ExchangeServer) -> list[tuple[str, int]]:
    """Which bars were asked for: symbol, and from when on."""
    asked = [one.query for one in server.asked if one.path.endswith("klines")]
    server.asked.clear()
    return sorted((query["symbol"], int(query["startTime"])) for query in asked)  # symbols are asked side by side


def test_a_load_fetches_what_is_new_and_nothing_else(
    settings: Settings, server: ExchangeServer, tmp_path: Path
) -> None:
    loaded = StoredBarsDataset(**settings, path=str(tmp_path / "mirror")).load()
    assert list(loaded) == ["binance/BTCUSDT/1h", "binance/ETHUSDT/1h"]
    ten_days = Span(START_MS, START_MS + 240 * HOUR_MS)
    expected = server.market.bars("BTCUSDT", "1h", ten_days)
    pd.testing.assert_frame_equal(loaded["binance/BTCUSDT/1h"](), expected, check_dtype=False)
    assert len(klines(server)) >= 2

    StoredBarsDataset(**settings, path=str(tmp_path / "mirror")).load()
    assert klines(server) == []

    settings["fetch"]["until"] = date(2024, 1, 12)
    later = StoredBarsDataset(**settings, path=str(tmp_path / "mirror")).load()
    assert klines(server) == [("BTCUSDT", ten_days.until_ms), ("ETHUSDT", ten_days.until_ms)]
    assert len(later["binance/BTCUSDT/1h"]()) == len(expected) + 24


def test_the_bars_are_those_of_a_direct_import(settings: Settings, server: ExchangeServer) -> None:
    """Typed and checked, a stored row is the row that the exchange gave."""
    stored = StoredBarsDataset(**settings).load()["binance/BTCUSDT/1h"]()
    direct = server.market.bars("BTCUSDT", "1h", Span(START_MS, START_MS + 240 * HOUR_MS))
    checked = [cleaning.check_bars(cleaning.type_bars(rows, BTC)[0], BTC, at(10_000))[0] for rows in (stored, direct)]
    pd.testing.assert_frame_equal(*checked)


def test_real_candles_survive_store_and_mirror_unchanged(
    sqlite_settings: Settings, tmp_path: Path, shared_data: Path
) -> None:
    """Six years of hours with their outages: typed and checked they are the same, bar by bar and reject by reject."""
    folder = BarFolderDataset(path=str(shared_data / "ohlcv_spot/binance"), venue="binance")
    direct = folder.load()[str(BTC)]()
    dataset = StoredBarsDataset(store=sqlite_settings, path=str(tmp_path / "mirror"))
    dataset.save({str(BTC): direct})
    for _ in ("from the store", "from the mirror"):
        stored = dataset.load()[str(BTC)]()
        found, expected = (
            cleaning.check_bars(cleaning.type_bars(rows, BTC)[0], BTC, at(10_000))[0] for rows in (stored, direct)
        )
        assert len(found) > 50_000
        pd.testing.assert_frame_equal(found, expected)
    assert len(list((tmp_path / "mirror").rglob("*.parquet"))) == found["open_time"].dt.strftime("%Y-%m").nunique()


def test_of_rows_for_one_bar_the_last_received_counts(sqlite_settings: Settings) -> None:
    store = open_store(sqlite_settings)
    store.append(receive(bars_of("AAA", [0], shift=0.5), key("AAA"), "venue", at(30)))
    store.append(receive(bars_of("AAA", [0, 1]), key("AAA"), "venue", at(20)))
    store.close()
    rows = StoredBarsDataset(store=sqlite_settings).load()["venue/AAA/1h"]()
    assert rows.columns.tolist() == ["open_time", "open", "high", "low", "close", "volume"]
    typed, _ = cleaning.type_bars(rows, key("AAA"))
    bars, refused = cleaning.check_bars(typed, key("AAA"), at(100))
    assert bars["close"].tolist() == [103.5, 104.0]
    assert refused["reason"].tolist() == [cleaning.SUPERSEDED]


def test_a_loader_works_in_another_process_and_shows_no_secret(sqlite_settings: Settings, tmp_path: Path) -> None:
    store = open_store(sqlite_settings)
    store.append(receive(bars_of("AAA", range(5)), key("AAA"), "venue", at(20)))
    store.close()
    settings = {"kind": "sqlite", "credentials": {"path": sqlite_settings["path"]}}  # as if the path were a secret
    dataset = StoredBarsDataset(store=settings, path=str(tmp_path / "mirror"))
    loader = dataset.load()["venue/AAA/1h"]
    assert isinstance(loader, partial)
    for text in (repr(loader), repr(dataset), str(dataset._describe())):
        assert sqlite_settings["path"] not in text
    with executor("processes", 1) as on:
        assert len(on.submit(loader).result()) == 5


def test_a_store_is_written_by_a_pipeline_too(sqlite_settings: Settings) -> None:
    dataset = StoredBarsDataset(store=sqlite_settings)
    assert not dataset.exists()
    rows = bars_of("AAA", range(5))
    dataset.save({"venue/AAA/1h": rows, "venue/BB/1h": lambda: bars_of("BB", range(3))})
    dataset.save({"venue/AAA/1h": rows})
    assert dataset.exists()
    pd.testing.assert_frame_equal(dataset.load()["venue/AAA/1h"](), rows)
    with pytest.raises(DatasetError, match=r"1 rows refused: close is not a number"):
        dataset.save({"venue/AAA/1h": rows.astype(object).assign(close=["x", 1.0, 2.0, 3.0, 4.0])})


def test_a_symbol_that_cannot_be_fetched_stops_the_load(settings: Settings) -> None:
    settings["fetch"]["symbols"] = ["BTCUSDT", "BTCUSD"]
    with pytest.raises(DatasetError, match=r"1 of 2 are not up to date: binance/BTCUSD/1h: .*no spot market") as caught:
        StoredBarsDataset(**settings).load()
    assert isinstance(caught.value.__cause__, BadParameters)
    assert list(StoredBarsDataset(store=settings["store"]).load()) == ["binance/BTCUSDT/1h"]  # the other one is stored


def test_side_series_come_with_their_vintages(settings: Settings, server: ExchangeServer) -> None:
    settings["source"] |= {"exchange": "binanceusdm", "market": "swap"}
    settings["fetch"] |= {"symbols": ["BTCUSDT"], "series": "funding"}
    first = StoredSideSeriesDataset(**settings).load()
    assert first.columns.tolist() == ["series", "symbol", "reference_at", "known_at", "value"]
    assert len(first) == 30
    ten_days = Span(START_MS, START_MS + 240 * HOUR_MS)
    assert first["value"].tolist() == server.market.funding("BTCUSDT", ten_days)["value"].tolist()
    dataset = StoredSideSeriesDataset(store=settings["store"])
    a_day_later = (first["known_at"] + pd.Timedelta(days=1)).dt.as_unit("ms")
    dataset.save(first.assign(value=first["value"] / 2, known_at=a_day_later))
    assert len(dataset.load()) == 60
    assert dataset.exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fetch": None}, "belong together"),
        ({"fetch": {"symbols": "A", "since": "soon"}}, r"(?s)`fetch` settings .*since"),
        ({"fetch": {"symbols": "A", "since": "2024-01-01", "timeframe": "1x"}}, "a timeframe is a number"),
        ({"fetch": {"symbols": [], "since": "2024-01-01"}}, r"(?s)symbols.*at least 1"),
        ({"fetch": {"symbols": "A", "since": "2024-01-01", "rules": {"wrokers": 2}}}, "wrokers"),
        ({"store": {"kind": "sqlite", "credentials": "absent"}}, "credentials of 'sqlite' are not filled in"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: Settings, changed: Settings, words: str) -> None:
    with pytest.raises(BadParameters, match=words):
        StoredBarsDataset(**settings | changed)


def test_credentials_are_filled_in_by_the_catalog(tmp_path: Path) -> None:
    entry = {"type": "tradewind.datasets.StoredBarsDataset", "store": {"kind": "sqlite", "credentials": "disk"}}
    catalog = DataCatalog.from_config({"source_bars": entry}, {"disk": {"path": str(tmp_path / "secret.sqlite")}})
    assert catalog.load("source_bars") == {}
    assert (tmp_path / "secret.sqlite").exists()


def test_damaged_settings_of_a_partition_are_refused(sqlite_settings: Settings) -> None:
    with pytest.raises(DatasetError, match="venue/symbol/timeframe") as caught:
        StoredBarsDataset(store=sqlite_settings).save({"AAA": bars_of("AAA", range(2))})
    assert isinstance(caught.value.__cause__, BadData)
