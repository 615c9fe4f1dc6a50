"""How much to hold: less where prices move more."""

from typing import Annotated, NamedTuple

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


class Held(NamedTuple):
    """What `fold_size` carries from bar to bar: the last direction (NaN before the first bar) and the position held."""

    direction: float = np.nan
    target: float = 0.0


@njit(cache=True, nogil=True)
def fold_size(
    held: Held, direction: Floats, volatility: Floats, target_per_bar: float, largest: float
) -> tuple[Held, Floats]:
    """`size_at_entry` of the bars that follow those after which the state was `held`.

    Args:
        held: the state; `Held()` before the first bar.
        direction: -1, 0 or 1 on each bar.
        volatility: of one bar's log return, as known on each bar; NaN where unknown.
        target_per_bar: wanted volatility of the position over one bar.
        largest: largest position, as a share of equity.

    Returns:
        The state after the last bar, and the signed target on each bar.
    """
    out = np.zeros(len(direction))
    last, target = held.direction, held.target
    for row in range(len(direction)):
        # NaN, the direction before the first bar, differs from every direction.
        if direction[row] != last or (target == 0.0 and direction[row] != 0.0):
            has_volatility = volatility[row] > 0.0
            target = direction[row] * min(target_per_bar / volatility[row], largest) if has_volatility else 0.0
        last = direction[row]
        out[row] = target
    return Held(last, target), out


@njit(cache=True, nogil=True)
def size_at_entry(direction: Floats, volatility: Floats, target_per_bar: float, largest: float) -> Floats:
    """Signed target positions. The size is set when the direction changes and kept until the next change, so that
    volatility alone does not make trades. Without a volatility there is no position.

    Args:
        direction: shape (bars,), -1, 0 or 1.
        volatility: shape (bars,), log-return per bar, NaN where not known.
        target_per_bar: the volatility a bar that a position is sized for.
        largest: the largest absolute position, a share of equity.
    """
    return fold_size(Held(np.nan, 0.0), direction, volatility, target_per_bar, largest)[1]
