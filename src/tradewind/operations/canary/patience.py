"""How much evidence the fast checks ask for: so much that the canary's own walk-forward would not have been taken back.

Neighbouring decisions tell nearly the same, and two honest models drift apart for weeks and together again: a test that
counts every decision as new takes such a canary back. How long they do so is seen on both walk-forwards.
"""

import numpy as np
from numpy.typing import NDArray

from tradewind.operations.canary.expectation import Expectation
from tradewind.operations.canary.fast_checks import FastChecks
from tradewind.operations.canary.rules import CanaryRules

STEPS = (1.0, 1.5, 2.0, 3.0)  # with more, faults would take more than hundreds of decisions
TRIAL = 1000  # decisions of one replayed trial
APART = 200  # decisions from the beginning of one to that of the next


def patient(
    expected: Expectation, champion: NDArray[np.float64], canary: NDArray[np.float64], rules: CanaryRules
) -> Expectation:
    """The expectation with the least patience by which at most `rules.most_false` of replayed trials end, 3 at most.

    Trials are replayed on the newer half of the walk-forward, whose models are nearer to those on trial.

    Args:
        expected: of the two.
        champion: its edges in the walk-forward, in the order of time.
        canary: its edges on the same bars.
        rules: of the trial.
    """
    starts = range(len(champion) // 2, max(len(champion) - TRIAL // 2, len(champion) // 2 + 1), APART)
    mine, theirs = champion.tolist(), canary.tolist()
    allowed = rules.most_false * len(starts)
    open_ones = list(starts)
    for step in STEPS:
        found = expected._replace(patience=step)
        # More patience ends no trial that less did not end.
        open_ones = [start for start in open_ones if _ends(found, mine, theirs, start, rules)]
        if len(open_ones) <= allowed:
            return found
    return expected._replace(patience=STEPS[-1])


def _ends(expected: Expectation, champion: list[float], canary: list[float], start: int, rules: CanaryRules) -> bool:
    checks = FastChecks(rules, expected, 1.0)
    pairs = zip(champion[start : start + TRIAL], canary[start : start + TRIAL], strict=True)
    return any(checks.compare(mine, theirs) for mine, theirs in pairs)
