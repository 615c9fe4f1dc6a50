"""The law book of forecasters, applied to every one in the catalogue."""

import numpy as np
import pandas as pd
import pytest

from tradewind.errors import BadData, BadModel
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import PROBABILITIES, QUANTILES, Sample
from tradewind.learning.models.boosting import BoostingForecaster, BoostingParameters

QUICK = BoostingParameters(max_rounds=25, early_stopping_rounds=5, min_child_weight=5, learning_rate=0.1)
EVERY = pytest.mark.parametrize("name", sorted(catalogue.BOOSTING))


def make_rows(seed: int, count: int = 900) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 5)).astype(np.float32)
    drift = x[:, 0] + 0.8 * rng.standard_normal(count)
    return pd.DataFrame(x, columns=list("abcde")).assign(
        label=np.digitize(drift, [-0.6, 0.6]).astype(np.int8) - np.int8(1), forward_return=0.01 * drift, weight=1.0
    )


def sample(seed: int, count: int = 900) -> Sample:
    return Sample.from_rows(make_rows(seed, count))


def fitted(name: str, seed: int = 7) -> BoostingForecaster:
    return catalogue.boosting(name)(QUICK, seed).fit(sample(1), sample(2, 400), sample(3, 400))


@EVERY
def test_probabilities_are_a_distribution_and_know_something(name: str) -> None:
    judge = sample(4)
    forecast = fitted(name).predict(judge.x)
    assert list(forecast) == [*PROBABILITIES, "expected_return", *QUANTILES]
    np.testing.assert_allclose(forecast[PROBABILITIES].sum(axis=1), 1, atol=1e-9)
    assert forecast[PROBABILITIES].to_numpy().min() >= 0
    assert np.corrcoef(forecast["expected_return"], judge.forward_return)[0, 1] > 0.4


@EVERY
def test_the_order_of_rows_and_columns_does_not_matter(name: str) -> None:
    forecaster, x = fitted(name), sample(4).x
    shuffled = x.sample(frac=1, random_state=0)[list("edcba")]
    pd.testing.assert_frame_equal(forecaster.predict(shuffled).sort_index(), forecaster.predict(x))


@EVERY
def test_one_row_is_forecast_as_among_many(name: str) -> None:
    forecaster, x = fitted(name), sample(4).x
    pd.testing.assert_frame_equal(forecaster.predict(x.iloc[[17]]), forecaster.predict(x).iloc[[17]])


@EVERY
def test_files_and_back_give_the_same_forecasts(name: str) -> None:
    forecaster, x = fitted(name), sample(4).x
    again = catalogue.boosting(name).from_files(forecaster.files())
    pd.testing.assert_frame_equal(again.predict(x), forecaster.predict(x))
    assert again.files() == forecaster.files()
    pd.testing.assert_frame_equal(again.learning_curve(), forecaster.learning_curve())


@EVERY
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(name: str) -> None:
    assert fitted(name).files() == fitted(name).files()
    assert fitted(name).files() != fitted(name, seed=8).files()


@EVERY
def test_training_does_not_write_into_its_sample(name: str) -> None:
    train = sample(1)
    before = train.x.copy(), train.label.copy(), train.weight.copy()
    catalogue.boosting(name)(QUICK, 7).fit(train, sample(2, 400), sample(3, 400))
    pd.testing.assert_frame_equal(train.x, before[0])
    np.testing.assert_array_equal(train.label, before[1])
    np.testing.assert_array_equal(train.weight, before[2])


@EVERY
def test_importance_finds_what_matters(name: str) -> None:
    table = fitted(name).importance(sample(4).x)
    assert table["gain_share"].sum() == pytest.approx(1)
    assert table.set_index("feature")["mean_abs_shap"].idxmax() == "a"


@EVERY
def test_rounds_beyond_the_best_count_for_nothing(name: str) -> None:
    """A fit that looked on for rounds in vain ends with the model of one that was stopped at the best round."""
    patient = QUICK.model_copy(update={"learning_rate": 0.5, "max_rounds": 80, "early_stopping_rounds": 30})
    long = catalogue.boosting(name)(patient, 7).fit(sample(1), sample(2, 400), sample(3, 400))
    curve = long.learning_curve()
    best = int(curve["valid_loss"].idxmin()) + 1
    assert best < len(curve)
    stopped = patient.model_copy(update={"max_rounds": best})
    short = catalogue.boosting(name)(stopped, 7).fit(sample(1), sample(2, 400), sample(3, 400))
    x = sample(4).x
    pd.testing.assert_frame_equal(long.predict(x), short.predict(x))
    pd.testing.assert_frame_equal(long.importance(x), short.importance(x))


@EVERY
def test_missing_features_are_learned_with_and_missing_columns_refused(name: str) -> None:
    rows = make_rows(1)
    rows.loc[::7, "b"] = np.nan
    forecaster = catalogue.boosting(name)(QUICK, 7).fit(Sample.from_rows(rows), sample(2), sample(3))
    assert np.isfinite(forecaster.predict(rows[list("abcde")])["p_up"]).all()
    with pytest.raises(BadData, match="features that are missing: a"):
        forecaster.predict(rows[list("bcde")])


@EVERY
def test_what_cannot_be_learned_from_is_refused(name: str) -> None:
    kind = catalogue.boosting(name)
    one_class = Sample.from_rows(make_rows(1).assign(label=np.int8(1)))
    with pytest.raises(BadData, match="training labels are all 1"):
        kind(QUICK, 7).fit(one_class, sample(2), sample(3))
    with pytest.raises(BadData, match="calibration part has no rows"):
        kind(QUICK, 7).fit(sample(1), sample(2), sample(3, 0))
    with pytest.raises(BadData, match="missing: .*'label': 900"):
        Sample.from_rows(make_rows(1).assign(label=np.nan))
    with pytest.raises(BadModel, match="has not been fitted"):
        kind(QUICK, 7).predict(sample(4).x)


@EVERY
def test_files_of_another_model_are_refused(name: str) -> None:
    files = fitted(name).files()
    outside = files["forecaster.json"].replace(name.encode(), b"another")
    with pytest.raises(BadModel, match="belongs to another"):
        catalogue.boosting(name).from_files(files | {"forecaster.json": outside})
    with pytest.raises(BadModel, match="needs"):
        catalogue.boosting(name).from_files({"forecaster.json": files["forecaster.json"]})
    with pytest.raises(BadModel, match="another version"):
        catalogue.boosting(name).from_files(files | {"forecaster.json": b'{"library": "x"}'})


def test_a_forecaster_that_breaks_a_law_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks within the sample instead of values: a look at the other rows, and with them at the future."""
    kind = catalogue.boosting("xgboost")
    honest = kind._probability
    monkeypatch.setattr(kind, "_probability", lambda self, x: honest(self, x.rank(pct=True).astype(np.float32)))
    with pytest.raises(AssertionError):
        test_one_row_is_forecast_as_among_many("xgboost")
