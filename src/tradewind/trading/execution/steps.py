"""What quantities venues take."""

import itertools
import math
from typing import NamedTuple


class Steps(NamedTuple):
    """What quantities venues take: multiples of a lot (0: any), and none below the smallest."""

    lot: float = 0.0
    smallest: float = 0.0

    def rounded(self, quantity: float) -> float:
        """Towards zero, to a multiple of the lot."""
        return round(math.floor(quantity / self.lot * (1 + 1e-12)) * self.lot, 12) if self.lot > 0 else quantity

    def parts(self, quantity: float, count: int) -> list[float]:
        """So many parts, equal to within a lot, whose sum is the quantity rounded towards zero.

        Args:
            quantity: to be parted.
            count: of parts.
        """
        if self.lot <= 0:
            return [quantity / count] * count
        until = [self.rounded(quantity * at / count) for at in range(count + 1)]
        return [round(after - before, 12) for before, after in itertools.pairwise(until)]


NO_STEPS = Steps()
