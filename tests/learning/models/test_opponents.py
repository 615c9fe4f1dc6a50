"""The opponents learn what is linear, know nothing of direction without it, and never see the test."""

import numpy as np
import pandas as pd
import pytest

from tradewind.learning.models.opponents import opponent_forecasts, path_forecasts
from tradewind.learning.splits.combinatorial import CombinatorialPlan
from tradewind.market import schema

HOUR = pd.Timedelta(hours=1)


def rows(n: int = 4000, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.date_range("2023-01-01", periods=n, freq="h", tz="UTC").as_unit("ms")
    known = rng.standard_normal(n).astype(np.float32)
    size = np.exp(rng.standard_normal(n)).astype(np.float32)
    score = 0.8 * known + rng.logistic(size=n) * np.where(size > 1, 1.5, 0.5)
    return pd.DataFrame(
        {
            "symbol": pd.Series("A", index=range(n), dtype="str"), "timestamp": at,
            "label": np.where(score > 0.5, 1, np.where(score < -0.5, -1, 0)).astype(np.int8),
            "forward_return": score * 0.01, "exit_time": at + HOUR, "horizon_end": at + HOUR, "weight": 1.0,
            "known": known, "realised_volatility_24": size, "broken": np.full(n, np.nan, dtype=np.float32),
        }
    )  # fmt: skip


def folds(table: pd.DataFrame) -> pd.DataFrame:
    edges = [table["timestamp"].iloc[at] for at in (2000, 3000, 3999)]
    start = table["timestamp"].iloc[0]
    return pd.DataFrame(
        [(n, start, edges[n], edges[n], edges[n + 1], HOUR, HOUR, "walk_forward") for n in range(2)],
        columns=["fold", "train_start", "train_end", "test_start", "test_end", "purge", "embargo", "role"],
    )


def test_linear_finds_the_direction_and_volatility_only_the_size() -> None:
    table = rows()
    found = opponent_forecasts(table, folds(table), 1)
    schema.Forecasts.validate(found)
    joined = found.merge(table[["timestamp", "known", "realised_volatility_24"]], on="timestamp")
    edge = joined["p_up"] - joined["p_down"]
    is_linear = joined["model"] == "linear"
    assert np.corrcoef(edge[is_linear], joined["known"][is_linear])[0, 1] > 0.9
    assert abs(np.corrcoef(edge[~is_linear], joined["known"][~is_linear])[0, 1]) < 0.1
    assert np.corrcoef(joined["p_flat"][~is_linear], joined["realised_volatility_24"][~is_linear])[0, 1] < -0.8


def test_what_comes_after_a_fold_begins_changes_none_of_its_earlier_forecasts() -> None:
    table = rows()
    changed = table.copy()
    late = changed["timestamp"] >= folds(table)["test_start"].iloc[1]
    changed.loc[late, "label"] = np.int8(1)
    before, after = (opponent_forecasts(one, folds(table), 1) for one in (table, changed))
    early = before["fold"] == 0
    pd.testing.assert_frame_equal(before[early], after[early])
    pd.testing.assert_frame_equal(before[~early], after[~early])  # the labels of a test are never seen


def test_without_a_volatility_feature_there_is_no_such_opponent() -> None:
    table = rows().drop(columns="realised_volatility_24")
    assert set(opponent_forecasts(table, folds(table), 1)["model"]) == {"linear"}


def test_a_missing_class_is_said_to_be_all_but_impossible() -> None:
    table = rows()
    table["label"] = table["label"].replace(0, 1)
    found = opponent_forecasts(table, folds(table), 1)
    assert (found["p_flat"] < 1e-6).all()
    assert found[["p_down", "p_flat", "p_up"]].sum(axis=1).to_numpy() == pytest.approx(1)


def test_every_path_forecasts_every_row_before_the_holdout_once() -> None:
    table = rows()
    plan = folds(table).assign(role=["walk_forward", "holdout"])
    found = path_forecasts(table, plan, CombinatorialPlan(n_groups=4, n_test_groups=2, embargo_bars=3), HOUR, 1)
    schema.Forecasts.validate(found)
    assert found["model"].nunique() == 3 and (found.groupby("fold").size() == 2999).all()
    assert found["timestamp"].max() < plan["test_start"].iloc[1]
    joined = found.merge(table[["timestamp", "known"]], on="timestamp")
    for _, part in joined.groupby("fold"):
        assert np.corrcoef(part["p_up"] - part["p_down"], part["known"])[0, 1] > 0.9
    apart = found.pivot(index="timestamp", columns="fold", values="p_up")
    assert (apart.nunique(axis=1) == 3).all()  # each by a model of its own
