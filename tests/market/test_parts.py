"""Tables taken apart once hold what a search for each symbol finds."""

import numpy as np
import pandas as pd
import pytest

from tradewind.market.parts import SeriesRows, SymbolRows


@pytest.fixture
def side_series() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    columns = {"series": ["funding", "fear"], "symbol": ["", "A", "B"]}
    drawn = {name: pd.Series(rng.choice(values, 400), dtype="str") for name, values in columns.items()}
    known_at = pd.to_datetime(rng.integers(0, 50, 400), unit="h", utc=True)
    return pd.DataFrame({**drawn, "known_at": known_at, "value": rng.random(400)})


def test_each_symbol_has_its_rows_in_their_order(side_series: pd.DataFrame) -> None:
    parts = SymbolRows(side_series)
    for symbol in ("", "A", "B", "of none"):
        pd.testing.assert_frame_equal(parts[symbol], side_series[side_series["symbol"] == symbol])
    assert "A" in parts and "of none" not in parts


def test_a_series_is_known_of_a_symbol_by_its_own_rows_and_those_for_all(side_series: pd.DataFrame) -> None:
    # "fear" is for all symbols alone, so that one of the two parts is missing.
    is_kept = (side_series["series"] == "funding") | (side_series["symbol"] == "")
    kept = side_series[is_kept]
    parts = SeriesRows(kept)
    for series in ("funding", "fear", "of none"):
        for symbol in ("A", "B", "of none"):
            of_series = kept["series"] == series
            pd.testing.assert_frame_equal(parts.own(series, symbol), kept[of_series & (kept["symbol"] == symbol)])
            concerns = of_series & kept["symbol"].isin(["", symbol])
            pd.testing.assert_frame_equal(parts.known(series, symbol), kept[concerns])
