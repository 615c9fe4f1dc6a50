"""A stored market is loaded as any other source is; loading only reads it."""

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
from tradewind import clock
from tradewind.compute import executor
from tradewind.data.files import cleaning
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import Span, receive
from tradewind.data.ingestion import report
from tradewind.data.ingestion.backfill import backfill
from tradewind.data.ingestion.fetch import FetchSettings
from tradewind.data.ingestion.freshness import require_up_to_date
from tradewind.data.stores.catalogue import open_store
from tradewind.datasets import BarFolderDataset, StoredBarsDataset, StoredSideSeriesDataset
from tradewind.datasets.connection import Connection
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


def fetch(settings: Settings) -> None:
    """What `kedro backfill` does with the same settings."""
    wanted = FetchSettings.model_validate(settings["fetch"])
    with Connection(settings["store"]).store() as store, Connection(settings["source"]).source() as source:
        outcomes = backfill(source, store, wanted.bars(source.venue), wanted.rules, clock.now)
    assert not report.failed(outcomes)


def test_a_load_reads_the_store_and_asks_nothing(settings: Settings, server: ExchangeServer, tmp_path: Path) -> None:
    fetch(settings)
    server.asked.clear()
    loaded = StoredBarsDataset(**settings, path=str(tmp_path / "mirror")).load()
    assert list(loaded) == ["binance/BTCUSDT/1h", "binance/ETHUSDT/1h"]
    ten_days = Span(START_MS, START_MS + 240 * HOUR_MS)
    expected = server.market.bars("BTCUSDT", "1h", ten_days)
    pd.testing.assert_frame_equal(loaded["binance/BTCUSDT/1h"](), expected, check_dtype=False)
    assert server.asked == []


def test_an_empty_store_names_the_command_and_stays_empty(settings: Settings, server: ExchangeServer) -> None:
    with pytest.raises(DatasetError, match=r"no bars of BTCUSDT ETHUSDT \(1h\): run `kedro backfill`") as caught:
        StoredBarsDataset(**settings).load()
    assert isinstance(caught.value.__cause__, BadData)
    assert server.asked == []
    assert StoredBarsDataset(store=settings["store"]).load() == {}


@pytest.mark.parametrize(
    ("until", "max_age_hours", "words"),
    [
        (date(2024, 1, 12), 48.0, "old bars of BTCUSDT ETHUSDT"),
        (None, 48.0, "old bars of BTCUSDT ETHUSDT"),
        (None, 24.0 * 365, "old bars of BTCUSDT ETHUSDT"),
        (date(2024, 1, 11), 48.0, None),
        (date(2024, 1, 9), 48.0, None),
    ],
)
def test_bars_that_end_too_early_name_the_command(
    settings: Settings, until: date | None, max_age_hours: float, words: str | None
) -> None:
    fetch(settings)
    settings["fetch"] |= {"until": until, "max_age_hours": max_age_hours}
    dataset = StoredBarsDataset(**settings)
    if words is None:
        assert len(dataset.load()) == 2
        return
    with pytest.raises(DatasetError, match=words + r" \(1h\): run `kedro backfill`"):
        dataset.load()


def test_only_the_symbol_that_is_missing_is_named(settings: Settings) -> None:
    fetch(settings)
    settings["fetch"]["symbols"] = "BTCUSDT SOLUSDT"
    with pytest.raises(DatasetError, match=r"has no bars of SOLUSDT \(1h\): run"):
        StoredBarsDataset(**settings).load()


def test_the_last_bar_counts_where_no_source_has_answered(sqlite_settings: Settings) -> None:
    """Rows of a file cover no span; their own opening times say how far they reach."""
    store = open_store(sqlite_settings)
    store.append(receive(bars_of("AAA", range(5)), key("AAA"), "file", at(20)))
    for hours, is_current in ((5, True), (6, False)):
        settings = FetchSettings(symbols=("AAA",), since=at(0), until=at(hours))
        if is_current:
            require_up_to_date(store, settings, at(100))
        else:
            with pytest.raises(BadData, match="old bars of AAA"):
                require_up_to_date(store, settings, at(100))
    store.close()


def test_the_bars_are_those_of_a_direct_import(settings: Settings, server: ExchangeServer) -> None:
    """Typed and checked, a stored row is the row that the exchange gave."""
    fetch(settings)
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
    bars, rejected = cleaning.check_bars(typed, key("AAA"), at(100))
    assert bars["close"].tolist() == [103.5, 104.0]
    assert rejected["reason"].tolist() == [cleaning.SUPERSEDED]


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
    with pytest.raises(DatasetError, match=r"1 rows rejected: close is not a number"):
        dataset.save({"venue/AAA/1h": rows.astype(object).assign(close=["x", *rows["close"].iloc[1:]])})


def test_side_series_come_with_their_vintages(settings: Settings, server: ExchangeServer) -> None:
    settings["source"] |= {"exchange": "binanceusdm", "market": "swap"}
    settings["fetch"] |= {"symbols": ["BTCUSDT"], "series": "funding"}
    wanted = FetchSettings.model_validate(settings["fetch"])
    with Connection(settings["store"]).store() as store, Connection(settings["source"]).source() as source:
        backfill(source, store, wanted.side(), wanted.rules, clock.now)
    dataset = StoredSideSeriesDataset(store=settings["store"])
    first = dataset.load()
    assert first.columns.tolist() == ["series", "symbol", "reference_at", "known_at", "value"]
    assert len(first) == 30
    ten_days = Span(START_MS, START_MS + 240 * HOUR_MS)
    assert first["value"].tolist() == server.market.funding("BTCUSDT", ten_days)["value"].tolist()
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
