"""Which way the clearest coming trend points: trend scanning (Lopez de Prado 2020, section 5.4)."""

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from pydantic import Field, model_validator

from tradewind.learning.labels.outcome import OUT_OF_DATA, VERTICAL, Outcomes
from tradewind.learning.labels.segment_end import last_rows
from tradewind.parameters import Parameters


class TrendScanning(Parameters):
    """Spans that are tried (`params:feature_engineering.labels`, `method: trend_scanning`).

    From the bar after the decision on, the log close is regressed on time over every span of `min_bars` to
    `horizon_bars`; the span whose slope has the largest absolute t-value decides. 1 or -1 is the slope's sign, 0 where
    no t-value reaches `min_t`. Searching many spans makes large values likely: on a random walk half of all rows pass
    5, so `min_t` is no significance level.
    """

    method: Literal["trend_scanning"] = "trend_scanning"
    min_bars: Annotated[int, Field(ge=3, le=10_000)] = 6
    horizon_bars: Annotated[int, Field(ge=3, le=10_000)] = 24
    min_t: Annotated[float, Field(ge=0)] = 5.0

    @model_validator(mode="after")
    def _spans_in_order(self) -> "TrendScanning":
        if self.min_bars > self.horizon_bars:
            raise ValueError(f"min_bars ({self.min_bars}) must not exceed horizon_bars ({self.horizon_bars})")
        return self

    def outcomes(self, bars: pd.DataFrame) -> Outcomes:
        """The sign of the clearest trend. All spans are looked at, so every label lives to the end of the longest."""
        segment = bars["segment"].to_numpy(dtype=np.int32)
        last = last_rows(segment, self.horizon_bars)
        logs = np.log(bars["close"].to_numpy(dtype=np.float64))
        t_value, _ = scan_trends(logs, last, self.min_bars)
        is_whole = last == np.arange(len(bars)) + self.horizon_bars
        ending = np.where(is_whole, VERTICAL, OUT_OF_DATA).astype(np.int8)
        label = np.where(is_whole & (np.abs(t_value) >= self.min_t), np.sign(t_value), 0).astype(np.int8)
        return Outcomes(ending, label, last, last)


@njit(cache=True, nogil=True)
def scan_trends(
    logs: NDArray[np.float64], last: NDArray[np.int64], min_bars: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Per row the t-value of the slope over the clearest span after it, and that span's last row.

    Ordinary least squares of the log close on 1 to n. All spans of a row share their running sums, taken from the
    span's first value so that large prices lose no digits. A perfect line has a t-value of 1e8, a constant one of 0.
    Rows with fewer than `min_bars` bars left in their segment get 0 and their last bar.

    Args:
        logs: log closes, shape (bars,).
        last: for each row the last row that may be looked at: the end of its horizon or segment.
        min_bars: the shortest span; three or more.

    Returns:
        t-values and rows, shape (bars,) each.
    """
    best_t, best_row = np.zeros(len(logs)), last.copy()
    for row in range(len(logs)):
        sum_y = sum_xy = sum_yy = 0.0
        strongest = -1.0
        for bar in range(row + 1, last[row] + 1):
            n, y = bar - row, logs[bar] - logs[row + 1]
            sum_y += y
            sum_xy += n * y
            sum_yy += y * y
            if n < min_bars:
                continue
            spread_x = n * (n * n - 1.0) / 12.0
            spread_xy = sum_xy - sum_y * (n + 1) / 2.0
            spread_y = sum_yy - sum_y * sum_y / n
            if spread_y <= 1e-14 * sum_yy or sum_yy == 0.0:
                t = 0.0
            else:
                slope = spread_xy / spread_x
                residual = max(spread_y - slope * spread_xy, 1e-16 * spread_y * (n - 2))
                t = slope / np.sqrt(residual / (n - 2) / spread_x)
                t = min(max(t, -1e8), 1e8)
            if abs(t) > strongest:
                strongest, best_t[row], best_row[row] = abs(t), t, bar
    return best_t, best_row
