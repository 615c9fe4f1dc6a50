"""Which rows belong to which fold, and which may be looked at."""

from typing import Any

import numpy as np
import pandas as pd

Booleans = np.ndarray[Any, np.dtype[np.bool_]]


def utc_instants(timestamp: pd.Series) -> np.ndarray[Any, Any]:
    """As datetime64: what numpy sorts quickly, where instants with a time zone would be Python objects."""
    return timestamp.dt.tz_localize(None).to_numpy()


def with_role(rows: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """The rows with the fold they belong to, and its role."""
    ordered = folds.sort_values("test_start")
    place = np.searchsorted(utc_instants(ordered["test_start"]), utc_instants(rows["timestamp"]), side="right") - 1
    return rows.assign(fold=ordered["fold"].to_numpy()[place], role=ordered["role"].array[place])


def is_tested(history: pd.DataFrame, folds: pd.DataFrame) -> Booleans:
    """Rows inside the test windows, which follow one another without a hole."""
    start, end = folds["test_start"].min(), folds["test_end"].max()
    return ((history["timestamp"] >= start) & (history["timestamp"] < end)).to_numpy()


def is_walk_forward(history: pd.DataFrame, folds: pd.DataFrame) -> Booleans:
    """Rows inside the test windows of the walk-forward folds."""
    return is_tested(history, folds) & (with_role(history, folds)["role"] == "walk_forward").to_numpy()


def walk_forward_only(positions: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """The positions without those of the holdout: what is varied and compared must not look at it."""
    return positions[with_role(positions, folds)["role"].to_numpy() == "walk_forward"].reset_index(drop=True)
