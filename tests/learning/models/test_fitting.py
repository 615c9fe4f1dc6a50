"""What a fit is given and what is done with it: parts of a training, calibration, seeds, weights, keys, tuning."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from optuna.storages import InMemoryStorage
from pydantic import Field

from tradewind.learning.models import catalogue, tuning
from tradewind.learning.models.base import PROBABILITIES, Files, Floats, ModelParameters, Sample
from tradewind.learning.models.boosting import BoostingParameters
from tradewind.learning.models.linear import LinearParameters
from tradewind.learning.models.panel_ridge import PanelRidgeParameters
from tradewind.learning.models.row_model import Learned, RowForecaster, Values
from tradewind.learning.models.tuning import TuningRules
from tradewind.learning.models.walk_forward import TrainingRules, split_training, train_folds


class Recorder(RowForecaster):
    """Remembers which rows it was given, by their number in the column `f5`, and forecasts from `f1` alone."""

    name: ClassVar[str] = "recorder"
    family: ClassVar[str] = "baseline"
    parameters_class: ClassVar[type[ModelParameters]] = BoostingParameters
    seen: ClassVar[dict[str, Any]] = {}

    def _learn(self, train: Sample, valid: Sample) -> Learned:
        self.seen.update(train=train.x["f5"].to_numpy(), valid=valid.x["f5"].to_numpy())
        return Learned([(1.0, 1.0)], {})

    def raw(self, values: Values) -> Floats:
        """Far too sure of itself."""
        self.seen["raw"] = values[:, -1]
        up = np.where(values[:, 1] > 0, 0.9, 0.05)
        return np.column_stack([0.95 - up, np.full(len(up), 0.05), up])


@pytest.fixture
def numbered(model_rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with their number in a feature, features without gaps."""
    return model_rows.fillna({name: 0.0 for name in model_rows if name.startswith(("f", "log"))}).assign(
        f5=np.arange(len(model_rows), dtype=np.float32)
    )


def test_the_three_samples_of_a_fit_are_disjoint_ordered_and_purged(numbered: pd.DataFrame) -> None:
    rules = TrainingRules(row_stride=2)
    training = split_training(numbered, rules)
    model = Recorder(BoostingParameters(), 1).fit(training)
    given = {part: Recorder.seen[part].astype(int) for part in ("train", "valid")}
    given["calibration"] = Recorder.seen["raw"].astype(int)  # what was forecast last is what calibrates
    masks = {"train": training.thinned, "valid": training.valid, "calibration": training.calibration}
    for part, rows in given.items():
        assert rows.tolist() == np.flatnonzero(masks[part]).tolist(), part
    for earlier, later in (("train", "valid"), ("valid", "calibration")):
        assert not set(given[earlier]) & set(given[later])
        ends = numbered["horizon_end"].iloc[given[earlier]].max()
        assert ends < numbered["timestamp"].iloc[given[later]].min(), (earlier, later)
    share = len(given["calibration"]) / len(numbered)
    assert 0.08 < share < 0.12
    assert model.features[-1] == "f5"


def test_a_forecast_is_the_scaling_of_what_the_model_says(numbered: pd.DataFrame) -> None:
    model = Recorder(BoostingParameters(), 1).fit(split_training(numbered, TrainingRules()))
    raw = model.raw_probability(numbered)
    said = model.predict(numbered)[PROBABILITIES].to_numpy()
    np.testing.assert_allclose(said, model._fitted.scaling.apply(raw))
    assert np.abs(said - raw).max() > 0.1  # it was far too sure
    assert model._fitted.scaling.slope < 0.7
    row = model.predict_row(numbered[list(model.features)].to_numpy(dtype=np.float32)[5])
    np.testing.assert_allclose(row[:3], said[5], atol=1e-6)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_another_seed_is_another_forecast_and_the_same_one_the_same(name: str, numbered: pd.DataFrame) -> None:
    kind = catalogue.row_model(name)
    parameters = BoostingParameters(n_estimators=8, min_child_weight=5, learning_rate=0.2)
    training = split_training(numbered, TrainingRules())
    models = [kind(parameters, seed).fit(training) for seed in (1, 2, 1)]
    first, second, again = (model.raw_probability(numbered) for model in models)
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(first, again)
    assert models[0]._to_bytes() != models[1]._to_bytes()
    assert models[0]._to_bytes() == models[2]._to_bytes()


def _parameters_without_chance(name: str) -> Any:
    kind = catalogue.row_model(name).parameters_class
    if issubclass(kind, BoostingParameters):
        return kind(subsample=1, colsample=1, n_estimators=20, min_child_weight=1, learning_rate=0.3, reg_lambda=1)
    if issubclass(kind, LinearParameters):
        return kind(c=0.1)  # the default's penalty is for more rows than these
    if issubclass(kind, PanelRidgeParameters):
        return kind(deviation=0.4)  # as loud as the others are here
    return kind()


