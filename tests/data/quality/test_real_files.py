"""The known faults of real files are found where they are."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from tradewind.data.quality.agreement import compare_bars
from tradewind.data.quality.counts import missing_by_day
from tradewind.data.quality.outliers import find_outliers
from tradewind.data.quality.rules import OutlierRules, RunRules
from tradewind.data.quality.runs import find_runs

Bars = Callable[..., pd.DataFrame]


def longest(runs: pd.DataFrame, kind: str) -> tuple[str, str, int]:
    row = runs[runs["kind"] == kind].sort_values("bars").iloc[-1]
    return f"{row['start']:%Y-%m-%d %H:%M}", f"{row['end']:%Y-%m-%d %H:%M}", int(row["bars"])


def test_the_outage_of_2018_is_a_gap_of_33_hours_on_two_days(real_bars: Bars) -> None:
    """34 hours lie between the opening of the last bar before it and the first after it."""
    bars = real_bars("ohlcv_spot", "binance", "BTCUSDT", "1h")
    runs = find_runs(bars, RunRules())
    assert longest(runs, "gap") == ("2018-02-08 01:00", "2018-02-09 10:00", 33)
    days = missing_by_day(bars).set_index("day")["missing_bars"]
    assert (days["2018-02-08"], days["2018-02-09"], days.sum()) == (23, 10, 122)


def test_the_halt_of_2023_is_a_run_without_volume_and_the_hole_of_95_days_a_gap(real_bars: Bars) -> None:
    bars = real_bars("ohlcv_spot", "binance", "SOLUSDT", "5m")
    runs = find_runs(bars, RunRules())
    assert longest(runs, "zero_volume") == ("2023-03-24 11:30", "2023-03-24 12:40", 14)
    assert longest(runs, "stale") == ("2023-03-24 11:30", "2023-03-24 12:40", 14)
    assert longest(runs, "gap") == ("2023-09-27 19:10", "2024-01-01 00:00", 27418)
    # The move across the hole is no return, so it is no outlier either.
    found = find_outliers(bars, OutlierRules())
    assert np.isnan(found.log_return[bars["timestamp"] == pd.Timestamp("2024-01-01 00:05", tz="UTC")]).all()
    assert 0 < found.return_robust.mean() < 0.002
    assert found.bad_tick.sum() == 1


def test_the_hours_are_the_five_minutes_put_together(real_bars: Bars) -> None:
    hours, minutes = (real_bars("ohlcv_spot", "binance", "SOLUSDT", timeframe) for timeframe in ("1h", "5m"))
    row = compare_bars(hours, minutes, 50.0).iloc[0]
    assert (row["compared"], row["agreeing"]) == (16001, 16001)


def test_a_perpetual_agrees_with_its_spot_and_a_file_whose_clock_is_wrong_does_not(real_bars: Bars) -> None:
    perpetual = real_bars("ohlcv_perp", "binance_usdm", "BTCUSDT", "1h")
    row = compare_bars(perpetual, real_bars("ohlcv_spot", "binance", "BTCUSDT", "1h"), 50.0).iloc[0]
    assert row["agreeing"] / row["compared"] > 0.999
    assert row["return_correlation"] > 0.99
    # The 8-hour bars of OKX in this file are stamped four hours late.
    okx = real_bars("ohlcv_spot", "okx", "BTCUSDT", "8h")
    binance = real_bars("ohlcv_spot", "binance", "BTCUSDT", "8h")
    row = compare_bars(binance, okx, 50.0).iloc[0]
    assert row["agreeing"] / row["compared"] < 0.7
    assert row["return_correlation"] < 0.6
