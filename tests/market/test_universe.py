"""The universe refuses what cannot be traded."""

from datetime import timedelta

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
