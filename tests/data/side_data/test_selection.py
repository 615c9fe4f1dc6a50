import numpy as np
import pandas as pd
import pytest

from tradewind.data.side_data.collection import collect_side_series
from tradewind.data.side_data.selection import select_side_series
from tradewind.errors import BadData
from tradewind.market import schema
from tradewind.market.universe import Universe

UNIVERSE = Universe(venue="v", symbols=("A", "B"), timeframe="1h", side_series=("funding", "sentiment"))


def delivered(rows: list[tuple[str, str, int, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["series", "symbol", "known_at", "value"])
    table["known_at"] = pd.DatetimeIndex(table["known_at"].to_numpy("datetime64[ms]"), tz="UTC")
    return table.astype({"series": "str", "symbol": "str", "value": float})


GOOD = [("sentiment", "", 5, 0.01), ("funding", "B", 2, 0.02), ("funding", "A", 3, 0.03), ("funding", "A", 1, 0.04)]


def collect(table: pd.DataFrame, limit: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return collect_side_series(table, UNIVERSE.side_series, UNIVERSE.symbols, limit)


def test_named_series_are_selected_as_they_were_known() -> None:
    other = [("funding", "C", 1, 9.0), ("open_interest", "A", 1, 9.0)]
    for table in (delivered([*GOOD, *other]), collect(delivered([*GOOD, *other]))[0]):
        selected = select_side_series(table, UNIVERSE)
        schema.SideSeries.validate(selected)
        assert selected["value"].dropna().tolist() == [0.04, 0.03, 0.02, 0.01]


def test_a_universe_without_side_series_has_an_empty_table() -> None:
    selected = select_side_series(delivered(GOOD), UNIVERSE.model_copy(update={"side_series": ()}))
    schema.SideSeries.validate(selected)
    assert selected.empty


def test_a_table_without_reference_is_of_the_moment_it_was_known_at() -> None:
    vintages, rejected, counts = collect(delivered(GOOD))
    schema.SideVintages.validate(vintages)
    assert (vintages["reference_at"] == vintages["known_at"]).all()
    assert rejected.empty
    assert counts["rows_received"].sum() == len(GOOD)


def test_a_table_with_vintages_keeps_them() -> None:
    table = delivered([("sentiment", "", 5, 0.1), ("sentiment", "", 9, 0.2), ("funding", "A", 1, 0.0)])
    revised = table.assign(reference_at=table["known_at"].where(table["series"] == "funding", table["known_at"].min()))
    vintages, _, _ = collect(revised)
    assert vintages.groupby("series")["reference_at"].nunique().to_dict() == {"funding": 1, "sentiment": 1}
    assert len(vintages) == 3


def test_a_series_the_source_lacks_stops() -> None:
    with pytest.raises(BadData, match=r"names \['sentiment'\].*it has \['funding'\]"):
        collect(delivered(GOOD[1:]))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("funding", "A", 9, np.nan), "value is missing"),
        (("funding", "A", 9, np.inf), "value is not finite"),
        (("funding", "A", 9, 0.5), "value lies outside -0.05 to 0.05 rate a settlement"),
        (("funding", "A", 1, 0.04), "duplicate of another row"),
        (("funding", "A", 1, 0.05), "superseded by a later row for the same time"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_reason(row: tuple[str, str, int, float], reason: str) -> None:
    vintages, rejected, counts = collect(delivered([*GOOD, row]))
    assert rejected["reason"].tolist() == [reason]
    assert len(vintages) == len(GOOD)
    assert counts["rows_received"].sum() == len(GOOD) + 1
    with pytest.raises(BadData, match="1 of 3 rows are rejected"):
        collect(delivered([*GOOD, row]), limit=0.01)


def test_a_missing_column_stops() -> None:
    with pytest.raises(BadData, match=r"missing \['known_at'\]"):
        collect(delivered(GOOD).drop(columns="known_at"))
