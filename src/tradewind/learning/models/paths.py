"""The linear model along every path of combinatorial purged cross-validation."""

from datetime import timedelta

import numpy as np
import pandas as pd

from tradewind.compute import track
from tradewind.learning.models.base import feature_names, thin
from tradewind.learning.models.linear import ROWS_EACH, LinearForecaster, LinearParameters, fit_linear
from tradewind.learning.models.walk_forward import forecast_columns
from tradewind.learning.splits.combinatorial import CombinatorialPlan, combinatorial_splits, recombine


def path_forecasts(
    rows: pd.DataFrame,
    folds: pd.DataFrame,
    plan: CombinatorialPlan,
    bar: timedelta,
    horizon_bars: int,
    parameters: LinearParameters,
) -> pd.DataFrame:
    """Forecasts of the linear model along every path of combinatorial purged cross-validation.

    The holdout takes no part. Unlike in walk-forward, most trainings see the future of what they forecast (purged and
    embargoed): a path says how much the result owes to the order of history, not what could have been earned.

    Args:
        rows: pooled model-input rows.
        folds: the walk-forward folds, of which the holdout is kept out.
        plan: groups and test groups.
        bar: the length of a bar.
        horizon_bars: how far ahead the labels look, in bars.
        parameters: of the linear model.

    Returns:
        `schema.Forecasts`; `fold` and `path` are the path's number.
    """
    from threadpoolctl import threadpool_limits

    holdout = folds.loc[folds["role"] == "holdout", "test_start"].min()
    before = rows[rows["horizon_end"] < holdout].reset_index(drop=True)
    splits = list(combinatorial_splits(before, plan, bar))
    forecasts = {}
    with threadpool_limits(limits=1):
        for split in track(splits, "combinatorial paths"):
            past = before[split.training]
            past = past[thin(past, max(len(past) // ROWS_EACH, 1))]
            tested = np.logical_or.reduce(split.testing)
            model = fit_linear(past, feature_names(rows), parameters.c)
            said = model.predict(before[tested])
            forecasts[split.number] = np.full((len(before), said.shape[1]), np.nan)
            forecasts[split.number][tested] = said.to_numpy()
    parts = [
        forecast_columns(
            before, pd.DataFrame(values, columns=list(said)), LinearForecaster, 0, path, horizon_bars, path
        )
        for path, values in enumerate(recombine(forecasts, splits, plan))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).astype({"model": "str", "family": "str"})
