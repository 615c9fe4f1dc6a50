"""The only place where purge and embargo live: which rows train, which test, and how training splits again."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData

Mask = NDArray[np.bool_]


class Fold(Protocol):
    """A row of `schema.Folds`, as `itertuples` gives it."""

    fold: Any
    train_start: Any
    train_end: Any
    test_start: Any
    test_end: Any
    purge: Any
    embargo: Any
    role: Any


@dataclass(frozen=True)
class PlainFold:
    """A row of the folds table as a value that can be sent to another process."""

    fold: int
    train_start: Any
    train_end: Any
    test_start: Any
    test_end: Any
    purge: Any
    embargo: Any
    role: str


def plain_fold(fold: Any) -> PlainFold:
    """A row of the folds table, as `itertuples` gives it, as a value that can be sent away."""
    return PlainFold(**{name: getattr(fold, name) for name in PlainFold.__dataclass_fields__})


def training_mask(rows: pd.DataFrame, fold: Fold | PlainFold) -> Mask:
    """Rows of the training window whose label has ended before the test starts, less the embargo.

    `rows` needs `timestamp` and `horizon_end`, the last instant that the label or the forward return looks at
    (Lopez de Prado 2018, chapter 7).
    """
    inside = (rows["timestamp"] >= fold.train_start) & (rows["timestamp"] < fold.train_end)
    ended = rows["horizon_end"] < fold.test_start - pd.Timedelta(fold.embargo)
    return (inside & ended).to_numpy()


def test_mask(rows: pd.DataFrame, fold: Fold | PlainFold) -> Mask:
    """Rows of the test window."""
    return ((rows["timestamp"] >= fold.test_start) & (rows["timestamp"] < fold.test_end)).to_numpy()


test_mask.__test__ = False  # type: ignore[attr-defined] # a name that pytest would collect


def inner_split(rows: pd.DataFrame, valid_share: float) -> tuple[Mask, Mask]:
    """Training rows split again by time: the last `valid_share` of the span validates, what reaches into it is purged.

    Raises:
        BadData: either part would be empty.
    """
    first, last = rows["timestamp"].min(), rows["timestamp"].max()
    boundary = last - valid_share * (last - first)
    valid = (rows["timestamp"] >= boundary).to_numpy()
    fit = (rows["horizon_end"] < boundary).to_numpy()
    if not fit.any() or not valid.any():
        raise BadData(
            f"{len(rows)} training rows from {first} to {last} cannot be split with a share of {valid_share}: "
            "take more history or a shorter horizon"
        )
    return fit, valid


def assert_no_leak(rows: pd.DataFrame, training: Mask, testing: Mask) -> None:
    """Nothing, if no training row's label looks at or beyond the first test row.

    Args:
        rows: with `timestamp` and `horizon_end`.
        training: which rows are learned from, shape (rows,).
        testing: which rows are forecast, shape (rows,).

    Raises:
        BadData: a training row overlaps the test, with how many do and the first of them.
    """
    if not training.any() or not testing.any():
        return
    start = rows["timestamp"][testing].min()
    overlapping = training & (rows["horizon_end"] >= start).to_numpy()
    if overlapping.any():
        first = rows.loc[overlapping, "timestamp"].iloc[0]
        raise BadData(
            f"{int(overlapping.sum())} training rows reach into the test from {start} on, the first "
            f"at {first}: purge them by their horizon_end"
        )
