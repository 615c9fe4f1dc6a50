"""Every real set of bars and trades imports: rows, gaps and rejected rows are counted, the known traps are there."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.data.file_import.importer import inspect_file
from tradewind.data.file_import.outcome import BarSummary, summarise
from tradewind.data.files.dialect import ImportSettings
from tradewind.market.segments import assign_segments, missing_before
from tradewind.market.timeframes import bar_duration_ms

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("ohlcv_spot", "ohlcv_perp", "mark_price", "fx")

# Of each file: rows, bars, gaps, bars that the gaps lack, rejected rows.
COUNTS = {
    # A foreign exchange market closes at weekends: what is missing there is none of it.
    "fx/dukascopy/EURUSD-1h-ask": (6225, 6225, 0, 0, 0),
    "fx/fxcm/GBPUSD-1m-bidask": (30117, 30117, 110, 124, 0),
    "mark_price/binance_usdm/BTCUSDT-1h": (41125, 41125, 0, 0, 0),
    "ohlcv_perp/binance_coinm/BTCUSD_PERP-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/binance_coinm/ETHUSD_PERP-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/binance_usdm/ADAUSDT-1h": (40192, 40192, 0, 0, 0),
    "ohlcv_perp/binance_usdm/ADAUSDT-1m": (64063, 64063, 0, 0, 0),
    "ohlcv_perp/binance_usdm/BTCUSDT-15m": (23424, 23424, 0, 0, 0),
    "ohlcv_perp/binance_usdm/BTCUSDT-1h": (43663, 43663, 0, 0, 0),
    "ohlcv_perp/binance_usdm/BTCUSDT-1m": (43198, 43198, 0, 0, 0),
    "ohlcv_perp/binance_usdm/BTCUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/binance_usdm/DOGEUSDT-1h": (14616, 14616, 0, 0, 0),
    "ohlcv_perp/binance_usdm/ETHUSDT-15m": (23424, 23424, 0, 0, 0),
    "ohlcv_perp/binance_usdm/ETHUSDT-1h": (41753, 41753, 0, 0, 0),
    "ohlcv_perp/binance_usdm/ETHUSDT-1m": (64065, 64065, 0, 0, 0),
    "ohlcv_perp/binance_usdm/ETHUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/binance_usdm/LINKUSDT-1h": (14616, 14616, 0, 0, 0),
    "ohlcv_perp/binance_usdm/LTCUSDT-1h": (40720, 40720, 0, 0, 0),
    "ohlcv_perp/binance_usdm/LTCUSDT-1m": (64066, 64066, 0, 0, 0),
    "ohlcv_perp/binance_usdm/SOLUSDT-15m": (23424, 23424, 0, 0, 0),
    "ohlcv_perp/binance_usdm/SOLUSDT-1h": (14616, 14616, 0, 0, 0),
    "ohlcv_perp/binance_usdm/SOLUSDT-1m": (43199, 43199, 0, 0, 0),
    "ohlcv_perp/binance_usdm/XRPUSDT-1h": (40792, 40792, 0, 0, 0),
    "ohlcv_perp/binance_usdm/XRPUSDT-1m": (43198, 43198, 0, 0, 0),
    "ohlcv_perp/bybit/BTCUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/bybit/BTCUSD_PERP-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/bybit/ETHUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/bybit/ETHUSD_PERP-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/okx/BTCUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/okx/BTCUSD_PERP-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/okx/ETHUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_perp/okx/ETHUSD_PERP-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_spot/binance/ADAUSDT-1h": (55804, 55804, 25, 88, 0),
    "ohlcv_spot/binance/ADAUSDT-5m": (121737, 121737, 1, 16, 0),
    "ohlcv_spot/binance/BTCUSDT-1h": (58318, 58318, 27, 122, 0),
    "ohlcv_spot/binance/BTCUSDT-5m": (219151, 219151, 2, 305, 0),
    "ohlcv_spot/binance/BTCUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_spot/binance/DOGEUSDT-1h": (45184, 45184, 18, 44, 0),
    "ohlcv_spot/binance/DOGEUSDT-5m": (192013, 192013, 2, 27443, 0),
    "ohlcv_spot/binance/ETHUSDT-1h": (58318, 58318, 27, 122, 0),
    "ohlcv_spot/binance/ETHUSDT-5m": (219151, 219151, 2, 305, 0),
    "ohlcv_spot/binance/ETHUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_spot/binance/LINKUSDT-1h": (49250, 49250, 20, 60, 0),
    "ohlcv_spot/binance/LINKUSDT-5m": (192016, 192016, 2, 27440, 0),
    "ohlcv_spot/binance/LTCUSDT-1h": (58318, 58318, 27, 122, 0),
    "ohlcv_spot/binance/LTCUSDT-5m": (192017, 192017, 2, 27439, 0),
    "ohlcv_spot/binance/SOLUSDT-1h": (35542, 35542, 10, 20, 0),
    "ohlcv_spot/binance/SOLUSDT-5m": (192022, 192022, 2, 27434, 0),
    "ohlcv_spot/binance/XRPUSDT-1h": (55392, 55392, 25, 88, 0),
    "ohlcv_spot/binance/XRPUSDT-5m": (192026, 192026, 2, 27430, 0),
    "ohlcv_spot/bybit/BTCUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_spot/bybit/ETHUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_spot/coinbase/ADAUSD-15m": (12986, 12986, 1, 4, 0),
    "ohlcv_spot/coinbase/ADAUSD-1h": (3247, 3247, 0, 0, 0),
    "ohlcv_spot/coinbase/BTCUSD-15m": (12986, 12986, 1, 4, 0),
    "ohlcv_spot/coinbase/BTCUSD-1h": (3247, 3247, 0, 0, 0),
    "ohlcv_spot/coinbase/ETHUSD-15m": (12986, 12986, 1, 4, 0),
    "ohlcv_spot/coinbase/ETHUSD-1h": (3247, 3247, 0, 0, 0),
    "ohlcv_spot/coinbase/SOLUSD-15m": (12986, 12986, 1, 4, 0),
    "ohlcv_spot/coinbase/SOLUSD-1h": (3247, 3247, 0, 0, 0),
    "ohlcv_spot/okx/BTCUSDT-8h": (1642, 1642, 0, 0, 0),
    "ohlcv_spot/okx/ETHUSDT-8h": (1642, 1642, 0, 0, 0),
}
# Two sets have no volume, and one has two prices of each kind.
BID = {name: f"bid_{name}" for name in ("open", "high", "low", "close")}
SAID: dict[str, dict[str, Any]] = {
    "mark_price/binance_usdm/BTCUSDT-1h": {"volume_unit": "none"},
    "fx/fxcm/GBPUSD-1m-bidask": {"volume_unit": "none", "columns": BID},
}


@cache
def imported(path: Path, name: str) -> tuple[str, int, BarSummary]:
    """Time frame, rows and account of a file."""
    _, venue, file = name.split("/")
    said = {"volume_unit": "base", **SAID.get(name, {})}
    found = inspect_file(path, ImportSettings(venue=venue, symbol=file.split("-")[0], **said))
    assert not found.notes.missing_settings and found.rows == found.accepted + len(found.rejected.reason)
    return found.bars[0].key.timeframe, found.rows, summarise(found, found.bars[0], NOW)


@pytest.fixture
def bars(shared_data: Path) -> Any:
    return lambda name: imported(shared_data / f"{name}.parquet", name)[2].bars


def opened_ms(table: pd.DataFrame) -> np.ndarray:
    return table["open_time"].to_numpy("datetime64[ms]").astype(np.int64)


def test_every_file_of_bars_is_counted(shared_data: Path) -> None:
    files = {
        path.relative_to(shared_data).with_suffix("").as_posix()
        for kind in KINDS
        for path in (shared_data / kind).rglob("*.parquet")
    }
    assert files == set(COUNTS)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_bars_gaps_and_refused_rows_are_as_known(kind: str, shared_data: Path) -> None:
    found = {}
    for name in (name for name in COUNTS if name.startswith(kind)):
        timeframe, rows, counted = imported(shared_data / f"{name}.parquet", name)
        assert timeframe == name.split("-")[1]
        found[name] = (rows, len(counted.bars), counted.gaps, counted.missing, len(counted.rejected))
    assert found == {name: counts for name, counts in COUNTS.items() if name.startswith(kind)}


def test_trades_are_all_accepted(shared_data: Path) -> None:
    found = inspect_file(shared_data / "trades/binance/XRPETH-trades-2019.parquet", ImportSettings())
    assert (found.kind, found.rows, found.accepted) == ("trades", 12477, 12477)


@pytest.mark.parametrize("symbol", ["SOL", "XRP", "LTC", "DOGE", "LINK"])
def test_no_return_crosses_the_hole_of_autumn_2023(symbol: str, bars: Any) -> None:
    table = bars(f"ohlcv_spot/binance/{symbol}USDT-5m")
    opened = opened_ms(table)
    after = int(missing_before(opened, 300_000).argmax())
    assert (
        str(table["open_time"][after - 1])[:10] == "2023-09-27" and str(table["open_time"][after])[:10] == "2024-01-01"
    )
    segment = assign_segments(opened, 300_000, max_gap_bars=12)
    assert segment[after] == segment[after - 1] + 1


def test_the_outage_of_february_2018_is_a_gap(bars: Any) -> None:
    table = bars("ohlcv_spot/binance/BTCUSDT-1h")
    missing = missing_before(opened_ms(table), bar_duration_ms("1h"))
    after = int(missing.argmax())
    assert str(table["open_time"][after - 1])[:10] == "2018-02-08"
    assert missing[after] + 1 == 34  # hours from bar to bar


def test_bars_of_a_halt_are_bars_without_volume(bars: Any) -> None:
    table = bars("ohlcv_spot/binance/BTCUSDT-5m")
    halted = table[(table["volume"] == 0) & table["open_time"].between("2023-03-24", "2023-03-25", inclusive="left")]
    assert len(halted) == 14
    assert (halted["high"] == halted["low"]).all()


def test_a_series_that_ends_early_ends_early(bars: Any) -> None:
    table = bars("ohlcv_spot/binance/ADAUSDT-5m")
    assert str(table["open_time"].iloc[-1])[:10] == "2023-09-27"


def test_the_first_bars_of_a_perpetual_are_kept_though_hardly_anybody_traded(bars: Any) -> None:
    volume = bars("ohlcv_perp/binance_usdm/BTCUSDT-1h")["volume"]
    assert volume.iloc[0] == 0.002 and volume.iloc[1] == 0


def test_the_last_day_of_2023_is_missing_everywhere(bars: Any) -> None:
    for symbol in ("BTC", "ETH", "SOL"):
        opened = bars(f"ohlcv_spot/binance/{symbol}USDT-5m")["open_time"]
        assert not opened.between("2023-12-31", "2024-01-01", inclusive="left").any()
        assert opened.between("2024-01-01", "2024-01-02").any()
