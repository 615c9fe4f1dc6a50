"""Kind 2: what a receipt counts as accepted becomes a bar, since receipt and run make the same row checks."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from tradewind.cli import cli
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import SUPERSEDED, check_bars, type_bars
from tradewind.data.files.deliveries import receive, settled
from tradewind.data.files.grid_hints import explain_off_grid
from tradewind.data.ingestion.backfill import Wanted, backfill
from tradewind.data.ingestion.rules import IngestionRules
from tradewind.data.sources.base import Page
from tradewind.data.stores.catalogue import open_store
from tradewind.market.universe import Universe

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
HEAD = "Date,Open,High,Low,Close,Volume\n"
FRIDAYS = HEAD + "2024-01-05,10,12,9,11,100\n2024-01-12,11,13,10,12,100\n2024-01-19,12,14,11,13,100\n"
BASE = ["--set", "volume_unit=base"]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()

    def _run(content: str, *arguments: str) -> Result:
        (tmp_path / "w.csv").write_text(content)
        words = ["import-bars", str(tmp_path / "w.csv"), "--symbol", "DAX", "--venue", "x", *BASE, *arguments]
        return CliRunner().invoke(cli, words, obj=SimpleNamespace(project_path=tmp_path))

    return _run


def stored(folder: Path, timeframe: str) -> pd.DataFrame:
    store = open_store({"kind": "sqlite", "path": folder / "data/01_raw/imported.sqlite"})
    rows = store.read(BarKey(venue="x", symbol="DAX", timeframe=timeframe))
    store.close()
    return rows


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_weeks_that_open_on_fridays_are_no_monday_weeks(run: Any, tmp_path: Path, dry: list[str]) -> None:
    result = run(FRIDAYS, "--set", "timezone=UTC", *dry)
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert "3 of 3 rows: open_time is off the 1w grid: they open on Fridays; set week_start=fri" in told
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("day", ["tue", "fri", "sun"])
def test_weeks_are_taken_on_the_day_that_the_receipt_names(run: Any, tmp_path: Path, day: str) -> None:
    """A sibling: the remedy was told and not known to the command."""
    first = pd.Timestamp("2024-01-01") + pd.Timedelta(days=("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(day))
    weeks = "".join(f"{first + pd.Timedelta(weeks=n):%Y-%m-%d},10,12,9,11,100\n" for n in range(4))
    told = " ".join(run(HEAD + weeks, "--set", "timezone=UTC").output.split())
    assert f"set week_start={day}" in told
    for dry in (["--dry-run"], []):
        result = run(HEAD + weeks, "--set", "timezone=UTC", "--set", f"week_start={day}", *dry)
        assert result.exit_code == 0, result.output
    assert f"next: kedro run --env imported --params=universe.week_start={day}" in result.output
    rows = stored(tmp_path, "1w")
    assert len(rows) == 4
    key = BarKey(venue="x", symbol="DAX", timeframe="1w")
    given = {"venue": "x", "symbols": ("DAX",), "timeframe": "1w", "week_start": day}
    typed, _ = type_bars(rows, key)
    bars, rejected = check_bars(typed, key, NOW, Universe.model_validate(given).trading_calendar)
    assert len(bars) == 4 and rejected.empty


def test_some_rows_off_the_grid_are_counted_and_the_others_taken(run: Any, tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{day:02d},10,12,9,11,100\n" for day in (1, 8, 15, 22, 26, 29))
    result = run(HEAD + rows, "--timeframe", "1w", "--set", "timezone=UTC")
    assert result.exit_code == 0, result.output
    assert "6 rows: 5 new, 0 known, 1 rejected (1 of 6 rows: open_time is off the 1w grid: they open on Fri" in (
        " ".join(result.output.split())
    )
    assert len(stored(tmp_path, "1w")) == 5


def test_days_of_a_stated_session_zone_are_the_dates_of_its_sessions(run: Any, tmp_path: Path) -> None:
    days = ["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12"]  # clocks change on the 10th
    result = run(HEAD + "".join(f"{day},10,12,9,11,100\n" for day in days), "--set", "timezone=America/New_York")
    assert result.exit_code == 0, result.output
    opened = pd.to_datetime(stored(tmp_path, "1d")["open_time"], unit="ms")
    assert opened.dt.strftime("%Y-%m-%d %H:%M").tolist() == [f"{day} 00:00" for day in days]


def test_days_at_the_opening_of_a_session_are_its_date_too(run: Any, tmp_path: Path) -> None:
    times = pd.DatetimeIndex(["2024-03-07 09:30", "2024-03-08 09:30", "2024-03-11 09:30"], tz="America/New_York")
    rows = "".join(f"{at},10,12,9,11,100\n" for at in times.as_unit("s").asi8)
    assert run(HEAD + rows, "--set", "timezone=America/New_York").exit_code == 0
    opened = pd.to_datetime(stored(tmp_path, "1d")["open_time"], unit="ms")
    assert opened.dt.strftime("%Y-%m-%d %H:%M").tolist() == ["2024-03-07 00:00", "2024-03-08 00:00", "2024-03-11 00:00"]


def test_days_that_open_at_four_are_told_to_name_their_zone(run: Any) -> None:
    times = pd.date_range("2024-06-03 04:00", periods=5, freq="D", tz="UTC").as_unit("s").asi8
    result = run(HEAD + "".join(f"{at},10,12,9,11,100\n" for at in times))
    assert result.exit_code == 1
    assert "off the 1d grid: they open at 04:00 UTC" in " ".join(result.output.split())
    assert "set timezone=America/New_York" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("first", "step_days", "timeframe", "told"),
    [
        ("2024-01-04", 7, "1w", "they open on Thursdays; set week_start=thu"),
        ("2024-01-07", 7, "1w", "they open on Sundays; set week_start=sun"),
        ("2024-01-01", 7, "1w", ""),
    ],
)
def test_weeks_of_each_day_are_named(first: str, step_days: int, timeframe: str, told: str) -> None:
    opened = int(np.datetime64(first, "ms").astype(np.int64)) + np.arange(5) * step_days * DAY_MS
    assert explain_off_grid(opened, timeframe) == told


def test_of_two_rows_for_one_bar_in_a_file_the_last_counts_in_the_store_as_in_the_dry_run(
    run: Any, tmp_path: Path
) -> None:
    """A sibling: a store told rows of one delivery apart by their hash, so that chance decided."""
    for last in ("10.5", "10.25", "11.5", "11.75"):
        rows = ["2024-01-01,10,12,9,11,100", f"2024-01-01,10,12,9,{last},100", "2024-01-02,10,12,9,11,100"]
        result = run(HEAD + "\n".join(rows) + "\n", "--set", "timezone=UTC", "--output", f"{last}.sqlite")
        assert result.exit_code == 0, result.output
        assert SUPERSEDED in " ".join(result.output.split())
        store = open_store({"kind": "sqlite", "path": tmp_path / f"{last}.sqlite"})
        found = store.read(BarKey(venue="x", symbol="DAX", timeframe="1d"))
        store.close()
        assert found["close"].tolist() == [float(last), 11.0]


class _Weekly:
    """A source whose weeks open on Sundays."""

    name = venue = "weekly"

    def bars(self, key: BarKey, span: Any) -> Any:
        opened = np.arange(4) * 7 * DAY_MS + int(np.datetime64("2024-01-07", "ms").astype(np.int64))
        prices = {name: np.full(4, 10.0) for name in ("open", "high", "low", "close", "volume")}
        yield Page(pd.DataFrame({"open_time": opened, **prices}), span)


def test_a_backfill_of_which_nothing_becomes_a_bar_has_failed(tmp_path: Path) -> None:
    store = open_store({"kind": "sqlite", "path": tmp_path / "s.sqlite"})
    key = BarKey(venue="weekly", symbol="A", timeframe="1w")
    wanted = Wanted((key,), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 12, tzinfo=UTC))
    source: Any = _Weekly()
    (found,) = backfill(source, store, wanted, IngestionRules(), lambda: NOW)
    assert (found.rows_received, found.rows_new, found.rows_rejected) == (4, 0, 4)
    assert "none of the rows received becomes a bar: 4 of 4 rows: open_time is off the 1w grid" in str(found.error)
    store.close()


def test_every_accepted_row_of_random_deliveries_becomes_a_bar() -> None:
    """Property: 200 deliveries with faults of every kind; what is counted as new is what a run keeps of it."""
    rng = np.random.default_rng(2)
    key = BarKey(venue="x", symbol="A", timeframe="1h")
    for _ in range(200):
        n = int(rng.integers(1, 30))
        opened = 1_704_067_200_000 + rng.integers(0, 40, n) * 3_600_000
        rows = pd.DataFrame({"open_time": opened, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": 1.0})
        rows["close"] = rng.choice([9.5, 10.0, 10.5], n)
        for name, value in (("high", 1.0), ("low", -1.0), ("close", 99.0), ("volume", -1.0), ("volume", np.nan)):
            rows.loc[rng.random(n) < 0.05, name] = value
        rows.loc[rng.random(n) < 0.1, "open_time"] += int(rng.choice([1, 1_800_000]))
        delivery = receive(rows, key, "test", NOW)
        accepted = settled(delivery.rows).drop(columns=["received_at", "content_hash", "quote_volume", "trades"])
        assert delivery.rows_received == n == len(accepted) + delivery.repeated + len(delivery.rejected)
        if len(accepted):
            typed, unreadable = type_bars(accepted, key)
            bars, refused = check_bars(typed, key, NOW)
            assert (len(unreadable), len(refused), len(bars)) == (0, 0, len(accepted))
