"""Returns of bars to returns of days."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def daily_returns(timestamp: pd.Series, net: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compounded net return of each UTC day; a bar belongs to the day in which it closes (midnight: the day before)."""
    day = (timestamp - pd.Timedelta(1, unit="ms")).dt.floor("D").to_numpy()
    growth = pd.Series(np.log1p(np.maximum(net, -1 + 1e-12))).groupby(day).sum()
    return np.expm1(growth.to_numpy())
