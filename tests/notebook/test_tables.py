"""Any dataset as one table, and every name where Tab finds it."""

from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import IPCompleter, provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from tradewind.errors import BadParameters
from tradewind.notebook.tables import Datasets, one_table

SIM1 = pd.DataFrame({"symbol": ["SIM1"] * 2, "close": [1.0, 2.0]})
SIM2 = pd.DataFrame({"symbol": ["SIM2"] * 2, "close": [3.0, 4.0]})
BARS = {"simulated/SIM1/4h": lambda: SIM1, "simulated/SIM2/4h": lambda: SIM2}
TRADES = {"linear": SIM1, "lightgbm": SIM2, "classifier/own": SIM1}


def test_tables_of_many_symbols_are_one() -> None:
    assert one_table("bars", BARS)["close"].to_list() == [1.0, 2.0, 3.0, 4.0]


def test_one_symbol_is_read_alone() -> None:
    def never() -> pd.DataFrame:
        raise AssertionError("the other symbol was read")

    found = one_table("bars", {**BARS, "simulated/SIM2/4h": never}, symbol="SIM1")
    assert found["close"].to_list() == [1.0, 2.0]
    joined = pd.concat([SIM1, SIM2], ignore_index=True)
    assert one_table("trades", joined, symbol="SIM2")["close"].to_list() == [3.0, 4.0]


def test_a_part_is_chosen_by_its_name() -> None:
    assert one_table("trades", TRADES, part="lightgbm")["close"].to_list() == [3.0, 4.0]
    assert one_table("trades", TRADES, part="own")["close"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("loaded", "asked", "words"),
    [
        (BARS, {"symbol": "NOPE"}, "bars has no symbol 'NOPE': it has SIM1, SIM2"),
        (TRADES, {"part": "nope"}, "bars has no part 'nope': it has linear, lightgbm, classifier/own"),
        (SIM1, {"part": "linear"}, "bars is one table: leave out part='linear'"),
        ({"verdict": "go"}, {"symbol": "SIM1"}, "bars has no column 'symbol'"),
        ({"a": SIM1, "b": SIM1[["close"]]}, {}, "tables of different columns: choose one with part=, of a, b"),
    ],
)
def test_what_is_not_there_is_said(loaded: Any, asked: dict[str, str], words: str) -> None:
    with pytest.raises(BadParameters, match=words):
        one_table("bars", loaded, **asked)


def test_what_is_no_table_is_given_as_it_is() -> None:
    assert one_table("verdict", {"verdict": "go"}) == {"verdict": "go"}


def test_tab_completes_every_dataset_and_reads_none() -> None:
    asked = list[str]()

    def load(name: str, **how: Any) -> str:
        asked.append(name)
        return f"{name} {how}"

    data = Datasets(
        ["bars", "classifier.linear.forecasts", "classifier.linear.models", "classifier.xgboost.models"], load
    )
    shell = InteractiveShell()
    shell.user_ns["data"] = data
    completer = IPCompleter(shell, namespace=shell.user_ns)
    for typed, offered in {
        "data.": {"bars", "classifier"},
        "data.classifier.": {"linear", "xgboost"},
        "data.classifier.linear.": {"forecasts", "models"},
    }.items():
        with provisionalcompleter():
            words = {one.text.lstrip(".") for one in completer.completions(typed, len(typed))}
        assert offered <= words, typed
    assert asked == []
    assert data.classifier.linear.models(part="1") == "classifier.linear.models {'symbol': None, 'part': '1'}"  # type: ignore[attr-defined]
    assert repr(data.classifier.linear) == "classifier.linear.forecasts\nclassifier.linear.models"  # type: ignore[attr-defined]
