"""A model is its file and its name in the catalogue: it is trained, and evaluation reads it, with no other change."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from tradewind.adaptive.rl.parameters import AGENTS
from tradewind.datasets.model_store import FolderModelStore
from tradewind.errors import BadParameters
from tradewind.learning.models import catalogue, chosen
from tradewind.learning.models.base import Floats, Sample
from tradewind.learning.models.row_model import Learned, RowForecaster, Values, log_losses
from tradewind.learning.models.walk_forward import TrainingRules, forecast_table, train_folds
from tradewind.market import schema
from tradewind.pipelines import classifier, listing
from tradewind.pipelines.evaluation import create_pipeline as evaluation_pipeline
from tradewind.pipelines.evaluation import nodes as evaluation


class StumpForecaster(RowForecaster):
    """Whether the first feature is above its median: all that a new model has to write."""

    name: ClassVar[str] = "stump"
    family: ClassVar[str] = "baseline"

    def _learn(self, train: Sample, valid: Sample) -> Learned:
        above = train.x.iloc[:, 0] > train.x.iloc[:, 0].median()
        shares = [[float(np.mean(train.label[above == side] == kind)) for kind in (-1, 0, 1)] for side in (False, True)]
        state: dict[str, Any] = {"median": float(train.x.iloc[:, 0].median()), "shares": shares}
        self._model = state
        return Learned(log_losses(self, train, valid), state)

    def _restore(self, content: bytes) -> Any:
        return self.state

    def raw(self, values: Values) -> Floats:
        """The shares of the classes on this side of the median."""
        return np.array(self._model["shares"])[(values[:, 0] > self._model["median"]).astype(int)]


@pytest.fixture
def stump(monkeypatch: pytest.MonkeyPatch) -> type[RowForecaster]:
    monkeypatch.setitem(catalogue.MODELS, "stump", StumpForecaster)
    catalogue.model.cache_clear()
    return StumpForecaster


def test_a_model_of_ones_own_is_trained_and_evaluated(
    stump: type[RowForecaster], model_rows: pd.DataFrame, model_folds: pd.DataFrame, tmp_path: Any
) -> None:
    names = (*chosen.chosen(), "stump")
    stage = classifier.create_pipeline(names)
    assert "classifier.stump.forecasts" in stage.datasets()
    kind = catalogue.row_model("stump")
    store = FolderModelStore(tmp_path / "folds")
    trained = train_folds(kind, kind.parameters_class(), model_rows, model_folds, TrainingRules(), store, 7)
    found = forecast_table(trained, 12)
    schema.Forecasts.validate(found)
    card = listing.write_card("stump", {}, found)
    gathered = evaluation.gather_forecasts(list(names), [card], [], [])
    assert gathered.forecasts == ["classifier/stump"]
    judged = gathered.model_coverage.set_index("model").loc["stump"]
    assert judged.tolist() == ["classifier", "baseline", "judged"]
    report = evaluation.gather_reports(gathered.model_coverage, [listing.list_report(card)], [], [])
    assert "classifier.stump/fold_metrics" in report
    assert set(found["model"]) == {"stump"} and set(found["seed"]) == {7}
    again = kind.from_files(trained[0].forecaster.files())
    pd.testing.assert_frame_equal(again.predict(trained[0].test), trained[0].forecasts)


def test_a_model_that_is_not_listed_is_nowhere() -> None:
    names = ("lightgbm", "lstm")
    stage, judged = classifier.create_pipeline(names), evaluation_pipeline()
    assert not any("xgboost" in name for name in stage.datasets() | judged.datasets())


def test_a_listed_model_needs_no_block_of_parameters() -> None:
    filled = chosen.with_every_block({"models": ["mlp", "tft"], "classifier": {"combinatorial": {"n_groups": 6}}})
    assert filled["classifier"]["mlp"]["model"] == {"name": "mlp"} and filled["classifier"]["mlp"]["training"] == {}
    assert filled["deep_learning"]["tft"]["network"] == {} and "combinatorial" in filled["classifier"]


def test_agents_stand_in_the_same_list_and_words_of_one_string_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen._Chosen, "names", None)
    assert chosen.chosen_agents() == AGENTS, "all of them, as conf/base lists them"
    chosen.choose("lightgbm sac linear", AGENTS)
    assert (chosen.chosen(), chosen.chosen_agents()) == (("lightgbm", "linear"), ("sac",))
    assert "lightgbm" in chosen.with_every_block({"models": "lightgbm sac"})["classifier"]
    with pytest.raises(BadParameters, match="at least one model that can be traded"):
        chosen.choose(["sac"], AGENTS)


def test_a_run_of_two_models_is_judged_without_networks_and_agents() -> None:
    cards = [
        {"stage": "classifier", "model": name, "family": "tree", "tables": ["forecasts"]}
        for name in ("lightgbm", "linear")
    ]
    left = {"stage": "reinforcement_learning", "model": "sac", "family": "agent", "tables": ["positions"]}
    for models in (["lightgbm", "linear"], "lightgbm linear"):
        found = evaluation.gather_forecasts(models, cards, [], [left])
        assert found.forecasts == ["classifier/lightgbm", "classifier/linear"] and found.agent_positions == []
        assert found.model_coverage.set_index("model")["state"].to_dict()["sac"] == "left over"
    acting = evaluation.gather_forecasts(["lightgbm", "sac"], cards, [], [left])
    assert acting.agent_positions == ["reinforcement_learning/sac"]


@pytest.mark.parametrize("names", [["catboost"], ["linear", "linear"], ["last_value"], []])
def test_lists_that_cannot_be_run_are_refused(names: list[str]) -> None:
    with pytest.raises(BadParameters, match="models"):
        chosen.choose(names)


@pytest.mark.parametrize("old", ["row_share", "feature_share", "l2", "max_rounds", "max_bins"])
def test_a_parameter_under_its_old_name_is_refused_with_the_new_one(old: str) -> None:
    kind = catalogue.row_model("lightgbm").parameters_class
    with pytest.raises(ValueError, match=f"{old} is called {kind.renamed[old]} now"):
        kind.model_validate({old: 1})
