"""Bars that arrive one by one give the columns of batch, and late ones are absent."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.learning.features import matrix
from tradewind.learning.features.assembly import Arrivals, Assembly, AssemblyState, Bar, SideValue
from tradewind.learning.features.bars import Chunk
from tradewind.learning.features.packing import pack, unpack
from tradewind.market.segments import assign_segments

HOUR_MS = 3_600_000
BATCH = 700


def rows_of(bars: pd.DataFrame) -> list[Bar]:
    opened, closed = matrix.epoch_ms(bars["open_time"]), matrix.epoch_ms(bars["timestamp"])
    values = bars[["open", "high", "low", "close", "volume"]].to_numpy(dtype=np.float64)
    symbols = bars["symbol"].tolist()
    return [Bar(symbols[row], int(opened[row]), int(closed[row]), *values[row].tolist()) for row in range(len(bars))]


@pytest.fixture(scope="module")
def holed(market_bars: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    rng, tables = np.random.default_rng(2), {}
    for symbol, bars in market_bars.items():
        kept = bars.iloc[800 : 800 + BATCH][rng.random(BATCH) > 0.03].reset_index(drop=True)
        tables[symbol] = kept.assign(segment=assign_segments(matrix.epoch_ms(kept["open_time"]), HOUR_MS, 3))
    return tables


@pytest.fixture(scope="module")
def assembly(holed: dict[str, pd.DataFrame]) -> Assembly:
    return Assembly(tuple(holed), "SIM1", HOUR_MS, 3, ("funding", "sentiment"), grace_ms=60_000)


def assert_same(found: Chunk, wanted: Chunk) -> None:
    for one in fields(Chunk):
        if one.name != "side":
            np.testing.assert_array_equal(getattr(found, one.name), getattr(wanted, one.name), err_msg=one.name)
    for name, values in wanted.side.items():
        np.testing.assert_array_equal(found.side[name], values, err_msg=name)


def test_bars_that_arrive_one_timestamp_at_a_time_are_those_of_batch(
    holed: dict[str, pd.DataFrame], side_series: dict[str, pd.DataFrame], assembly: Assembly
) -> None:
    arriving = sorted((bar for bars in holed.values() for bar in rows_of(bars)), key=lambda bar: bar.timestamp)
    values = [
        SideValue(name, "", int(known), float(value))
        for name, table in side_series.items()
        for known, value in zip(matrix.epoch_ms(table["known_at"]), table["value"], strict=True)
    ]
    state, parts, side = assembly.begin(), {symbol: [] for symbol in holed}, tuple(values)
    for timestamp in sorted({bar.timestamp for bar in arriving}):
        bars = tuple(bar for bar in arriving if bar.timestamp == timestamp)
        state, found = assembly.advance(state, Arrivals(timestamp + 60_000, bars, side))
        side = ()
        for symbol, chunk in found.chunks.items():
            parts[symbol].append(chunk)
        state = AssemblyState.from_arrays(*unpack(pack(*state.to_arrays()), "assembly"))
    market = matrix.market_table(holed)
    for symbol, bars in holed.items():
        joined = parts[symbol][0]
        for part in parts[symbol][1:]:
            joined = part.after(joined)
        assert_same(joined, matrix.build_chunk(bars, holed["SIM1"], market, side_series))


def test_a_timestamp_waits_for_its_symbols_and_no_longer_than_the_grace(assembly: Assembly) -> None:
    def bar(symbol: str, hour: int) -> Bar:
        return Bar(symbol, hour * HOUR_MS, (hour + 1) * HOUR_MS, 1.0, 1.0, 1.0, 1.0, 1.0)

    closed = 11 * HOUR_MS
    state, found = assembly.advance(assembly.begin(), Arrivals(closed, (bar("SIM1", 10), bar("SIM2", 10))))
    assert found.chunks == {}
    waiting = state
    state, found = assembly.advance(waiting, Arrivals(closed + 1, (bar("SIM3", 10),)))
    assert sorted(found.chunks) == ["SIM1", "SIM2", "SIM3"]
    state, found = assembly.advance(waiting, Arrivals(closed + 60_000))
    assert sorted(found.chunks) == ["SIM1", "SIM2"]
    state, found = assembly.advance(state, Arrivals(closed + 60_001, (bar("SIM3", 10),)))
    assert (found.chunks, [one.symbol for one in found.late]) == ({}, ["SIM3"])


def test_what_is_no_closed_bar_of_the_universe_is_refused(assembly: Assembly) -> None:
    for bar, message in (
        (Bar("NONE", 0, HOUR_MS, 1, 1, 1, 1, 1), "the universe has"),
        (Bar("SIM1", 0, 60_000, 1, 1, 1, 1, 1), "lasts 60000 ms"),
        (Bar("SIM1", HOUR_MS, 2 * HOUR_MS, 1, 1, 1, 1, 1), "has not closed"),
    ):
        with pytest.raises(BadData, match=message):
            assembly.advance(assembly.begin(), Arrivals(HOUR_MS, (bar,)))


def test_a_series_that_falls_silent_is_missing_from_then_on(assembly: Assembly) -> None:
    one = Assembly(("SIM1",), "SIM1", HOUR_MS, 3, ("funding",), stale_after_ms={"funding": 2 * HOUR_MS})
    state, seen = one.begin(), []
    for hour in range(1, 5):
        bar = Bar("SIM1", (hour - 1) * HOUR_MS, hour * HOUR_MS, 1, 1, 1, 1, 1)
        news = (SideValue("funding", "SIM1", HOUR_MS, 0.5),) if hour == 1 else ()
        state, found = one.advance(state, Arrivals(hour * HOUR_MS, (bar,), news))
        seen += found.chunks["SIM1"].side["funding"].tolist()
    np.testing.assert_array_equal(seen, [0.5, 0.5, np.nan, np.nan])


def bar_of(symbol: str, hour: int, price: float = 1.0) -> Bar:
    return Bar(symbol, (hour - 1) * HOUR_MS, hour * HOUR_MS, price, price, price, price, 1.0)


def pair(**changed: object) -> Assembly:
    return Assembly(("A", "B"), "A", HOUR_MS, 3, **({"grace_ms": 60_000} | changed))  # type: ignore[arg-type]


def test_no_timestamp_overtakes_one_that_still_waits() -> None:
    one = pair(grace_ms=3 * HOUR_MS)
    state, found = one.advance(one.begin(), Arrivals(2 * HOUR_MS, (bar_of("A", 1), bar_of("A", 2), bar_of("B", 2))))
    assert found.chunks == {} and len(state.pending) == 3
    _, found = one.advance(state, Arrivals(2 * HOUR_MS + 1, (bar_of("B", 1),)))
    assert {name: chunk.timestamp.tolist() for name, chunk in found.chunks.items()} == {
        name: [HOUR_MS, 2 * HOUR_MS] for name in ("A", "B")
    }


def test_bars_that_wait_are_part_of_the_saved_state() -> None:
    one = pair()
    state, _ = one.advance(one.begin(), Arrivals(HOUR_MS, (bar_of("A", 1, 5.0),)))
    again = AssemblyState.from_arrays(*unpack(pack(*state.to_arrays()), "assembly"))
    assert again.pending == state.pending == (bar_of("A", 1, 5.0),)
    _, found = one.advance(again, Arrivals(HOUR_MS + 1, (bar_of("B", 1),)))
    assert found.chunks["A"].close.tolist() == [5.0]


def test_a_bar_of_a_timestamp_that_is_done_is_late_even_when_it_is_told_again() -> None:
    one = pair()
    bars = (bar_of("A", 1), bar_of("B", 1))
    state, found = one.advance(one.begin(), Arrivals(HOUR_MS, bars))
    assert sorted(found.chunks) == ["A", "B"]
    after, found = one.advance(state, Arrivals(HOUR_MS + 1, (bar_of("A", 1, 9.0), bar_of("B", 1, 9.0))))
    assert (found.chunks, len(found.late), after.pending) == ({}, 2, ())
    assert after.last == state.last


def test_the_last_of_two_bars_of_one_symbol_and_timestamp_counts_while_it_waits() -> None:
    one = pair()
    state, _ = one.advance(one.begin(), Arrivals(HOUR_MS, (bar_of("A", 1, 5.0),)))
    _, found = one.advance(state, Arrivals(HOUR_MS + 1, (bar_of("A", 1, 6.0), bar_of("B", 1))))
    assert found.chunks["A"].close.tolist() == [6.0]


@pytest.mark.parametrize("late", [60_000 - 1, 60_000])
def test_the_grace_begins_at_the_close(late: int) -> None:
    one = pair()
    _, found = one.advance(one.begin(), Arrivals(HOUR_MS + late, (bar_of("A", 1),)))
    assert sorted(found.chunks) == (["A"] if late >= 60_000 else [])


def test_news_of_one_symbol_or_of_all_reach_whom_they_are_about_in_the_order_of_time() -> None:
    one = pair(side_series=("news",), settlements=("paid",))
    told = (
        SideValue("news", "A", 3, 3.0), SideValue("news", "A", 2, 2.0), SideValue("news", "B", 1, 1.0),
        SideValue("paid", "", 5, 0.25), SideValue("paid", "A", HOUR_MS, 0.5), SideValue("other", "A", 1, 9.0),
    )  # fmt: skip
    bars = (bar_of("A", 1), bar_of("B", 1))
    _, found = one.advance(one.begin(), Arrivals(HOUR_MS, bars, told))
    assert {name: chunk.side["news"].tolist() for name, chunk in found.chunks.items()} == {"A": [3.0], "B": [1.0]}
    assert {name: chunk.side["settled:paid"].tolist() for name, chunk in found.chunks.items()} == {
        "A": [0.75], "B": [0.25]
    }  # fmt: skip
