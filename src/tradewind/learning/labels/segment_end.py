"""How far a row can be followed."""

import numpy as np
from numpy.typing import NDArray


def last_rows(segment: NDArray[np.int32], horizon: int) -> NDArray[np.int64]:
    """Per row the row `horizon` bars later, or the last of its segment if that comes first."""
    rows = np.arange(len(segment))
    breaks = np.flatnonzero(np.diff(segment) != 0)
    ends = np.append(breaks, len(segment) - 1)
    return np.minimum(rows + horizon, ends[np.searchsorted(ends, rows)]).astype(np.int64)
