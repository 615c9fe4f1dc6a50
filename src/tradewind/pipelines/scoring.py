"""How the forecasts of every family are scored and drawn."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tradewind.learning.models import scoring, walk_forward
from tradewind.reports import classification

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def score(
    forecasts: pd.DataFrame, model_input: Partitions, folds: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Metrics by fold and in total against the baselines, confusion matrix, reliability.

    Args:
        forecasts: one model's, out of sample.
        model_input: by partition a function that loads its model-input rows.
        folds: the fold table.

    Returns:
        Three tables.
    """
    rows = walk_forward.pool({name: load() for name, load in model_input.items()})
    metrics, confusion, reliability = scoring.score(forecasts, rows, folds)
    return metrics, confusion, reliability


def draw(
    confusion: pd.DataFrame, reliability: pd.DataFrame, importance: pd.DataFrame, learning_curves: pd.DataFrame
) -> tuple[Any, Any, Any, Any]:
    """Figures: confusion matrix, reliability diagram, importance, learning curves.

    Args:
        confusion: of `score`.
        reliability: of `score`.
        importance: of each feature.
        learning_curves: one row a fold and round.

    Returns:
        Four figures of Plotly.
    """
    return (
        classification.confusion_matrix_figure(confusion),
        classification.reliability_figure(reliability),
        classification.importance_figure(importance),
        classification.learning_curve_figure(learning_curves),
    )
