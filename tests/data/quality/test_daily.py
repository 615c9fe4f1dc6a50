"""Scores of a day's end know nothing of what comes after it."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tests.data.quality.conftest import HOUR, START, delivered, received
from tradewind.data.quality.daily import daily_scores, join_quality, quality_series
from tradewind.data.quality.outliers import Outliers, find_outliers
from tradewind.data.quality.rules import OutlierRules
from tradewind.market import schema
from tradewind.market.series import QUALITY_SERIES

RULES = OutlierRules(window_bars=40, robust=4.0)
DAY = 24 * HOUR
Scores = Callable[[pd.DataFrame], pd.DataFrame]


def scores_of(bars: pd.DataFrame) -> pd.DataFrame:
    return daily_scores(bars, find_outliers(bars, RULES))


def value(scores: pd.DataFrame, series: str, day: int) -> float:
    """At the end of so many days."""
    at = pd.Timestamp(START + day * DAY, unit="ms", tz="UTC")
    return float(scores.loc[(scores["series"] == series) & (scores["known_at"] == at), "value"].item())


def faulty() -> pd.DataFrame:
    rows = delivered(24 * 100, seed=5)
    rows["volume"] = rows["volume"].where(np.arange(len(rows)) % 97 != 5, 0.0)
    for hour in range(47, len(rows), 151):  # the first closes at midnight
        rows.loc[hour, "close"] *= 1.5
        rows.loc[hour, "high"] = rows.loc[hour, "close"]
    for hour in range(60, len(rows), 83):
        rows.loc[hour, ["open", "high", "low", "close"]] = rows["close"][hour - 1]
    rows = rows.drop(index=[*range(200, 207), *range(1000, 1060)])
    return rows.assign(quote_volume=np.nan)


def test_the_series_have_the_shape_of_side_series() -> None:
    scores = scores_of(received(faulty())[0])
    schema.SideSeries.validate(scores)
    assert set(scores["series"]) == set(QUALITY_SERIES)
    assert (
        (scores["known_at"] - pd.Timestamp(START, unit="ms", tz="UTC")) % pd.Timedelta(days=1) == pd.Timedelta(0)
    ).all()
    assert scores.groupby("series").size().unique().tolist() == [100]
    assert scores["value"].between(0, 1).all()


def test_each_value_is_what_a_loop_over_the_bars_known_by_then_finds() -> None:
    bars, _, _ = received(faulty())
    found = find_outliers(bars, RULES)
    scores = daily_scores(bars, found)
    closed = bars["timestamp"].to_numpy("datetime64[ms]").astype(np.int64)
    prices = bars[["open", "high", "low", "close"]].to_numpy()
    for day in (1, 2, 9, 31, 44, 60, 99, 100):
        end = START + day * DAY
        inside = np.flatnonzero((closed > end - 30 * DAY) & (closed <= end))
        hours = min(day, 30) * 24
        assert value(scores, "quality_completeness", day) == pytest.approx(len(inside) / hours)
        stale = sum(row > 0 and (prices[row] == prices[row - 1, 3]).all() for row in inside)
        assert value(scores, "quality_staleness", day) == pytest.approx(stale / len(inside))
        bad = sum(row > 0 and found.bad_tick[row - 1] for row in inside)
        assert value(scores, "quality_accuracy", day) == pytest.approx(1 - bad / len(inside))
        outlying = sum(found.return_robust[row] for row in inside)
        assert value(scores, "quality_outliers", day) == pytest.approx(outlying / len(inside))
        broken = sum(bars["volume"][row] == 0 < bars["trades"][row] for row in inside)
        assert value(scores, "quality_consistency", day) == pytest.approx(1 - broken / len(inside))
    assert scores.groupby("series")["value"].nunique().min() > 5


def another_future(bars: pd.DataFrame, now: pd.Timestamp, seed: int) -> pd.DataFrame:
    """The same bars up to `now`; after it other prices and volumes, and other bars missing."""
    rng = np.random.default_rng(seed)
    later = bars[bars["timestamp"] > now]
    later = later[rng.random(len(later)) > 0.3]
    factor = np.exp(rng.normal(0, 0.5, len(later)))
    later = later.assign(**{name: later[name] * factor for name in ("open", "high", "low", "close", "volume")})
    return pd.concat([bars[bars["timestamp"] <= now], later], ignore_index=True)


def check_causal(make: Scores, bars: pd.DataFrame, cut: int) -> None:
    """What was known at the cut is the same whatever comes after it."""
    now = bars["timestamp"][cut]
    ours, theirs = (
        table[table["known_at"] <= now].set_index(["series", "known_at"])["value"].sort_index()
        for table in (make(bars), make(another_future(bars, now, cut)))
    )
    pd.testing.assert_series_equal(theirs.reindex(ours.index), ours, check_exact=False, rtol=0, atol=1e-12)


CUTS = np.random.default_rng(0).choice(np.arange(30, 2300), 60, replace=False)


def test_no_score_sees_the_future() -> None:
    bars, _, _ = received(faulty())
    ends = np.flatnonzero(bars["timestamp"].dt.hour == 0)[5::9]
    for cut in (*CUTS, *ends, *(ends - 1)):
        check_causal(scores_of, bars, int(cut))


def _z_score_of_the_whole_table(bars: pd.DataFrame) -> pd.DataFrame:
    found = find_outliers(bars, RULES)
    return daily_scores(bars, Outliers(**{**vars(found), "return_robust": found.return_z_score}))


def _bad_ticks_on_their_own_day(bars: pd.DataFrame) -> pd.DataFrame:
    found = find_outliers(bars, RULES)
    return daily_scores(bars, Outliers(**{**vars(found), "bad_tick": np.r_[found.bad_tick[1:], False]}))


def _known_a_day_early(bars: pd.DataFrame) -> pd.DataFrame:
    scores = scores_of(bars)
    return scores.assign(known_at=scores["known_at"] - pd.Timedelta(days=1))


def _completeness_to_the_last_bar(bars: pd.DataFrame) -> pd.DataFrame:
    scores = scores_of(bars)
    whole = scores["series"] == "quality_completeness"
    return scores.assign(value=scores["value"].mask(whole, scores.loc[whole, "value"].mean()))


@pytest.mark.parametrize(
    "leak",
    [_z_score_of_the_whole_table, _bad_ticks_on_their_own_day, _known_a_day_early, _completeness_to_the_last_bar],
)
def test_a_score_that_sees_the_future_is_caught(leak: Scores) -> None:
    bars, _, _ = received(faulty())
    ends = np.flatnonzero(bars["timestamp"].dt.hour == 0)
    with pytest.raises(AssertionError):
        for cut in (*CUTS[:20], *ends):
            check_causal(leak, bars, int(cut))


def test_a_month_without_bars_has_a_completeness_of_nothing_and_no_other_score() -> None:
    rows = delivered(24 * 80).drop(index=range(24 * 20, 24 * 60))
    scores = scores_of(received(rows)[0])
    assert value(scores, "quality_completeness", 55) == 0
    assert not (scores["series"] == "quality_accuracy")[scores["known_at"] == scores["known_at"].max()].empty
    late = scores[(scores["known_at"] > pd.Timestamp(START + 50 * DAY, unit="ms", tz="UTC"))]
    silent = late[late["known_at"] <= pd.Timestamp(START + 60 * DAY, unit="ms", tz="UTC")]
    assert set(silent["series"]) == {"quality_completeness"}


def test_bars_that_end_before_the_first_day_does_have_no_score() -> None:
    assert scores_of(received(delivered(10))[0]).empty


def test_only_the_scores_that_are_named_join_the_side_series() -> None:
    bars, _, _ = received(delivered(24 * 5))
    scores = quality_series([bars, bars.assign(symbol="T")], RULES)
    known_at = pd.DatetimeIndex(np.array([START], "datetime64[ms]"), tz="UTC")
    side = pd.DataFrame({"series": ["zeta"], "symbol": ["S"], "known_at": known_at, "value": [1.0]})
    side = side.astype({"series": "str", "symbol": "str"})
    assert join_quality(side, scores, ("zeta",)) is side
    joined = join_quality(side, scores, ("zeta", "quality_accuracy"))
    schema.SideSeries.validate(joined)
    assert joined.groupby(["series", "symbol"]).size().to_dict() == {
        ("quality_accuracy", "S"): 5, ("quality_accuracy", "T"): 5, ("zeta", "S"): 1,
    }  # fmt: skip
