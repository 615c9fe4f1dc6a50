"""A refit beside its own procedure: what is wrong with a canary before it has answered, whoever the champion is.

Two references that know nothing of each other: the labels of the rows that calibrated it, which fix the width of its
forecasts, and the folds of its walk-forward, which were trained apart from it. Alone each may mislead: what is not
calibrated fits the labels by chance, and a fold that found nothing to learn says next to nothing.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

BOLD = 0.75  # a slope below is not that of a calibrated model; three times overconfident is 0.33
WIDE = 1.7  # honest refits had 0.7 to 1.6 times the spread of their newest folds, three times as wide ones 2.1 or more
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
    agreement, ratio, bold = version.agreement, version.ratio, version.slope < BOLD
    if agreement is not None and (agreement < OPPOSITE or (bold and agreement < AGAINST)):
        return f"its signs agree with those of its own walk-forward on {agreement:.0%} of the bars"
    if ratio is not None and ratio > WIDE and bold:
        return (
            f"its edges are {ratio:.1f} times as wide as in its own walk-forward, and the labels that calibrated it ask "
            f"for {version.slope:.2f} of that width"
        )
    return None
