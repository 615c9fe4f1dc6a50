"""What a store holds settles what is traded, or says what is to be chosen."""

from pathlib import Path
from typing import Any

import pytest

from tradewind.data.files.bar_key import BarKey
from tradewind.datasets.stored_universe import complete, run_command, universe_of_store
from tradewind.errors import BadParameters

OPEN = {"venue": None, "symbols": None, "timeframe": None, "side_series": []}


def keys(*partitions: str) -> list[BarKey]:
    return [BarKey.from_partition(partition) for partition in partitions]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("v", ["A", "B"], "1h")),
        ({"symbols": ["B"]}, ("v", ["B"], "1h")),
        ({"symbols": "B A"}, ("v", ["B", "A"], "1h")),
        ({"timeframe": "1h", "venue": "v"}, ("v", ["A", "B"], "1h")),
    ],
)
def test_what_is_open_is_told_by_the_store(given: dict[str, Any], expected: tuple[str, list[str], str]) -> None:
    found = complete({**OPEN, **given}, keys("v/A/1h", "v/B/1h"), "here")
    assert (found["venue"], found["symbols"], found["timeframe"]) == expected
    assert found["side_series"] == []


@pytest.mark.parametrize(
    ("given", "held", "words"),
    [
        ({}, (), "here holds nothing: import bars first"),
        ({"symbols": ["C"]}, ("v/A/1h",), "here holds v/A/1h: import bars first"),
        ({}, ("v/A/1d", "v/A/1h"), "--params=universe.venue=v,universe.timeframe=1d"),
        ({}, ("v/A/1h", "w/A/1h"), "say which, such as --params=universe.venue=v,universe.timeframe=1h"),
    ],
)
def test_what_the_store_does_not_settle_is_asked_for(given: dict[str, Any], held: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadParameters, match=words):
        complete({**OPEN, **given}, keys(*held), "here")


def test_a_choice_settles_it() -> None:
    held = keys("v/A/1d", "v/A/1h", "w/A/1h")
    command = run_command(keys("v/A/1d"), held, "imported")
    assert command == "kedro run --env imported --params=universe.venue=v,universe.timeframe=1d"
    found = complete({**OPEN, "venue": "v", "timeframe": "1d"}, held, "here")
    assert found["symbols"] == ["A"]
    assert run_command(keys("v/A/1d"), held[:1], "imported") == "kedro run --env imported"


def test_the_stores_path_is_the_projects(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="bars.sqlite holds nothing"):
        universe_of_store(OPEN, {"kind": "sqlite", "path": "bars.sqlite"}, tmp_path)
