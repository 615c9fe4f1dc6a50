"""Daily funds by the sessions of their exchange, from files to the report; and every timeframe by its name alone."""

from pathlib import Path
from typing import Any

import empyrical
import pandas as pd
import pytest

from tradewind.market.calendars import Calendar
from tradewind.metrics.returns import daily_returns, trading_days

pytestmark = pytest.mark.slow

FUNDS = 8
SESSIONS = 3690
NYSE = Calendar.of("1d", "XNYS")


@pytest.mark.depth
def test_funds_run_by_their_sessions_and_their_ratios_are_those_of_empyrical(
    new_project: Any, shared_data: Path
) -> None:
    new_project.kedro("run", "--env", "stocks", TRADEWIND_DATA=str(shared_data / "equities_daily/us_etf"))
    reporting = new_project.data("stocks") / "08_reporting"
    quality = pd.read_parquet(reporting / "data_quality.parquet")
    assert len(quality) == FUNDS and (quality["expected_bars"] == SESSIONS).all()
    assert (quality["segments"] == 1).all() and (quality["longest_gap_bars"] <= 1).all()
    check_ratios(new_project.data("stocks"))
    page = (reporting / "report.html").read_text()
    for told in ("XNYS: 252 days a year", "adjusted for splits and dividends", "survivorship"):
        assert told in page


def check_ratios(data: Path) -> None:
    """Every strategy's annual figures of the leaderboard, against empyrical with 252 days a year."""
    board = pd.read_parquet(data / "08_reporting/leaderboard.parquet").set_index("strategy")
    returns = pd.read_parquet(data / "07_model_output/portfolio_returns.parquet")
    rows = returns[returns["role"] == "walk_forward"]
    for name, part in rows.groupby("strategy"):
        daily = pd.Series(
            daily_returns(part["timestamp"], part["net"].to_numpy(), NYSE),
            trading_days(part["timestamp"], NYSE).tz_localize(None),
        )
        assert len(daily) == len(part)  # a bar a day
        if daily.std() > 0:
            ratio = empyrical.sharpe_ratio(pd.Series(part["net"].to_numpy(), daily.index), annualization=252)
            assert board.loc[str(name), "sharpe"] == pytest.approx(ratio, abs=1e-6)


@pytest.mark.depth
@pytest.mark.parametrize("timeframe", ["1m", "5m", "15m", "1h", "4h", "1d", "1w"])
def test_a_timeframe_runs_by_its_name_alone(new_project: Any, timeframe: str) -> None:
    params = f"universe.timeframe={timeframe},models=linear lightgbm"
    new_project.kedro("run", "--env", "test", "--params", params)
    assert (new_project.data("test") / "08_reporting/report.html").is_file()
