"""The classifier stage: one modular pipeline, a namespace for each model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.learning.models import catalogue
from tradewind.learning.models.chosen import chosen
from tradewind.pipelines.deferred import NodeModule
from tradewind.pipelines.listing_nodes import gathering_nodes, listing_nodes
from tradewind.pipelines.scoring_nodes import FIGURES, scoring_nodes

if TYPE_CHECKING:
    from tradewind.pipelines.classifier import nodes
else:
    nodes = NodeModule("tradewind.pipelines.classifier.nodes")

LABELS = "params:feature_engineering.labels"


def create_pipeline(models: Sequence[str] | None = None) -> Pipeline:
    """Every model of rows (those of `params:models`, if none are given) tuned if it can be, trained, scored and drawn
    in its own namespace, `classifier.MODEL`; and the linear model along combinatorial paths."""
    names = catalogue.rows_of(tuple(chosen() if models is None else models))
    combinatorial = Node(
        nodes.forecast_paths,
        [
            "model_input",
            "folds",
            LABELS,
            "params:classifier.combinatorial",
            "params:universe",
            "params:classifier.linear.parameters",
        ],
        "classifier.path_forecasts",
        name="forecast_paths",
    )
    paths_card = Node(
        nodes.write_paths_card, "classifier.path_forecasts", "classifier.paths_card", name="write_paths_card"
    )
    stage = Pipeline(
        [combinatorial, paths_card, *gathering_nodes("classifier", names, ("classifier.paths_card",))],
        namespace="classifier",
        prefix_datasets_with_namespace=False,
        tags="classifier",
    )
    return sum((_model_pipeline(model) for model in names), start=stage)


def _model_pipeline(model: str) -> Pipeline:
    is_tuned = catalogue.is_tuned(model)
    parameters = "best_parameters" if is_tuned else "params:parameters"
    read = ["model_input", "folds", parameters, "model_store", "params:model", "params:training", LABELS]
    searched = [
        Node(
            nodes.tune,
            ["model_input", "folds", "study_storage", "params:model", "params:tuning", "params:seed"],
            ["best_parameters", "trials"],
            name="tune",
        ),
        Node(nodes.train_seeds, [*read, "params:seeds", "params:seed"], "seed_forecasts", name="train_seeds"),
    ]
    forecasts = ("forecasts", "seed_forecasts") if is_tuned else ("forecasts",)
    return Pipeline(
        [
            *(searched if is_tuned else []),
            Node(
                nodes.train,
                [*read, "params:seed"],
                ["forecasts", "learning_curves", "importance", "models"],
                name="train",
            ),
            *scoring_nodes(),
            *listing_nodes(forecasts, ["fold_metrics", *FIGURES, *(["trials"] if is_tuned else [])]),
        ],
        namespace=f"classifier.{model}",
        inputs={"model_input", "folds", "model_store", *({"study_storage"} if is_tuned else ())},
        parameters={"seed": "seed", LABELS: LABELS},
        tags=["classifier", model],
    )
