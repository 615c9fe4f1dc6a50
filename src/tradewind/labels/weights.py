"""Sample weights: labels that overlap share their information, so each counts for less."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def average_uniqueness(first: NDArray[np.int64], last: NDArray[np.int64], n_bars: int) -> NDArray[np.float64]:
    """Mean over each label's life of 1 / (labels alive on that bar), in (0, 1] (Lopez de Prado 2018, chapter 4).

    A label lives from bar `first` to bar `last`, both included.
    """
    starts = np.zeros(n_bars + 1)
    for label in range(len(first)):
        starts[first[label]] += 1.0
        starts[last[label] + 1] -= 1.0
    shares = np.zeros(n_bars + 1)  # running sum of 1 / (labels alive)
    alive = 0.0
    for bar in range(n_bars):
        alive += starts[bar]
        shares[bar + 1] = shares[bar] + (1.0 / alive if alive > 0 else 0.0)
    out = np.empty(len(first))
    for label in range(len(first)):
        out[label] = (shares[last[label] + 1] - shares[first[label]]) / (last[label] + 1 - first[label])
    return np.minimum(out, 1.0)
