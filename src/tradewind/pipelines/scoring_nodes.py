"""The nodes that every family of forecasters is scored and drawn by."""

from typing import TYPE_CHECKING

from kedro.pipeline import Node

from tradewind.pipelines.deferred import NodeModule

if TYPE_CHECKING:
    from tradewind.pipelines import scoring
else:
    scoring = NodeModule("tradewind.pipelines.scoring")

FIGURES = ("confusion_figure", "reliability_figure", "importance_figure", "learning_curve_figure")


def scoring_nodes() -> list[Node]:
    """The nodes that score and draw a model's forecasts, before they get its namespace."""
    scored = ["fold_metrics", "confusion", "reliability"]
    return [
        Node(scoring.score, ["forecasts", "model_input", "folds"], scored, name="score"),
        Node(scoring.draw, ["confusion", "reliability", "importance", "learning_curves"], list(FIGURES), name="draw"),
    ]
