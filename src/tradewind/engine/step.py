"""One bar of one account: pure arithmetic, the only place where positions become money."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The account's state: units held, equity at the last close, the target that was last filled, the last close.
UNITS, EQUITY, FILLED, LAST_CLOSE = range(4)
STATE_SIZE = 4


@njit(cache=True, nogil=True)
def new_account() -> Floats:
    """A flat account with an equity of 1."""
    state = np.zeros(STATE_SIZE)
    state[EQUITY] = 1.0
    return state


@njit(cache=True, nogil=True)
def step(
    state: Floats, target: float, opening: float, close: float, cost_share: float, funding_rate: float, must_close: bool
) -> tuple[float, float, float]:
    """Gross, cost and funding of one bar as shares of the equity before it; `state` moves on in place.

    At the open the account trades to `target` (a share of equity), but only if the target differs from the last one
    filled: units are held, not weights. Funding is paid at the open price on the units held through the bar
    (positive rates: longs pay). `must_close` sells at the close, at the same cost: the last bar of a segment. Equity
    never falls below 0: a bankrupt account stays flat and empty.
    """
    before = state[EQUITY]
    if before <= 0.0:
        state[UNITS] = 0.0
        state[LAST_CLOSE] = close
        return 0.0, 0.0, 0.0
    overnight = state[UNITS] * (opening - state[LAST_CLOSE]) if state[UNITS] != 0.0 else 0.0
    cost = 0.0
    if target != state[FILLED]:
        wanted = target * max(before + overnight, 0.0) / opening
        cost += abs(wanted - state[UNITS]) * opening * cost_share
        state[UNITS] = wanted
        state[FILLED] = target
    funding = state[UNITS] * opening * funding_rate
    gross = overnight + state[UNITS] * (close - opening)
    if must_close and state[UNITS] != 0.0:
        cost += abs(state[UNITS]) * close * cost_share
        state[UNITS] = 0.0
        state[FILLED] = 0.0
    elif must_close:
        state[FILLED] = 0.0
    state[LAST_CLOSE] = close
    gross, cost, funding = gross / before, cost / before, funding / before
    net = gross - cost - funding
    if not net > -1.0:
        # What a lender would lose beyond the equity is not the account's. The loss is not split into its parts, so
        # that it is the whole account to the last bit.
        gross, cost, funding = -1.0, 0.0, 0.0
        state[UNITS] = 0.0
        state[FILLED] = 0.0
        state[EQUITY] = 0.0
    else:
        state[EQUITY] = before * (1.0 + net)
    return gross, cost, funding
