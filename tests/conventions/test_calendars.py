"""Nothing is annualised, and no day is cut, without the market's calendar."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tradewind"
# What takes a calendar or the days of a year, and at which place among its arguments.
TAKES = {
    "daily_returns": 3, "trading_days": 2, "measures_of": 2, "measure": 2, "leaderboard": 5, "breakdown": 4,
    "bootstrap_intervals": 6, "autocorrelation_factor": 3, "probability_of_overfitting": 3, "detectable_sharpe": 4,
    "rank_strategies": 4, "measure_significance": 7, "conditions": 3, "daily_table": 2, "rolling_figure": 3,
    "market_share": 3, "sharpe_difference": 7, "equity_figure": 3, "assign_segments": 4, "fold_segments": 5,
}  # fmt: skip
NAMED = {"calendar", "days_per_year"}
# Elsewhere these names mean something else, or the figure is drawn from what was said before.
OTHERS = {"doctor.py", "learning/models/scoring.py", "data/side_data/events.py", "reports/compare.py"}  # fmt: skip


def without_a_calendar(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        is_given = len(node.args) >= TAKES.get(name, 0) or any(one.arg in NAMED for one in node.keywords)
        if name in TAKES and not is_given and not any(isinstance(one, ast.Starred) for one in node.args):
            found.append(f"line {node.lineno}: {name}")
    return found


def test_every_call_says_which_days_there_are() -> None:
    found = {
        str(path.relative_to(SOURCE)): calls
        for path in sorted(SOURCE.rglob("*.py"))
        if str(path.relative_to(SOURCE)) not in OTHERS and (calls := without_a_calendar(path.read_text()))
    }
    assert not found


@pytest.mark.parametrize("text", ["measures_of(daily)", "ranking.leaderboard(rows, families, rules, 7)"])
def test_a_forgotten_calendar_is_found(text: str) -> None:
    assert without_a_calendar(text)
    assert not without_a_calendar(text.replace(")", ", calendar=calendar)"))


def test_no_constant_of_a_year_is_left() -> None:
    """365.25 days stand in the calendar and in the simulated market, nowhere else."""
    homes = {"market/calendars.py", "market/simulation/simulator.py"}
    left = [
        name
        for path in sorted(SOURCE.rglob("*.py"))
        if (name := str(path.relative_to(SOURCE))) not in homes
        and any(isinstance(node, ast.Constant) and node.value in (365.25, 8766)
                for node in ast.walk(ast.parse(path.read_text())))
    ]  # fmt: skip
    assert not left
