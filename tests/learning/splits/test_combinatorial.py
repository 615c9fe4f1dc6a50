"""Every combination is purged, every path is whole; skfolio agrees."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tradewind.errors import BadData, BadParameters
from tradewind.learning.splits.combinatorial import CombinatorialPlan, combinatorial_splits, recombine

HOUR = timedelta(hours=1)


def make_rows(count: int, horizon: int) -> pd.DataFrame:
    timestamp = pd.Series(pd.date_range("2023-01-01", periods=count, freq="h", tz="UTC")).dt.as_unit("ms")
    return pd.DataFrame({"timestamp": timestamp, "horizon_end": timestamp + horizon * HOUR})


@pytest.mark.parametrize(("n_groups", "n_test"), [(6, 2), (5, 3), (8, 2)])
def test_skfolio_gives_the_same_splits_and_paths(n_groups: int, n_test: int) -> None:
    from skfolio.model_selection import CombinatorialPurgedCV

    count, horizon, embargo = 480, 7, 5
    peer = CombinatorialPurgedCV(n_groups, n_test, purged_size=horizon, embargo_size=embargo)
    plan = CombinatorialPlan(n_groups=n_groups, n_test_groups=n_test, embargo_bars=embargo)
    ours = list(combinatorial_splits(make_rows(count, horizon), plan, HOUR))
    theirs = list(peer.split(np.zeros((count, 1))))
    assert len(ours) == len(theirs) == plan.n_splits and plan.n_paths == peer.n_test_paths
    np.testing.assert_array_equal([split.paths for split in ours], peer.get_path_ids())
    for split, (train, tests) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(split.training), train)
        for mine, peers in zip(split.testing, tests, strict=True):
            np.testing.assert_array_equal(np.flatnonzero(mine), peers)


@settings(max_examples=25, deadline=None)
@given(groups=st.integers(3, 7), tested=st.integers(1, 2), horizon=st.integers(0, 20), embargo=st.integers(0, 10))
def test_no_training_row_meets_a_tested_one(groups: int, tested: int, horizon: int, embargo: int) -> None:
    rows = pd.concat([make_rows(700, horizon), make_rows(650, horizon)], ignore_index=True)  # two symbols
    plan = CombinatorialPlan(n_groups=groups, n_test_groups=tested, embargo_bars=embargo)
    start, end = (rows[name].to_numpy() for name in ("timestamp", "horizon_end"))
    for split in combinatorial_splits(rows, plan, HOUR):
        for testing in split.testing:
            low, high = start[testing].min(), end[testing].max() + np.timedelta64(embargo, "h")
            assert not (split.training & (end >= low) & (start <= high)).any()


def test_each_path_forecasts_every_row_once() -> None:
    rows, plan = make_rows(120, 2), CombinatorialPlan(n_groups=6, n_test_groups=2, embargo_bars=0)
    splits = list(combinatorial_splits(rows, plan, HOUR))
    forecasts = {split.number: np.full(120, float(split.number)) for split in splits}
    paths = recombine(forecasts, splits, plan)
    assert paths.shape == (5, 120) and np.isfinite(paths).all()
    for row in paths.T:  # on every row each path has another split's forecast
        assert len(set(row)) == 5
    group = np.arange(120) // 20
    assert all((paths[:, group == number] == paths[:, [20 * number]]).all() for number in range(6))


def test_a_split_that_is_not_purged_is_caught() -> None:
    rows, plan = make_rows(300, 10), CombinatorialPlan(n_groups=5, n_test_groups=1, embargo_bars=0)
    split = next(iter(combinatorial_splits(rows.assign(horizon_end=rows["timestamp"]), plan, HOUR)))
    reaching = rows["timestamp"].to_numpy() <= rows["horizon_end"][split.testing[0]].max()
    assert (split.training & reaching).any()  # with the horizons left out, training rows meet the test


def test_what_cannot_be_split_says_why() -> None:
    with pytest.raises(BadData, match="4 rows cannot be divided into 6 groups"):
        next(combinatorial_splits(make_rows(4, 1), CombinatorialPlan(), HOUR))
    with pytest.raises(BadParameters, match="nothing to train on"):
        list(combinatorial_splits(make_rows(60, 50), CombinatorialPlan(n_groups=3), HOUR))
    with pytest.raises(ValidationError, match="must be below n_groups"):
        CombinatorialPlan(n_groups=3, n_test_groups=3)
    with pytest.raises(ValidationError, match="are more than 5,000"):
        CombinatorialPlan(n_groups=40, n_test_groups=10)
