"""Kind 4: neither unfinished nor stale rows replace finished ones."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from tests.depth import deep
from tradewind.cli import cli
from tradewind.data.file_import.importer import inspect_file
from tradewind.data.file_import.outcome import to_deliveries
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import NOT_CLOSED, type_bars
from tradewind.data.files.deliveries import PROVISIONAL_MS, STILL_OPEN, merge_rows, receive, settled, stored_columns
from tradewind.data.files.dialect import BarDialect, ImportSettings
from tradewind.data.sources.files import read_bar_file
from tradewind.data.stores.catalogue import open_store

KEY = BarKey(venue="x", symbol="S", timeframe="1h")
HEAD = "open_time,open,high,low,close,volume\n"
A = HEAD + "1704067200000,1,1,1,1,9\n1704070800000,1,1,1,1,0.5\n"
B = HEAD + "1704067200000,1,1,1,1,9\n1704070800000,1,3,1,3,50\n1704074400000,3,3,3,3,9\n"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
START_MS, HOUR_MS = 1_704_067_200_000, 3_600_000


@pytest.mark.parametrize("order", ["ABA", "BA", "AB", "BAA", "ABAAB", "AAB"])
def test_a_torso_that_is_delivered_again_stays_replaced(tmp_path: Path, order: str) -> None:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()
    for name, content in (("A", A), ("B", B)):
        (tmp_path / f"{name}.csv").write_text(content)
    for name in order:
        words = ["import-bars", str(tmp_path / f"{name}.csv"), "--venue", "x", "--symbol", "S"]
        found = CliRunner().invoke(
            cli, [*words, "--set", "volume_unit=base"], obj=SimpleNamespace(project_path=tmp_path)
        )
        assert found.exit_code == 0, found.output
    store = open_store({"kind": "sqlite", "path": tmp_path / "data/01_raw/imported.sqlite"})
    rows = settled(store.read(KEY))
    store.close()
    values = rows[["open", "high", "low", "close", "volume"]].to_numpy().tolist()
    assert values == [[1, 1, 1, 1, 9], [1, 3, 1, 3, 50], [3, 3, 3, 3, 9]]


def bars(first: int, count: int, torso: bool = False, version: int = 0) -> pd.DataFrame:
    """Hours of a market; a torso is the last of them as it was after a few minutes."""
    hours = np.arange(first, first + count)
    rng = [np.random.default_rng([int(hour), version]) for hour in hours]
    opening = 100.0 + hours
    high, low = opening + [r.uniform(1, 2) for r in rng], opening - [r.uniform(1, 2) for r in rng]
    table = pd.DataFrame(
        {"open_time": START_MS + hours * HOUR_MS, "open": opening, "high": high, "low": low,
         "close": opening + 0.5, "volume": [r.uniform(50, 60) for r in rng]}
    )  # fmt: skip
    if torso:
        table.loc[count - 1, ["high", "low", "close", "volume"]] = [opening[-1] + 0.1, opening[-1], opening[-1], 0.5]
    return table


@pytest.mark.parametrize("deliveries", [200, deep(1000)])
def test_random_partial_redeliveries_never_replace_a_finished_row(deliveries: int) -> None:
    """Property: files of the same market, cut anywhere, half of them ending in an unfinished bar, in any order and
    again and again; every bar that was ever delivered finished is read finished."""
    rng = np.random.default_rng(4)
    given = [
        (first, count, bool(torso))
        for first, count, torso in zip(
            rng.integers(0, 40, 30), rng.integers(1, 12, 30), rng.random(30) < 0.5, strict=True
        )
    ]
    whole = bars(0, 60).set_index("open_time")
    held, finished = stored_columns(), set[int]()
    for number in range(deliveries):
        first, count, torso = given[rng.integers(len(given))]
        table = bars(first, count, torso)
        moment = NOW + timedelta(seconds=number)
        held = merge_rows([held, receive(table, KEY, "file", moment, may_end_open=True).rows])
        finished |= set(table["open_time"].tolist()[: count - torso])
        rows = settled(held).set_index("open_time")
        read = rows[~rows.index.duplicated(keep="last")]
        there = read.loc[sorted(finished), ["high", "low", "close", "volume"]]
        pd.testing.assert_frame_equal(there, whole.loc[sorted(finished), list(there)], check_freq=False)


def test_a_correction_of_a_finished_bar_still_counts() -> None:
    first = receive(bars(0, 5), KEY, "file", NOW, may_end_open=True).rows
    corrected = receive(bars(0, 5, version=1), KEY, "file", NOW + timedelta(hours=1), may_end_open=True).rows
    read = settled(merge_rows([first, corrected])).groupby("open_time")["volume"].last()
    assert read.tolist()[:4] == bars(0, 5, version=1)["volume"].tolist()[:4]


def test_only_the_last_row_of_a_file_is_provisional_and_none_of_an_exchange() -> None:
    of_file = receive(bars(0, 5), KEY, "file", NOW, may_end_open=True).rows["received_at"]
    assert (of_file >= PROVISIONAL_MS).tolist() == [False] * 4 + [True]
    assert (receive(bars(0, 5), KEY, "exchange", NOW).rows["received_at"] < PROVISIONAL_MS).all()


@pytest.mark.parametrize("kind", ["sqlite", "parquet", "delta"])
def test_stores_keep_what_is_provisional_and_what_was_first(tmp_path: Path, kind: str) -> None:
    settings: dict[str, Any] = {"kind": kind, "path": str(tmp_path / "s")}
    store = open_store(settings)
    deliveries = [
        receive(bars(0, 3, torso=True), KEY, "file", NOW, may_end_open=True),
        receive(bars(0, 5), KEY, "file", NOW + timedelta(hours=1), may_end_open=True),
        receive(bars(0, 3, torso=True), KEY, "file", NOW + timedelta(hours=2), may_end_open=True),
        receive(bars(3, 4), KEY, "file", NOW + timedelta(hours=3), may_end_open=True),
    ]
    for one in deliveries:
        store.append(one)
    pd.testing.assert_frame_equal(store.read(KEY), merge_rows([one.rows for one in deliveries]))
    rows = settled(store.read(KEY))
    assert rows["volume"].tolist() == bars(0, 7)["volume"].tolist()
    store.close()


# Siblings: rows that say themselves that they are unfinished, and finished ones that were taken for unfinished.


@pytest.mark.parametrize(
    ("name", "words"),
    [("confirm", "10"), ("is_closed", ("True", "False")), ("complete", ("yes", "no")), ("isFinal", ("1.0", "0.0"))],
)
def test_a_bar_that_its_row_calls_unclosed_is_rejected_at_every_door(tmp_path: Path, name: str, words: Any) -> None:
    """OKX, Bybit, OANDA and Binance mark the candle that is still forming; it was stored as a finished one."""
    closed, forming = words
    rows = bars(0, 4, torso=True).assign(flag=[closed, closed, closed, forming]).rename(columns={"flag": name})
    path = tmp_path / "S-1h.csv"
    rows.to_csv(path, index=False)
    plan = inspect_file(path, ImportSettings(venue="x", symbol="S", volume_unit="base"))
    (delivery,) = to_deliveries(plan, NOW)
    assert delivery.rejected["reason"].tolist() == [NOT_CLOSED]
    assert delivery.rows["open_time"].tolist() == rows["open_time"].tolist()[:3]
    assert (delivery.rows["received_at"] < PROVISIONAL_MS).all()  # the file says that its last bar had closed
    typed, rejected = type_bars(read_bar_file(path, KEY, BarDialect()), KEY)
    assert len(typed) == 3 and rejected["reason"].tolist() == [NOT_CLOSED]


def test_a_column_that_only_is_called_so_is_no_such_mark(tmp_path: Path) -> None:
    path = tmp_path / "S-1h.csv"
    bars(0, 4).assign(complete=[0.98, 0.0, 1.0, 0.4]).to_csv(path, index=False)
    plan = inspect_file(path, ImportSettings(venue="x", symbol="S", volume_unit="base"))
    assert plan.accepted == 4 and plan.bars[0].may_end_open
    assert len(type_bars(read_bar_file(path, KEY, BarDialect()), KEY)[0]) == 4


def test_the_row_before_the_present_bar_is_a_finished_one() -> None:
    """A file fetched during bar 5 holds bar 4 whole, and its correction of bar 4 counts; before, it was provisional."""
    first = receive(bars(0, 6), KEY, "file", NOW, may_end_open=True).rows
    during = datetime.fromtimestamp((START_MS + 5 * HOUR_MS + 60_000) / 1000, UTC)
    fetched = bars(0, 6, version=1)
    delivery = receive(fetched, KEY, "file", during, may_end_open=True)
    assert delivery.rejected["reason"].tolist() == [STILL_OPEN]
    assert (delivery.rows["received_at"] < PROVISIONAL_MS).all()
    early = first.assign(received_at=first["received_at"] - 10**12)  # what had come before the correction
    read = settled(merge_rows([early, delivery.rows])).groupby("open_time")["volume"].last()
    assert read.tolist()[:5] == fetched["volume"].tolist()[:5]


def test_a_row_of_the_future_finishes_nothing() -> None:
    """A damaged time behind the torso is no sign that the torso had closed."""
    table = bars(0, 4, torso=True)
    wrong = pd.concat([table, bars(40, 1).assign(open_time=int(NOW.timestamp() * 1000) + HOUR_MS)], ignore_index=True)
    rows = receive(wrong, KEY, "file", NOW, may_end_open=True).rows
    assert (rows["received_at"] >= PROVISIONAL_MS).tolist() == [False] * 3 + [True]
