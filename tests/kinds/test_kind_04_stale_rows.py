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
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.deliveries import PROVISIONAL_MS, merge_rows, receive, settled, stored_columns
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
