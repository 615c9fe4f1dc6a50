"""Intervals of what executions in a recording cost."""

import numpy as np

from tradewind.data.order_book.replay import Flags, Floats
from tradewind.metrics.resampling import resampled_totals


class Draw:
    """Means and ratios with their 95 % intervals by the stationary bootstrap over arrivals.

    A purchase and a sale of one instant stay together, and every figure of a recording and size is drawn with the same
    blocks.
    """

    def __init__(self, instants: int, resamples: int, renewal: float, generator: np.random.Generator) -> None:
        """Draw the blocks.

        Args:
            instants: of arrival.
            resamples: how many.
            renewal: probability that a block ends after an instant.
            generator: the only source of randomness.
        """
        shape = (resamples, instants)
        self._instants = instants
        self._starts = generator.integers(0, max(instants, 1), shape)
        self._renew = generator.random(shape) < min(renewal, 1.0)

    def mean(self, name: str, values: Floats, counted: Flags) -> dict[str, float]:
        """`NAME_bps` and its ends.

        Args:
            name: of the figure.
            values: of each execution, (executions,).
            counted: which of them count.
        """
        found = self._ratio(values, np.ones(len(values)), counted)
        return dict(zip((f"{name}_bps", f"{name}_low", f"{name}_high"), found, strict=True))

    def ratio(self, name: str, upper: Floats, lower: Floats, counted: Flags) -> dict[str, float]:
        """`NAME` and its ends: a mean by a mean.

        Args:
            name: of the figure.
            upper: of each execution, (executions,).
            lower: what it is divided by.
            counted: which of them count.
        """
        return dict(zip((name, f"{name}_low", f"{name}_high"), self._ratio(upper, lower, counted), strict=True))

    def _ratio(self, upper: Floats, lower: Floats, counted: Flags) -> tuple[float, float, float]:
        if not counted.any():
            return float("nan"), float("nan"), float("nan")
        both = (
            np.where(counted[:, None], np.column_stack([upper, lower]), 0.0).reshape(self._instants, 2, 2).sum(axis=1)
        )
        sums = resampled_totals(both, self._starts, self._renew)
        total = both.sum(axis=0)
        if abs(total[1]) < 1e-12 or (np.abs(sums[:, 1]) < 1e-12).any():
            return float("nan"), float("nan"), float("nan")
        low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
        return float(total[0] / total[1]), float(low), float(high)
