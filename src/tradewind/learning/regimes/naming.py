"""Names of fitted states, from what they do: drift, autocorrelation and scale, never from the order of fitting."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tradewind.learning.regimes.base import RANGING, TRENDING, UNKNOWN, VOLATILE

Floats = NDArray[np.float64]
ERRORS = 2.0  # a drift or a reversal of fewer standard errors is none
LEAST_DRIFT, LEAST_REVERSAL = 0.03, 0.05  # of a bar's deviation; of the last move
WIDE, NARROW = 1.2, 0.9  # against the typical scale


class Behaviour(NamedTuple):
    """What each state does, (states,) each.

    Attributes:
        drift: mean of a bar, in standard deviations of the state's own bars.
        reversal: autocorrelation of the bars.
        scale: deviation of the bars, in any unit.
        bars: how many bars it explains.
        stay: how many bars a visit lasts on average.
    """

    drift: Floats
    reversal: Floats
    scale: Floats
    bars: Floats
    stay: Floats


def name_states(states: Behaviour) -> NDArray[np.int64]:
    """The regime of each state, a place in `REGIMES`.

    Volatile: a scale of 1.2 times the typical one (mean of logs, by bars) or more. Of the others trending: a clear
    drift, and over a visit the price gets further than by a random walk of the same deviation, though its bars may
    reverse (the variance ratio of Lo and MacKinlay 1988 over a visit: reversal in the long run, and the drift's square
    times the bars, less its own error); ranging: a clear reversal, or a scale of 0.9 times the typical one or less
    without drift. A state that does none of this is unknown.
    """
    weight = states.bars / max(states.bars.sum(), 1e-12)
    typical = float(np.exp(weight @ np.log(states.scale)))
    certainty = np.sqrt(np.maximum(states.bars, 0.0))
    has_drift = (np.abs(states.drift) * certainty >= ERRORS) & (np.abs(states.drift) >= LEAST_DRIFT)
    has_reversal = (-states.reversal * certainty >= ERRORS) & (states.reversal <= -LEAST_REVERSAL)
    carried = states.stay * np.maximum(states.drift**2 - 1.0 / np.maximum(states.bars, 1.0), 0.0)
    gets_further = (1.0 + states.reversal) / (1.0 - states.reversal) + carried > 1.0
    names = np.full(len(weight), UNKNOWN, dtype=np.int64)
    names[states.scale <= NARROW * typical] = RANGING
    names[has_reversal] = RANGING
    names[has_drift & (gets_further | ~has_reversal)] = TRENDING
    names[states.scale >= WIDE * typical] = VOLATILE
    return names
