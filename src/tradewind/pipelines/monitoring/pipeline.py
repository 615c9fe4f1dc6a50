"""The monitoring stage. It is run by name, on a timer, after `data` has made the features of new bars."""

from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines.monitoring import nodes
else:
    nodes = NodeModule("tradewind.pipelines.monitoring.nodes")


def create_pipeline() -> Pipeline:
    """Drift and performance of the champion since its training ended, and a page."""
    return Pipeline(
        [
            Node(
                nodes.watch_model,
                ["registry", "model_input", "params:monitoring"],
                ["drift", "live_performance", "monitoring_summary"],
                name="watch_model",
            ),
            Node(
                nodes.draw_monitoring, ["drift", "live_performance", "monitoring_summary"], "monitoring_page",
                name="draw_monitoring",
            ),
        ],
        namespace="monitoring",
        prefix_datasets_with_namespace=False,
        tags="monitoring",
    )  # fmt: skip
