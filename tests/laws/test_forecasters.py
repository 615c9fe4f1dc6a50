"""The law book of forecasters, applied to every model in the catalogue."""

import functools
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData, BadModel, BadParameters
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import PROBABILITIES, QUANTILES, Mask, Sample, Training
from tradewind.learning.models.boosting import BoostingParameters
from tradewind.learning.models.scikit_learn import EstimatorParameters
from tradewind.learning.models.sequence.parameters import SequenceParameters
from tradewind.learning.models.walk_forward import TrainingRules, split_training

EVERY = pytest.mark.parametrize("name", sorted(catalogue.MODELS))
DIRECTED = pytest.mark.parametrize("name", sorted(filter(catalogue.has_direction, catalogue.MODELS)))
ROWS = pytest.mark.parametrize("name", sorted(catalogue.rows_of(tuple(catalogue.MODELS))))
BOOSTED = pytest.mark.parametrize("name", sorted(filter(catalogue.is_tuned, catalogue.MODELS)))
FEATURES = ["a", "b", "c", "d", "realised_volatility_24"]
HOUR = pd.Timedelta(hours=1)
QUICK: dict[type, dict[str, Any]] = {
    BoostingParameters: {"min_child_weight": 5, "learning_rate": 0.1},
    SequenceParameters: {"window_bars": 3, "hidden": 8, "batch_size": 128, "learning_rate": 0.02},
}


def make_rows(seed: int, count: int = 1600) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 5)).astype(np.float32)
    drift = x[:, 0] + 0.8 * rng.standard_normal(count)
    at = pd.date_range("2023-01-01", periods=count, freq="h", tz="UTC").as_unit("ms")
    keys = pd.DataFrame({"symbol": pd.Series("A", index=range(count), dtype="str"), "timestamp": at})
    return pd.concat([keys, pd.DataFrame(x, columns=FEATURES)], axis=1).assign(
        label=np.digitize(drift, [-0.6, 0.6]).astype(np.int8) - np.int8(1), forward_return=0.01 * drift,
        exit_time=at + HOUR, horizon_end=at + HOUR, weight=1.0,
    )  # fmt: skip


def training(rows: pd.DataFrame) -> Training:
    return split_training(rows, TrainingRules())


def unfitted(name: str, seed: int = 7, **changes: Any) -> Any:
    kind = catalogue.model(name)
    quick = kind.parameters_class(**QUICK.get(kind.parameters_class, {})).within(10, 5)
    return kind(quick.model_copy(update=changes), seed)


@functools.cache
def fitted(name: str, seed: int = 7) -> Any:
    return unfitted(name, seed).fit(training(make_rows(1)))


@EVERY
def test_the_catalogue_and_the_class_agree(name: str) -> None:
    kind = catalogue.model(name)
    assert (kind.name, kind.has_direction) == (name, catalogue.has_direction(name))
    assert kind.family and fitted(name).seed == 7
    assert (fitted(name).window_bars == 1) or catalogue.stage_of(name) == "deep_learning"


@EVERY
def test_probabilities_are_a_distribution(name: str) -> None:
    judge = make_rows(4)
    forecast = fitted(name).predict(judge)
    assert list(forecast) == [*PROBABILITIES, "expected_return", *QUANTILES] and len(forecast) == len(judge)
    known = forecast.iloc[fitted(name).window_bars - 1 :]
    assert known["expected_return"].notna().all()
    np.testing.assert_allclose(known[PROBABILITIES].sum(axis=1), 1, atol=1e-9)
    assert known[PROBABILITIES].to_numpy().min() >= 0


@DIRECTED
def test_what_can_be_known_is_learned(name: str) -> None:
    judge = make_rows(4)
    forecast = fitted(name).predict(judge)
    assert forecast["expected_return"].corr(judge["forward_return"]) > 0.4
    effect = fitted(name).importance(judge).set_index("feature")
    assert effect["gain_share"].sum() == pytest.approx(1) and effect["mean_abs_shap"].idxmax() == "a"


@EVERY
def test_one_row_live_is_forecast_as_among_many(name: str) -> None:
    forecaster, rows = fitted(name), make_rows(4).iloc[:60]
    many = forecaster.predict(rows)[[*PROBABILITIES, "expected_return"]].to_numpy()
    x = rows[list(forecaster.features)].to_numpy(dtype=np.float32)
    length = forecaster.window_bars
    for at in range(length - 1, len(x)):
        given = x[at] if length == 1 else x[at + 1 - length : at + 1]
        row = forecaster.predict_row(given)
        assert row.shape == (4,) and row.dtype == np.float64
        np.testing.assert_allclose(row, many[at], atol=1e-6)


@ROWS
def test_one_row_live_is_quick(name: str) -> None:
    forecaster = fitted(name)
    row = make_rows(4)[list(forecaster.features)].to_numpy(dtype=np.float32)[0]
    taken = []
    for _ in range(50):
        begun = time.perf_counter()
        forecaster.predict_row(row)
        taken.append(time.perf_counter() - begun)
    assert np.median(taken) < 0.01  # far above what any takes alone: the machine is shared


@EVERY
def test_rows_under_test_are_those_of_the_whole(name: str) -> None:
    forecaster, rows = fitted(name), make_rows(4)
    testing: Mask = np.arange(len(rows)) >= 900
    pd.testing.assert_frame_equal(forecaster.predict(rows, testing), forecaster.predict(rows)[testing])


