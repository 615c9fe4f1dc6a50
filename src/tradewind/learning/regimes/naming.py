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
    """

    drift: Floats
    reversal: Floats
    scale: Floats
    bars: Floats


def name_states(states: Behaviour) -> NDArray[np.int64]:
    """The regime of each state, a place in `REGIMES`.

    Volatile: a scale of 1.2 times the typical one (mean of logs, by bars) or more. Of the others trending: a clear
    drift; ranging: a clear reversal, or a scale of 0.9 times the typical one or less without drift. A state that drifts
    and reverts is ranging if the reversal is clearer, in standard errors, and no smaller a share of the clearest
    reversal than the drift is of the clearest drift. A state that does none of this is unknown.
    """
    weight = states.bars / max(states.bars.sum(), 1e-12)
    typical = float(np.exp(weight @ np.log(states.scale)))
    certainty = np.sqrt(np.maximum(states.bars, 0.0))
    drifts, reverts = np.abs(states.drift) * certainty, -states.reversal * certainty
    has_drift = (drifts >= ERRORS) & (np.abs(states.drift) >= LEAST_DRIFT)
    has_reversal = (reverts >= ERRORS) & (states.reversal <= -LEAST_REVERSAL)
    names = np.full(len(weight), UNKNOWN, dtype=np.int64)
    names[states.scale <= NARROW * typical] = RANGING
    names[has_reversal] = RANGING
    is_reversal_more = (reverts > drifts) & (_share(reverts) >= _share(drifts))
    names[has_drift & ~(has_reversal & is_reversal_more)] = TRENDING
    names[states.scale >= WIDE * typical] = VOLATILE
    return names


def _share(amounts: Floats) -> Floats:
    return np.asarray(amounts / max(float(amounts.max()), 1e-12))
