"""No training label reaches into a test, and the check that says so can fail."""

import math
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tradewind.errors import BadData, BadParameters
from tradewind.learning.splits.purged import PlainFold, assert_no_leak, inner_split, test_mask, training_mask
from tradewind.learning.splits.walk_forward import FoldPlan, make_folds, needed_bars
from tradewind.market import schema

HOUR = timedelta(hours=1)


def make_rows(count: int = 2000, horizon: int = 24, hole: int = 0) -> pd.DataFrame:
    timestamp = pd.Series(pd.date_range("2023-01-01", periods=count, freq="h", tz="UTC")).dt.as_unit("ms")
    timestamp = timestamp.where(timestamp.index < count // 2, timestamp + hole * HOUR)
    end = timestamp.shift(-horizon)
    return pd.DataFrame({"timestamp": timestamp, "horizon_end": end}).dropna().reset_index(drop=True)


def folds_of(rows: pd.DataFrame, horizon: int = 24, **plan: Any) -> pd.DataFrame:
    return make_folds(rows["timestamp"], FoldPlan(**plan), HOUR, horizon)


@settings(max_examples=40, deadline=None)
@given(
    horizon=st.integers(1, 48),
    n_folds=st.integers(1, 6),
    embargo=st.integers(0, 48),
    scheme=st.sampled_from(["expanding", "rolling"]),
    hole=st.integers(0, 100),
)
def test_no_training_label_reaches_its_test(horizon: int, n_folds: int, embargo: int, scheme: str, hole: int) -> None:
    rows = make_rows(3000, horizon, hole)
    folds = folds_of(rows, horizon, n_folds=n_folds, embargo_bars=embargo, scheme=scheme)
    schema.Folds.validate(folds)
    for fold in folds.itertuples():
        training, testing = training_mask(rows, fold), test_mask(rows, fold)
        assert_no_leak(rows, training, testing)
        assert training.any() and testing.any() and not (training & testing).any()
        gap = rows.loc[testing, "timestamp"].min() - rows.loc[training, "horizon_end"].max()
        assert gap > pd.Timedelta(hours=embargo)


def test_tests_follow_one_another_and_the_holdout_is_last() -> None:
    rows = make_rows()
    folds = folds_of(rows)
    assert list(folds["role"]) == ["walk_forward"] * 5 + ["holdout"]
    assert (folds["test_start"].iloc[1:].to_numpy() == folds["test_end"].iloc[:-1].to_numpy()).all()
    tested = np.sum([test_mask(rows, fold) for fold in folds.itertuples()], axis=0)
    assert set(tested[rows["timestamp"] >= folds["test_start"].iloc[0]]) == {1}
    share = test_mask(rows, list(folds.itertuples())[-1]).mean()
    assert share == pytest.approx(0.15, abs=0.01)


def test_a_fold_without_purge_is_caught() -> None:
    rows = make_rows()
    for fold in folds_of(rows).itertuples():
        unpurged = ((rows["timestamp"] >= fold.train_start) & (rows["timestamp"] < fold.train_end)).to_numpy()
        with pytest.raises(BadData, match="24 training rows reach into the test"):
            assert_no_leak(rows, unpurged, test_mask(rows, fold))


def test_shuffled_folds_are_caught() -> None:
    rows = make_rows()
    rng = np.random.default_rng(0)
    testing = rng.random(len(rows)) < 0.2
    with pytest.raises(BadData, match="reach into the test"):
        assert_no_leak(rows, ~testing, testing)


def test_rolling_folds_keep_their_length_and_expanding_ones_grow() -> None:
    rows = make_rows()
    rolling, expanding = (folds_of(rows, scheme=scheme) for scheme in ("rolling", "expanding"))
    assert (rolling["train_end"] - rolling["train_start"]).nunique() == 1
    assert (expanding["train_end"] - expanding["train_start"]).is_monotonic_increasing


def test_the_folds_do_not_depend_on_any_value() -> None:
    rows = make_rows()
    pd.testing.assert_frame_equal(folds_of(rows), folds_of(rows.assign(label=1, close=2.0)))


def test_the_inner_split_is_purged() -> None:
    rows = make_rows()
    fit, valid = inner_split(rows, 0.25)
    assert_no_leak(rows, fit, valid)
    assert valid.mean() == pytest.approx(0.25, abs=0.01)
    assert (~fit & ~valid).sum() == 24
    assert rows.loc[fit, "timestamp"].max() < rows.loc[valid, "timestamp"].min()


def test_too_little_history_is_refused() -> None:
    with pytest.raises(BadParameters, match=r"bars with features are too short for 5 folds"):
        folds_of(make_rows(300))
    with pytest.raises(BadData, match="cannot be split"):
        inner_split(make_rows(30, 24), 0.25)


def test_a_refusal_names_how_many_bars_would_do() -> None:
    """So many are enough, and a few less are not; fewer folds are named where they would fit."""
    rng = np.random.default_rng(11)
    for _ in range(60):
        horizon, embargo = (int(rng.integers(1, 40)) for _ in range(2))
        shares = {"initial_share": float(rng.uniform(0.1, 0.6)), "holdout_share": float(rng.uniform(0.05, 0.3))}
        plan = FoldPlan(n_folds=int(rng.integers(1, 9)), embargo_bars=embargo, **shares)
        needed = needed_bars(plan, horizon)
        rows = make_rows(needed, 0)
        make_folds(rows["timestamp"], plan, HOUR, horizon)
        short = needed - 4 - math.ceil(2 / (1 - plan.initial_share - plan.holdout_share))
        with pytest.raises(BadParameters, match=f"{short} bars .*at least {needed} are needed"):
            make_folds(rows["timestamp"][:short], plan, HOUR, horizon)
    fewer = r"or set feature_engineering.folds.n_folds=16, for which they are enough"
    with pytest.raises(BadParameters, match=fewer):
        folds_of(make_rows(150, 0), 1, n_folds=30, embargo_bars=1)


@pytest.mark.parametrize(
    "fault",
    [
        {"n_folds": 0},
        {"initial_share": 0.7, "holdout_share": 0.3},
        {"holdout_share": 0.9},
        {"scheme": "random"},
        {"shuffle": True},
    ],
)
def test_a_plan_that_cannot_be_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FoldPlan(**fault)


def hours(count: int, horizon: int) -> pd.DataFrame:
    at = pd.Series(pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC")).dt.as_unit("ms")
    return pd.DataFrame({"timestamp": at, "horizon_end": at + pd.Timedelta(hours=horizon)})


def test_a_label_that_ends_with_the_first_instant_of_what_judges_it_is_purged() -> None:
    """At the boundary itself, in the inner split, in the check, and at the beginning of the test less the embargo."""
    rows = hours(101, 5)
    fit, valid = inner_split(rows, 0.2)  # the boundary is hour 80
    assert np.flatnonzero(valid).tolist() == list(range(80, 101))
    assert np.flatnonzero(fit).tolist() == list(range(75)), "the label of hour 75 ends at hour 80"
    touching = np.arange(101) <= 75
    with pytest.raises(BadData, match=r"1 training rows reach into the test .*, the first at 2024-01-04 03:00"):
        assert_no_leak(rows, touching, valid)
    assert_no_leak(rows, fit, valid)
    start = rows["timestamp"].iloc[0]
    fold = PlainFold(
        0, start, start + pd.Timedelta(hours=80), start + pd.Timedelta(hours=80), start + pd.Timedelta(hours=90),
        pd.Timedelta(hours=6), pd.Timedelta(hours=3), "walk_forward",
    )  # fmt: skip
    assert np.flatnonzero(training_mask(rows, fold)).tolist() == list(range(72)), "5 of horizon, 3 of embargo"
    assert np.flatnonzero(test_mask(rows, fold)).tolist() == list(range(80, 90))


def test_a_part_without_rows_leaks_nothing() -> None:
    rows = hours(10, 2)
    nothing, everything = np.zeros(10, dtype=bool), np.ones(10, dtype=bool)
    assert_no_leak(rows, nothing, everything)
    assert_no_leak(rows, everything, nothing)


@pytest.mark.parametrize(("count", "horizon"), [(1, 5), (4, 200)])
def test_rows_that_cannot_be_split_are_refused(count: int, horizon: int) -> None:
    with pytest.raises(BadData, match="cannot be split with a share of 0.2: take more history"):
        inner_split(hours(count, horizon), 0.2)


def test_the_training_window_is_half_open_and_the_life_of_a_label_is_its_horizon_and_a_bar() -> None:
    rows = hours(101, 0)
    start = rows["timestamp"].iloc[0]
    fold = PlainFold(
        0, start + pd.Timedelta(hours=10), start + pd.Timedelta(hours=40), start + pd.Timedelta(hours=80),
        start + pd.Timedelta(hours=90), pd.Timedelta(0), pd.Timedelta(0), "walk_forward",
    )  # fmt: skip
    assert np.flatnonzero(training_mask(rows, fold)).tolist() == list(range(10, 40))
    made = make_folds(make_rows()["timestamp"], FoldPlan(embargo_bars=7), HOUR, 24)
    assert (made["purge"] == 25 * pd.Timedelta(HOUR)).all() and (made["embargo"] == 7 * pd.Timedelta(HOUR)).all()
    spaced = make_folds(make_rows()["timestamp"], FoldPlan(embargo_bars=7), HOUR, 24, 3 * HOUR)
    assert (spaced["purge"] == 75 * pd.Timedelta(HOUR)).all() and (spaced["embargo"] == 21 * pd.Timedelta(HOUR)).all()