@ROWS
def test_the_order_of_rows_and_columns_does_not_matter(name: str) -> None:
    forecaster, x = fitted(name), make_rows(4)[FEATURES]
    shuffled = x.sample(frac=1, random_state=0)[FEATURES[::-1]]
    pd.testing.assert_frame_equal(forecaster.predict(shuffled).sort_index(), forecaster.predict(x))


@ROWS
def test_one_row_is_forecast_as_in_a_table_of_many(name: str) -> None:
    forecaster, x = fitted(name), make_rows(4)[FEATURES]
    pd.testing.assert_frame_equal(forecaster.predict(x.iloc[[17]]), forecaster.predict(x).iloc[[17]])


@EVERY
def test_files_and_back_give_the_same_forecasts(name: str) -> None:
    forecaster, rows = fitted(name), make_rows(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a run that goes on with stored models says nothing of them
        again = catalogue.model(name).from_files(forecaster.files())
    pd.testing.assert_frame_equal(again.predict(rows), forecaster.predict(rows))
    assert again.files() == forecaster.files()
    pd.testing.assert_frame_equal(again.learning_curve(), forecaster.learning_curve())
    pd.testing.assert_frame_equal(again.importance(rows), forecaster.importance(rows))


@EVERY
def test_no_file_is_a_pickle(name: str) -> None:
    for file, content in fitted(name).files().items():
        assert file.rpartition(".")[2] in {"json", "txt", "ubj", "onnx", "safetensors"}
        assert not content.startswith(b"\x80")


@EVERY
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    assert unfitted(name).fit(training(make_rows(1))).files() == fitted(name).files()


@BOOSTED
def test_another_seed_gives_other_bytes(name: str) -> None:
    assert fitted(name).files() != fitted(name, seed=8).files()


@EVERY
def test_training_does_not_write_into_its_rows(name: str) -> None:
    rows = make_rows(1)
    before = rows.copy()
    unfitted(name).fit(training(rows))
    pd.testing.assert_frame_equal(rows, before)


@BOOSTED
def test_rounds_beyond_the_best_count_for_nothing(name: str) -> None:
    """A fit that looked on for rounds in vain ends with the model of one that was stopped at the best round."""
    patient = {"learning_rate": 0.5, "reg_lambda": 1, "max_depth": 5, "early_stopping_rounds": 30}
    learned = training(make_rows(1))
    long = unfitted(name, **patient, n_estimators=80).fit(learned)
    curve = long.learning_curve()
    best = int(curve["valid_loss"].idxmin()) + 1
    assert best < len(curve)
    short = unfitted(name, **patient, n_estimators=best).fit(learned)
    x = make_rows(4)
    pd.testing.assert_frame_equal(long.predict(x), short.predict(x))
    pd.testing.assert_frame_equal(long.importance(x), short.importance(x))


@ROWS
def test_missing_features_are_learned_with_and_missing_columns_refused(name: str) -> None:
    rows = make_rows(1)
    rows.loc[::7, "realised_volatility_24"] = np.nan
    forecaster = unfitted(name).fit(training(rows))
    assert np.isfinite(forecaster.predict(rows)["p_up"]).all()
    with pytest.raises(BadData, match="features that are missing: .*realised_volatility_24"):
        forecaster.predict(rows.drop(columns="realised_volatility_24"))


@ROWS
def test_what_cannot_be_learned_from_is_refused(name: str) -> None:
    with pytest.raises(BadData, match="training labels are all 1"):
        unfitted(name).fit(training(make_rows(1).assign(label=np.int8(1))))
    whole = Sample.from_rows(make_rows(1))
    with pytest.raises(BadData, match="calibration part has no rows"):
        unfitted(name).fit_samples(whole, whole, Sample.from_rows(make_rows(1, 0)))
    with pytest.raises(BadData, match="missing: .*'label': 1600"):
        Sample.from_rows(make_rows(1).assign(label=np.nan))


@EVERY
def test_an_unfitted_one_says_so(name: str) -> None:
    with pytest.raises(BadModel, match="has not been fitted"):
        unfitted(name).predict(make_rows(4))


@ROWS
def test_files_of_another_model_are_refused(name: str) -> None:
    files, kind = fitted(name).files(), catalogue.model(name)
    outside = files["forecaster.json"].replace(f'"{name}"'.encode(), b'"another"')
    with pytest.raises(BadModel, match="belongs to another"):
        kind.from_files(files | {"forecaster.json": outside})
    with pytest.raises(BadModel, match="needs"):
        kind.from_files({"other.json": files["forecaster.json"]})
    with pytest.raises(BadModel, match="another version"):
        kind.from_files(files | {"forecaster.json": b'{"library": "x"}'})


def test_a_parameter_that_the_estimator_does_not_have_is_refused() -> None:
    kind = catalogue.row_model("random_forest")
    wrong = kind(EstimatorParameters(estimator={"trees": 3}), 7)
    with pytest.raises(BadParameters, match="random_forest with .*trees"):
        wrong.fit(training(make_rows(1)))


def test_a_forecaster_that_breaks_a_law_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks within the sample instead of values: a look at the other rows, and with them at the future."""
    kind = catalogue.row_model("xgboost")
    honest = kind.raw
    ranked = lambda self, x: honest(self, pd.DataFrame(x).rank(pct=True).to_numpy(np.float32))  # noqa: E731
    monkeypatch.setattr(kind, "raw", ranked)
    with pytest.raises(AssertionError):
        test_one_row_is_forecast_as_in_a_table_of_many("xgboost")
