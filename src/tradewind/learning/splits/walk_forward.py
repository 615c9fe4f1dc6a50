"""Folds in the order of time: train on the past, test on what follows, and keep the end for last."""

import itertools
from datetime import timedelta
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.errors import BadParameters
from tradewind.parameters import Parameters


class FoldPlan(Parameters):
    """How history is divided (`params:feature_engineering.folds`).

    The first `initial_share` of the time is only trained on; the last `holdout_share` is the holdout; between them lie
    `n_folds` equal tests. `expanding` trains on everything before, `rolling` on as much as the first fold has.
    """

    n_folds: Annotated[int, Field(ge=1, le=100)] = 5
    initial_share: Annotated[float, Field(gt=0.05, lt=0.95)] = 0.4
    holdout_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    scheme: Literal["expanding", "rolling"] = "expanding"
    embargo_bars: Annotated[int, Field(ge=0)] = 24


def make_folds(
    timestamp: pd.Series, plan: FoldPlan, bar: timedelta, horizon_bars: int, spacing: timedelta | None = None
) -> pd.DataFrame:
    """The folds (`schema.Folds`), the holdout last; windows are half-open and depend on time alone, not on any value.

    `purge` is the life of a label: the horizon and the bar of the decision. A training row must have ended its life
    `embargo` before the test starts; `splits.purged.training_mask` sees to that.

    Args:
        timestamp: of all rows.
        plan: how history is divided.
        bar: duration of a bar.
        horizon_bars: how far labels look.
        spacing: mean time from bar to bar, nights and weekends included (`Calendar.spacing_ms`); None: the duration.

    Args:
        timestamp: of all rows, in any order.
        plan: how many folds, the shares, the embargo in bars, rolling or growing.
        bar: length of a bar.
        horizon_bars: of the labels.

    Returns:
        One row a fold: number, training and test window, purge, embargo and role.

    Raises:
        BadParameters: the history is too short for the plan.
    """
    first, end = timestamp.min(), timestamp.max() + pd.Timedelta(1, unit="ms")
    span = end - first
    purge, embargo = ((horizon_bars + 1) * (spacing or bar), plan.embargo_bars * (spacing or bar))
    holdout_start = (end - plan.holdout_share * span).floor(pd.Timedelta(bar))
    test_start = (first + plan.initial_share * span).floor(pd.Timedelta(bar))
    width = (holdout_start - test_start) / plan.n_folds
    edges = [(test_start + number * width).floor(pd.Timedelta(bar)) for number in range(plan.n_folds)] + [holdout_start]
    if width < 2 * purge or test_start - first < 4 * (purge + embargo):
        raise BadParameters(
            f"feature_engineering.folds: {span.days} days of history are too short for {plan.n_folds} folds of "
            f"{width} with a purge of {purge} and an embargo of {embargo}; fewer folds or more data are needed"
        )
    windows = [*itertools.pairwise(edges), (holdout_start, end)]
    rolling = plan.scheme == "rolling"
    folds = pd.DataFrame(
        {
            "fold": np.arange(len(windows), dtype=np.int64),
            "train_start": [start - (test_start - first) if rolling else first for start, _ in windows],
            "train_end": [start for start, _ in windows],
            "test_start": [start for start, _ in windows],
            "test_end": [stop for _, stop in windows],
            "purge": np.array([purge] * len(windows), dtype="timedelta64[ms]"),
            "embargo": np.array([embargo] * len(windows), dtype="timedelta64[ms]"),
            "role": ["walk_forward"] * plan.n_folds + ["holdout"],
        }
    )
    instants = ["train_start", "train_end", "test_start", "test_end"]
    return folds.astype(dict.fromkeys(instants, "datetime64[ms, UTC]") | {"role": "str"})
