"""The smallest markets: one that is refused in one line that says what is missing, one that runs to its report."""

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.depth]


def simulate(project: Any, days: int) -> str:
    """An hourly market of one symbol for `--env quick`; the parameters of a run on it."""
    market = project.data("quick") / "01_raw/market.sqlite"
    project.kedro("simulate-market", "--symbols", "1", "--days", str(days), "--edge", "2.2", "--output", str(market))
    return "universe.symbols=SIM1,universe.timeframe=1h"


def test_thirteen_days_of_hours_are_refused_in_one_line(new_project: Any) -> None:
    status, output = new_project.try_kedro("run", "--env", "quick", "--params", simulate(new_project, 13))
    assert status == 1 and "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("Error:")]
    assert "are too short for 5 folds" in line and "at least 560 are needed" in line and "Provide earlier bars" in line


def test_three_thousand_hours_of_one_symbol_run_to_the_report(new_project: Any) -> None:
    new_project.kedro("run", "--env", "quick", "--params", simulate(new_project, 125))
    page = (new_project.data("quick") / "08_reporting/report.html").read_text()
    assert "1 symbol" in page or "SIM1" in page
