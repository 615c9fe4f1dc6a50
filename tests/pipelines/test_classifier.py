"""The stage is one pipeline in two namespaces, typed, and it figures what it scores."""

from typing import Any

import pandas as pd
import pytest
from plotly.graph_objects import Figure
from pydantic import ValidationError

from tradewind.learning.models import catalogue
from tradewind.learning.models.tuning import TuningRules
from tradewind.learning.models.walk_forward import TrainingRules
from tradewind.market.schema import Forecasts
from tradewind.pipelines.classifier import create_pipeline
from tradewind.pipelines.classifier.nodes import ModelChoice, SeedRules, train_seeds
from tradewind.pipelines.scoring import draw


def test_every_model_has_the_same_nodes_and_its_own_datasets() -> None:
    pipeline = create_pipeline()
    for model in ("xgboost", "lightgbm", "linear", "panel_ridge", "volatility_only"):
        names = {node.name for node in pipeline.nodes if model in node.tags}
        steps = {"train", "score", "draw", "write_card", "list_report"} | (
            {"tune", "train_seeds"} if catalogue.is_tuned(model) else set()
        )
        assert names == {f"classifier.{model}.{step}" for step in steps}
        assert f"classifier.{model}.forecasts" in pipeline.outputs() | pipeline.datasets()
        assert f"params:classifier.{model}.training" in pipeline.inputs()
    assert {"model_input", "folds", "params:seed", "params:feature_engineering.labels"} <= pipeline.inputs()


def test_without_other_seeds_nothing_is_trained_anew() -> None:
    nothing: Any = None
    rules = SeedRules(others=0)
    found = train_seeds({}, nothing, {}, nothing, ModelChoice(name="xgboost"), TrainingRules(), nothing, rules, 7)
    assert Forecasts.validate(found).empty


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        (TuningRules, {"n_trials": 0}),
        (TuningRules, {"valid_share": 0.9}),
        (TrainingRules, {"row_stride": 0}),
        (TrainingRules, {"epochs": 3}),
        (ModelChoice, {}),
    ],
)
def test_parameters_that_cannot_be_are_refused(model: type, fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model(**fault)


def test_the_figures_survive_a_class_that_was_never_seen() -> None:
    confusion = pd.DataFrame(
        {"role": "walk_forward", "actual": ["up"], "predicted": ["up"], "count": [3], "share": [1.0]}
    )
    reliability = pd.DataFrame(
        {"role": "walk_forward", "class": ["up"], "bin": [5], "mean_predicted": [0.5], "observed": [0.4], "count": [3]}
    )
    importance = pd.DataFrame({"feature": ["rsi_14"], "gain_share": [1.0], "mean_abs_shap": [0.1]})
    curves = pd.DataFrame({"fold": [0], "iteration": [0], "train_loss": [1.0], "valid_loss": [1.1]})
    assert all(isinstance(figure, Figure) for figure in draw(confusion, reliability, importance, curves))
