"""A refit beside its own procedure: what is wrong with a canary before it has answered, whoever the champion is.

Two references that know nothing of each other: the labels of the rows that calibrated it, which fix the width of its
forecasts, and the folds of its walk-forward, which were trained apart from it and have its signs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

# Slopes of honest refits were 0.86 to 1.6, those of three times overconfident ones 0.29 to 0.54. Where the refit is
# much wider than its newest folds, too (honest ones had up to 1.6 times their spread), less says enough.
BOLD, BOLD_AND_WIDE, WIDE = 0.6, 0.75, 1.7
OPPOSITE, AGAINST = 0.25, 0.5  # of signs: by itself, and where the labels say so, too


class Itself(NamedTuple):
    """`bundle.past.about_itself` of a version.

    Attributes:
        slope: by which its log-probabilities fit the labels best that calibrated it.
        agreement: of its signs with its walk-forward, None where that cannot say.
        ratio: of its spread to that of its walk-forward, None where that cannot say.
    """

    slope: float
    agreement: float | None
    ratio: float | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Itself":
        """From the bundle's document."""
        return cls(*(document[name] for name in cls._fields))


def fault_of(version: Itself) -> str | None:
    """What is wrong with it in words, None for nothing."""
    slope, agreement, ratio = version
    if agreement is not None and (agreement < OPPOSITE or (slope < BOLD_AND_WIDE and agreement < AGAINST)):
        return f"its signs agree with those of its own walk-forward on {agreement:.0%} of the bars"
    wide = ratio is not None and ratio > WIDE
    if slope < (BOLD_AND_WIDE if wide else BOLD):
        beside = f" of {ratio:.1f} times that of its walk-forward" if ratio is not None else ""
        return f"the labels that calibrated it ask for {slope:.2f} of its width{beside}"
    return None
