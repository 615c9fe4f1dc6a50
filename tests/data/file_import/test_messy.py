"""Files as found in the wild import correctly: each of the shared folder, its trap handled, its rows accounted for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.data.file_import.importer import ImportPlan, inspect_file
from tradewind.data.file_import.outcome import summarise, to_deliveries
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.dialect import ImportSettings
from tradewind.market.schema import SideVintages

NOW = datetime(2026, 1, 1, tzinfo=UTC)

# What has to be said of each file: the rest is in it.
SAID: dict[str, dict[str, Any]] = {
    "EURUSD_1H_ASK_ddmmyyyy.csv": {
        "timezone": "UTC", "volume_unit": "base", "venue": "dukascopy", "symbol": "EURUSD",
    },
    "aha_all_exchanges_london_time_long.csv": {"timezone": "Europe/London", "volume_unit": "base"},
    "btc-perp_1m_quote_volume_2022-01.csv": {
        "timezone": "UTC", "volume_unit": "quote", "time_is": "close", "venue": "v", "symbol": "BTC",
    },
    "cdd_BTCUSD_PERP_CM_hour_url_header.csv": {"venue": "binance_coinm"},
    "cdd_Binance_BTCUSDT_1h_reversed_mixed_epoch.csv": {"venue": "binance"},
    "cdd_Binance_LTCUSDT_1h_excel_mangled.csv": {"venue": "binance"},
    "cdd_Coinbase_BTCUSD_1h_two_header_ampm.csv": {"venue": "coinbase"},
    "economic_calendar_us_mdy.csv": {"timezone": "UTC"},
    "freqtrade_UNITTEST_BTC-1m_list_of_lists_2017.json": {"volume_unit": "base", "venue": "v", "symbol": "UNITTEST"},
    "freqtrade_XRP_ETH-5m_2019.feather": {"volume_unit": "base", "venue": "binance", "symbol": "XRPETH"},
    "freqtrade_XRP_ETH-trades.json.gz": {},
    "freqtrade_XRP_OLD-trades.json.gz": {},
    "freqtrade_funding_in_open_column_2021.feather": {"symbol": "XRPUSDT"},
    "freqtrade_public_trades_list.csv": {},
    "gymtradingenv_BTC_USD-Hourly_volume_columns_swap.csv": {"venue": "bitstamp"},
    "hftbacktest_spot_btcusdt_20240808_skewed_clock.gz": {},
    "kraken_trades_noheader_BCHEUR.csv": {},
    "vivowa_spot_btc_usdt_1h_epoch_s_local_ts.csv": {"venue": "binance", "symbol": "BTCUSDT"},
}  # fmt: skip

# Of each file: kind, rows, accepted rows, and of bars: time frame, checked bars, missing bars, repeated rows.
COUNTS: dict[str, tuple[Any, ...]] = {
    "EURUSD_1H_ASK_ddmmyyyy.csv": ("bars", 6225, 6225, "1h", 6225, 0, 0),
    "aha_all_exchanges_london_time_long.csv": ("bars", 29556, 29556, "8h", 29556, 0, 0),
    "btc-perp_1m_quote_volume_2022-01.csv": ("bars", 45031, 45031, "1m", 45031, 0, 0),
    "cdd_BTCUSD_PERP_CM_hour_url_header.csv": ("bars", 34724, 34724, "1h", 34724, 284, 0),
    "cdd_Binance_BTCUSDT_1h_reversed_mixed_epoch.csv": ("bars", 36062, 35970, "1h", 33321, 107, 2649),
    "cdd_Binance_LTCUSDT_1h_excel_mangled.csv": ("bars", 37526, 37526, "1h", 34877, 1969, 2649),
    "cdd_Coinbase_BTCUSD_1h_two_header_ampm.csv": ("bars", 20111, 20111, "1h", 20111, 0, 0),
    "economic_calendar_us_mdy.csv": ("events", 1536, 1536),
    "freqtrade_UNITTEST_BTC-1m_list_of_lists_2017.json": ("bars", 13681, 13681, "1m", 13681, 717, 0),
    "freqtrade_XRP_ETH-5m_2019.feather": ("bars", 706, 706, "5m", 706, 6, 0),
    "freqtrade_XRP_ETH-trades.json.gz": ("trades", 12477, 12477),
    "freqtrade_XRP_OLD-trades.json.gz": ("trades", 12477, 12477),
    "freqtrade_funding_in_open_column_2021.feather": ("funding", 91, 91),
    "freqtrade_public_trades_list.csv": ("trades", 1000, 1000),
    "gymtradingenv_BTC_USD-Hourly_volume_columns_swap.csv": ("bars", 33259, 33259, "1h", 33259, 0, 0),
    "hftbacktest_spot_btcusdt_20240808_skewed_clock.gz": ("stream", 41249, 41249),
    "kraken_trades_noheader_BCHEUR.csv": ("trades", 148, 148),
    "vivowa_spot_btc_usdt_1h_epoch_s_local_ts.csv": ("bars", 29941, 29941, "1h", 29941, 43, 0),
}

# What is asked of a file that nothing is said of.
ASKED = {
    "EURUSD_1H_ASK_ddmmyyyy.csv": ["timezone", "volume_unit", "venue", "symbol"],
    "aha_all_exchanges_london_time_long.csv": ["timezone", "volume_unit"],
    "btc-perp_1m_quote_volume_2022-01.csv": ["timezone", "volume_unit", "venue", "symbol"],
    "cdd_Coinbase_BTCUSD_1h_two_header_ampm.csv": ["venue"],
    "cdd_Binance_LTCUSDT_1h_excel_mangled.csv": ["venue"],
    "economic_calendar_us_mdy.csv": ["timezone"],
    "freqtrade_XRP_ETH-5m_2019.feather": ["volume_unit", "venue", "symbol"],
    "freqtrade_funding_in_open_column_2021.feather": ["symbol"],
    "kraken_trades_noheader_BCHEUR.csv": [],
}


@pytest.fixture(scope="module")
def read(shared_data: Path) -> Any:
    """What a file is understood as, each file read once."""
    known: dict[str, ImportPlan] = {}

    def _read(name: str) -> ImportPlan:
        if name not in known:
            known[name] = inspect_file(shared_data / "messy" / name, ImportSettings(**SAID[name]))
        return known[name]

    return _read


def bars_of(found: ImportPlan) -> pd.DataFrame:
    """The checked bars of a file with one key."""
    return summarise(found, found.bars[0], NOW).bars


def evidence(found: ImportPlan, decision: str) -> tuple[str, str]:
    return next((f.value, f.evidence) for f in found.notes.findings if f.decision == decision)


def test_every_file_of_the_folder_is_here(shared_data: Path) -> None:
    assert {path.name for path in (shared_data / "messy").iterdir()} == set(SAID) == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_every_row_of_a_messy_file_is_accounted_for(name: str, read: Any) -> None:
    found = read(name)
    kind, rows, accepted, *of_bars = COUNTS[name]
    assert not found.notes.missing_settings
    assert (found.kind, found.rows, found.accepted) == (kind, rows, accepted)
    assert found.rows == found.accepted + len(found.rejected.reason)
    if of_bars:
        accounts = [summarise(found, bars, NOW) for bars in found.bars]
        counts = [sum(one.missing for one in accounts), sum(one.repeated + one.replaced for one in accounts)]
        assert [found.bars[0].key.timeframe, sum(len(one.bars) for one in accounts), *counts] == of_bars
        assert sum(one.rows for one in accounts) == rows == sum(len(one.bars) + len(one.rejected) for one in accounts)


@pytest.mark.parametrize("name", ASKED)
def test_what_a_file_does_not_say_is_asked_for(name: str, shared_data: Path) -> None:
    found = inspect_file(shared_data / "messy" / name, ImportSettings())
    assert [need.setting.split("=")[0] for need in found.notes.missing_settings] == ASKED[name]
    assert all(need.why for need in found.notes.missing_settings)


@pytest.mark.parametrize(
    ("name", "reference", "share"),
    [
        ("cdd_Binance_BTCUSDT_1h_reversed_mixed_epoch.csv", "ohlcv_spot/binance/BTCUSDT-1h", 0.99),
        ("vivowa_spot_btc_usdt_1h_epoch_s_local_ts.csv", "ohlcv_spot/binance/BTCUSDT-1h", 0.9999),
        ("EURUSD_1H_ASK_ddmmyyyy.csv", "fx/dukascopy/EURUSD-1h-ask", 1.0),
    ],
)
def test_the_bars_are_those_of_an_independent_source(
    name: str, reference: str, share: float, read: Any, shared_data: Path
) -> None:
    bars = bars_of(read(name)).set_index("open_time")["close"]
    other = pd.read_parquet(shared_data / f"{reference}.parquet").set_index("timestamp")["close"]
    both = pd.concat([bars, other], axis=1, join="inner").to_numpy()
    assert len(both) > 0.8 * len(bars)
    assert (np.abs(both[:, 0] / both[:, 1] - 1) < 1e-4).mean() >= share


def test_rounded_epochs_and_a_clock_without_am_and_pm_still_give_the_right_hour(read: Any, shared_data: Path) -> None:
    found = read("cdd_Binance_LTCUSDT_1h_excel_mangled.csv")
    bars = bars_of(found).set_index("open_time")["close"]
    other = pd.read_parquet(shared_data / "ohlcv_spot/binance/LTCUSDT-1h.parquet").set_index("timestamp")["close"]
    both = pd.concat([bars, other], axis=1, join="inner").to_numpy()
    assert len(both) > 34_000
    assert (np.abs(both[:, 0] / both[:, 1] - 1) < 2e-3).mean() > 0.98
    shifted = pd.concat([bars.shift(1), other], axis=1, join="inner").dropna().to_numpy()
    assert (np.abs(shifted[:, 0] / shifted[:, 1] - 1) < 2e-3).mean() < 0.5  # an hour off would be seen
    assert evidence(found, "date order of date time")[0] == "day first"
    assert evidence(found, "clock of date time")[0] == "12 hours, AM and PM lost"
    assert evidence(found, "time")[1].startswith("11,768 of 37,526 rows")


def test_a_corrupt_first_bar_and_rows_that_contradict_themselves_are_refused(read: Any) -> None:
    found = read("cdd_Binance_BTCUSDT_1h_reversed_mixed_epoch.csv")
    assert sorted(found.rejected.counts().values()) == [1, 91]
    last = int(found.rejected.source_row.max())
    assert last == 36_061
    assert '"16199.91"' in found.rejected.content[int(found.rejected.source_row.argmax())]
    assert evidence(found, "unit of unix")[0] == "s and ms"


def test_london_time_in_a_long_file_is_utc_for_every_symbol(read: Any, shared_data: Path) -> None:
    found = read("aha_all_exchanges_london_time_long.csv")
    assert len(found.bars) == 18
    pairs = {
        "binance/BTCUSDT/8h": "ohlcv_spot/binance/BTCUSDT-8h",
        "binance_perpetual/BTCUSDT/8h": "ohlcv_perp/binance_usdm/BTCUSDT-8h",
        "binance_perpetual/BTCUSDCM/8h": "ohlcv_perp/binance_coinm/BTCUSD_PERP-8h",
        "okx/ETHUSDT/8h": "ohlcv_spot/okx/ETHUSDT-8h",
    }
    for bars in found.bars:
        reference = pairs.get(str(bars.key))
        if reference:
            other = pd.read_parquet(shared_data / f"{reference}.parquet")
            assert bars.rows["open_time"].tolist() == (other["timestamp"].astype("int64")).tolist()
            assert bars.rows["close"].tolist() == other["close"].tolist()
    assert evidence(found, "times that the clock shows twice")[1].startswith("18 decided by the grid of bars")


def test_the_funding_beside_long_bars_is_read_as_its_own_kind(shared_data: Path) -> None:
    said = SAID["aha_all_exchanges_london_time_long.csv"]
    found = inspect_file(
        shared_data / "messy/aha_all_exchanges_london_time_long.csv", ImportSettings(**said, kind="funding")
    )
    assert (found.rows, found.accepted) == (29556, 29556 - 9852)
    assert found.rejected.counts() == {"the rate is missing or no number": 9852}
    assert found.vintages is not None
    SideVintages.validate(found.vintages)
    own = found.vintages[(found.vintages["series"] == "funding_binance") & (found.vintages["symbol"] == "BTCUSDT")]
    other = pd.read_parquet(shared_data / "funding/binance_usdm/BTCUSDT.parquet").set_index("timestamp")["funding_rate"]
    both = pd.concat([own.set_index("reference_at")["value"], other], axis=1, join="inner").to_numpy()
    assert len(both) > 1500 and np.allclose(both[:, 0], both[:, 1], atol=1e-8)


def test_volume_columns_that_swap_are_put_right_row_by_row(read: Any) -> None:
    bars = bars_of(read("gymtradingenv_BTC_USD-Hourly_volume_columns_swap.csv"))
    traded = bars[bars["volume"] > 0]
    mean = traded["quote_volume"] / traded["volume"]
    assert (mean.between(traded["low"] * 0.99, traded["high"] * 1.01)).mean() > 0.999
    swapped = evidence(read("gymtradingenv_BTC_USD-Hourly_volume_columns_swap.csv"), "volume")[1]
    assert "13,111 of them" in swapped and "changed places" in swapped


def test_contracts_are_told_from_coins(read: Any) -> None:
    found = read("cdd_BTCUSD_PERP_CM_hour_url_header.csv")
    assert evidence(found, "volume")[0] == "Volume Base Asset"
    assert evidence(found, "quote volume")[0] == "Volume x 100 (contracts)"


def test_money_becomes_volume_with_its_error_said(read: Any, shared_data: Path) -> None:
    found = read("btc-perp_1m_quote_volume_2022-01.csv")
    bars = bars_of(found)
    mean = bars["quote_volume"] / bars["volume"].where(bars["volume"] > 0)
    assert (
        mean.dropna().between(bars["low"], bars["high"]).all() or (mean.dropna() / bars["close"] - 1).abs().max() < 0.02
    )
    assert "right to within 1.86%" in evidence(found, "volume")[1]
    hourly = bars.set_index("open_time")["open"].resample("1h").first()
    spot = pd.read_parquet(shared_data / "ohlcv_spot/binance/BTCUSDT-1h.parquet").set_index("timestamp")["open"]
    both = pd.concat([hourly, spot], axis=1, join="inner").to_numpy()
    assert (
        np.median(np.abs(both[:, 0] / both[:, 1] - 1)) < 5e-4
    )  # half of what bars stamped with their open would be off


def test_the_calendar_and_the_trades_are_those_of_an_independent_source(read: Any, shared_data: Path) -> None:
    events = read("economic_calendar_us_mdy.csv").vintages
    SideVintages.validate(events)
    other = pd.read_parquet(shared_data / "calendar/fxstreet/usd_high_impact.parquet")
    assert events["reference_at"].tolist() == other["timestamp"].tolist()
    assert set(events["value"]) == {3.0}
    trades = pd.read_parquet(shared_data / "trades/binance/XRPETH-trades-2019.parquet")
    for name in ("freqtrade_XRP_ETH-trades.json.gz", "freqtrade_XRP_OLD-trades.json.gz"):
        (own,) = read(name).tables.values()
        columns = ["timestamp", "id", "side", "price", "amount"]
        ordered = [table.sort_values("id")[columns].to_numpy().tolist() for table in (own, trades)]
        assert ordered[0] == ordered[1]


def test_a_raw_stream_is_split_as_an_independent_reader_splits_it(read: Any, shared_data: Path) -> None:
    found = read("hftbacktest_spot_btcusdt_20240808_skewed_clock.gz")
    for name, table in found.tables.items():
        other = pd.read_parquet(shared_data / f"l2_{name}/binance/BTCUSDT_20240808.parquet")
        pd.testing.assert_frame_equal(table[list(other)], other)
    assert evidence(found, "receive clock")[0] == "1.27 s behind the exchange's"


def test_the_deliveries_of_a_file_hold_all_its_rows(read: Any) -> None:
    for name in ("aha_all_exchanges_london_time_long.csv", "cdd_Binance_BTCUSDT_1h_reversed_mixed_epoch.csv"):
        found = read(name)
        deliveries = to_deliveries(found, NOW)
        assert sum(delivery.rows_received for delivery in deliveries) == found.rows
        assert sum(len(d.rows) + d.repeated + len(d.rejected) for d in deliveries) == found.rows
    assert deliveries[0].key == BarKey(venue="binance", symbol="BTCUSDT", timeframe="1h")
