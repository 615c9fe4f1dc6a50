"""How good a forecast distribution is: sharp where it is right. Quantiles in, scores out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.errors import BadParameters

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
Floats = NDArray[np.float64]


class DistributionScore(NamedTuple):
    """`pinball` and `crps` in the units of the outcome, below is better; shares; `below` a share a level; widths."""

    pinball: float
    crps: float
    coverage_50: float
    coverage_90: float
    width_50: float
    width_90: float
    below: tuple[float, ...]


def pinball(outcome: Floats, quantiles: Floats) -> Floats:
    """Pinball loss of each quantile (rows, levels) (Koenker and Bassett 1978)."""
    miss = outcome[:, None] - quantiles
    levels = np.array(LEVELS)
    return np.asarray(np.maximum(levels * miss, (levels - 1) * miss))


def continuous_ranked_probability(outcome: Floats, quantiles: Floats) -> Floats:
    """Continuous ranked probability score of each row (rows,), in the units of the outcome.

    Twice the pinball loss over all levels (Gneiting and Raftery 2007, eq. 20 and 21), each known quantile standing for
    the levels nearest to it; outcome and quantiles (rows, 5) in the same units.
    """
    ends = np.r_[0.0, (np.array(LEVELS)[1:] + np.array(LEVELS)[:-1]) / 2, 1.0]
    return np.asarray(2 * pinball(outcome, quantiles) @ np.diff(ends))


def score(outcome: Floats, quantiles: Floats) -> DistributionScore:
    """Means over the rows.

    Raises:
        BadParameters: quantiles cross, or shapes differ.
    """
    if quantiles.shape != (len(outcome), len(LEVELS)):
        raise BadParameters(f"quantiles must have the shape ({len(outcome)}, {len(LEVELS)}), found {quantiles.shape}")
    if (np.diff(quantiles, axis=1) < 0).any():
        raise BadParameters("quantiles must not cross: a lower level has a higher value")
    q05, q25, _, q75, q95 = quantiles.T
    return DistributionScore(
        pinball=float(pinball(outcome, quantiles).mean()),
        crps=float(continuous_ranked_probability(outcome, quantiles).mean()),
        coverage_50=float(((q25 <= outcome) & (outcome <= q75)).mean()),
        coverage_90=float(((q05 <= outcome) & (outcome <= q95)).mean()),
        width_50=float((q75 - q25).mean()),
        width_90=float((q95 - q05).mean()),
        below=tuple((outcome[:, None] <= quantiles).mean(axis=0).tolist()),
    )


def probability_below(quantiles: Floats, threshold: Floats | float) -> Floats:
    """P(outcome <= threshold) of each row, from its quantiles (rows, 5).

    Straight lines between the quantiles; beyond the outer ones the tail falls as it does between them and their
    neighbours, exponentially. Quantiles that coincide make a step.
    """
    at = np.broadcast_to(np.asarray(threshold, dtype=np.float64), len(quantiles))
    levels = np.array(LEVELS)
    out = np.full(len(quantiles), np.nan)
    for place in range(len(LEVELS) - 1):
        low, high = quantiles[:, place], quantiles[:, place + 1]
        inside = (at >= low) & (at <= high)
        share = np.divide(at - low, high - low, out=np.ones(len(at)), where=high > low)
        out = np.where(inside, levels[place] + share * (levels[place + 1] - levels[place]), out)
    for outer, inner, sign in ((0, 1, -1.0), (len(LEVELS) - 1, len(LEVELS) - 2, 1.0)):
        reach = np.abs(quantiles[:, inner] - quantiles[:, outer]) / np.log(5.0)  # from 0.25 to 0.05: a fifth
        far = sign * (at - quantiles[:, outer])
        fall = np.exp(-np.divide(far, reach, out=np.full(len(at), np.inf), where=reach > 0))
        tail = levels[0] * fall
        out = np.where(far > 0, tail if sign < 0 else 1 - tail, out)
    return out
