"""The stage that says floors. It is run by name, after the models over windows and the evaluation."""

from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines.floors import nodes
else:
    nodes = NodeModule("tradewind.pipelines.floors.nodes")


def create_pipeline() -> Pipeline:
    """Forecast paths and bars to floors, how often they held, and a page."""
    return Pipeline(
        [
            Node(
                nodes.say_floors, ["bars", "horizon_forecasts", "params:universe", "params:floors"], "floors",
                name="say_floors",
            ),
            Node(nodes.score_floors, ["floors", "params:floors", "params:seed"], "floor_scores", name="score_floors"),
            Node(nodes.draw_floors, ["floors", "floor_scores", "params:floors", "params:universe"], "floor_page",
                name="draw_floors",),
        ],
        namespace="floors",
        prefix_datasets_with_namespace=False,
        tags="floors",
    )  # fmt: skip