@pytest.mark.parametrize(
    "name", ["xgboost", "lightgbm", "linear", "panel_ridge", "logistic_regression", "random_forest", "gaussian_nb"]
)
def test_rows_of_no_weight_might_as_well_not_be_there(name: str, numbered: pd.DataFrame) -> None:
    kind, parameters = catalogue.row_model(name), _parameters_without_chance(name)
    rows = numbered.iloc[:1600].drop(columns="f5")
    found = Sample.from_rows(rows.assign(label=np.sign(rows["log_return_1"]).astype(np.int8), weight=1.0))
    true = replace(found, panel=None)  # the rows that are added belong to no symbol
    false = Sample(true.x, (-true.label).astype(np.int8), -true.forward_return, np.zeros(len(true.label)))
    both = Sample(
        pd.concat([true.x, false.x], ignore_index=True), np.r_[true.label, false.label],
        np.r_[true.forward_return, false.forward_return], np.r_[true.weight, false.weight],
    )  # fmt: skip
    loud = Sample(both.x, both.label, both.forward_return, np.ones(len(both.label)))
    judge = Sample.from_rows(numbered.iloc[1600:2000].drop(columns="f5"))
    alone, silent, equal = (
        kind(parameters, 1).fit_samples(sample, judge, judge).raw_probability(judge.x) for sample in (true, both, loud)
    )
    assert np.abs(silent - alone).mean() < 0.25 * np.abs(equal - alone).mean()
    assert np.abs(equal - alone).mean() > 0.05  # had they counted, it would show


