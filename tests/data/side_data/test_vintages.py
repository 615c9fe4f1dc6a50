import numpy as np
import pandas as pd
import pytest

from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.columns import empty_table
from tradewind.data.side_data.tables import SideCoverage
from tradewind.data.side_data.vintages import as_known, describe_coverage
from tradewind.market import schema

DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2024-01-01", tz="UTC")


def published(rows: list[tuple[str, str, float, float, float]]) -> pd.DataFrame:
    """Rows of series, symbol, reference (days), known (days) and value."""
    table = pd.DataFrame(rows, columns=["series", "symbol", "reference_at", "known_at", "value"])
    for name in ("reference_at", "known_at"):
        table[name] = (START + table[name] * DAY).dt.as_unit("ms")
    return table.astype({"series": "str", "symbol": "str", "value": float})


def levels(vintages: pd.DataFrame) -> list[tuple[float, float]]:
    """When (days) the level changed, and to what."""
    table = as_known(vintages, SERIES)
    schema.SideSeries.validate(table)
    days = (table["known_at"] - START) / DAY
    return list(zip(days.tolist(), table["value"].tolist(), strict=True))


def test_the_level_is_that_of_the_latest_period_known() -> None:
    first, second = ("x", "", 0, 10, 1.0), ("x", "", 30, 40, 2.0)
    assert levels(published([second, first])) == [(10, 1.0), (40, 2.0)]


def test_a_late_revision_of_an_old_period_does_not_overwrite_the_level() -> None:
    rows = [("x", "", 0, 10, 1.0), ("x", "", 30, 40, 2.0), ("x", "", 0, 50, 9.0)]
    assert levels(published(rows)) == [(10, 1.0), (40, 2.0)]


def test_a_revision_of_the_latest_period_does() -> None:
    rows = [("x", "", 0, 10, 1.0), ("x", "", 30, 40, 2.0), ("x", "", 30, 45, 2.5), ("x", "", 0, 50, 9.0)]
    assert levels(published(rows)) == [(10, 1.0), (40, 2.0), (45, 2.5)]


def test_of_periods_published_together_the_latest_counts() -> None:
    rows = [("x", "", 30, 40, 2.0), ("x", "", 0, 40, 1.5)]
    assert levels(published(rows)) == [(40, 2.0)]


def test_what_is_scheduled_ahead_is_known_before_its_reference() -> None:
    assert levels(published([("x", "", 90, 10, 1.0), ("x", "", 0, 20, 5.0)])) == [(10, 1.0)]


def test_series_and_symbols_do_not_touch_each_other() -> None:
    rows = [("x", "A", 50, 60, 1.0), ("x", "B", 0, 1, 2.0), ("y", "A", 0, 1, 3.0)]
    table = as_known(published(rows))
    assert table[["series", "symbol", "value"]].to_numpy().tolist() == [
        ["x", "A", 1.0], ["x", "B", 2.0], ["y", "A", 3.0]
    ]  # fmt: skip


def test_a_silent_series_is_not_known_any_more() -> None:
    """The index of fear and greed may be silent for seven days, not eight."""
    rows = [("fear_greed", "", 0, 1, 30.0), ("fear_greed", "", 7, 8, 40.0), ("fear_greed", "", 15, 16, 50.0)]
    assert levels(published(rows[:2]))[:2] == [(1, 30.0), (8, 40.0)]
    days, values = zip(*levels(published(rows)), strict=True)
    assert days == (1, 8, 15, 16, 23)
    np.testing.assert_array_equal(values, [30.0, 40.0, np.nan, 50.0, np.nan])


def test_nothing_published_is_nothing_known() -> None:
    assert as_known(empty_table("vintages"), SERIES).empty


def test_coverage_counts_periods_and_revisions_and_the_longest_silence() -> None:
    rows = [("vix", "", 0, 1, 10.0), ("vix", "", 0, 2, 11.0), ("vix", "", 1, 4, 12.0)]
    (row,) = describe_coverage(published(rows), SERIES).to_dict("records")
    assert (row["periods"], row["revisions"], row["unit"]) == (2, 1, "index")
    assert (row["median_delay_hours"], row["longest_silence_hours"]) == (48.0, 48.0)
    SideCoverage.validate(describe_coverage(published(rows), SERIES))
    SideCoverage.validate(describe_coverage(empty_table("vintages"), SERIES))


@pytest.mark.parametrize("rows", [100, 1])
def test_every_symbol_of_many_is_kept_apart(rows: int) -> None:
    table = published([("x", f"S{n}", 500 - n, 1, float(n)) for n in range(rows)])
    assert len(as_known(table)) == rows
