"""Sample weights: labels that overlap share their information, so each counts for less."""

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.learning.labels.outcome import Outcomes
from tradewind.parameters import Parameters

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class WeightRules(Parameters):
    """How labels count in training (`params:feature_engineering.weights`).

    `uniqueness` weighs by average uniqueness, `return_attribution` by the absolute return that is a label's own,
    `equal` not at all. `half_life_days` halves the weight of what is so much older than the data's end. The decay is
    exponential, not along the cumulative uniqueness as in the book: so the weights inside a training window keep
    their proportions wherever the window ends.
    """

    scheme: Literal["uniqueness", "return_attribution", "equal"] = "uniqueness"
    half_life_days: Annotated[float | None, Field(gt=0)] = None


def sample_weights(bars: pd.DataFrame, outcomes: Outcomes, rules: WeightRules) -> Floats:
    """One weight a bar, NaN where there is no label.

    Args:
        bars: one symbol's checked bars, oldest first.
        outcomes: one entry a bar.
        rules: the scheme (equal, uniqueness, attributed return) and the half-life in days, if any.

    Returns:
        Shape (bars,).
    """
    rows = np.flatnonzero(outcomes.alive)
    first, last = rows + 1, outcomes.exit_row[rows]
    if rules.scheme == "equal":
        weight = np.ones(len(rows))
    elif rules.scheme == "uniqueness":
        weight = average_uniqueness(first, last, len(bars))
    else:
        weight = attributed_return(first, last, bar_returns(bars))
    out = np.full(len(bars), np.nan)
    out[rows] = weight
    if rules.half_life_days is not None:
        age_days = (bars["timestamp"].iloc[-1] - bars["timestamp"]).dt.total_seconds().to_numpy() / 86_400
        out *= 0.5 ** (age_days / rules.half_life_days)
    out[~outcomes.labelled] = np.nan
    return out


def bar_returns(bars: pd.DataFrame) -> Floats:
    """Log return of each bar over the close before it; over its own open where a segment begins."""
    opening, close = (np.log(bars[name].to_numpy(dtype=np.float64)) for name in ("open", "close"))
    segment = bars["segment"].to_numpy()
    before = np.where(np.r_[True, segment[1:] != segment[:-1]], opening, np.r_[0.0, close[:-1]])
    return np.asarray(close - before)


@njit(cache=True, nogil=True)
def concurrency(first: Rows, last: Rows, n_bars: int) -> NDArray[np.int64]:
    """How many labels are alive on each bar.

    Args:
        first: of each label the first bar of its life, shape (labels,).
        last: the last bar of its life, included.
        n_bars: how many bars there are.

    Returns:
        Shape (n_bars,).
    """
    steps = np.zeros(n_bars + 1, dtype=np.int64)
    for label in range(len(first)):
        steps[first[label]] += 1
        steps[last[label] + 1] -= 1
    return np.cumsum(steps)[:-1]


@njit(cache=True, nogil=True)
def average_uniqueness(first: Rows, last: Rows, n_bars: int) -> Floats:
    """Mean over each label's life of 1 / (labels alive on that bar), in (0, 1] (Lopez de Prado 2018, chapter 4).

    Args:
        first: of each label the first bar of its life, shape (labels,).
        last: the last bar of its life, included.
        n_bars: how many bars there are.

    Returns:
        Shape (labels,).
    """
    alive = concurrency(first, last, n_bars)
    shares = np.zeros(n_bars + 1)  # running sum of 1 / (labels alive)
    for bar in range(n_bars):
        shares[bar + 1] = shares[bar] + (1.0 / alive[bar] if alive[bar] > 0 else 0.0)
    out = np.empty(len(first))
    for label in range(len(first)):
        out[label] = (shares[last[label] + 1] - shares[first[label]]) / (last[label] + 1 - first[label])
    return np.minimum(out, 1.0)


@njit(cache=True, nogil=True)
def attributed_return(first: Rows, last: Rows, returns: Floats) -> Floats:
    """|sum over a label's life of return / (labels alive)|, in basis points of log return (same, section 4.6).

    The book scales the weights to a mean of one over the sample; that would let the future set today's scale.

    Args:
        first: of each label the first bar of its life, shape (labels,).
        last: the last bar of its life, included.
        returns: log return of each bar, shape (bars,).

    Returns:
        Shape (labels,), basis points.
    """
    alive = concurrency(first, last, len(returns))
    out = np.empty(len(first))
    for label in range(len(first)):
        total = 0.0
        for bar in range(first[label], last[label] + 1):
            total += returns[bar] / alive[bar]
        out[label] = abs(total) * 1e4
    return out


@njit(cache=True, nogil=True)
def sequential_bootstrap(first: Rows, last: Rows, n_bars: int, uniform: Floats) -> Rows:
    """Labels drawn with replacement, each by its average uniqueness given what is drawn (same, section 4.5).

    Where a dozen labels or more are alive on every bar, as with one label a bar, this gains next to nothing over a
    plain bootstrap. Only labels that overlap the drawn one change their chances, so a draw costs their lives and not a
    pass over all labels; chances are kept in a binary indexed tree.

    Args:
        first: of each label the first bar of its life, shape (labels,), sorted.
        last: the last bar of its life, included.
        n_bars: how many bars there are.
        uniform: random numbers in [0, 1), one a draw.

    Returns:
        Places of the drawn labels, one a draw.
    """
    n_labels, n_draws = len(first), len(uniform)
    longest = 0
    for label in range(n_labels):
        longest = max(longest, last[label] - first[label])
    size = 1
    while size < n_labels:
        size *= 2
    tree = np.zeros(2 * size)  # leaves hold the chances, each node the sum of its two children
    for label in range(n_labels):
        tree[size + label] = 1.0
    for node in range(size - 1, 0, -1):
        tree[node] = tree[2 * node] + tree[2 * node + 1]
    drawn_alive = np.zeros(n_bars, dtype=np.int64)
    out = np.empty(n_draws, dtype=np.int64)
    for draw in range(n_draws):
        target, node = uniform[draw] * tree[1], 1
        while node < size:
            node *= 2
            if target >= tree[node] and tree[node + 1] > 0:
                target -= tree[node]
                node += 1
        chosen = node - size
        out[draw] = chosen
        for bar in range(first[chosen], last[chosen] + 1):
            drawn_alive[bar] += 1
        near = np.searchsorted(first, first[chosen] - longest)
        while near < n_labels and first[near] <= last[chosen]:
            if last[near] >= first[chosen]:
                chance = 0.0
                for bar in range(first[near], last[near] + 1):
                    chance += 1.0 / (drawn_alive[bar] + 1)
                leaf = size + near
                tree[leaf] = chance / (last[near] + 1 - first[near])
                while leaf > 1:
                    leaf //= 2
                    tree[leaf] = tree[2 * leaf] + tree[2 * leaf + 1]
            near += 1
    return out
