"""A run ends with its verdict, on what, and the best strategies with intervals."""

from pathlib import Path

import pandas as pd
import pytest

from tradewind.reports import text
from tradewind.reports.closing import closing_words, market_name
from tradewind.reports.tables import ReportTables


def test_the_end_of_a_run_says_what_was_judged_and_how_it_stands(tables: ReportTables) -> None:
    boards = (tables.leaderboard, tables.holdout_leaderboard)
    said = closing_words(tables.verdict, boards, tables.folds, "made SIM1 1h", [Path("/x/report.html")])
    lines = said.splitlines()
    assert lines[0].startswith(tables.verdict["verdict"].upper())
    assert "made SIM1 1h, walk-forward 20" in lines[1]
    (judged,) = [line for line in lines if line.startswith("XGBoost *")]
    row = tables.leaderboard.set_index("strategy").loc["xgboost"]
    assert text.interval(row["sharpe_low"], row["sharpe_high"]) in judged
    assert text.number(tables.holdout_leaderboard.set_index("strategy").loc["xgboost", "sharpe"]) in judged
    assert lines[-1] == "/x/report.html" and max(map(len, lines)) <= 120
    none = closing_words(tables.verdict, (boards[0], boards[1].iloc[:0]), tables.folds, "m", [])
    assert " –" in next(line for line in none.splitlines() if line.startswith("XGBoost"))


def test_what_is_judged_is_shown_wherever_it_stands(tables: ReportTables) -> None:
    row = tables.leaderboard.iloc[[-1]]
    board = pd.concat([row.assign(strategy=f"rule_{number}") for number in range(8)], ignore_index=True)
    verdict = {**tables.verdict, "strategy": "rule_6"}
    lines = closing_words(verdict, (board, board), tables.folds, "m", []).splitlines()
    shown = [line.split("  ")[0] for line in lines[4:] if line]
    assert shown == ["rule 0", "rule 1", "rule 2", "rule 3", "rule 4", "rule 6 *"]


@pytest.mark.parametrize(
    ("symbols", "name"), [(["A", "B"], "v A B 1h"), ("A B C", "v A B C 1h"), (list("ABCDE"), "v A B C +2 1h")]
)
def test_a_market_is_called_by_what_it_is(symbols: list[str] | str, name: str) -> None:
    assert market_name({"venue": "v", "symbols": symbols, "timeframe": "1h"}) == name
