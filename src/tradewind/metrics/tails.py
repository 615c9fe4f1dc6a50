"""The losing end of a distribution of returns."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def value_at_risk(returns: Floats, level: float = 0.95) -> float:
    """The loss that is exceeded in one of `1 / (1 - level)` periods, as a positive share; NaN without returns."""
    return float(-np.quantile(returns, 1 - level)) if len(returns) else float("nan")


def expected_shortfall(returns: Floats, level: float = 0.95) -> float:
    """The mean loss at and beyond the value at risk (CVaR; Rockafellar and Uryasev 2000), as a positive share."""
    if not len(returns):
        return float("nan")
    return float(-returns[returns <= np.quantile(returns, 1 - level)].mean())
