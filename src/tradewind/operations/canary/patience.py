"""How many neighbouring decisions count as one: they tell nearly the same, and two honest models drift apart for weeks
and together again, so that a test that counts every decision as new takes such a canary back.
"""

import numpy as np
from numpy.typing import NDArray

from tradewind.metrics.agreement import FEWEST, SMALL
from tradewind.operations.canary.expectation import Expectation

TRIAL = 200  # decisions within which a fault is to be found, and over which agreement is looked at
MOST = 12.0  # with more, faults would take more than so many decisions
FEWEST_STRETCHES = 10  # of so many decisions each, below which the walk-forwards are too short to say


def patient(expected: Expectation, champion: NDArray[np.float64], canary: NDArray[np.float64]) -> Expectation:
    """The expectation with its patience: how much more the agreement varies from trial to trial than if every decision
    were drawn alone (the variance inflation of batch means), 1 to `MOST`.

    Measured on the newer half of both walk-forwards, and by signs: the width of the edges differs from fold to fold, of
    two deployed models it does not. A factor within its own error of one is one; where they are too short to say, or
    the champion says too little in them, it is `MOST`.

    Args:
        expected: of the two.
        champion: its edges in the walk-forward, in the order of time.
        canary: its edges on the same bars.
    """
    mine, theirs = champion[len(champion) // 2 :], canary[len(canary) // 2 :]
    said = np.abs(mine) >= SMALL * mine.std()
    differs = (np.sign(mine) != np.sign(theirs))[said].astype(np.float64)
    stretches, share = len(differs) // TRIAL, float(differs.mean()) if len(differs) else 0.0
    if len(differs) >= FEWEST and share in (0.0, 1.0):
        return expected  # they never differ, or always do
    if stretches < FEWEST_STRETCHES:
        return expected._replace(patience=MOST)
    means = differs[len(differs) % TRIAL :].reshape(stretches, TRIAL).mean(axis=1)
    factor = float(means.var(ddof=1)) / (share * (1.0 - share) / TRIAL)
    error = 2.0 * float(np.sqrt(2.0 / (stretches - 1)))
    return expected._replace(patience=1.0 if factor < 1.0 + error else min(factor, MOST))
