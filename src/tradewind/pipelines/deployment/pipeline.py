"""The deployment stage: it runs by name, after a run whose verdict somebody has read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.learning.models import catalogue
from tradewind.learning.models.chosen import chosen
from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines.deployment import nodes
else:
    nodes = NodeModule("tradewind.pipelines.deployment.nodes")


def create_pipeline(models: Sequence[str] | None = None) -> Pipeline:
    """The chosen model of a finished run (of `params:models`, if none are given) as a registered bundle."""
    names = tuple(chosen() if models is None else models)
    stage = {name: f"{catalogue.stage_of(name)}.{name}" for name in names}
    best = [f"{stage[name]}.best_parameters" for name in names if catalogue.is_tuned(name)]
    forecasts = [f"{stage[name]}.forecasts" for name in names if catalogue.has_direction(name)]
    return Pipeline(
        [
            Node(
                nodes.choose_procedure,
                ["leaderboard", "verdict", "params:models", "parameters", "params:deployment", *best],
                "procedure",
                name="choose_procedure",
            ),
            Node(
                nodes.build_bundle,
                [
                    "procedure", "model_input", "horizon_returns", "verdict", "leaderboard", "params:universe",
                    "params:trading", "params:feature_engineering.features", "parameters", "bars", "side_series",
                    "params:regimes", "origins", "folds", "agent_positions", "model_store",
                    *forecasts, "ensemble_forecasts",
                ],
                "registry",
                name="build_bundle",
            ),
        ],
        namespace="deployment",
        prefix_datasets_with_namespace=False,
        tags="deployment",
    )  # fmt: skip
