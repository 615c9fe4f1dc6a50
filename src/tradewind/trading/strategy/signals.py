"""From forecasts to a direction: in when it pays, out when the reason is gone."""

from typing import Annotated

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tradewind.parameters import Parameters

Floats = NDArray[np.float64]


class SignalRules(Parameters):
    """When to enter and to leave (`params:trading`, `signal`).

    The edge is p_up - p_down, averaged over about `smoothing_bars` (an exponential mean; 0: as it comes): forecasts of
    neighbouring bars share most of their horizon, and what differs between them is mostly noise that would be traded.
    Enter in the direction of the edge when its size reaches `entry_threshold` and the expected return pays
    `cost_multiple` round trips; leave when it falls below `exit_threshold` or turns. The thresholds are set beforehand,
    not searched: no part of the test decides them.
    """

    smoothing_bars: Annotated[float, Field(ge=0, le=10_000)] = 12.0
    entry_threshold: Annotated[float, Field(gt=0, le=1)] = 0.10
    exit_threshold: Annotated[float, Field(ge=0, le=1)] = 0.02
    cost_multiple: Annotated[float, Field(ge=0, le=100)] = 1.0

    @model_validator(mode="after")
    def _leaves_after_entering(self) -> "SignalRules":
        if self.exit_threshold >= self.entry_threshold:
            raise ValueError(
                f"exit_threshold {self.exit_threshold} must be below entry_threshold {self.entry_threshold}"
            )
        return self


@njit(cache=True, nogil=True)
def fold_direction(
    held: float, edge: Floats, expected_return: Floats, hurdle: Floats, entry: float, leave: float
) -> tuple[float, Floats]:
    """`direction` of the bars that follow those after which `held` (0.0 before the first) was the direction.

    Args:
        held: -1, 0 or 1, the state.
        edge: p_up - p_down of each bar; NaN without a forecast.
        expected_return: log return over the horizon, one a bar; NaN where the model gives none.
        hurdle: log return that the costs ask for, one a bar.
        entry: size of the edge from which a position is opened.
        leave: size of the edge below which it is closed.

    Returns:
        The state after the last bar, and the direction on each bar.
    """
    out = np.zeros(len(edge))
    for row in range(len(edge)):
        size, sign = abs(edge[row]), np.sign(edge[row])
        if np.isnan(edge[row]) or (held != 0.0 and (size < leave or sign != held)):
            held = 0.0
        if held == 0.0 and size >= entry:
            pays = np.isnan(expected_return[row]) or expected_return[row] * sign > hurdle[row]
            held = sign if pays else 0.0
        out[row] = held
    return held, out


@njit(cache=True, nogil=True)
def direction(edge: Floats, expected_return: Floats, hurdle: Floats, entry: float, leave: float) -> Floats:
    """-1, 0 or 1 on each bar of a whole history.

    A bar without a forecast (NaN) is flat. An expected return that a model does not give (NaN beside an edge) does not
    keep it out. The arguments are those of `fold_direction`.

    Args:
        edge: shape (bars,), smoothed p_up - p_down, NaN without a forecast.
        expected_return: shape (bars,), log return over the horizon, NaN where the model gives none.
        hurdle: shape (bars,), the log return that pays for a round trip.
        entry: the absolute edge that opens a position.
        leave: the edge in the position's direction below which it is closed.
    """
    return fold_direction(0.0, edge, expected_return, hurdle, entry, leave)[1]


@njit(cache=True, nogil=True)
def fold_smooth(last: float, values: Floats, span: float) -> tuple[float, Floats]:
    """`smooth` of the values that follow those after which the mean was `last` (NaN before the first): (last, mean).

    Args:
        last: the mean after the bar before the first, NaN where there was none.
        values: shape (bars,), NaN where missing.
        span: of the exponential mean, in bars; 0 leaves the values as they are.
    """
    out = values.copy()
    weight = 2.0 / (span + 1.0) if span > 1.0 else 1.0
    for row in range(len(values)):
        if not np.isnan(values[row]) and not np.isnan(last):
            out[row] = last + weight * (values[row] - last)
        last = out[row]
    return last, out


@njit(cache=True, nogil=True)
def smooth(values: Floats, span: float) -> Floats:
    """Exponential mean with weight 2 / (span + 1), started anew after a missing value; the values themselves for 0."""
    return fold_smooth(np.nan, values, span)[1]
