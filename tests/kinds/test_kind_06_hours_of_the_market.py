"""Kind 6: a market is open when it is: years, gaps, days, borrowing and sizes go by its calendar."""

import empyrical
import numpy as np
import pandas as pd
import pytest

from tradewind.market.calendars import DAY_MS, Calendar, calendar_name
from tradewind.market.segments import assign_segments
from tradewind.market.universe import Universe
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import measures_of
from tradewind.trading.engine.backtest import History, backtest
from tradewind.trading.execution.costs import Costs

FREE = Costs(taker_fee_bps=0, maker_fee_bps=0, half_spread_bps=0, slippage_share_of_volatility=0)


def business_days() -> tuple[pd.Series, np.ndarray]:
    """Ten years of business days, mean 5 bp, deviation 1 %, closed at the end of their day."""
    days = pd.bdate_range("2010-01-01", "2019-12-31", tz="UTC")
    noise = np.random.default_rng(1).standard_normal(len(days))
    return pd.Series(days + pd.Timedelta(days=1)), 0.0005 + 0.01 * (noise - noise.mean()) / noise.std(ddof=1)


def test_ten_years_of_business_days_have_their_sharpe_and_their_return() -> None:
    """The smallest input: 0.956 and 17.9 % were said; right are 0.808 and 12.5 %."""
    closed, returns = business_days()
    calendar = Calendar.of("1d", "24/5")
    found = measures_of(daily_returns(closed, returns, calendar), calendar.days_per_year)
    assert found["sharpe"] == pytest.approx(0.808, abs=5e-4)
    assert found["annual_return"] == pytest.approx(0.125, abs=1e-3)


@pytest.mark.parametrize("name", ["24/5", "XNYS"])
def test_sharpe_and_volatility_agree_with_empyrical(name: str) -> None:
    calendar = Calendar.of("1d", name)
    opened = calendar.expected(*(int(pd.Timestamp(day, tz="UTC").timestamp() * 1000) for day in ("2010", "2020")))
    returns = np.random.default_rng(2).normal(4e-4, 0.01, len(opened))
    closed = pd.Series(pd.to_datetime(opened + DAY_MS, unit="ms", utc=True))
    daily = daily_returns(closed, returns, calendar)
    found, year = measures_of(daily, calendar.days_per_year), calendar.days_per_year
    assert len(daily) == len(opened)
    assert found["sharpe"] == pytest.approx(empyrical.sharpe_ratio(pd.Series(returns), annualization=year), abs=1e-6)
    assert found["annual_return"] == pytest.approx(
        empyrical.annual_return(pd.Series(returns), annualization=year), abs=1e-6
    )


@pytest.mark.parametrize(
    ("frame", "name", "bars"),
    [("1h", "XNYS", 7 * 252), ("30m", "XNYS", 13 * 252), ("1d", "XNYS", 252), ("1h", "FX", 24 * 5 * 365.25 / 7),
     ("1h", "24/7", 8766), ("1d", "24/5", 5 * 365.25 / 7)],
)  # fmt: skip
def test_a_year_has_the_bars_that_are_traded(frame: str, name: str, bars: float) -> None:
    assert Calendar.of(frame, name).bars_per_year == pytest.approx(bars, rel=0.01)


def test_a_year_of_borrowing_costs_the_yearly_rate() -> None:
    """An hourly short of a stock pays its rate over the 1,750 hours of a session year, not over 8,766."""
    calendar = Calendar.of("1h", "XNYS")
    count = round(calendar.bars_per_year)
    close = np.full(count, 100.0)
    history = History(close, close, np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.int32))
    costs = FREE.model_copy(update={"borrow_rate_annual": 0.04})
    account = backtest(history, np.full(count, -1.0), costs, bars_per_year=calendar.bars_per_year)
    assert account["funding"].sum() == pytest.approx(0.04, rel=0.03)


@pytest.mark.parametrize(
    ("name", "closed"),
    [("XNYS", ["2024-07-04", "2024-11-28", "2024-12-25"]), ("XTKS", ["2024-01-02", "2024-01-03"]),
     ("XLON", ["2024-12-26", "2024-08-26"])],
)  # fmt: skip
def test_holidays_of_a_venue_are_no_gaps_and_a_lost_session_is(name: str, closed: list[str]) -> None:
    calendar = Calendar.of("1d", name)
    opened = calendar.expected(*(int(pd.Timestamp(day, tz="UTC").timestamp() * 1000) for day in ("2023-12-01", "2025")))
    days = pd.to_datetime(opened, unit="ms").strftime("%Y-%m-%d").tolist()
    assert not set(closed) & set(days)
    assert assign_segments(opened, DAY_MS, 0, calendar).max() == 0
    assert assign_segments(np.delete(opened, 50), DAY_MS, 0, calendar).max() == 1
    assert Calendar.of("1d").missing_before(opened).any()  # what was asked of them before


def test_the_last_bar_of_a_short_day_and_the_first_after_it_follow_each_other() -> None:
    calendar = Calendar.of("1h", "XNYS")
    opened = calendar.expected(
        *(int(pd.Timestamp(day, tz="UTC").timestamp() * 1000) for day in ("2024-07-02", "2024-07-06"))
    )
    assert not calendar.missing_before(opened).any()
    assert len(np.unique(calendar.days(opened + 3_600_000))) == 3  # the 4th is closed
    short = pd.to_datetime(opened, unit="ms").strftime("%m-%d").tolist().count("07-03")
    assert short == 4 and assign_segments(opened, 3_600_000, 0, calendar).max() == 0


def test_a_universe_of_a_stock_exchange_gets_its_year_by_its_venue_alone() -> None:
    assert calendar_name("us_etf") == "XNYS" and calendar_name("binance") == "24/7"
    given = {"venue": "us_etf", "symbols": ("SPY",), "timeframe": "1d"}
    assert Universe.model_validate(given).bars_per_year == 252
    assert Universe.model_validate(given | {"venue": "binance"}).bars_per_year == 365.25
