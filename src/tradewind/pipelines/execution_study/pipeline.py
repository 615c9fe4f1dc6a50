"""The stage that compares ways to execute. It is run by name: it needs no data, and replays recordings if there are."""

from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines.execution_study import nodes
else:
    nodes = NodeModule("tradewind.pipelines.execution_study.nodes")


def create_pipeline() -> Pipeline:
    """Costs of each policy in each world and recording, forecasts of them, what arbitrage gains, and a page."""
    return Pipeline(
        [
            Node(
                nodes.compare_executions, ["params:execution_study", "params:seed"], "execution_costs",
                name="compare_executions",
            ),
            Node(
                nodes.compare_arbitrage, ["params:execution_study", "params:seed"], "arbitrage_results",
                name="compare_arbitrage",
            ),
            Node(
                nodes.replay_recordings,
                ["recorded_depth", "recorded_trades", "recorded_quotes", "params:execution_study",
                 "params:order_book.book", "params:seed"],
                ["recording_costs", "recording_outcomes"],
                name="replay_recordings",
            ),
            Node(
                nodes.forecast_costs, ["recording_outcomes", "params:execution_study", "params:seed"],
                ["cost_forecasts", "forecast_calibration"], name="forecast_costs",
            ),
            Node(
                nodes.draw_execution,
                ["execution_costs", "arbitrage_results", "recording_costs", "forecast_calibration"],
                "execution_page", name="draw_execution",
            ),
        ],
        namespace="execution_study",
        prefix_datasets_with_namespace=False,
        tags="execution_study",
    )  # fmt: skip
