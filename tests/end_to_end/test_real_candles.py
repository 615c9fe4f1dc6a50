"""Real candles run to a report, with their gaps."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.depth import deep
from tests.end_to_end.conftest import FEW_FITS

pytestmark = pytest.mark.slow


@pytest.mark.depth
def test_real_candles_run_to_a_report_with_their_gaps(new_project: Any, shared_data: Path) -> None:
    folder = shared_data / "ohlcv_spot/binance"
    params = f"universe.symbols=[SOLUSDT],{FEW_FITS}"
    new_project.kedro("run", "--env", "real", "--params", params, TRADEWIND_DATA=str(folder))
    quality = pd.read_parquet(new_project.data("real") / "08_reporting/data_quality.parquet").set_index("symbol")
    assert quality["rows_accepted"].to_dict() == {"SOLUSDT": 35542}
    assert quality["missing_bars"].to_dict() == {"SOLUSDT": 20}
    page = (new_project.data("real") / "08_reporting/report.html").read_text()
    assert "SOLUSDT" in page
    board = pd.read_parquet(new_project.data("real") / "08_reporting/leaderboard.parquet").set_index("strategy")
    assert "oracle" not in board.index
    assert board.loc["last_bar_reversal", "sharpe"] < -5  # costs eat what the sign is right about


@pytest.mark.parametrize("days", [45, deep(1000)])
def test_the_five_minute_files_keep_their_hole(new_project: Any, shared_data: Path, tmp_path: Path, days: int) -> None:
    """95 days are missing: no return, feature or label crosses them. The file is cut so many days around the hole."""
    file = "SOLUSDT-5m.parquet"
    candles = pd.read_parquet(shared_data / "ohlcv_spot/binance" / file)
    after = int(candles["timestamp"].diff().argmax())
    # What a return across the hole would be.
    assert np.log(candles["close"][after] / candles["close"][after - 1]) > 1.6
    folder = tmp_path / "candles"
    folder.mkdir()
    candles[max(after - days * 288, 0) : after + days * 288].to_parquet(folder / file, index=False)
    (new_project.folder / "conf/real/parameters_features.yml").write_text(
        "feature_engineering: {features: {slower_timeframes: [], include: ['log_return_*']}}\n"
    )
    params = (
        "universe.symbols=[SOLUSDT],universe.timeframe=5m,data_engineering.market.max_gap_bars=144,"
        "data_engineering.quality.thresholds.completeness.stop=0.3"  # so much of so few days is missing
    )
    new_project.kedro("run", "--env", "real", "--pipelines", "data", "--params", params, TRADEWIND_DATA=str(folder))
    data = new_project.data("real")
    quality = pd.read_parquet(data / "08_reporting/data_quality.parquet").set_index("symbol")
    assert quality.loc["SOLUSDT", "longest_gap_bars"] > 95 * 288
    (labels,) = (data / "04_feature/labels/binance/SOLUSDT").glob("*.parquet")
    # SOL did fall by 27 % within two hours, in November 2022; across the hole the log return would be 1.7.
    assert pd.read_parquet(labels)["forward_return"].abs().max() < 0.6
    (features,) = (data / "04_feature/features/binance/SOLUSDT").glob("*.parquet")
    assert pd.read_parquet(features, columns=["log_return_168"])["log_return_168"].abs().max() < 1.0


@pytest.mark.depth
def test_a_fortnight_of_real_minutes_runs_to_a_report(new_project: Any, shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "minutes"
    folder.mkdir()
    candles = pd.read_parquet(shared_data / "ohlcv_perp/binance_usdm/BTCUSDT-1m.parquet")
    candles.tail(14 * 1440).to_parquet(folder / "BTCUSDT-1m.parquet", index=False)
    params = "universe.symbols=BTCUSDT,universe.timeframe=1m,models=linear lightgbm,feature_engineering.folds.n_folds=2"
    new_project.kedro("run", "--env", "real", "--params", params, TRADEWIND_DATA=str(folder))
    quality = pd.read_parquet(new_project.data("real") / "08_reporting/data_quality.parquet").set_index("symbol")
    assert quality.loc["BTCUSDT", "rows_accepted"] == 14 * 1440
    assert "1m bars" in (new_project.data("real") / "08_reporting/report.html").read_text()


@pytest.mark.depth
def test_fourteen_years_of_real_weeks_run_to_a_report(new_project: Any, shared_data: Path, tmp_path: Path) -> None:
    """The funds' sessions put together to weeks that open on Mondays."""
    folder = tmp_path / "weeks"
    folder.mkdir()
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    for file in (shared_data / "equities_daily/us_etf").glob("*-1d.parquet"):
        sessions = pd.read_parquet(file)
        weeks = sessions.resample("W-MON", on="timestamp", closed="left", label="left").agg(how).dropna()
        weeks.reset_index().to_parquet(folder / file.name.replace("-1d", "-1w"), index=False)
    params = "universe.timeframe=1w"
    new_project.kedro("run", "--env", "stocks", "--params", params, TRADEWIND_DATA=str(folder))
    quality = pd.read_parquet(new_project.data("stocks") / "08_reporting/data_quality.parquet")
    assert len(quality) == 8 and (quality["segments"] == 1).all()
    assert "1w bars" in (new_project.data("stocks") / "08_reporting/report.html").read_text()