class _Keys:
    """A store that remembers the keys it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get(self, key: str) -> Files | None:
        self.asked += [] if key.startswith("training-") else [key]
        return None

    def put(self, key: str, files: Files, about: dict[str, Any]) -> None: ...

    def forget(self, key: str) -> None: ...


def key_of(rows: pd.DataFrame, folds: pd.DataFrame, parameters: Any, rules: TrainingRules, seed: int = 1) -> str:
    store = _Keys()
    train_folds(Recorder, parameters, rows, folds.iloc[:1], rules, store, seed)
    return store.asked[0]


OTHER = {
    "learning_rate": 0.5, "max_depth": 7, "min_child_weight": 1.5, "subsample": 0.25, "colsample": 0.75,
    "reg_lambda": 3.5, "max_bin": 32,
}  # fmt: skip
OTHER_RULES = {
    "valid_share": 0.3, "calibration_share": 0.2, "row_stride": 3, "max_rounds": 77, "early_stopping_rounds": 9,
    "fits_side_by_side": 1,
}  # fmt: skip


def test_every_parameter_and_every_rule_is_in_the_key_of_a_model(
    numbered: pd.DataFrame, model_folds: pd.DataFrame
) -> None:
    """Rounds and stopping come from the rules (`within`); all else is changed one by one. Where a fold is trained,
    on a thread or in a process, makes no other model."""
    defaults, rules = BoostingParameters(), TrainingRules()
    keys = [key_of(numbered, model_folds, defaults, rules)]
    assert key_of(numbered, model_folds, defaults, rules) == keys[0]
    assert set(OTHER) == set(BoostingParameters.model_fields) - {"n_estimators", "early_stopping_rounds"}
    assert set(OTHER_RULES) == set(TrainingRules.model_fields) - {"executor"}
    for name, value in OTHER.items():
        keys.append(key_of(numbered, model_folds, defaults.model_copy(update={name: value}), rules))
    for name, value in OTHER_RULES.items():
        keys.append(key_of(numbered, model_folds, defaults, rules.model_copy(update={name: value})))
    keys.append(key_of(numbered, model_folds, defaults, rules, seed=2))
    keys.append(key_of(numbered.assign(f1=numbered["f1"] + 1), model_folds, defaults, rules))
    keys.append(key_of(numbered.rename(columns={"f1": "f1b"}), model_folds, defaults, rules))
    assert len(set(keys)) == len(keys)


class MemoryParameters(ModelParameters):
    """How much is learned by heart."""

    depth: int = Field(1, ge=1, le=5)


class Memory(RowForecaster):
    """From depth 3 on it knows its own rows by heart and nothing else; less deep, it knows nothing."""

    name: ClassVar[str] = "memory"
    family: ClassVar[str] = "baseline"
    parameters_class: ClassVar[type[ModelParameters]] = MemoryParameters
    search_space: ClassVar[dict[str, tuple[float, float]]] = {"depth": (1, 5)}

    def _learn(self, train: Sample, valid: Sample) -> Learned:
        self._model = dict(zip(train.x["f5"].tolist(), train.label.tolist(), strict=True))
        return Learned([(1.0, 1.0)], {})

    def raw(self, values: Values) -> Floats:
        """Sure of what it knows, and of something else where it does not."""
        shares = np.full((len(values), 3), 1 / 3)
        if self.parameters.depth < 3:
            return shares
        known = np.array([self._model.get(float(number), 0) for number in values[:, -1]])
        return np.eye(3)[known + 1] * 0.98 + 0.01 * (1 - np.eye(3)[known + 1])


def test_what_has_learned_its_own_rows_by_heart_loses_the_search(
    numbered: pd.DataFrame, model_folds: pd.DataFrame
) -> None:
    rules = TuningRules(n_trials=8, row_stride=1)
    best, trials = tuning.tune(Memory, numbered, model_folds, rules, InMemoryStorage(), 3)
    assert (trials["depth"] >= 3).any(), "the search must have tried it"
    assert best.depth < 3
    assert trials.loc[trials["depth"] >= 3, "value"].min() > trials.loc[trials["depth"] < 3, "value"].max()


class Watched(Memory):
    """Remembers the rows that it was judged on, by their number."""

    seen: ClassVar[dict[str, Any]] = {}

    def _learn(self, train: Sample, valid: Sample) -> Learned:
        self.seen.update(train=train.x["f5"].to_numpy(int), judge=valid.x["f5"].to_numpy(int))
        return super()._learn(train, valid)


def test_the_search_is_judged_by_weight_on_purged_rows_before_the_first_test(
    numbered: pd.DataFrame, model_folds: pd.DataFrame
) -> None:
    """No label that it learns from or is judged by reaches into a test, in whatever order the folds stand."""
    rules = TuningRules(n_trials=4, row_stride=2)
    _, trials = tuning.tune(Watched, numbered, model_folds.iloc[::-1], rules, InMemoryStorage(), 3)
    fit, judge = (numbered.iloc[Watched.seen[part]] for part in ("train", "judge"))
    first = model_folds.sort_values("test_start").iloc[0]
    assert fit["horizon_end"].max() < judge["timestamp"].min()
    assert judge["horizon_end"].max() < first["test_start"] - first["embargo"]
    assert judge["timestamp"].max() > first["test_start"] - pd.Timedelta("20h"), "and all that may be looked at is"
    sure = np.average(-np.log(np.where(judge["label"] == 0, 0.98, 0.01)), weights=judge["weight"])
    assert np.average(-np.log(np.where(judge["label"] == 0, 0.98, 0.01))) != pytest.approx(sure, rel=1e-3)
    np.testing.assert_allclose(trials.loc[trials["depth"] >= 3, "value"], sure, rtol=1e-9)
    np.testing.assert_allclose(trials.loc[trials["depth"] < 3, "value"], np.log(3), rtol=1e-9)


def test_trials_count_for_the_rows_the_rules_and_the_seed_that_they_were_made_with(
    numbered: pd.DataFrame, model_folds: pd.DataFrame
) -> None:
    storage, rules = InMemoryStorage(), TuningRules(n_trials=1, row_stride=4)
    for rows, given, seed in (
        (numbered, rules, 3), (numbered, rules, 3), (numbered, rules.model_copy(update={"n_trials": 2}), 3),
        (numbered, rules, 4), (numbered, rules.model_copy(update={"row_stride": 3}), 3),
        (numbered.assign(f1=numbered["f1"] + 1), rules, 3),
    ):  # fmt: skip
        tuning.tune(Memory, rows, model_folds, given, storage, seed)
    found = [len(storage.get_all_trials(one._study_id)) for one in storage.get_all_studies()]
    assert found == [2, 1, 1, 1]  # the first went on from one trial to two


def test_a_model_is_stored_under_its_key_with_its_files(
    numbered: pd.DataFrame, model_folds: pd.DataFrame, tmp_path: Path
) -> None:
    """The same with files that are there: a model of other rules is never taken for this one."""
    from tradewind.datasets.model_store import FolderModelStore

    store = FolderModelStore(tmp_path / "m")
    kind = catalogue.row_model("linear")
    first = train_folds(kind, kind.parameters_class(), numbered, model_folds.iloc[:1], TrainingRules(), store, 1)
    other = train_folds(
        kind, kind.parameters_class(c=0.5), numbered, model_folds.iloc[:1], TrainingRules(row_stride=2), store, 1
    )
    assert first[0].key != other[0].key
    assert np.abs(first[0].forecasts["p_up"] - other[0].forecasts["p_up"]).max() > 1e-6
