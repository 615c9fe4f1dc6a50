"""Kind 3: a calendar period is no fixed duration: months, quarters and years are refused as what they are."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tradewind.cli import cli
from tradewind.data.files.dialect import ImportSettings
from tradewind.data.files.grid_hints import explain_off_grid, months_between
from tradewind.errors import BadParameters
from tradewind.market.timeframes import bar_duration

HEAD = "Date,Open,High,Low,Close,Volume\n"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()

    def _run(dates: Any, *arguments: str) -> Result:
        (tmp_path / "m.csv").write_text(HEAD + "".join(f"{date},10,12,9,11,100\n" for date in dates))
        words = ["import-bars", str(tmp_path / "m.csv"), "--symbol", "DAX", "--venue", "x", "--set", "volume_unit=base"]
        return CliRunner().invoke(cli, [*words, *arguments], obj=SimpleNamespace(project_path=tmp_path))

    return _run


def dates(start: str, count: int, every: str, form: str = "%Y-%m-%d") -> list[str]:
    return pd.date_range(start, periods=count, freq=every).strftime(form).tolist()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (dates("2010-01-01", 156, "MS"), "156 rows are 1 calendar month apart (2010-01-01, 2010-02-01)"),
        (dates("2010-01-31", 156, "ME"), "156 rows are 1 calendar month apart"),
        (dates("2010-01-31", 156, "BME"), "156 rows are 1 calendar month apart"),
        (dates("2010-01-15", 30, "MS", "%Y-%m-15"), "30 rows are 1 calendar month apart"),
        (dates("2000-01-01", 40, "QS"), "40 rows are 3 calendar months apart"),
        (dates("2000-06-30", 20, "2QE"), "20 rows are 6 calendar months apart"),
        (dates("1995-01-01", 20, "YS"), "20 rows are 12 calendar months apart"),
        (["2015-01-01", "2015-02-01"], "2 rows are 1 calendar month apart"),
        (["2015-02-01", "2015-03-01", "2015-04-01"], "3 rows are 1 calendar month apart"),
    ],
    ids=["months", "their last days", "their last business days", "the 15th", "quarters", "half years", "years",
         "two months", "28 and 31 days"],
)  # fmt: skip
def test_months_are_refused_as_months_and_nothing_is_stored(run: Run, tmp_path: Path, rows: Any, told: str) -> None:
    result = run(rows, "--set", "timezone=UTC")
    said = " ".join(result.output.split())
    assert result.exit_code == 1 and told in said and "months have no one duration" in said
    assert "import its daily or weekly bars (1d, 1w)" in said and "31d" not in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Tokyo"])
def test_months_of_another_zone_are_months(run: Run, zone: str) -> None:
    """Their midnight is on another day in UTC, an hour earlier or later by the season."""
    assert "are 1 calendar month apart" in " ".join(
        run(dates("2020-01-01", 24, "MS"), "--set", f"timezone={zone}").output.split()
    )


@pytest.mark.parametrize("every", ["7D", "14D", "28D", "1D"])
def test_weeks_and_days_are_durations(run: Run, every: str) -> None:
    assert run(dates("2015-01-05", 60, every), "--set", "timezone=UTC").exit_code == 0


def test_what_begins_or_ends_a_month_by_chance_is_no_month() -> None:
    hours = np.arange(
        np.datetime64("2024-01-31T20", "ms"), np.datetime64("2024-02-01T06", "ms"), np.timedelta64(1, "h")
    )
    days = np.array(["2024-01-31", "2024-02-01"], dtype="datetime64[ms]")
    holed = np.array(["2024-01-30", "2024-02-02", "2024-03-05"], dtype="datetime64[ms]")  # three days, then a hole
    for instants in (hours, days, holed, hours[:1], hours[:0]):
        assert months_between(instants.astype(np.float64)) == 0


@pytest.mark.parametrize("timeframe", ["1M", "3mo", "1month", "12months"])
def test_months_asked_for_by_name_are_refused_as_months(run: Run, timeframe: str) -> None:
    for asked in (lambda: bar_duration(timeframe), lambda: ImportSettings.model_validate({"timeframe": timeframe})):
        with pytest.raises((BadParameters, ValueError), match="months, which have no one duration"):
            asked()
    result = run(dates("2015-01-05", 9, "7D"), "--timeframe", timeframe)
    assert result.exit_code == 1 and "months, which have no one duration" in " ".join(result.output.split())


def test_bars_of_many_days_off_their_grid_are_not_told_to_name_a_zone() -> None:
    opened = np.array(["2015-01-03", "2015-02-03"], dtype="datetime64[ms]").astype(np.int64)
    told = explain_off_grid(opened, "31d")
    assert told == "bars of 31d are counted from 1970-01-01, and these rows are not; correct timeframe"
