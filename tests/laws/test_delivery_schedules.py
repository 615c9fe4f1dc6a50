"""Random schedules of delivery end in the same table: late, repeated, overlapping, out of order, corrected
and too early rows alike."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.stores.memory import MemoryStore
from tests.data.stores.schedules import HOUR_MS, START_MS, at, bars, key
from tests.depth import deep
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import check_bars
from tradewind.data.files.deliveries import VALUES, Delivery, receive, stored_columns
from tradewind.data.stores.catalogue import open_store

MARKETS, HOURS = 20, 30
Answer = tuple[pd.DataFrame, float]


def answers(rng: np.random.Generator) -> list[Answer]:
    """What a source says when it is asked, with the hour of each answer: later ones correct earlier ones, the second
    looks while its last bar is open, and two say something twice."""
    found = [(bars(range(HOURS)), HOURS + 0.25)]
    for number in range(3):
        begin, end = sorted(rng.choice(HOURS + 1, 2, replace=False).tolist())
        rows = bars(range(begin, HOURS + 1 if number == 0 else end), version=number).astype(object)
        if number:
            rows = pd.concat([rows, rows.tail(2)], ignore_index=True)
            rows.loc[0, "volume"] = "?"
        found.append((rows, HOURS + 0.5 + number))
    return found


def final_bars(given: list[Answer]) -> dict[int, float]:
    """The close of each bar by hand: of what had closed and can be read, what was received last."""
    last: dict[int, tuple[float, float]] = {}
    for rows, hour in given:
        for opened, close, volume in rows[["open_time", "close", "volume"]].itertuples(index=False):
            if opened + HOUR_MS <= START_MS + hour * HOUR_MS and volume != "?" and last.get(opened, (0,))[0] < hour:
                last[opened] = (hour, close)
    return {opened: close for opened, (_, close) in sorted(last.items())}


def checked_bars(rows: pd.DataFrame, of: BarKey) -> pd.DataFrame:
    """The bars of stored rows, as data engineering makes them."""
    opened = pd.DatetimeIndex(rows["open_time"].to_numpy().astype("datetime64[ms]"), tz="UTC")
    typed = pd.DataFrame(
        {
            **of.columns(len(rows)), "timestamp": (opened + pd.Timedelta(hours=1)).as_unit("ms"), "open_time": opened,
            **{name: rows[name].to_numpy() for name in VALUES}, "source_row": np.arange(len(rows)),
        }
    )  # fmt: skip
    return check_bars(typed, of, at(10_000))[0]


def schedule(deliveries: Sequence[Delivery], rng: np.random.Generator) -> list[Delivery]:
    """All of them in some order, one or two of them again."""
    order = [*range(len(deliveries)), *rng.integers(0, len(deliveries), rng.integers(1, 3))]
    return [deliveries[number] for number in rng.permutation(order)]


def check_schedules(store: Any, schedules: int) -> None:
    """Every schedule of a market ends in the same rows, and so in the same table, which is the one made by hand."""
    received: dict[int, list[Delivery]] = {}
    rows: dict[int, pd.DataFrame] = {}
    for number in range(schedules):
        market, rng = number % MARKETS, np.random.default_rng([1, number])
        of = key(f"market {market}, schedule {number}")
        if market not in received:
            given = answers(np.random.default_rng([2, market]))
            received[market] = [receive(rows, of, "test", at(hour)) for rows, hour in given]
        for one in schedule(received[market], rng):
            store.append(replace(one, key=of))
        found = store.read(of)
        assert found.equals(rows.setdefault(market, found))
        if number % 13 == 0 or number < MARKETS:
            table = checked_bars(found, of)
            by_hand = final_bars(answers(np.random.default_rng([2, market])))
            assert dict(zip(table["open_time"].astype("int64"), table["close"], strict=True)) == by_hand


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: what is tested here is order, not durability."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("schedules", [100, deep(1000)])
def test_all_schedules_end_in_the_same_table(fast_folder: Path, schedules: int) -> None:
    store = open_store({"kind": "sqlite", "path": str(fast_folder / "store.sqlite")})
    check_schedules(store, schedules)
    store.close()


def test_forty_schedules_end_in_the_same_table_in_a_folder(fast_folder: Path) -> None:
    store = open_store({"kind": "parquet", "path": str(fast_folder / "store"), "compact_files": 3})
    check_schedules(store, 40)


class LastArrivalWins(MemoryStore):
    """A store that believes that what comes last is right."""

    def read(self, key: Any, span: Any = None) -> pd.DataFrame:
        rows = pd.concat([stored_columns(), *(one.rows for one in self.deliveries if one.key == key)])
        return rows.drop_duplicates("open_time", keep="last").sort_values("open_time", ignore_index=True)


def test_a_store_where_the_last_arrival_wins_is_caught() -> None:
    with pytest.raises(AssertionError):
        check_schedules(LastArrivalWins(), MARKETS)


def test_a_source_whose_open_bars_are_kept_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the delivery nor the check before the bars asks whether a bar has closed."""
    for room in ("deliveries", "cleaning"):
        monkeypatch.setattr(f"tradewind.data.files.{room}.bar_duration_ms", lambda timeframe: 0)
    with pytest.raises(AssertionError):
        check_schedules(MemoryStore(), MARKETS)
