"""Linear models learn what is linear, know nothing of direction without it, and never see the test."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from tradewind.datasets.model_store import FolderModelStore
from tradewind.errors import BadData
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import Sample
from tradewind.learning.models.linear import LinearForecaster, LinearParameters
from tradewind.learning.models.paths import path_forecasts
from tradewind.learning.models.row_model import RowForecaster
from tradewind.learning.models.walk_forward import TrainingRules, forecast_table, split_training, train_folds
from tradewind.learning.splits.combinatorial import CombinatorialPlan
from tradewind.market import schema

HOUR = pd.Timedelta(hours=1)
BOTH = ("linear", "volatility_only")


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


def forecasts(
    table: pd.DataFrame, folder: Path, names: tuple[str, ...] = ("linear", "volatility_only")
) -> pd.DataFrame:
    parts = []
    for name in names:
        kind = catalogue.row_model(name)
        store = FolderModelStore(folder / name)
        trained = train_folds(kind, kind.parameters_class(), table, folds(table), TrainingRules(), store, 7)
        parts.append(forecast_table(trained, 1))
    return pd.concat(parts, ignore_index=True)


def test_linear_finds_the_direction_and_volatility_only_the_size(tmp_path: Path) -> None:
    table = rows()
    found = forecasts(table, tmp_path)
    schema.Forecasts.validate(found)
    joined = found.merge(table[["timestamp", "known", "realised_volatility_24"]], on="timestamp")
    edge = joined["p_up"] - joined["p_down"]
    is_linear = joined["model"] == "linear"
    assert np.corrcoef(edge[is_linear], joined["known"][is_linear])[0, 1] > 0.9
    assert np.corrcoef(joined["expected_return"][is_linear], joined["known"][is_linear])[0, 1] > 0.9
    assert abs(np.corrcoef(edge[~is_linear], joined["known"][~is_linear])[0, 1]) < 0.1
    assert np.corrcoef(joined["p_flat"][~is_linear], joined["realised_volatility_24"][~is_linear])[0, 1] < -0.8
    assert set(found["family"]) == {"linear", "baseline"} and set(found["path"]) == {-1}


def test_it_is_the_regression_of_scikit_learn_on_clipped_standard_scores(tmp_path: Path) -> None:
    table = rows()
    found = forecasts(table, tmp_path, ("linear",))
    first = folds(table).iloc[0]
    past = table[table["timestamp"] < first["train_end"] - HOUR]
    names = ["known", "realised_volatility_24"]
    mean, spread = past[names].to_numpy(np.float64).mean(axis=0), past[names].to_numpy(np.float64).std(axis=0)
    ours = found[found["fold"] == 0]
    test = table.set_index("timestamp").loc[ours["timestamp"], names].to_numpy(np.float64)
    x, later = (np.clip((one - mean) / spread, -5, 5) for one in (past[names].to_numpy(np.float64), test))
    model = LogisticRegression(C=LinearParameters().c, max_iter=200).fit(x, past["label"])
    np.testing.assert_allclose(ours[["p_down", "p_flat", "p_up"]], model.predict_proba(later), atol=2e-3)


def test_what_comes_after_a_fold_begins_changes_none_of_its_earlier_forecasts(tmp_path: Path) -> None:
    table = rows()
    changed = table.copy()
    late = changed["timestamp"] >= folds(table)["test_start"].iloc[1]
    changed.loc[late, "label"] = np.int8(1)
    before, after = (forecasts(one, tmp_path / str(at)) for at, one in enumerate((table, changed)))
    early = before["fold"] == 0
    pd.testing.assert_frame_equal(before[early], after[early])
    pd.testing.assert_frame_equal(before[~early], after[~early])  # the labels of a test are never seen


def test_without_a_volatility_feature_it_says_the_shares_of_the_classes(tmp_path: Path) -> None:
    table = rows().drop(columns="realised_volatility_24")
    found = forecasts(table, tmp_path, ("volatility_only",))
    assert (found.groupby("fold")["p_up"].nunique() == 1).all()
    assert found["p_flat"].iloc[0] == pytest.approx((table["label"].iloc[:2000] == 0).mean(), abs=0.01)


def test_a_missing_class_is_said_to_be_all_but_impossible(tmp_path: Path) -> None:
    table = rows()
    table["label"] = table["label"].replace(0, 1)
    found = forecasts(table, tmp_path)
    assert (found["p_flat"] < 1e-6).all()
    assert found[["p_down", "p_flat", "p_up"]].sum(axis=1).to_numpy() == pytest.approx(1)


def test_every_path_forecasts_every_row_before_the_holdout_once() -> None:
    table = rows()
    plan = folds(table).assign(role=["walk_forward", "holdout"])
    found = path_forecasts(
        table, plan, CombinatorialPlan(n_groups=4, n_test_groups=2, embargo_bars=3), HOUR, 1, LinearParameters()
    )
    schema.Forecasts.validate(found)
    assert (
        set(found["model"]) == {"linear"}
        and found["path"].nunique() == 3
        and (found.groupby("fold").size() == 2999).all()
    )
    assert found["timestamp"].max() < plan["test_start"].iloc[1]
    joined = found.merge(table[["timestamp", "known"]], on="timestamp")
    for _, part in joined.groupby("fold"):
        assert np.corrcoef(part["p_up"] - part["p_down"], part["known"])[0, 1] > 0.9
    apart = found.pivot(index="timestamp", columns="fold", values="p_up")
    assert (apart.nunique(axis=1) == 3).all()  # each by a model of its own


def test_importance_is_what_every_model_of_rows_measures() -> None:
    """A regression knows what a feature at its mean would change without forecasting again."""
    kind = catalogue.row_model("linear")
    table = rows(600).fillna({"broken": 0.5})
    model = kind(LinearParameters(c=0.1), 7).fit(split_training(table, TrainingRules()))
    told = model.importance(table)
    asked = RowForecaster._mean_changes(model, *values_and_means(table, model.features))
    np.testing.assert_allclose(told["mean_abs_shap"], asked, rtol=1e-9, atol=1e-12)
    assert told["mean_abs_shap"].max() > 0.01


def values_and_means(table: pd.DataFrame, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    values = table[list(names)].to_numpy(dtype=np.float32)
    return values, np.where(np.isfinite(values), values, 0.0).mean(axis=0).astype(np.float32)


def test_a_penalty_means_the_same_for_weights_of_every_scale(tmp_path: Path) -> None:
    table = rows()
    first = forecasts(table, tmp_path / "one", ("linear",))
    second = forecasts(table.assign(weight=0.09), tmp_path / "two", ("linear",))
    np.testing.assert_allclose(first["p_up"], second["p_up"], atol=1e-6)
    with pytest.raises(BadData, match="weights of the training rows are all zero"):
        Sample.from_rows(table.assign(weight=0.0))


def test_columns_that_say_the_same_share_one_prior() -> None:
    """Twenty copies of a column are believed as one: the forecast is that of the column alone."""
    table = rows().drop(columns="broken")
    copies = table.assign(**{f"copy_{number}": table["known"] for number in range(20)})
    said = {}
    for name, sample in (("alone", table), ("copies", copies)):
        for shared in (False, True):
            known = Sample.from_rows(sample)
            model = LinearForecaster(LinearParameters(c=0.0002, shares_penalty=shared), 7)
            said[name, shared] = model.fit_samples(known, known, known).predict(sample)["p_up"].to_numpy()
    assert np.abs(said["alone", True] - said["copies", True]).max() < 0.01
    assert np.abs(said["alone", False] - said["copies", False]).max() > 0.1
