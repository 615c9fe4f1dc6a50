"""The deep_learning stage: one modular pipeline, a namespace for each network."""

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deep_learning.nodes import train
from tradewind.pipelines.scoring_nodes import scoring_nodes

NETWORKS = ("lstm",)
LABELS = "params:feature_engineering.labels"


def create_pipeline() -> Pipeline:
    """Every network trained, scored and drawn in its own namespace, `deep_learning.NETWORK`."""
    return sum((_network_pipeline(network) for network in NETWORKS), start=Pipeline([]))


def _network_pipeline(network: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                train,
                [
                    "model_input",
                    "folds",
                    "model_store",
                    "params:model",
                    "params:network",
                    "params:training",
                    LABELS,
                    "params:seed",
                ],
                ["forecasts", "learning_curves", "importance", "models", "epochs"],
                name="train",
            ),
            *scoring_nodes(),
        ],
        namespace=f"deep_learning.{network}",
        inputs={"model_input", "folds"},
        parameters={"seed": "seed", LABELS: LABELS},
        tags=["deep_learning", network],
    )
