import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import DUPLICATE, SUPERSEDED, check_bars, type_bars
from tradewind.data.files.quarantine import require_all_rows, require_few_rejected
from tradewind.errors import BadData
from tradewind.market import schema

KEY = BarKey(venue="v", symbol="S", timeframe="1h")
HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01
NOW = datetime(2025, 1, 1, tzinfo=UTC)


def received(rows: int = 6) -> pd.DataFrame:
    hours = np.arange(rows, dtype=np.int64)
    price = 100.0 + hours
    return pd.DataFrame(
        {
            "open_time": START + hours * HOUR,
            "open": price,
            "high": price + 2,
            "low": price - 2,
            "close": price + 1,
            "volume": 10.0 + hours,
        }
    )


def with_cell(row: int, column: str, value: Any) -> pd.DataFrame:
    table = received().astype({column: object})
    table.loc[row, column] = value
    return table


def clean(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bars and all rejected rows, with every contract checked on the way."""
    typed, untyped = type_bars(table, KEY)
    schema.TypedBars.validate(typed)
    bars, rejected = check_bars(typed, KEY, NOW)
    quarantine = pd.concat([untyped, rejected], ignore_index=True)
    schema.Quarantine.validate(quarantine)
    schema.Bars.validate(bars.assign(segment=np.int32(0)).astype({"segment": np.int32}))
    require_all_rows(KEY, len(table), len(bars), len(quarantine))
    return bars, quarantine


def test_good_rows_become_bars_stamped_with_their_close() -> None:
    bars, quarantine = clean(received())
    assert quarantine.empty
    assert (bars["timestamp"] - bars["open_time"] == pd.Timedelta(hours=1)).all()
    assert bars["close"].tolist() == received()["close"].tolist()


def test_text_numbers_are_read_exactly() -> None:
    text = received().astype({"close": "str", "open_time": "str"})
    text.loc[2, "close"] = "103.10000000000001"
    bars, quarantine = clean(text)
    assert quarantine.empty
    assert bars["close"][2] == 103.10000000000001


def test_instants_of_any_zone_are_read_as_utc() -> None:
    table = received()
    table["open_time"] = pd.to_datetime(table["open_time"], unit="ms", utc=True).dt.tz_convert("Asia/Tokyo")
    pd.testing.assert_frame_equal(clean(table)[0], clean(received())[0])


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("close", "abc", "close is not a number"),
        ("open", "1,000.5", "open is not a number"),
        ("close", None, "close is missing"),
        ("close", "", "close is missing"),
        ("high", np.inf, "high is not finite"),
        ("volume", -1.0, "volume is negative"),
        ("low", 0.0, "a price is not positive"),
        ("low", -5.0, "a price is not positive"),
        ("high", 90.0, "high is below low"),
        ("high", 101.5, "open or close lies outside low to high"),
        ("open_time", None, "open_time is missing"),
        ("open_time", "yesterday", "open_time is not an instant"),
        ("open_time", 5, "open_time is not between 1990 and 2100"),
        ("open_time", START + HOUR + 1, "open_time is off the 1h grid"),
        ("open_time", START + 1.5, "open_time is not a whole millisecond"),
        ("open_time", int(NOW.timestamp() * 1000), "the bar has not closed yet"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason_and_content(column: str, value: Any, reason: str) -> None:
    bars, quarantine = clean(with_cell(2, column, value))
    assert len(bars) == 5
    assert quarantine[["source_row", "reason"]].to_numpy().tolist() == [[2, reason]]
    content = json.loads(quarantine["content"][0])
    assert set(content) == set(received())
    if isinstance(value, str) and column != "open_time":
        assert content[column] == value


@pytest.mark.parametrize(
    ("value", "reason"), [("x", "trades is not a number"), (-1.0, "trades is negative"), (None, None), ("", None)]
)
def test_an_optional_column_may_be_empty_but_not_wrong(value: Any, reason: str | None) -> None:
    table = received().assign(trades=5.0).astype({"trades": object})
    table.loc[1, "trades"] = value
    bars, quarantine = clean(table)
    assert quarantine["reason"].tolist() == ([reason] if reason else [])
    if reason is None:
        assert np.isnan(bars["trades"][1])


def test_equal_rows_count_once() -> None:
    table = pd.concat([received(), received().iloc[[2, 2, 4]]], ignore_index=True)
    bars, quarantine = clean(table)
    pd.testing.assert_frame_equal(bars, clean(received())[0])
    assert quarantine["reason"].tolist() == [DUPLICATE] * 3


def test_of_differing_rows_for_one_bar_the_last_received_counts() -> None:
    correction = received().iloc[[2]].assign(volume=99.0)
    bars, quarantine = clean(pd.concat([received(), correction], ignore_index=True))
    assert bars["volume"][2] == 99.0
    assert quarantine[["source_row", "reason"]].to_numpy().tolist() == [[2, SUPERSEDED]]


def test_an_invalid_late_row_does_not_displace_a_valid_one() -> None:
    broken = received().iloc[[2]].assign(volume=-99.0)
    bars, quarantine = clean(pd.concat([received(), broken], ignore_index=True))
    assert bars["volume"][2] == received()["volume"][2]
    assert quarantine[["source_row", "reason"]].to_numpy().tolist() == [[6, "volume is negative"]]


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=8))
def test_order_and_repetition_of_deliveries_do_not_matter(order: list[int], repeated: list[int]) -> None:
    table = received().iloc[[*order, *repeated]].reset_index(drop=True)
    pd.testing.assert_frame_equal(clean(table)[0], clean(received())[0])


CELLS = st.one_of(
    st.none(), st.text(max_size=8), st.floats(), st.integers(-(2**62), 2**62), st.booleans(),
    st.sampled_from([START, START + HOUR, START * 1000, str(START), "2024-01-01", 100.0, "100"]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(list(received())), CELLS), max_size=8))
def test_any_cells_give_valid_bars_or_a_typed_error(faults: list[tuple[int, str, Any]]) -> None:
    table = received().astype(object)
    for row, column, value in faults:
        table.loc[row, column] = value
    try:
        clean(table)
    except BadData as error:
        assert "epoch" in str(error)


@pytest.mark.parametrize("column", list(received()))
def test_a_missing_column_stops_and_is_named(column: str) -> None:
    with pytest.raises(BadData, match=rf"v/S/1h: bars need the columns .*missing \['{column}'\].*dialect"):
        type_bars(received().drop(columns=column), KEY)


def test_no_rows_stop() -> None:
    with pytest.raises(BadData, match="v/S/1h: the source has no rows"):
        type_bars(received().iloc[:0], KEY)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1e-3), ("us", 1e3), ("ns", 1e6)])
def test_a_wrong_time_unit_stops_and_says_which_it_looks_like(unit: str, factor: float) -> None:
    table = received()
    table["open_time"] = (table["open_time"] * factor).astype(np.int64)
    with pytest.raises(BadData, match=rf"epoch milliseconds; row 0 holds \d+, .* epoch {unit}\. Convert"):
        type_bars(table, KEY)


def test_times_without_a_zone_stop() -> None:
    table = received()
    table["open_time"] = pd.to_datetime(table["open_time"], unit="ms")
    with pytest.raises(BadData, match="no time zone"):
        type_bars(table, KEY)


def test_too_many_refused_rows_stop_with_reasons_rows_and_remedy() -> None:
    table = with_cell(2, "close", "abc")
    table.loc[3, "volume"] = -7.0
    _, quarantine = clean(table)
    require_few_rejected(KEY, 6, quarantine, limit=0.5)
    with pytest.raises(BadData) as caught:
        require_few_rejected(KEY, 6, quarantine, limit=0.01)
    message = str(caught.value)
    for part in ("v/S/1h: 2 of 6 rows (33.33%)", "row 2", "close is not a number", '"abc"', "row 3", "-7.0", "raise"):
        assert part in message


def test_lost_rows_are_noticed() -> None:
    with pytest.raises(BadData, match="10 rows received, but 8 accepted and 1 rejected"):
        require_all_rows(KEY, 10, 8, 1)


def test_a_partition_name_has_three_parts() -> None:
    assert BarKey.from_partition("v/S/1h") == KEY
    with pytest.raises(BadData, match="venue/symbol/timeframe"):
        BarKey.from_partition("S-1h")
