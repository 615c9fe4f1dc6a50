"""Annualised measures of daily returns against empyrical, on the days that a calendar has."""

from pathlib import Path

import empyrical
import numpy as np
import pandas as pd
import pytest

from tradewind.market.calendars import Calendar
from tradewind.metrics.ranking import StatisticsRules, leaderboard
from tradewind.metrics.returns import daily_returns, trading_days
from tradewind.metrics.risk import measures_of

ETFS = Path(__file__).parents[3] / "shared" / "data" / "equities_daily" / "us_etf"
NYSE = Calendar.of("1d", "XNYS")


def independent(returns: pd.Series, days_per_year: float) -> dict[str, float]:
    return {
        "sharpe": empyrical.sharpe_ratio(returns, annualization=days_per_year),
        "annual_volatility": empyrical.annual_volatility(returns, annualization=days_per_year),
        "annual_return": empyrical.annual_return(returns, annualization=days_per_year),
        "max_drawdown": -empyrical.max_drawdown(returns),
        "sortino": empyrical.sortino_ratio(returns, annualization=days_per_year),
    }


@pytest.mark.parametrize("days_per_year", [252, 365.25, 52.18])
def test_measures_are_those_of_empyrical_for_any_year(days_per_year: float) -> None:
    returns = pd.Series(np.random.default_rng(3).normal(3e-4, 0.01, 2600), pd.bdate_range("2012-01-02", periods=2600))
    found = measures_of(returns.to_numpy(), days_per_year)
    for name, value in independent(returns, days_per_year).items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_the_sharpe_ratios_of_funds_are_those_of_252_days_a_year() -> None:
    """Holding each fund from 2010 to 2024; the calendar's days are the sessions that the files have."""
    if not ETFS.is_dir():
        pytest.skip(f"no real bars: {ETFS} is not there")
    rows, alone = [], {}
    for path in sorted(ETFS.glob("*-1d.parquet")):
        bars = pd.read_parquet(path)
        close = bars["timestamp"] + pd.Timedelta(days=1)
        net = bars["close"].pct_change().fillna(0.0)
        alone[path.stem] = pd.Series(net.to_numpy(), bars["timestamp"].dt.tz_localize(None))
        account = {"turnover": 0.0, "cost": 0.0, "funding": 0.0, "exposure": 1.0, "trades": 0, "role": "walk_forward"}
        rows.append(pd.DataFrame({"strategy": path.stem, "timestamp": close, "net": net, **account}))
        assert (trading_days(close, NYSE) == pd.DatetimeIndex(bars["timestamp"])).all()
        np.testing.assert_allclose(daily_returns(close, net.to_numpy(), NYSE), net, atol=1e-12)
    assert len(rows) == 8
    table = pd.concat(rows, ignore_index=True)
    board = leaderboard(table, dict.fromkeys(alone, "baseline"), StatisticsRules(n_resamples=100), 7, NYSE)
    for row in board.to_dict("records"):
        theirs = independent(alone[row["strategy"]], 252)
        assert row["sharpe"] == pytest.approx(theirs["sharpe"], abs=1e-6)
        assert row["annual_return"] == pytest.approx(theirs["annual_return"], abs=1e-6)
    wrong = leaderboard(table, dict.fromkeys(alone, "baseline"), StatisticsRules(n_resamples=100), 7)
    assert abs(wrong["sharpe"].iloc[0] / board["sharpe"].iloc[0] - np.sqrt(365.25 / 252)) < 1e-9
