import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData
from tradewind.market import schema
from tradewind.market.side_series import select_side_series
from tradewind.market.universe import Universe

UNIVERSE = Universe(venue="v", symbols=("A", "B"), timeframe="1h", side_series=("funding", "sentiment"))


def delivered(rows: list[tuple[str, str, int, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["series", "symbol", "known_at", "value"])
    table["known_at"] = pd.DatetimeIndex(table["known_at"].to_numpy("datetime64[ms]"), tz="UTC")
    return table.astype({"series": "str", "symbol": "str", "value": float})


GOOD = [("sentiment", "", 5, 0.1), ("funding", "B", 2, 0.2), ("funding", "A", 3, 0.3), ("funding", "A", 1, 0.4)]


def test_named_series_are_sorted_and_repeats_count_once() -> None:
    other = [("funding", "C", 1, 9.0), ("open_interest", "A", 1, 9.0)]
    selected = select_side_series(delivered([*GOOD, *other, GOOD[0]]), UNIVERSE)
    schema.SideSeries.validate(selected)
    assert selected["value"].tolist() == [0.4, 0.3, 0.2, 0.1]


def test_a_universe_without_side_series_has_an_empty_table() -> None:
    selected = select_side_series(delivered(GOOD), UNIVERSE.model_copy(update={"side_series": ()}))
    schema.SideSeries.validate(selected)
    assert selected.empty


def test_a_series_the_source_lacks_stops() -> None:
    with pytest.raises(BadData, match=r"names \['sentiment'\].*it has \['funding'\]"):
        select_side_series(delivered(GOOD[1:]), UNIVERSE)


@pytest.mark.parametrize(
    ("row", "message"),
    [(("funding", "A", 9, np.nan), "not finite"), (("funding", "A", 1, 0.5), "several values.*funding A")],
)
def test_a_value_that_cannot_be_used_stops(row: tuple[str, str, int, float], message: str) -> None:
    with pytest.raises(BadData, match=message):
        select_side_series(delivered([*GOOD, row]), UNIVERSE)


def test_a_missing_column_stops() -> None:
    with pytest.raises(BadData, match=r"missing \['known_at'\]"):
        select_side_series(delivered(GOOD).drop(columns="known_at"), UNIVERSE)
