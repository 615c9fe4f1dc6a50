"""Why a target is what it is, as short codes."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The place of a code is its bit.
CODES = (
    "no_forecast",  # the model says nothing here: too few features are known
    "below_entry",  # flat, and the edge is too small to enter
    "does_not_pay_costs",  # flat: the edge would do, the expected return does not pay the round trip
    "segment_began",  # the first bar after a gap, or of all
    "entered",  # a position is opened
    "held",  # a position is kept
    "left",  # a position is closed
    "no_volatility",  # there is a direction, and no volatility to size it by
    "infinite_feature",  # a feature is infinite: no forecast is asked for
    "filtered",  # a rule would hold a position, and the model that filters it does not agree
    "chose_flat",  # an agent was free to hold a position, and chose none
    "no_action",  # a policy of an agent says no number: what it holds is closed
)
NO_FORECAST, BELOW_ENTRY, NOT_PAID, BEGAN, ENTERED, HELD, LEFT, UNSIZED, INFINITE, FILTERED, CHOSE_FLAT, NO_ACTION = (
    1 << at for at in range(12)
)


def codes_of(bits: int) -> tuple[str, ...]:
    """The codes of some bits."""
    return tuple(code for at, code in enumerate(CODES) if bits >> at & 1)


@njit(cache=True, nogil=True)
def explain_position(before: float, direction: Floats, target: Floats) -> NDArray[np.int64]:
    """entered, held, left or no_volatility on each bar; `before` is the direction on the bar before the first.

    Args:
        before: the direction (-1, 0, 1) on the bar before the first.
        direction: shape (bars,), -1, 0 or 1.
        target: shape (bars,), signed shares of equity; 0 where a direction has no size for want of a volatility.
    """
    out = np.zeros(len(direction), dtype=np.int64)
    for row in range(len(direction)):
        now = direction[row]
        if now != before:
            out[row] |= (LEFT if before != 0.0 else 0) | (ENTERED if now != 0.0 else 0)
        elif now != 0.0:
            out[row] |= HELD
        if now != 0.0 and target[row] == 0.0:
            out[row] |= UNSIZED
        before = now
    return out


@njit(cache=True, nogil=True)
def explain_absence(direction: Floats, edge: Floats, entry: float) -> NDArray[np.int64]:
    """Why each bar without a direction has none; 0 where there is one. `entry` is the edge that would open one.

    Args:
        direction: shape (bars,), -1, 0 or 1.
        edge: shape (bars,), smoothed p_up - p_down, NaN without a forecast.
        entry: the edge that would open a position.
    """
    out = np.zeros(len(direction), dtype=np.int64)
    for row in range(len(direction)):
        if np.isnan(edge[row]):
            out[row] = NO_FORECAST
        elif direction[row] == 0.0:
            out[row] = BELOW_ENTRY if abs(edge[row]) < entry else NOT_PAID
    return out
