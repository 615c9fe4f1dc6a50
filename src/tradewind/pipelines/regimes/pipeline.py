"""The regimes stage."""

from kedro.pipeline import Node, Pipeline

from tradewind.pipelines.regimes.nodes import draw_regimes, find_regimes

PLAN = "params:regimes"


def create_pipeline() -> Pipeline:
    """Regimes of every bar with the models that found them, what they came to, and a page with pictures."""
    return Pipeline(
        [
            Node(
                find_regimes,
                ["bars", "params:universe", PLAN, "params:seed"],
                ["regimes", "regime_models", "regime_summary"],
                name="find_regimes",
            ),
            Node(draw_regimes, ["bars", "regimes", "regime_summary"], "regimes_page", name="draw_regimes"),
        ],
        namespace="regimes",
        prefix_datasets_with_namespace=False,
        tags="regimes",
    )
