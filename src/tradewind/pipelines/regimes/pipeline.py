"""The regimes stage."""

from typing import TYPE_CHECKING

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines.regimes import nodes
else:
    nodes = NodeModule("tradewind.pipelines.regimes.nodes")


PLAN = "params:regimes"


def create_pipeline() -> Pipeline:
    """Regimes of every bar with the models that found them, what they came to, and a page with pictures."""
    return Pipeline(
        [
            Node(
                nodes.find_regimes,
                ["bars", "params:universe", PLAN, "params:seed"],
                ["regimes", "regime_models", "regime_summary"],
                name="find_regimes",
            ),
            Node(nodes.draw_regimes, ["bars", "regimes", "regime_summary"], "regimes_page", name="draw_regimes"),
        ],
        namespace="regimes",
        prefix_datasets_with_namespace=False,
        tags="regimes",
    )
