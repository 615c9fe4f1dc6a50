"""Forecasts against what happened, beside two rules that need no model."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.learning.models.base import PROBABILITIES
from tradewind.metrics.calibration import expected_calibration_error, reliability_table
from tradewind.metrics.classification import CLASSES, MEASURES, certain, confusion_table

TOTAL = -1  # the fold number of a total
Floats = NDArray[np.float64]


def score(forecasts: pd.DataFrame, rows: pd.DataFrame, folds: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    """Fold metrics, confusion and reliability tables of one model.

    Metrics: model, fold (-1: all folds of the role), role, metric, value, majority_baseline, previous_sign_baseline,
    rows. The majority baseline says, of every row, the class shares of all labels that had ended when the test began
    (for accuracy and F1: the commonest class). The previous-sign baseline says the sign of the last bar's return,
    and has no probabilities.

    Args:
        forecasts: one model's, at most one a row: symbol, timestamp, fold, model, probabilities.
        rows: model-input rows that they are forecasts of; labels may be missing, and such rows are not scored.
        folds: the fold table.

    Returns:
        Metrics, confusion and reliability tables.

    Raises:
        BadData: a forecast is of none of the rows, or its fold is not among the folds.
    """
    happened = (
        rows[["symbol", "timestamp", "label", "horizon_end", "log_return_1"]]
        if "log_return_1" in rows
        else rows[["symbol", "timestamp", "label", "horizon_end"]].assign(log_return_1=np.nan)
    )
    joined = forecasts.merge(happened, on=["symbol", "timestamp"], how="left", validate="one_to_one", indicator="found")
    joined = joined.merge(folds[["fold", "role", "test_start"]], on="fold", how="left")
    stale = (joined["found"] != "both") | joined["role"].isna()
    if stale.any():
        raise BadData(
            f"{int(stale.sum())} of {len(joined)} forecasts have no row in model_input or no fold in folds, the "
            f"first at {joined.loc[stale, 'timestamp'].iloc[0]}: they were made from other rows, train again"
        )
    joined = joined[joined["label"].notna()].reset_index(drop=True)  # what has not ended is not scored
    prior = {fold.fold: _prior(rows, fold.test_start) for fold in folds.itertuples()}
    joined[["prior_down", "prior_flat", "prior_up"]] = np.vstack([prior[fold] for fold in joined["fold"]])
    model = str(forecasts["model"].iloc[0])
    metrics, confusion, reliability = [], [], []
    for (role, fold), part in _groups(joined):
        label, probability = part["label"].to_numpy(dtype=np.int8), part[PROBABILITIES].to_numpy()
        for row in _measure(part, label, probability):
            metrics.append({"model": model, "fold": np.int64(fold), "role": role, **row, "rows": len(part)})
        if fold == TOTAL:
            confusion.append(confusion_table(label, probability).assign(model=model, role=role))
            reliability.append(reliability_table(label, probability).assign(model=model, role=role))
    return pd.DataFrame(metrics), pd.concat(confusion, ignore_index=True), pd.concat(reliability, ignore_index=True)


def _prior(rows: pd.DataFrame, test_start: pd.Timestamp) -> Floats:
    past = rows.loc[rows["horizon_end"] < test_start, "label"].to_numpy()
    return np.array([np.mean(past == kind) for kind in CLASSES])


def _groups(joined: pd.DataFrame) -> Iterator[tuple[tuple[str, int], pd.DataFrame]]:
    for (role, fold), part in joined.groupby(["role", "fold"], sort=True):
        yield (role, fold), part
    for role, part in joined.groupby("role", sort=True):
        yield (role, TOTAL), part


def _measure(part: pd.DataFrame, label: NDArray[np.int8], probability: Floats) -> Iterator[dict[str, object]]:
    prior = part[["prior_down", "prior_flat", "prior_up"]].to_numpy()
    sign = np.nan_to_num(np.sign(part["log_return_1"].to_numpy(dtype=np.float64))).astype(np.int8)
    has_sign = bool(part["log_return_1"].notna().any())
    for name, measure in MEASURES.items():
        is_hard = name in {"accuracy", "macro_f1"}
        yield {
            "metric": name,
            "value": measure(label, probability),
            "majority_baseline": measure(label, prior),
            "previous_sign_baseline": measure(label, certain(sign)) if is_hard and has_sign else np.nan,
        }
    yield {
        "metric": "ece",
        "value": expected_calibration_error(label, probability),
        "majority_baseline": expected_calibration_error(label, prior),
        "previous_sign_baseline": np.nan,
    }
