"""The monitoring stage. It is run by name, on a timer, after `data` has made the features of new bars."""

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.monitoring.nodes import draw_monitoring, watch_model


def create_pipeline() -> Pipeline:
    """Drift and performance of the champion since its training ended, and a page."""
    return Pipeline(
        [
            Node(
                watch_model,
                ["registry", "model_input", "params:monitoring"],
                ["drift", "live_performance", "monitoring_summary"],
                name="watch_model",
            ),
            Node(
                draw_monitoring, ["drift", "live_performance", "monitoring_summary"], "monitoring_page",
                name="draw_monitoring",
            ),
        ],
        namespace="monitoring",
        prefix_datasets_with_namespace=False,
        tags="monitoring",
    )  # fmt: skip
