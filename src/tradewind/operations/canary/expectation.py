"""What an honest canary has in common with the champion: measured on their own walk-forward forecasts."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# A champion's edge nearer to zero than this share of its spread has no sign worth agreeing with.
SMALL = 0.25
FEWEST = 100
# What honest pairs of other families showed at least. Two that have less in common, after a change of the market, say,
# contradict each other for weeks: their edges then tell nothing of a fault. Failures, latency, freshness, the probe and
# the labels still do.
LEAST_AGREEMENT, LEAST_CORRELATION = 0.66, 0.4


class Expectation(NamedTuple):
    """Of the two edges (p_up - p_down) on the same bars.

    Attributes:
        agreement: share of bars on which they have one sign, of those where the champion's is not small.
        ratio: of the canary's spread to the champion's.
        correlation: of the two.
        deviation: of the champion's edge.
        patience: how many decisions count as one (`patience.patient`).
    """

    agreement: float
    ratio: float
    correlation: float
    deviation: float
    patience: float = 1.0

    @property
    def agrees(self) -> bool:
        """Whether an honest canary says so much of what the champion says that a faulty one stands out."""
        return self.agreement >= LEAST_AGREEMENT and self.correlation >= LEAST_CORRELATION


def in_common(champion: NDArray[Any], canary: NDArray[Any]) -> NDArray[np.float64]:
    """The edges of both on the bars that both have forecast, (bars, 2), from two arrays of `measuring.EDGES`."""
    mine, theirs = ({(one["symbol"], one["timestamp"]): one["edge"] for one in rows} for rows in (champion, canary))
    common = [key for key in mine if key in theirs]
    return np.array([(mine[key], theirs[key]) for key in common], dtype=np.float64).reshape(-1, 2)


def expectation(pairs: NDArray[np.float64]) -> Expectation | None:
    """From the edges of champion and canary on the same bars, (bars, 2); None where there are too few to say."""
    return measured(pairs[:, 0], pairs[:, 1]) if len(pairs) >= FEWEST else None


def measured(champion: NDArray[np.float64], canary: NDArray[np.float64]) -> Expectation | None:
    """Of edges on the same bars; None where one of them never moves."""
    deviation, other = float(champion.std()), float(canary.std())
    if deviation < 1e-9 or other < 1e-9:
        return None
    told = np.abs(champion) >= SMALL * deviation
    agreement = float(np.mean(np.sign(champion[told]) == np.sign(canary[told]))) if told.any() else 0.5
    correlation = float(np.corrcoef(champion, canary)[0, 1])
    return Expectation(agreement, other / deviation, correlation, deviation)
