"""Trading calendars: sessions, the bars they hold, and what a year is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import BadData
from tradewind.market.calendars import DAY_MS, Calendar, calendar_name
from tradewind.market.segments import SegmentState, assign_segments, fold_segments
from tradewind.market.universe import Universe
from tradewind.metrics.returns import daily_returns
from tradewind.metrics.risk import measures_of

NAMES = ("24/7", "24/5", "FX", "XNYS", "XTKS", "XASX")
FRAMES = ("1m", "15m", "1h", "4h", "1d", "1w")
SHARED = Path(__file__).parents[3] / "shared" / "data"


def ms(text: str) -> int:
    return int(pd.Timestamp(text, tz="UTC").timestamp() * 1000)


def as_text(instants: np.ndarray) -> list[str]:
    return [f"{pd.Timestamp(int(one), unit='ms'):%m-%d %H:%M}" for one in instants]


def test_ten_years_of_business_days_are_annualised_by_business_days() -> None:
    days = pd.bdate_range("2010-01-01", "2019-12-31", tz="UTC")
    noise = np.random.default_rng(1).standard_normal(len(days))
    returns = 0.0005 + 0.01 * (noise - noise.mean()) / noise.std(ddof=1)
    calendar = Calendar.of("1d", "24/5")
    daily = daily_returns(pd.Series(days + pd.Timedelta(days=1)), returns, calendar)
    found = measures_of(daily, calendar.days_per_year)
    assert found["sharpe"] == pytest.approx(0.808, abs=5e-4)
    assert found["annual_return"] == pytest.approx(0.125, abs=1e-3)
    around_the_clock = measures_of(daily)  # what was said before
    assert around_the_clock["sharpe"] == pytest.approx(0.956, abs=5e-4)


def test_a_year_has_the_bars_that_the_market_trades() -> None:
    assert Calendar.of("1h").bars_per_year == 8766
    assert Calendar.of("1w").days_per_year == pytest.approx(365.25 / 7)
    assert Calendar.of("1d", "XNYS").bars_per_year == Calendar.of("1d", "XNYS").days_per_year == 252
    assert Calendar.of("1h", "XNYS").bars_per_year == pytest.approx(7 * 252, rel=0.006)  # early closes
    assert Calendar.of("1w", "XNYS").bars_per_year == pytest.approx(365.25 / 7, rel=1e-3)
    assert Calendar.of("1d", "24/5").bars_per_year == pytest.approx(365.25 * 5 / 7)
    assert Calendar.of("1h", "FX").bars_per_day == pytest.approx(24)


def test_bars_stand_where_sessions_are() -> None:
    week = Calendar.of("1h", "XNYS").expected(ms("2024-11-27"), ms("2024-12-02"))
    # Thanksgiving is closed, the day after it closes at 13:00 New York (18:00 UTC).
    assert as_text(week) == [
        *(f"11-27 {hour}:00" for hour in range(14, 21)), *(f"11-29 {hour}:00" for hour in range(14, 18))
    ]  # fmt: skip
    assert as_text(Calendar.of("1d", "XNYS").expected(ms("2024-11-27"), ms("2024-12-03"))) == [
        "11-27 00:00", "11-29 00:00", "12-02 00:00"
    ]  # fmt: skip
    sunday = Calendar.of("1h", "FX").expected(ms("2024-01-05 20:00"), ms("2024-01-08 00:00"))
    assert as_text(sunday) == ["01-05 20:00", "01-05 21:00", "01-07 22:00", "01-07 23:00"]


def test_nights_weekends_and_holidays_are_no_gaps_and_lost_days_are() -> None:
    calendar = Calendar.of("1d", "XNYS")
    opened = calendar.expected(ms("2024-06-03"), ms("2024-07-12"))
    assert not calendar.missing_before(opened).any()
    assert Calendar.of("1d").missing_before(opened).any()
    lost = np.delete(opened, [10, 11, 12])
    assert calendar.missing_before(lost).max() == 3
    assert assign_segments(lost, DAY_MS, 2, calendar).max() == 1
    assert assign_segments(lost, DAY_MS, 3, calendar).max() == 0


def test_hours_that_open_with_the_session_are_no_gaps() -> None:
    calendar = Calendar.of("1h", "XNYS")
    opened = np.concatenate([ms(f"2024-06-{day} 13:30") + 3_600_000 * np.arange(7) for day in ("03", "04", "05")])
    assert calendar.is_on_grid(opened).all()
    assert not calendar.missing_before(opened).any()
    assert not calendar.is_on_grid(opened + 60_000).any()
    assert not Calendar.of("1h").is_on_grid(opened).any()


def test_a_bar_belongs_to_its_session() -> None:
    close = np.array([ms("2024-01-07 23:00"), ms("2024-01-08 22:00"), ms("2024-01-08 23:00")])
    assert as_text(Calendar.of("1h", "FX").days(close) * DAY_MS) == ["01-08 00:00", "01-08 00:00", "01-09 00:00"]
    assert as_text(Calendar.of("1h").days(close) * DAY_MS) == ["01-07 00:00", "01-08 00:00", "01-08 00:00"]
    sydney = np.array([ms("2024-02-06 00:00"), ms("2024-02-07 00:00")])  # two bars of a day, dated by their session
    assert as_text(Calendar.of("1d", "XASX").days(sydney) * DAY_MS) == ["02-05 00:00", "02-06 00:00"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("frame", FRAMES)
def test_the_bars_that_there_should_be_follow_each_other(name: str, frame: str) -> None:
    calendar = Calendar.of(frame, name)
    opened = calendar.expected(ms("2019-03-01"), ms("2019-05-01" if frame == "1m" else "2021-04-01"))
    assert (np.diff(calendar.places(opened)) == 1).all()
    assert calendar.is_on_grid(opened).all()
    assert (np.diff(calendar.days(opened + calendar.bar_ms)) >= 0).all()
    counted = len(opened) / (opened[-1] - opened[0]) * 365.25 * DAY_MS
    assert counted == pytest.approx(calendar.bars_per_year, rel=0.06)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_comes_later_moves_nothing(data: st.DataObject) -> None:
    """Segments and days of bars up to a cut do not depend on those after it, and cut history folds to the same."""
    name, frame = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(("1h", "4h", "1d", "1w")))
    calendar = Calendar.of(frame, name)
    whole = calendar.expected(ms("2020-01-01"), ms("2021-06-01"))[:300]
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    opened = whole[rng.random(len(whole)) < 0.8]
    cut = data.draw(st.integers(1, len(opened) - 1))
    other = np.r_[opened[:cut], opened[cut:][rng.random(len(opened) - cut) < 0.5]]
    found, changed = (assign_segments(one, calendar.bar_ms, 2, calendar) for one in (opened, other))
    np.testing.assert_array_equal(found[:cut], changed[:cut])
    state, first = fold_segments(SegmentState(), opened[:cut], calendar.bar_ms, 2, calendar)
    _, second = fold_segments(state, opened[cut:], calendar.bar_ms, 2, calendar)
    np.testing.assert_array_equal(found, np.r_[first, second])
    np.testing.assert_array_equal(calendar.days(opened)[:cut], calendar.days(other)[:cut])


def test_venues_have_their_calendar_and_a_universe_may_name_another() -> None:
    assert calendar_name("binance") == calendar_name("simulated") == "24/7"
    assert calendar_name("us_etf") == "XNYS"
    assert calendar_name("dukascopy") == "FX"
    universe = Universe(venue="house", symbols=("A",), timeframe="1d", calendar="XLON")
    assert universe.bars_per_year == 253
    with pytest.raises(ValueError, match="no exchange is called 'XXXX'"):
        Universe(venue="house", symbols=("A",), timeframe="1d", calendar="XXXX")


def test_instants_that_no_calendar_knows_are_refused() -> None:
    with pytest.raises(BadData, match="knows sessions from 1990-01-02"):
        Calendar.of("1d", "XNYS").places(np.array([ms("2060-01-01")]))


@pytest.mark.parametrize("day", ["mon", "thu", "fri", "sun"])
def test_weeks_open_on_the_day_that_is_named(day: str) -> None:
    calendar = Calendar.of("1w", week_start=day)
    opened = calendar.expected(ms("2024-01-01"), ms("2024-03-01"))
    assert {f"{pd.Timestamp(int(one), unit='ms'):%a}".lower() for one in opened} == {day}
    assert calendar.is_on_grid(opened).all()
    assert not calendar.is_on_grid(opened + DAY_MS).any()


def test_a_year_of_real_foreign_exchange_has_no_gap() -> None:
    path = SHARED / "fx" / "dukascopy" / "EURUSD-1h-ask.parquet"
    if not path.exists():
        pytest.skip(f"no real bars: {path} is not there")
    opened = pd.read_parquet(path)["timestamp"].to_numpy("datetime64[ms]").astype(np.int64)
    calendar = Calendar.of("1h", "FX")
    expected = calendar.expected(int(opened[0]), int(opened[-1]) + 1)
    assert not len(np.setdiff1d(expected, opened))
    assert not calendar.missing_before(opened).any()
