from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.collection import read_series
from tradewind.data.side_data.events import DUPLICATE_EVENT, Calendar, hours_since_last, hours_to_next
from tradewind.data.side_data.files import SeriesFiles
from tradewind.data.side_data.vintages import as_known

HOUR = 3_600_000


def calendar(*events: tuple[str, str]) -> Calendar:
    at = pd.DatetimeIndex([pd.Timestamp(time, tz="UTC") for time, _ in events]).as_unit("ms")
    return Calendar(at.asi8, np.array([name for _, name in events], dtype=object))


def ticks(*times: str) -> np.ndarray:
    return pd.DatetimeIndex([pd.Timestamp(time, tz="UTC") for time in times]).as_unit("ms").asi8


WEEK = calendar(
    ("2020-03-03 15:00", "Fed Interest Rate Decision"),  # an emergency cut, at 10:00 in New York
    ("2020-03-06 13:30", "Nonfarm Payrolls"),
    ("2020-03-06 13:30", "Average Hourly Earnings (YoY)"),
    ("2020-03-13 19:00", "President Trump speech"),
    ("2020-03-18 18:00", "Fed Interest Rate Decision"),
)


def test_only_what_is_announced_ahead_is_waited_for() -> None:
    assert WEEK.is_scheduled().tolist() == [False, True, True, False, True]
    np.testing.assert_allclose(hours_to_next(WEEK, ticks("2020-03-03 14:00", "2020-03-06 13:00")), [71.5, 0.5])


def test_an_event_farther_than_a_week_is_not_known_yet() -> None:
    seen = hours_to_next(WEEK, ticks("2020-03-06 14:00", "2020-03-11 18:00", "2020-03-11 19:00", "2020-03-18 18:00"))
    np.testing.assert_allclose(seen, [168.0, 168.0, 167.0, 168.0])


def test_what_took_place_counts_after_it_did_announced_or_not() -> None:
    seen = hours_since_last(WEEK, ticks("2020-03-03 15:00", "2020-03-03 16:00", "2020-03-06 14:00", "2020-03-14 19:00"))
    np.testing.assert_allclose(seen, [168.0, 1.0, 0.5, 24.0])


@pytest.mark.parametrize("seed", range(3))
def test_an_unannounced_event_moves_nothing_before_it(seed: int) -> None:
    """And one that is announced moves nothing more than a week before it."""
    rng = np.random.default_rng(seed)
    clock = np.arange(0, 1000 * HOUR, HOUR, dtype=np.int64)
    base = Calendar(np.sort(rng.integers(0, 1000 * HOUR, 12)), np.array(["Nonfarm Payrolls"] * 12, dtype=object))
    at = int(rng.integers(300, 900)) * HOUR
    for name, ahead in (("President speech", 0), ("Nonfarm Payrolls", 168)):
        other = Calendar(np.append(base.at_ms, at), np.append(base.names, name))
        before = clock <= at - ahead * HOUR
        for measure in (hours_to_next, hours_since_last):
            np.testing.assert_array_equal(measure(other, clock)[before], measure(base, clock)[before])


def test_a_calendar_file_gives_hours_from_its_first_to_its_last_event(tmp_path: Path) -> None:
    lines = [
        "Id,Start,Name", "1,03/06/2020 13:30:00,Nonfarm Payrolls", "2,03/06/2020 13:30:00,Unemployment Rate",
        "3,03/06/2020 13:30:00,Nonfarm Payrolls", "4,,FOMC Minutes", "5,03/06/2020 16:00:00,",
        "6,03/06/2020 17:15:00,Senate vote",
    ]  # fmt: skip
    (tmp_path / "calendar.csv").write_text("\n".join(lines))
    files = SeriesFiles(files="calendar.csv", time_format="%m/%d/%Y %H:%M:%S", tick="30m")
    (delivery,) = read_series("us_event_hours_since_last", files, tmp_path, 0, ())
    assert delivery.rejected["reason"].tolist() == [DUPLICATE_EVENT, "time is missing", "event is missing"]
    assert (delivery.rows_received, delivery.rows_accepted) == (6, 3)
    assert delivery.vintages["known_at"].iloc[[0, -1]].dt.strftime("%H:%M").tolist() == ["13:30", "17:00"]
    assert delivery.vintages["value"].tolist() == [168.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    # Nothing is known of the hours after the last event of the file.
    level = as_known(delivery.vintages, SERIES)
    assert level["value"].isna().tolist() == [*[False] * 8, True]
