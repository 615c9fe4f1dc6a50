"""What became of each row: the common answer of all labelling methods, and the table made of it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ENDINGS = np.array(["vertical", "upper", "lower", "ambiguous"])
VERTICAL, UPPER, LOWER, AMBIGUOUS = range(4)
OUT_OF_DATA, NO_VOLATILITY, NO_SIDE = -1, -2, -3  # why a row has no label
REASONS = {
    OUT_OF_DATA: "unlabelled_horizon",
    NO_VOLATILITY: "unlabelled_volatility",
    NO_SIDE: "unlabelled_side",
}


@dataclass(frozen=True)
class Outcomes:
    """One entry a bar.

    `ending` is an index into `ENDINGS`, or why there is no label. A label lives from the bar after its row to
    `exit_row`; nothing beyond `last_row` has been looked at. A row whose horizon is not over yet has no label but
    does live, until its exit or the last bar of the segment: the labels beside it share their bars with it.
    """

    ending: NDArray[np.int8]
    label: NDArray[np.int8]
    exit_row: NDArray[np.int64]
    last_row: NDArray[np.int64]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """The rows that have a label."""
        return self.ending >= 0

    @property
    def alive(self) -> NDArray[np.bool_]:
        """The rows that begin a life of one bar or more."""
        begun = (self.ending >= 0) | (self.ending == OUT_OF_DATA)
        return begun & (self.exit_row > np.arange(len(self.exit_row)))

    def missing(self) -> dict[str, int]:
        """How many rows have no label, by reason."""
        return {name: int(np.sum(self.ending == reason)) for reason, name in REASONS.items()}


def label_table(bars: pd.DataFrame, outcomes: Outcomes, weight: NDArray[np.float64]) -> pd.DataFrame:
    """The labelled rows as `schema.Labels`.

    Args:
        bars: one symbol's checked bars, oldest first.
        outcomes: one entry a bar.
        weight: shape (bars,); NaN on rows without a label.

    Returns:
        One row a label; `forward_return` is the log return from the next open to the close of `horizon_end`.
    """
    rows = np.flatnonzero(outcomes.labelled)
    lasts = outcomes.last_row[rows]
    opening, close = (bars[name].to_numpy(dtype=np.float64) for name in ("open", "close"))
    timestamp = bars["timestamp"].reset_index(drop=True)
    return pd.DataFrame(
        {
            "symbol": bars["symbol"].iloc[rows].to_numpy(),
            "timestamp": timestamp.iloc[rows].array,
            "label": outcomes.label[rows],
            "forward_return": np.log(close[lasts] / opening[rows + 1]),
            "exit_time": timestamp.iloc[outcomes.exit_row[rows]].array,
            "horizon_end": timestamp.iloc[lasts].array,
            "barrier": ENDINGS[outcomes.ending[rows]],
            "weight": weight[rows],
        }
    ).astype({"symbol": "str", "barrier": "str"})
