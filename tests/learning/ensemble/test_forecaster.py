"""An ensemble is a forecaster: fitted, stored, streamed; its weights are learnt on what its members had not seen."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tradewind.errors import BadModel
from tradewind.learning.ensemble.forecaster import EnsembleForecaster, EnsembleParameters, nested
from tradewind.learning.models import catalogue
from tradewind.learning.models.base import PROBABILITIES, Training
from tradewind.learning.models.walk_forward import TrainingRules, split_training

MEMBERS = ("linear", "gaussian_nb")
VALUES = [*PROBABILITIES, "expected_return"]


@pytest.fixture(scope="module")
def training(model_rows: pd.DataFrame) -> Training:
    return split_training(model_rows[:2000], TrainingRules())


@pytest.fixture(scope="module")
def model_rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2400, 4)).astype(np.float32)
    drift = x[:, 0] + rng.standard_normal(2400)
    at = pd.date_range("2023-01-01", periods=2400, freq="h", tz="UTC").as_unit("ms")
    keys = pd.DataFrame({"symbol": pd.Series("A", index=range(2400), dtype="str"), "timestamp": at})
    return pd.concat([keys, pd.DataFrame(x, columns=list("abcd"))], axis=1).assign(
        label=np.digitize(drift, [-0.6, 0.6]).astype(np.int8) - np.int8(1), forward_return=0.01 * drift,
        exit_time=at + pd.Timedelta(hours=12), horizon_end=at + pd.Timedelta(hours=12), weight=1.0,
    )  # fmt: skip


def ensemble(**changes: Any) -> EnsembleForecaster:
    return EnsembleForecaster(EnsembleParameters(members=MEMBERS, **changes), 7)


@pytest.fixture(scope="module")
def fitted(training: Training) -> dict[str, EnsembleForecaster]:
    return {name: ensemble(weighting=name).fit(training) for name in ("equal", "inverse_loss", "stacking")}


def test_the_equal_ensemble_says_the_mean_of_its_members(
    fitted: dict[str, EnsembleForecaster], training: Training, model_rows: pd.DataFrame
) -> None:
    rows = model_rows[2000:]
    said = fitted["equal"].predict(rows)
    alone = [catalogue.model(name)(catalogue.model(name).parameters_class(), 7).fit(training) for name in MEMBERS]
    wanted = np.mean([one.predict(rows)[VALUES].to_numpy() for one in alone], axis=0)
    np.testing.assert_allclose(said[VALUES], wanted, atol=1e-12)
    np.testing.assert_allclose(said[PROBABILITIES].sum(axis=1), 1.0, atol=1e-9)
    assert said["expected_return"].corr(rows["forward_return"]) > 0.3
    mask = np.arange(len(rows)) >= 100
    pd.testing.assert_frame_equal(fitted["equal"].predict(rows, mask), said[mask])


@pytest.mark.parametrize("weighting", ["equal", "inverse_loss", "stacking"])
def test_it_is_stored_and_streamed_as_any_forecaster(
    weighting: str, fitted: dict[str, EnsembleForecaster], model_rows: pd.DataFrame
) -> None:
    one, rows = fitted[weighting], model_rows[2000:2060]
    again = EnsembleForecaster.from_files(one.files())
    pd.testing.assert_frame_equal(again.predict(rows), one.predict(rows))
    assert again.files() == one.files()
    many = one.predict(rows)[VALUES].to_numpy()
    for row, x in enumerate(rows[list(one.features)].to_numpy(np.float32)):
        np.testing.assert_allclose(again.predict_row(x), many[row], atol=1e-6)
    assert one.weights.sum() == pytest.approx(1.0) and (one.weights >= 0).all()
    effect = one.importance(rows).set_index("feature")
    assert effect["mean_abs_shap"].idxmax() == "a" and effect["gain_share"].sum() == pytest.approx(1.0)
    assert list(one.learning_curve()) == ["iteration", "train_loss", "valid_loss"]


def test_members_that_are_weighed_had_seen_nothing_of_the_rows_that_weigh_them(training: Training) -> None:
    inner, judged = nested(training)
    begins = training.rows.loc[judged, "timestamp"].min()
    assert (inner.rows["horizon_end"] < begins).all()
    assert len(inner.rows) < int((training.rows["timestamp"] < begins).sum())
    assert not inner.rows.index.isin(training.rows.index[judged]).any()
    # What happens in the judged rows moves the weights and no inner member.
    flipped = training.rows.copy()
    flipped.loc[judged, "label"] = -flipped.loc[judged, "label"]
    other = Training(flipped, training.fit, training.thinned, training.valid, training.calibration)
    one, two = (ensemble()._fit_members(nested(given)[0]) for given in (training, other))
    assert [member.files() for member in one] == [member.files() for member in two]


def test_a_useless_member_gets_little_weight(training: Training) -> None:
    noise = training.rows.assign(**{name: np.float32(0.0) for name in "bcd"})
    given = Training(noise, training.fit, training.thinned, training.valid, training.calibration)
    parameters = {"linear": {"c": 1e-9}}  # so strong a penalty that it knows the class shares alone
    stacked = ensemble(weighting="stacking", parameters=parameters).fit(given)
    assert stacked.weights[1] > 0.8


def test_what_cannot_be_is_refused(fitted: dict[str, EnsembleForecaster]) -> None:
    for members in ((), ("linear", "linear"), ("oracle",), ("volatility_only",)):
        with pytest.raises(ValidationError):
            EnsembleParameters(members=members)
    with pytest.raises(BadModel, match="has not been fitted"):
        _ = ensemble().features
    with pytest.raises(BadModel, match="train it again"):
        EnsembleForecaster.from_files({})
    files = dict(fitted["equal"].files())
    files["ensemble.json"] = files["ensemble.json"].replace(b'"ensemble"', b'"another"')
    with pytest.raises(BadModel, match="belongs to another"):
        EnsembleForecaster.from_files(files)
