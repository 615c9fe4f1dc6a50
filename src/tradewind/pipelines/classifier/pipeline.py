"""The classifier stage: one modular pipeline, a namespace for each model."""

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.classifier.nodes import (
    forecast_opponents,
    forecast_paths,
    train,
    train_seeds,
    tune,
)
from tradewind.pipelines.scoring_nodes import scoring_nodes

MODELS = ("xgboost", "lightgbm")
LABELS = "params:feature_engineering.labels"


def create_pipeline() -> Pipeline:
    """Every model tuned, trained, scored and drawn in its own namespace, `classifier.MODEL`; and their opponents."""
    opponents = Node(
        forecast_opponents,
        ["model_input", "folds", LABELS],
        "opponent_forecasts",
        name="forecast_opponents",
        tags="classifier",
    )
    paths = Node(
        forecast_paths,
        ["model_input", "folds", LABELS, "params:classifier.combinatorial", "params:universe"],
        "path_forecasts",
        name="forecast_paths",
        tags="classifier",
    )
    return sum((_model_pipeline(model) for model in MODELS), start=Pipeline([opponents, paths]))


def _model_pipeline(model: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                tune,
                ["model_input", "folds", "study_storage", "params:model", "params:tuning", "params:seed"],
                ["best_parameters", "trials"],
                name="tune",
            ),
            Node(
                train,
                [
                    "model_input",
                    "folds",
                    "best_parameters",
                    "model_store",
                    "params:model",
                    "params:training",
                    LABELS,
                    "params:seed",
                ],
                ["forecasts", "learning_curves", "importance", "models"],
                name="train",
            ),
            Node(
                train_seeds,
                [
                    "model_input",
                    "folds",
                    "best_parameters",
                    "model_store",
                    "params:model",
                    "params:training",
                    LABELS,
                    "params:seeds",
                    "params:seed",
                ],
                "seed_forecasts",
                name="train_seeds",
            ),
            *scoring_nodes(),
        ],
        namespace=f"classifier.{model}",
        inputs={"model_input", "folds"},
        parameters={"seed": "seed", LABELS: LABELS},
        tags=["classifier", model],
    )
