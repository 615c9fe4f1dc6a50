"""The universe refuses what cannot be traded."""

from datetime import timedelta

import pandas as pd
import pytest
from pydantic import ValidationError

from tradewind.errors import BadParameters
from tradewind.market.timeframes import bar_duration, bar_duration_ms
from tradewind.market.universe import Universe


def test_partitions_follow_the_order_of_the_symbols() -> None:
    universe = Universe(venue="binance", symbols=("ETHUSDT", "BTCUSDT"), timeframe="1h")
    assert universe.partitions == ("binance/ETHUSDT/1h", "binance/BTCUSDT/1h")
    assert universe.reference == "ETHUSDT"
    assert universe.bar == timedelta(hours=1)
    assert universe.bars_per_year == 8766


@pytest.mark.parametrize(
    "fault",
    [
        {"symbols": ("A", "A")},
        {"symbols": ()},
        {"symbols": ("../etc",)},
        {"reference_symbol": "B"},
        {"timeframe": "1x"},
        {"surprise": 1},
    ],
)
def test_a_wrong_universe_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises((ValidationError, BadParameters)):
        Universe.model_validate({"venue": "v", "symbols": ("A",), "timeframe": "1h"} | fault)


def test_symbols_may_be_words_in_one_string() -> None:
    universe = Universe.model_validate({"venue": "v", "symbols": "A B", "timeframe": "5m", "side_series": ""})
    assert (universe.symbols, universe.side_series) == (("A", "B"), ())


def test_timeframes_have_durations() -> None:
    assert bar_duration("15m") == timedelta(minutes=15)
    assert bar_duration_ms("1w") == 7 * 24 * 3600 * 1000


@pytest.mark.parametrize("timeframe", ["", "1", "h", "0h", "1H", "-1h", "1h "])
def test_a_timeframe_that_is_none_is_refused(timeframe: str) -> None:
    with pytest.raises(BadParameters, match="timeframe"):
        bar_duration(timeframe)


def test_both_days_of_a_membership_are_in_it() -> None:
    day_ms = 86_400_000
    members = {"A": {"since": "2024-01-02", "until": "2024-01-05"}, "B": {"until": "2024-01-05"}, "C": {}}
    universe = Universe(venue="v", symbols=("A", "B", "C", "D"), timeframe="1h", members=members)
    first, after = (int(pd.Timestamp(day, tz="UTC").timestamp()) * 1000 for day in ("2024-01-02", "2024-01-06"))
    assert universe.ends_ms == {"A": after, "B": after}
    assert universe.lifetime_ms("A") == (first, after) and after - first == 4 * day_ms
    assert universe.lifetime_ms("B") == (0, after)
    assert universe.lifetime_ms("C") == universe.lifetime_ms("D") and universe.lifetime_ms("D")[1] > 10**15


def test_symbols_that_differ_in_case_alone_are_refused_by_both() -> None:
    """On some file systems the one's files would replace the other's."""
    with pytest.raises(ValueError, match="'Abc' and 'aBC' differ in the case of letters alone"):
        Universe(venue="v", symbols=("Abc", "Z", "aBC"), timeframe="1h")
