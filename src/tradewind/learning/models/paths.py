"""The linear model along every path of combinatorial purged cross-validation."""

from datetime import timedelta

import numpy as np
import pandas as pd

from tradewind.compute import executor, track
from tradewind.learning.models.base import PROBABILITIES, QUANTILES, Floats, feature_names, thin
from tradewind.learning.models.linear import ROWS_EACH, LinearForecaster, LinearParameters, fit_linear
from tradewind.learning.models.walk_forward import forecast_columns
from tradewind.learning.splits.combinatorial import (
    CombinatorialPlan,
    CombinatorialSplit,
    combinatorial_splits,
    recombine,
)

FITS_SIDE_BY_SIDE = 2
FORECAST = [*PROBABILITIES, "expected_return", *QUANTILES]


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
    splits, names = list(combinatorial_splits(before, plan, bar)), feature_names(rows)

    def forecast(split: CombinatorialSplit) -> Floats:
        past = before[split.training]
        past = past[thin(past, max(len(past) // ROWS_EACH, 1))]
        tested = np.logical_or.reduce(split.testing)
        predicted = fit_linear(past, names, parameters.c).predict(before[tested])
        out = np.full((len(before), len(FORECAST)), np.nan)
        out[tested] = predicted[FORECAST].to_numpy()
        return out

    # One thread a fit, as in walk-forward; the fits stand side by side.
    with threadpool_limits(limits=1), executor("threads", FITS_SIDE_BY_SIDE) as on:
        made = on.map(forecast, splits)
        forecasts = {split.number: next(made) for split in track(splits, "combinatorial paths")}
    parts = [
        forecast_columns(before, pd.DataFrame(values, columns=FORECAST), LinearForecaster, 0, path, horizon_bars, path)
        for path, values in enumerate(recombine(forecasts, splits, plan))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).astype({"model": "str", "family": "str"})
