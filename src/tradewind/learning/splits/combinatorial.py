"""Combinatorial purged cross-validation: many histories out of one (Lopez de Prado 2018, chapter 12)."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tradewind.errors import BadData, BadParameters
from tradewind.parameters import Parameters

MAX_SPLITS = 5000


class CombinatorialPlan(Parameters):
    """`n_groups` equal spans of time, tested `n_test_groups` at a time in every combination."""

    n_groups: Annotated[int, Field(ge=3, le=100)] = 6
    n_test_groups: Annotated[int, Field(ge=1)] = 2
    embargo_bars: Annotated[int, Field(ge=0)] = 24

    @model_validator(mode="after")
    def _possible(self) -> "CombinatorialPlan":
        if self.n_test_groups >= self.n_groups:
            raise ValueError(f"n_test_groups ({self.n_test_groups}) must be below n_groups ({self.n_groups})")
        if self.n_splits > MAX_SPLITS:
            raise ValueError(f"{self.n_splits:,} combinations are more than {MAX_SPLITS:,}: take fewer groups")
        return self

    @property
    def n_splits(self) -> int:
        """How many combinations there are, each a training of its own."""
        return math.comb(self.n_groups, self.n_test_groups)

    @property
    def n_paths(self) -> int:
        """How many whole histories the tested groups can be put together to."""
        return math.comb(self.n_groups - 1, self.n_test_groups - 1)


@dataclass(frozen=True)
class CombinatorialSplit:
    """One combination: the tested groups, the path that each belongs to, and masks over the rows.

    `groups`, `paths` and `testing` run in parallel; `training` is purged and embargoed around all tested groups.
    """

    number: int
    groups: tuple[int, ...]
    paths: tuple[int, ...]
    training: NDArray[np.bool_]
    testing: tuple[NDArray[np.bool_], ...]


def combinatorial_splits(rows: pd.DataFrame, plan: CombinatorialPlan, bar: timedelta) -> Iterator[CombinatorialSplit]:
    """Every combination in lexical order (Lopez de Prado 2018, chapter 12).

    The groups hold equally many instants, the last what remains. A training row is purged where the span from its
    timestamp to its horizon's end meets that of a tested group, and embargoed where it begins within `embargo_bars`
    after the last horizon of a tested group has ended.

    Args:
        rows: with `timestamp` and `horizon_end`, in any order.
        plan: how many groups, how many of them are tested, and the embargo in bars.
        bar: length of a bar.

    Yields:
        One split a combination; its masks have one entry a row.

    Raises:
        BadData: fewer instants than groups.
        BadParameters: nothing is left to train on.
    """
    timestamp, ended = rows["timestamp"], rows["horizon_end"]
    place = timestamp.rank(method="dense").to_numpy(dtype=np.int64) - 1
    per_group = (int(place.max(initial=-1)) + 1) // plan.n_groups
    if per_group < 1:
        raise BadData(f"{len(rows)} rows cannot be divided into {plan.n_groups} groups: take more history")
    group = np.minimum(place // per_group, plan.n_groups - 1)
    spans = [
        (timestamp[group == number].min(), ended[group == number].max() + plan.embargo_bars * bar)
        for number in range(plan.n_groups)
    ]
    met = [((ended >= start) & (timestamp <= end)).to_numpy() for start, end in spans]
    tested = [group == number for number in range(plan.n_groups)]
    seen = [0] * plan.n_groups
    for number, groups in enumerate(itertools.combinations(range(plan.n_groups), plan.n_test_groups)):
        training = ~np.logical_or.reduce([met[at] for at in groups])
        if not training.any():
            raise BadParameters(
                f"split {number}: the purge and {plan.embargo_bars} bars of embargo leave nothing to train on; take "
                "fewer groups, a shorter embargo or more history"
            )
        paths = tuple(seen[at] for at in groups)
        for at in groups:
            seen[at] += 1
        yield CombinatorialSplit(number, groups, paths, training, tuple(tested[at] for at in groups))


def recombine(
    forecasts: Mapping[int, NDArray[np.float64]], splits: list[CombinatorialSplit], plan: CombinatorialPlan
) -> NDArray[np.float64]:
    """Forecasts by path: each path forecasts every row once.

    Args:
        forecasts: by a split's number an array over all rows, of which only the tested rows are used, shape (rows,
            ...).
        splits: all of the plan.
        plan: gives the number of paths.

    Returns:
        Shape (paths, rows, ...).
    """
    first = next(iter(forecasts.values()))
    out = np.full((plan.n_paths, *first.shape), np.nan)
    for split in splits:
        for path, testing in zip(split.paths, split.testing, strict=True):
            out[path][testing] = forecasts[split.number][testing]
    return out
