"""Forecasts that anyone could make: what a model must beat before its skill means anything."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from tradewind.compute import track
from tradewind.learning.models.base import PROBABILITIES, QUANTILES, feature_names
from tradewind.learning.models.walk_forward import thin
from tradewind.learning.splits.combinatorial import CombinatorialPlan, combinatorial_splits, recombine
from tradewind.learning.splits.purged import assert_no_leak, test_mask, training_mask
from tradewind.metrics.classification import CLASSES

LINEAR, VOLATILITY_ONLY = "linear", "volatility_only"
WITHOUT_DIRECTION = (VOLATILITY_ONLY, "last_value")  # scored as forecasts, never traded
ROWS_EACH = 12_000  # more would not move a linear fit
CLIP = 5.0  # standard deviations


def opponent_forecasts(rows: pd.DataFrame, folds: pd.DataFrame, horizon_bars: int) -> pd.DataFrame:
    """Out-of-sample forecasts (`schema.Forecasts`) of a linear model and of one that knows the volatility alone.

    `linear` is a multinomial logistic regression on all features, standardised, clipped at five deviations, what is
    missing at the mean, with a ridge penalty; `volatility_only` the same on the features of the volatility family
    named `realised_volatility_*`: it knows how large the next move may be and nothing of its direction. Both are fitted
    on the purged training rows of each fold, thinned evenly to 12,000, and see nothing else.
    """
    from threadpoolctl import threadpool_limits

    names = feature_names(rows)
    volatility = [name for name in names if name.startswith("realised_volatility")]
    kinds = {LINEAR: (names, 0.002), VOLATILITY_ONLY: (volatility, 1.0)}
    # One thread: matrix products that are shared out differently differ in their last bits.
    with threadpool_limits(limits=1):
        parts = list(_by_fold(rows, folds, horizon_bars, kinds))
    order = ["model", "fold", "symbol", "timestamp", "horizon", *PROBABILITIES, "expected_return", *QUANTILES]
    return pd.concat(parts, ignore_index=True)[order].astype({"model": "str"})


def _by_fold(
    rows: pd.DataFrame, folds: pd.DataFrame, horizon_bars: int, kinds: dict[str, tuple[list[str], float]]
) -> Iterator[pd.DataFrame]:
    for fold in track(list(folds.itertuples(index=False)), "opponents: folds"):
        training, testing = training_mask(rows, fold), test_mask(rows, fold)
        assert_no_leak(rows, training, testing)
        past, test = rows[training], rows[testing]
        past = past[thin(past, max(len(past) // ROWS_EACH, 1))]
        for model, (columns, strength) in kinds.items():
            if not columns:
                continue
            predict = fit_linear(past, columns, strength)
            table = test[["symbol", "timestamp"]].assign(
                model=model, fold=np.int64(fold.fold), horizon=np.int64(horizon_bars)
            )
            table[PROBABILITIES] = predict(test)
            table[["expected_return", *QUANTILES]] = np.nan
            yield table


def path_forecasts(
    rows: pd.DataFrame, folds: pd.DataFrame, plan: CombinatorialPlan, bar: timedelta, horizon_bars: int
) -> pd.DataFrame:
    """Forecasts of the linear model along every path of combinatorial purged cross-validation.

    `schema.Forecasts` with `fold` the path's number and a model of its own each. The holdout takes no part. Unlike in
    walk-forward, most trainings see the future of what they forecast (purged and embargoed): a path says how much the
    result owes to the order of history, not what could have been earned.
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
            forecasts[split.number] = np.full((len(before), len(CLASSES)), np.nan)
            forecasts[split.number][tested] = fit_linear(past, feature_names(rows), 0.002)(before[tested])
    parts = []
    for path, probability in enumerate(recombine(forecasts, splits, plan)):
        table = before[["symbol", "timestamp"]].assign(
            model=f"{LINEAR} path {path}", fold=np.int64(path), horizon=np.int64(horizon_bars)
        )
        table[PROBABILITIES] = probability
        table[["expected_return", *QUANTILES]] = np.nan
        parts.append(table)
    order = ["model", "fold", "symbol", "timestamp", "horizon", *PROBABILITIES, "expected_return", *QUANTILES]
    return pd.concat(parts, ignore_index=True)[order].astype({"model": "str"})


def fit_linear(past: pd.DataFrame, columns: list[str], strength: float) -> Callable[[pd.DataFrame], Any]:
    """What gives the three probabilities of rows: the multinomial logistic regression on these columns of `past`."""
    from sklearn.linear_model import LogisticRegression

    values = past[columns].to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        mean = np.nan_to_num(np.nanmean(np.where(np.isfinite(values).any(axis=0), values, 0.0), axis=0))
        spread = np.nan_to_num(np.nanstd(np.where(np.isfinite(values).any(axis=0), values, 0.0), axis=0))
    spread[spread < 1e-12] = 1.0

    def design(rows: pd.DataFrame) -> Any:
        scaled = (rows[columns].to_numpy(dtype=np.float64) - mean) / spread
        return np.clip(np.nan_to_num(scaled), -CLIP, CLIP)

    model = LogisticRegression(C=strength, max_iter=200)
    model.fit(design(past), past["label"].to_numpy(), sample_weight=past["weight"].to_numpy())

    def predict(rows: pd.DataFrame) -> Any:
        out = np.full((len(rows), len(CLASSES)), 1e-9)
        out[:, np.searchsorted(CLASSES, model.classes_)] = model.predict_proba(design(rows))
        return out / out.sum(axis=1, keepdims=True)

    return predict
