"""How likely the choice of the best is a choice of noise: combinatorially symmetric cross-validation."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadData
from tradewind.market.calendars import YEAR_DAYS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Overfitting:
    """What became of the best of one half in the other half, over all ways of halving the history.

    `probability` is the share of halvings in which the best in sample falls below the median out of sample;
    `logits` log(rank / (1 - rank)) of it; `in_sample` and `out_of_sample` its annual Sharpe ratios; `loss` the share of
    halvings in which it loses money out of sample.
    """

    probability: float
    loss: float
    logits: Floats
    in_sample: Floats
    out_of_sample: Floats


def probability_of_overfitting(daily: Floats, n_blocks: int = 14, days_per_year: float = YEAR_DAYS) -> Overfitting:
    """Combinatorially symmetric cross-validation over strategies (Bailey, Borwein, Lopez de Prado and Zhu 2017).

    `daily` has the shape (days, strategies). The days are cut into `n_blocks` (even) blocks; in every combination half
    of the blocks choose the best Sharpe ratio, the other half judge it. Ties share their rank.

    Args:
        daily: net returns.
        n_blocks: even.
        days_per_year: of the market's calendar.

    Raises:
        BadData: fewer than two strategies, or fewer than two days a block.
    """
    n_days, n_strategies = daily.shape
    if n_strategies < 2 or n_days < 2 * n_blocks or n_blocks % 2:
        raise BadData(
            f"overfitting needs two strategies and an even number of blocks of two days or more: found {n_strategies} "
            f"strategies and {n_days} days for {n_blocks} blocks"
        )
    edges = np.linspace(0, n_days, n_blocks + 1).astype(np.int64)
    count = np.diff(edges).astype(np.float64)
    total = np.add.reduceat(daily, edges[:-1], axis=0)
    squares = np.add.reduceat(daily**2, edges[:-1], axis=0)
    chosen = np.zeros((len(list(itertools.combinations(range(n_blocks), n_blocks // 2))), n_blocks))
    for row, blocks in enumerate(itertools.combinations(range(n_blocks), n_blocks // 2)):
        chosen[row, list(blocks)] = 1.0
    inside = _sharpe(chosen @ total, chosen @ squares, (chosen @ count)[:, None]) * np.sqrt(days_per_year)
    outside = _sharpe((1 - chosen) @ total, (1 - chosen) @ squares, ((1 - chosen) @ count)[:, None])
    outside = outside * np.sqrt(days_per_year)
    best = inside.argmax(axis=1)
    rows = np.arange(len(best))
    theirs = outside[rows, best]
    below = (outside < theirs[:, None]).sum(axis=1) + 0.5 * ((outside == theirs[:, None]).sum(axis=1) - 1)
    rank = (below + 1) / (n_strategies + 1)
    logits = np.log(rank / (1 - rank))
    return Overfitting(
        probability=float((logits < 0).mean() + 0.5 * (logits == 0).mean()), loss=float((theirs < 0).mean()),
        logits=logits, in_sample=inside[rows, best], out_of_sample=theirs,
    )  # fmt: skip


def _sharpe(total: Floats, squares: Floats, count: Floats) -> Floats:
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0.0) * count / np.maximum(count - 1, 1)
    deviation = np.sqrt(variance)
    return np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > 1e-12)
