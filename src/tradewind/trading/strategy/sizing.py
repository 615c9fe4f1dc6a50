"""How much to hold: less where prices move more."""

from typing import Annotated

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field

from tradewind.parameters import Parameters

Floats = NDArray[np.float64]


class SizingRules(Parameters):
    """Volatility targeting (`params:trading`, `sizing`): so large that the position has this annual volatility, at most
    `max_position` of equity."""

    target_volatility_annual: Annotated[float, Field(gt=0, le=10)] = 0.4
    max_position: Annotated[float, Field(gt=0, le=1)] = 1.0
    volatility_window: Annotated[int, Field(ge=2, le=100_000)] = 72


@njit(cache=True, nogil=True)
def size_at_entry(direction: Floats, volatility: Floats, target_per_bar: float, largest: float) -> Floats:
    """Signed target positions. The size is set when the direction changes and kept until the next change, so that
    volatility alone does not make trades. Without a volatility there is no position."""
    out = np.zeros(len(direction))
    held = 0.0
    for row in range(len(direction)):
        if row == 0 or direction[row] != direction[row - 1] or (held == 0.0 and direction[row] != 0.0):
            known = volatility[row] > 0.0
            held = direction[row] * min(target_per_bar / volatility[row], largest) if known else 0.0
        out[row] = held
    return out
