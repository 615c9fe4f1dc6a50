"""How alike the edges (p_up - p_down) of two models are on the same bars."""

import numpy as np
from numpy.typing import NDArray

# An edge nearer to zero than this share of its spread has no sign worth agreeing with.
SMALL = 0.25
FEWEST = 100  # bars, below which there is no figure
STILL = 1e-9  # a spread that is none


def sign_agreement(edge: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Share of bars on which both have one sign, of those where the first is not small; None where it always is.

    Args:
        edge: of the one that is agreed with, (bars,).
        other: on the same bars, (bars,).
    """
    is_large = np.abs(edge) >= max(SMALL * float(edge.std()), STILL)
    return float(np.mean(np.sign(edge[is_large]) == np.sign(other[is_large]))) if is_large.any() else None


def agreement_and_ratio(edge: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """`sign_agreement`, and the spread of the second as a multiple of the first's; None where the bars are fewer than
    `FEWEST`, or the first never moves.

    Args:
        edge: of the one that is compared with, (bars,).
        other: on the same bars, (bars,).
    """
    deviation = float(edge.std()) if len(edge) >= FEWEST else 0.0
    if deviation < STILL:
        return None, None
    return sign_agreement(edge, other), float(other.std()) / deviation
