from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pandera.errors
import pytest

from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import check_bars, type_bars
from tradewind.data.quality.counts import count_rows, describe_bars, join_rows, missing_by_month
from tradewind.data.quality.tables import BarCounts, RowCounts
from tradewind.errors import BadData
from tradewind.market.segments import assign_segments

KEY = BarKey(venue="v", symbol="S", timeframe="1h")
HOUR = 3_600_000
START = 1_706_659_200_000  # 2024-01-31 00:00


def bars_at(hours: list[int]) -> pd.DataFrame:
    offset = np.array(hours, np.int64)
    price = 100.0 * 1.01**offset
    table = pd.DataFrame(
        {"open_time": START + offset * HOUR, "open": price, "high": price, "low": price, "close": price, "volume": 1.0}
    )
    typed, _ = type_bars(table, KEY)
    bars, _ = check_bars(typed, KEY, datetime(2025, 1, 1, tzinfo=UTC))
    return bars.assign(segment=assign_segments(table["open_time"].to_numpy(), HOUR, 2))


NOTHING_REJECTED = pd.DataFrame({"reason": pd.Series(dtype="str")})


def test_gaps_segments_and_completeness_are_counted() -> None:
    bars = bars_at([0, 1, 2, 5, 6, 12])  # holes of 2 and 5 bars, the second one starts a segment
    quality = describe_bars(bars, count_rows(KEY, 6, 6, 0), NOTHING_REJECTED)
    BarCounts.validate(quality)
    row = quality.iloc[0]
    assert (row["expected_bars"], row["missing_bars"], row["gaps"], row["longest_gap_bars"]) == (13, 7, 2, 5)
    assert (row["segments"], row["longest_segment_bars"]) == (2, 5)
    assert row["completeness"] == pytest.approx(6 / 13)
    assert row["largest_abs_return"] == pytest.approx(3 * np.log(1.01))  # not 6: the other jump crosses a segment
    assert row["first"] == bars["timestamp"].iloc[0]


def test_odd_bars_are_counted() -> None:
    bars = bars_at([0, 1, 2, 3])
    for name in ("open", "high", "low", "close"):
        bars.loc[2, name] = bars["close"][1]
    bars.loc[2, "volume"] = 0.0
    row = describe_bars(bars, count_rows(KEY, 4, 4, 0), NOTHING_REJECTED).iloc[0]
    assert (row["stale_bars"], row["zero_volume_bars"]) == (1, 1)


def test_refused_rows_are_counted_by_reason() -> None:
    rejected = pd.DataFrame({"reason": ["close is missing", "duplicate of another row", "close is missing"]})
    row = describe_bars(bars_at([0]), count_rows(KEY, 4, 1, 3), rejected).iloc[0]
    assert row["rejected_reasons"] == "2 x close is missing; 1 x duplicate of another row"
    assert row["duplicates"] == 1


def test_missing_bars_are_counted_by_month_of_the_bars_life() -> None:
    months = missing_by_month(bars_at([0, 1, 30, 31]))  # 24 hours of January, then 8 of February
    assert months["month"].tolist() == ["2024-01", "2024-02"]
    assert months["expected_bars"].tolist() == [24, 8]
    assert months["missing_bars"].tolist() == [22, 6]
    assert months["missing_share"].tolist() == [22 / 24, 6 / 8]


def test_a_month_without_any_bar_is_wholly_missing() -> None:
    months = missing_by_month(bars_at([0, 24 * 40]))
    assert months.set_index("month")["missing_share"]["2024-02"] == 1.0


def test_counts_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(BadData, match="lost or made up"):
        count_rows(KEY, 5, 3, 1)
    counts = count_rows(KEY, 5, 4, 1)
    RowCounts.validate(counts)
    with pytest.raises(pandera.errors.SchemaError):
        RowCounts.validate(counts.assign(rows_received=np.int64(9)))


def test_joining_keeps_dtypes_when_some_or_all_tables_are_empty() -> None:
    full = count_rows(KEY, 1, 1, 0)
    assert (join_rows([full.iloc[:0], full]).dtypes == full.dtypes).all()
    assert (join_rows([full.iloc[:0], full.iloc[:0]]).dtypes == full.dtypes).all()
