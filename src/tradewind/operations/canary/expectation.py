"""What an honest canary has in common with the champion: what both say of past rows, as they are deployed.

Without such rows their walk-forward forecasts tell, less well: each fold's model has a width of its own.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.metrics.agreement import FEWEST, STILL, sign_agreement

COMPARABLE = 0.3  # a lower correlation is no common ground: one of the two says next to nothing


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
    def is_comparable(self) -> bool:
        """Whether one model's edge tells anything of the other's."""
        return self.correlation >= COMPARABLE

    @property
    def is_opposite(self) -> bool:
        """Whether it tells the opposite."""
        return self.correlation <= -COMPARABLE


def in_common(champion: NDArray[Any], canary: NDArray[Any]) -> NDArray[np.float64]:
    """The edges of both on the bars that both have forecast, (bars, 2), from two arrays of `measuring.EDGES`."""
    mine, theirs = ({(one["symbol"], one["timestamp"]): one["edge"] for one in rows} for rows in (champion, canary))
    common = [key for key in mine if key in theirs]
    return np.array([(mine[key], theirs[key]) for key in common], dtype=np.float64).reshape(-1, 2)


def expectation(champion: NDArray[Any], canary: NDArray[Any]) -> Expectation | None:
    """From two arrays of `measuring.EDGES`; None where they share too few bars to say."""
    pairs = in_common(champion, canary)
    return measured(pairs[:, 0], pairs[:, 1]) if len(pairs) >= FEWEST else None


def on_past_rows(
    champion: NDArray[np.float64], canary: NDArray[np.float64], patience: float = 1.0
) -> Expectation | None:
    """From what both say of the same past rows, as they are deployed.

    Of one that never moves nothing is asked that the other could be compared by: the correlation is 0.

    Args:
        champion: its forecasts, (rows, 4); NaN where it has none.
        canary: of the same rows, (rows, 4).
        patience: how many decisions count as one.

    Returns:
        None where fewer than `FEWEST` rows have a forecast by both.
    """
    edges = np.column_stack([one[:, 2] - one[:, 0] for one in (champion, canary)])
    edges = edges[np.isfinite(edges).all(axis=1)]
    if len(edges) < FEWEST:
        return None
    found = measured(edges[:, 0], edges[:, 1])
    if found is None:
        # Around zero, as a trial measures them: one that always says the same small edge goes on saying it.
        deviation, other = np.maximum(np.sqrt((edges**2).mean(axis=0)), STILL).tolist()
        stopped = edges[:, 0].std() >= STILL
        found = Expectation(0.5, 0.0 if stopped else other / deviation, 0.0, deviation)
    return found._replace(patience=patience)


def measured(champion: NDArray[np.float64], canary: NDArray[np.float64]) -> Expectation | None:
    """Of edges on the same bars; None where one of them never moves."""
    deviation, other = float(champion.std()), float(canary.std())
    if deviation < STILL or other < STILL:
        return None
    agreement = sign_agreement(champion, canary)
    correlation = float(np.corrcoef(champion, canary)[0, 1])
    return Expectation(0.5 if agreement is None else agreement, other / deviation, correlation, deviation)
