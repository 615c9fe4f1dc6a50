"""The classifier stage: one modular pipeline, a namespace for each model."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from tradewind.learning.models import catalogue
from tradewind.learning.models.chosen import chosen
from tradewind.pipelines.classifier.nodes import (
    forecast_paths,
    train,
    train_seeds,
    tune,
)
from tradewind.pipelines.scoring_nodes import scoring_nodes

LABELS = "params:feature_engineering.labels"


def create_pipeline(models: Sequence[str] | None = None) -> Pipeline:
    """Every model of rows (those of `params:models`, if none are given) tuned if it can be, trained, scored and drawn
    in its own namespace, `classifier.MODEL`; and the linear model along combinatorial paths."""
    names = catalogue.rows_of(tuple(chosen() if models is None else models))
    combinatorial = Node(
        forecast_paths,
        [
            "model_input",
            "folds",
            LABELS,
            "params:classifier.combinatorial",
            "params:universe",
            "params:classifier.linear.parameters",
        ],
        "path_forecasts",
        name="forecast_paths",
        tags="classifier",
    )
    return sum((_model_pipeline(model) for model in names), start=Pipeline([combinatorial]))


def _model_pipeline(model: str) -> Pipeline:
    is_tuned = catalogue.is_tuned(model)
    parameters = "best_parameters" if is_tuned else "params:parameters"
    read = ["model_input", "folds", parameters, "model_store", "params:model", "params:training", LABELS]
    searched = [
        Node(
            tune,
            ["model_input", "folds", "study_storage", "params:model", "params:tuning", "params:seed"],
            ["best_parameters", "trials"],
            name="tune",
        ),
        Node(train_seeds, [*read, "params:seeds", "params:seed"], "seed_forecasts", name="train_seeds"),
    ]
    return Pipeline(
        [
            *(searched if is_tuned else []),
            Node(train, [*read, "params:seed"], ["forecasts", "learning_curves", "importance", "models"], name="train"),
            *scoring_nodes(),
        ],
        namespace=f"classifier.{model}",
        inputs={"model_input", "folds"},
        parameters={"seed": "seed", LABELS: LABELS},
        tags=["classifier", model],
    )
