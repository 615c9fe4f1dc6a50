"""What is known at a moment depends on what was published by then, and on nothing else."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.vintages import as_known

HOUR_MS = 3_600_000
NAMES = ("fear_greed", "basis", "unnamed")
Rows = list[tuple[int, int, int, int, float]]
Rule = Callable[[pd.DataFrame], pd.DataFrame]

# Few instants, so that periods repeat, revisions come late, and moments are shared.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 1), st.integers(0, 12), st.integers(0, 400), st.floats(-9, 9, width=16)
    ),
    min_size=1, max_size=40, unique_by=lambda row: row[:4],
)  # fmt: skip


def table_of(rows: Rows) -> pd.DataFrame:
    series, symbol, reference, known, value = zip(*rows, strict=True)
    hours = {"reference_at": np.array(reference) * 24, "known_at": np.array(known)}
    instants = {name: pd.DatetimeIndex((at * HOUR_MS).astype("datetime64[ms]"), tz="UTC") for name, at in hours.items()}
    return pd.DataFrame(
        {
            "series": pd.Series([NAMES[at] for at in series], dtype="str"),
            "symbol": pd.Series(["", "B"][at] for at in symbol).astype("str"),
            **instants,
            "value": np.array(value, dtype=float),
        }
    )


def by_rule(vintages: pd.DataFrame) -> pd.DataFrame:
    return as_known(vintages, SERIES)


def known_slowly(vintages: pd.DataFrame, series: str, symbol: str, moment: pd.Timestamp) -> float:
    """The value at a moment, by looking at every row: the latest period published by then, as last revised."""
    best: tuple[pd.Timestamp, pd.Timestamp, float] | None = None
    newest_that_counts = None
    rows = vintages[(vintages["series"] == series) & (vintages["symbol"] == symbol)]
    for row in rows.sort_values(["known_at", "reference_at"]).itertuples():
        if row.known_at > moment or (best is not None and row.reference_at < best[0]):
            continue
        best, newest_that_counts = (row.reference_at, row.known_at, row.value), row.known_at
    if best is None or newest_that_counts is None:
        return np.nan
    if series in SERIES and moment - newest_that_counts >= SERIES[series].stale_after:
        return np.nan
    return best[2]


def check_against_the_slow_way(rule: Rule, vintages: pd.DataFrame) -> None:
    table = rule(vintages)
    instants = sorted({*vintages["known_at"], *table["known_at"]})
    for series in NAMES:
        for symbol in ("", "B"):
            rows = table[(table["series"] == series) & (table["symbol"] == symbol)]
            for moment in instants:
                seen = rows.loc[rows["known_at"] <= moment, "value"]
                ours = seen.iloc[-1] if len(seen) else np.nan
                np.testing.assert_equal(ours, known_slowly(vintages, series, symbol, moment))


def check_future(rule: Rule, vintages: pd.DataFrame, cut: pd.Timestamp) -> None:
    """Neither leaving out nor changing what is published after the cut changes what was known until then."""
    whole = rule(vintages)
    is_later = vintages["known_at"] > cut
    changed = vintages.assign(value=np.where(is_later, -3.0 * vintages["value"] + 1.0, vintages["value"]))
    moved = changed.assign(reference_at=changed["reference_at"].mask(is_later, changed["reference_at"].max()))
    moved = moved.drop_duplicates(["series", "symbol", "reference_at", "known_at"])
    for other in (vintages[~is_later], changed, moved):
        again = rule(other)
        pd.testing.assert_frame_equal(
            again[again["known_at"] <= cut].reset_index(drop=True),
            whole[whole["known_at"] <= cut].reset_index(drop=True),
        )


@settings(max_examples=20, deadline=None)
@given(ROWS)
def test_the_fast_way_is_the_slow_way(rows: Rows) -> None:
    check_against_the_slow_way(by_rule, table_of(rows))


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(-1, 500))
def test_the_future_changes_nothing(rows: Rows, hour: int) -> None:
    check_future(by_rule, table_of(rows), pd.Timestamp(hour * HOUR_MS, unit="ms", tz="UTC"))


def _known_at_its_reference(vintages: pd.DataFrame) -> pd.DataFrame:
    return by_rule(vintages.assign(known_at=vintages["reference_at"]))


def _only_the_last_revision(vintages: pd.DataFrame) -> pd.DataFrame:
    last = vintages.sort_values("known_at", kind="stable").groupby(["series", "symbol", "reference_at"])
    first_known = last["known_at"].transform("min")
    return by_rule(vintages.assign(known_at=first_known, value=last["value"].transform("last")))


def _whatever_was_published_last(vintages: pd.DataFrame) -> pd.DataFrame:
    return by_rule(vintages.assign(reference_at=vintages["known_at"]))


def _silence_foretold(vintages: pd.DataFrame) -> pd.DataFrame:
    """A series that will fall silent is taken as missing from its last value on."""
    table = by_rule(vintages)
    following = table.groupby(["series", "symbol"])["value"].shift(-1)
    return table.assign(value=table["value"].where(following.notna()))


EXAMPLE: Rows = [(0, 0, 0, 30, 1.0), (0, 0, 1, 50, 2.0), (0, 0, 1, 70, 4.0), (0, 0, 0, 90, 8.0), (0, 0, 2, 99, 3.0)]


@pytest.mark.parametrize("leak", [_known_at_its_reference, _only_the_last_revision, _silence_foretold])
def test_a_leak_is_caught(leak: Rule) -> None:
    with pytest.raises(AssertionError):
        for hour in range(0, 300, 5):
            check_future(leak, table_of(EXAMPLE), pd.Timestamp(hour * HOUR_MS, unit="ms", tz="UTC"))


@pytest.mark.parametrize("fault", [_whatever_was_published_last, _known_at_its_reference])
def test_a_wrong_level_is_caught(fault: Rule) -> None:
    with pytest.raises(AssertionError):
        check_against_the_slow_way(fault, table_of(EXAMPLE))
