"""The slow check: is the canary's log loss lower? Valid at whatever moment somebody looks.

A bet on the difference of the two losses, the stake chosen before each is known, cannot be expected to grow while the
canary is no better (Waudby-Smith and Ramdas 2024); labels over a horizon overlap, so that every horizon-th timestamp
has a bet of its own, and their mean counts (Henzi and Ziegel 2022).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tradewind.metrics.betting import Bet, mean_evidence
from tradewind.operations.canary.rules import CanaryRules

FLOOR = 0.01  # a probability below it counts as this: a single label cannot decide
Outcome = Literal["undecided", "promote", "keep"]


def gain_of(
    champion: NDArray[np.float64], canary: NDArray[np.float64], label: NDArray[np.int64]
) -> tuple[float, float]:
    """By how much the canary's log loss is lower at one timestamp, on average over the symbols, and the most that it
    could have been.

    Args:
        champion: its probabilities, shape (symbols, 3).
        canary: its probabilities, shape (symbols, 3).
        label: -1, 0 or 1, shape (symbols,).
    """
    gains = np.log(np.maximum(canary, FLOOR)) - np.log(np.maximum(champion, FLOOR))
    return float(np.mean(gains[np.arange(len(label)), label + 1])), float(np.abs(gains).max())


@dataclass
class SlowTest:
    """The evidence that the canary is better (`e_value`), and that it is worse, for the page alone.

    Attributes:
        rules: of the trial.
        horizon_bars: of the label.
        bar_ms: duration of a bar.
    """

    rules: CanaryRules
    horizon_bars: int
    bar_ms: int
    first_ms: int = -1
    last_ms: int = -1
    settled: int = 0
    gained: float = 0.0
    _better: list[Bet] = field(default_factory=list)
    _worse: list[Bet] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._better = [Bet() for _ in range(self.horizon_bars)]
        self._worse = [Bet() for _ in range(self.horizon_bars)]

    def settle(
        self, at_ms: int, champion: NDArray[np.float64], canary: NDArray[np.float64], label: NDArray[np.int64]
    ) -> None:
        """Take in the labels of one timestamp once they are known, in the order of time.

        Args:
            at_ms: of the decisions.
            champion: its probabilities, shape (symbols, 3).
            canary: its probabilities, shape (symbols, 3).
            label: -1, 0 or 1, shape (symbols,).
        """
        self.settle_gain(at_ms, *gain_of(champion, canary, label))

    def settle_gain(self, at_ms: int, difference: float, bound: float) -> None:
        """The same where the losses are known: by how much the canary's was lower, and the most that could have been.

        Args:
            at_ms: of the decisions.
            difference: log loss of the champion less that of the canary, on average over the symbols.
            bound: of its size.
        """
        turn = (at_ms // self.bar_ms) % self.horizon_bars
        self._better[turn].observe(difference, bound)
        self._worse[turn].observe(-difference, bound)
        self.first_ms = at_ms if self.first_ms < 0 else self.first_ms
        self.last_ms = at_ms
        self.settled, self.gained = self.settled + 1, self.gained + difference

    @property
    def mean_gain(self) -> float:
        """By how much the canary's log loss was lower, on average over timestamps; 0 before the first."""
        return self.gained / self.settled if self.settled else 0.0

    @property
    def days(self) -> float:
        """Of settled labels."""
        return (self.last_ms - self.first_ms) / 86_400_000

    @property
    def e_value(self) -> float:
        """Evidence that the canary's loss is lower; 20 is what a test at 5 % asks."""
        return mean_evidence(self._better)

    @property
    def e_value_worse(self) -> float:
        """Evidence that it is higher; the fast checks act, this only tells."""
        return mean_evidence(self._worse)

    @property
    def outcome(self) -> Outcome:
        """Whether to promote, or to keep the champion since time is up."""
        if self.e_value >= self.rules.promote_at and self.days >= self.rules.min_days:
            return "promote"
        return "keep" if self.days >= self.rules.max_days else "undecided"
