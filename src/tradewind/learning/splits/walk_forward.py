"""Folds in the order of time: train on the past, test on what follows, and keep the end for last."""

import itertools
import math
from datetime import timedelta
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

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

    @model_validator(mode="after")
    def _leaves_time_to_test(self) -> "FoldPlan":
        if self.initial_share + self.holdout_share >= 0.99:
            raise ValueError(
                f"initial_share ({self.initial_share}) and holdout_share ({self.holdout_share}) leave nothing to test"
            )
        return self


def make_folds(
    timestamp: pd.Series, plan: FoldPlan, bar: timedelta, horizon_bars: int, spacing: timedelta | None = None
) -> pd.DataFrame:
    """The folds (`schema.Folds`), the holdout last; windows are half-open and depend on time alone, not on any value.

    `purge` is the life of a label: the horizon and the bar of the decision. A training row must have ended its life
    `embargo` before the test starts; `splits.purged.training_mask` sees to that.

    Args:
        timestamp: of all rows, in any order.
        plan: how history is divided.
        bar: duration of a bar.
        horizon_bars: how far labels look.
        spacing: mean time from bar to bar, nights and weekends included (`Calendar.spacing_ms`); None: the duration.

    Returns:
        One row a fold: number, training and test window, purge, embargo and role.

    Raises:
        BadParameters: the history is too short for the plan; the message has what would do.
    """
    first, end = timestamp.min(), timestamp.max() + pd.Timedelta(1, unit="ms")
    span = end - first
    purge, embargo = ((horizon_bars + 1) * (spacing or bar), plan.embargo_bars * (spacing or bar))
    holdout_start = (end - plan.holdout_share * span).floor(pd.Timedelta(bar))
    test_start = (first + plan.initial_share * span).floor(pd.Timedelta(bar))
    width = (holdout_start - test_start) / plan.n_folds
    edges = [(test_start + number * width).floor(pd.Timedelta(bar)) for number in range(plan.n_folds)] + [holdout_start]
    if width < 2 * purge or test_start - first < 4 * (purge + embargo):
        raise BadParameters(_too_short(span, plan, purge, embargo, spacing or bar))
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


def needed_bars(plan: FoldPlan, horizon_bars: int) -> int:
    """How many bars in a row the plan's folds need, those not counted that come before the features are known.

    A test lasts two lives of a label at least, the first training four of them with their embargo.

    Args:
        plan: how history is divided.
        horizon_bars: how far labels look.
    """
    life = horizon_bars + 1
    # The edges of folds are whole bars: between two of them a bar may be lost.
    tested = (2 * life * plan.n_folds + 1) / (1 - plan.initial_share - plan.holdout_share)
    trained = 4 * (life + plan.embargo_bars) / plan.initial_share
    return math.ceil(max(tested, trained)) + 2


def _too_short(span: timedelta, plan: FoldPlan, purge: timedelta, embargo: timedelta, spacing: timedelta) -> str:
    bars, horizon = round(span / spacing) + 1, round(purge / spacing) - 1
    fewer = [n for n in range(1, plan.n_folds) if needed_bars(plan.model_copy(update={"n_folds": n}), horizon) <= bars]
    instead = f"; or set feature_engineering.folds.n_folds={fewer[-1]}, for which they are enough" if fewer else ""
    return (
        f"feature_engineering.folds: {bars} bars with features are too short for {plan.n_folds} folds with labels of "
        f"{horizon} bars and an embargo of {round(embargo / spacing)}: at least {needed_bars(plan, horizon)} are "
        "needed, beside those before the features are known. Provide earlier bars (more files, kedro download "
        f"--since, kedro backfill), or take a shorter universe.timeframe{instead}"
    )
