"""The deep_learning stage: one modular pipeline, a namespace for each model over windows of bars."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.learning.models import catalogue
from tradewind.learning.models.chosen import chosen
from tradewind.pipelines.deep_learning.outputs import Trained
from tradewind.pipelines.deferred import NodeModule
from tradewind.pipelines.listing_nodes import gathering_nodes, listing_nodes
from tradewind.pipelines.scoring_nodes import FIGURES, scoring_nodes

if TYPE_CHECKING:
    from tradewind.pipelines.deep_learning import nodes
else:
    nodes = NodeModule("tradewind.pipelines.deep_learning.nodes")

DRAWN = ("coverage_figure", "training_figure", "landscape_figure", "attention_figure")
LABELS, STATISTICS = "params:feature_engineering.labels", "params:evaluation.statistics"


def create_pipeline(models: Sequence[str] | None = None) -> Pipeline:
    """Every model over windows (those of `params:models`, if none are given) trained, scored and drawn in its own
    namespace, `deep_learning.MODEL`."""
    names = catalogue.windows_of(tuple(chosen() if models is None else models))
    stage = Pipeline(
        gathering_nodes("deep_learning", names),
        namespace="deep_learning",
        prefix_datasets_with_namespace=False,
        tags="deep_learning",
    )
    return sum((_model_pipeline(model) for model in names), start=stage)


def _model_pipeline(model: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                nodes.train,
                [
                    "model_input",
                    "horizon_returns",
                    "folds",
                    "model_store",
                    "params:model",
                    "params:network",
                    "params:training",
                    LABELS,
                    "params:seed",
                ],
                list(Trained._fields),
                name="train",
            ),
            Node(
                nodes.score_horizons,
                ["horizon_forecasts", "horizon_returns", "folds", STATISTICS, "params:seed"],
                "horizon_metrics",
                name="score_horizons",
            ),
            Node(
                nodes.draw_training,
                ["horizon_metrics", "epochs", "health", "attention"],
                list(DRAWN),
                name="draw_training",
            ),
            *scoring_nodes(),
            *listing_nodes(("forecasts", "horizon_forecasts"), ["fold_metrics", "alarms", *FIGURES, *DRAWN]),
        ],
        namespace=f"deep_learning.{model}",
        inputs={"model_input", "horizon_returns", "folds", "model_store"},
        parameters={"seed": "seed", LABELS: LABELS, STATISTICS: STATISTICS},
        tags=["deep_learning", model],
    )
