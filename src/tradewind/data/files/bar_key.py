"""What names one table of bars."""

import numpy as np
import pandas as pd

from tradewind.errors import BadData
from tradewind.parameters import Parameters


class BarKey(Parameters):
    """Which bars a table holds."""

    venue: str
    symbol: str
    timeframe: str

    @classmethod
    def from_partition(cls, partition: str) -> "BarKey":
        """The key of the partition `venue/symbol/timeframe`.

        Raises:
            BadData: the name has not three parts.
        """
        parts = partition.split("/")
        if len(parts) != 3:
            raise BadData(f"a partition of bars is named venue/symbol/timeframe, found {partition!r}")
        return cls(venue=parts[0], symbol=parts[1], timeframe=parts[2])

    def __str__(self) -> str:
        return f"{self.venue}/{self.symbol}/{self.timeframe}"

    def columns(self, rows: int) -> dict[str, pd.Series]:
        """The key as table columns of `rows` equal rows."""
        return {name: pd.Series(repeat_text(value, rows)) for name, value in self.model_dump().items()}


def repeat_text(value: str, rows: int) -> pd.api.extensions.ExtensionArray:
    """A text column of `rows` equal cells, without a Python object for each."""
    return pd.array([value], dtype="str").take(np.zeros(rows, dtype=np.int64))
