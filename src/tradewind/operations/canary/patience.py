"""How many neighbouring decisions count as one: they tell nearly the same, and two honest models drift apart for weeks
and together again, so that a test that counts every decision as new takes such a canary back.
"""

import numpy as np
from numpy.typing import NDArray

from tradewind.metrics.agreement import SMALL
from tradewind.operations.canary.expectation import Expectation

TRIAL = 200  # decisions within which a fault is to be found, and over which agreement is looked at
MOST = 12.0  # with more, faults would take more than so many decisions
FEWEST_BLOCKS = 5


def patient(expected: Expectation, champion: NDArray[np.float64], canary: NDArray[np.float64]) -> Expectation:
    """The expectation with its patience: how much more the agreement varies from trial to trial than if every decision
    were drawn alone (the variance inflation of batch means), 1 to `MOST`.

    Measured on the newer half of both walk-forwards, and by signs: the width of the edges differs from fold to fold, of
    two deployed models it does not. A factor within its own error of one is one.

    Args:
        expected: of the two.
        champion: its edges in the walk-forward, in the order of time.
        canary: its edges on the same bars.
    """
    mine, theirs = champion[len(champion) // 2 :], canary[len(canary) // 2 :]
    said = np.abs(mine) >= SMALL * mine.std()
    differs = (np.sign(mine) != np.sign(theirs))[said].astype(np.float64)
    length = min(TRIAL, len(differs) // FEWEST_BLOCKS)
    share = differs.mean() if len(differs) else 0.0
    if length < 2 or not 0.0 < share < 1.0:
        return expected
    blocks = differs[len(differs) % length :].reshape(-1, length).mean(axis=1)
    factor = float(blocks.var(ddof=1)) / (share * (1.0 - share) / length)
    error = 2.0 * float(np.sqrt(2.0 / (len(blocks) - 1)))
    return expected._replace(patience=1.0 if factor < 1.0 + error else float(min(factor, MOST)))
