"""Bets that cannot be expected to win while a hypothesis is true: evidence that is valid whenever somebody looks."""

import math
from dataclasses import dataclass

MOST = 0.5  # that a bet can lose of what there is


@dataclass
class Bet:
    """One sequence of bets that values are above 0 on average (Waudby-Smith and Ramdas 2024).

    The stake is chosen before each value is known. While the mean is at most 0, the wealth exp(logarithm) cannot be
    expected to grow, so that it reaches 1 / alpha with a probability of at most alpha (Ville 1939).

    Attributes:
        logarithm: of the wealth, which begins at 1.
        count: of values.
        total, squares: sums, from which the next stake follows.
    """

    logarithm: float = 0.0
    count: int = 0
    total: float = 0.0
    squares: float = 0.1

    def observe(self, value: float, bound: float) -> None:
        """Settle a bet.

        Args:
            value: what came.
            bound: of its size, known beforehand.
        """
        stake = min(max(self.total / self.squares, 0.0), MOST / max(bound, 1e-9))
        self.logarithm += math.log1p(stake * value)
        self.count += 1
        self.total += value
        self.squares += value * value

    @property
    def e_value(self) -> float:
        """The wealth; 20 is what a test at 5 % asks."""
        return math.exp(min(self.logarithm, 700.0))


def mean_evidence(bets: list[Bet]) -> float:
    """The mean of e-values is one, whatever their dependence (Vovk and Wang 2021).

    Args:
        bets: on the same hypothesis.
    """
    return sum(bet.e_value for bet in bets) / len(bets)
