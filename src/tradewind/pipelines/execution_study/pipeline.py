"""The stage that compares ways to execute. It is run by name: it needs no market data."""

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.execution_study.nodes import compare_arbitrage, compare_executions, draw_execution


def create_pipeline() -> Pipeline:
    """Costs of each policy in each world, what arbitrage gains, and a page."""
    return Pipeline(
        [
            Node(
                compare_executions, ["params:execution_study", "params:seed"], "execution_costs",
                name="compare_executions",
            ),
            Node(
                compare_arbitrage, ["params:execution_study", "params:seed"], "arbitrage_results",
                name="compare_arbitrage",
            ),
            Node(
                draw_execution, ["execution_costs", "arbitrage_results"], "execution_page", name="draw_execution",
            ),
        ],
        namespace="execution_study",
        prefix_datasets_with_namespace=False,
        tags="execution_study",
    )  # fmt: skip
