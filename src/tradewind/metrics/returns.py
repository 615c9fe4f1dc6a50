"""Returns of bars to returns of days."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.errors import BadData

DAY_MS = 86_400_000


def daily_returns(timestamp: pd.Series, net: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compounded net return of each UTC day; a bar belongs to the day in which it closes (midnight: the day before).

    Raises:
        BadData: not one return for each timestamp.
    """
    if len(timestamp) != len(net):
        raise BadData(f"a return is needed for each timestamp: {len(timestamp)} timestamps, {len(net)} returns")
    milliseconds = timestamp.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    day = (milliseconds - 1) // DAY_MS
    order = np.argsort(day, kind="stable") if np.any(np.diff(day) < 0) else slice(None)
    day, growth = day[order], np.log1p(np.maximum(net, -1 + 1e-12))[order]
    if not len(day):
        return np.empty(0)
    return np.asarray(np.expm1(np.add.reduceat(growth, np.flatnonzero(np.r_[True, np.diff(day) > 0]))))
