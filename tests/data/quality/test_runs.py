import numpy as np
import pandas as pd

from tests.data.quality.conftest import HOUR, START, delivered, received
from tradewind.data.quality.grid import grid_of
from tradewind.data.quality.rules import RunRules
from tradewind.data.quality.runs import find_runs
from tradewind.data.quality.tables import QualityRuns


def at(hour: int) -> pd.Timestamp:
    return pd.Timestamp(START + hour * HOUR, unit="ms", tz="UTC")


def test_runs_have_their_start_end_and_length() -> None:
    rows = delivered(100)
    for hour in (*range(10, 14), *range(20, 22)):  # four stale bars, then two: too few to record
        rows.loc[hour, ["open", "high", "low", "close"]] = rows["close"][hour - 1]
    rows.loc[[30, 31, 40], "volume"] = 0.0
    bars, _, _ = received(rows.drop(index=range(60, 65)).drop(columns=["quote_volume", "trades"]))
    runs = find_runs(bars, RunRules())
    QualityRuns.validate(runs)
    found = runs[["kind", "start", "end", "bars"]].to_numpy().tolist()
    assert found == [
        ["gap", at(60), at(65), 5],
        ["stale", at(10), at(14), 4],
        ["zero_volume", at(30), at(32), 2],
        ["zero_volume", at(40), at(41), 1],
    ]


def test_a_gap_ends_a_run() -> None:
    rows = delivered(20).drop(columns=["quote_volume", "trades"])
    rows.loc[5:10, "volume"] = 0.0
    runs = find_runs(received(rows.drop(index=[7]))[0], RunRules())
    assert runs.loc[runs["kind"] == "zero_volume", "bars"].tolist() == [2, 3]


def test_what_is_asked_for_before_the_first_and_after_the_last_bar_is_a_gap() -> None:
    bars, _, _ = received(delivered(10))
    grid = grid_of(bars, (START - 3 * HOUR, START + 12 * HOUR))
    runs = find_runs(bars, RunRules(), grid)
    assert runs[["start", "end", "bars"]].to_numpy().tolist() == [[at(-3), at(0), 3], [at(10), at(12), 2]]
    assert (grid.expected, grid.missing) == (15, 5)


def test_a_span_between_the_grid_points_is_rounded_inwards() -> None:
    bars, _, _ = received(delivered(10))
    grid = grid_of(bars, (START + HOUR // 2, START + 3 * HOUR + 1))  # opens at 1, 2 and 3
    assert (grid.first_ms, grid.expected, grid.missing) == (START + HOUR, 3, 0)


def test_weeks_that_are_asked_for_begin_where_the_bars_do() -> None:
    """Not where weeks counted from 1970 would, which was a Thursday."""
    week, monday = 7 * 24 * HOUR, 1_704_067_200_000  # 2024-01-01
    opened = monday + np.array([0, 1, 3]) * week
    bars = pd.DataFrame({"timeframe": "1w", "open_time": pd.DatetimeIndex(opened.astype("datetime64[ms]"), tz="UTC")})
    grid = grid_of(bars, (monday - 2 * week, monday + 4 * week))
    assert (grid.first_ms, grid.end_ms) == (monday - 2 * week, monday + 4 * week)
    assert (grid.expected, grid.missing) == (6, 3)
