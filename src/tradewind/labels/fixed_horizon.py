"""Returns over fixed horizons, and their sign as a label: the plainest of targets."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadParameters


def forward_returns(bars: pd.DataFrame, horizons: Sequence[int]) -> NDArray[np.float64]:
    """Log return from the next bar's open to the close `horizon` bars after the decision, one row a horizon.

    Missing where the horizon leaves the segment or the data.

    Raises:
        BadParameters: a horizon below one bar.
    """
    if any(horizon < 1 for horizon in horizons):
        raise BadParameters(f"horizons must be at least one bar, found {list(horizons)}")
    opening, close = (np.log(bars[name].to_numpy(dtype=np.float64)) for name in ("open", "close"))
    segment = bars["segment"].to_numpy()
    out = np.full((len(horizons), len(bars)), np.nan)
    for row, horizon in enumerate(horizons):
        last = len(bars) - horizon
        if last > 0:
            same = segment[horizon:] == segment[:last]
            out[row, :last] = np.where(same, close[horizon:] - opening[1 : last + 1], np.nan)
    return out
