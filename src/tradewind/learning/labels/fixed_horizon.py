"""Returns over fixed horizons, and their direction as a label: the plainest of targets."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from tradewind.errors import BadParameters
from tradewind.learning.labels.outcome import NO_VOLATILITY, OUT_OF_DATA, VERTICAL, Outcomes
from tradewind.learning.labels.segment_end import last_rows
from tradewind.market.volatility import realised_volatility
from tradewind.parameters import Parameters


class FixedHorizon(Parameters):
    """Direction of the return over the horizon (`params:feature_engineering.labels`, `method: fixed_horizon`).

    1 or -1 where the log return from the next open to the close at the horizon's end is further from zero than
    `band_multiple * volatility * sqrt(horizon_bars)` and `cost_bps`, the cost of a round trip; else 0. A band in
    volatilities keeps the classes' shares steady when markets calm down, as a fixed band does not.
    """

    method: Literal["fixed_horizon"] = "fixed_horizon"
    horizon_bars: Annotated[int, Field(ge=1, le=10_000)] = 24
    band_multiple: Annotated[float, Field(ge=0, le=20)] = 0.4
    volatility_window: Annotated[int, Field(ge=2, le=10_000)] = 72
    cost_bps: Annotated[float, Field(ge=0, le=1000)] = 0.0

    def outcomes(self, bars: pd.DataFrame) -> Outcomes:
        """The sign of the return beyond the band; every label lives to the end of its horizon."""
        close, segment = bars["close"].to_numpy(dtype=np.float64), bars["segment"].to_numpy(dtype=np.int32)
        volatility = realised_volatility(close, segment, self.volatility_window)
        ahead = forward_returns(bars, [self.horizon_bars])[0]
        band = self.band_multiple * volatility * np.sqrt(self.horizon_bars) + self.cost_bps / 1e4
        unknown = ~(volatility > 0)
        ending = np.select([unknown, np.isnan(ahead)], [NO_VOLATILITY, OUT_OF_DATA], VERTICAL).astype(np.int8)
        with np.errstate(invalid="ignore"):
            label = np.where((ending == VERTICAL) & (np.abs(ahead) > band), np.sign(ahead), 0).astype(np.int8)
        last = last_rows(segment, self.horizon_bars)
        return Outcomes(ending, label, last, last)


def forward_returns(bars: pd.DataFrame, horizons: Sequence[int]) -> NDArray[np.float64]:
    """Log return from the next bar's open to the close `horizon` bars after the decision, one row a horizon.

    Missing where the horizon leaves the segment or the data.

    Raises:
        BadParameters: a horizon below one bar.
    """
    if any(horizon < 1 for horizon in horizons):
        raise BadParameters(f"horizons must be at least one bar, found {list(horizons)}")
    opening, close = (np.log(bars[name].to_numpy(dtype=np.float64)) for name in ("open", "close"))
    segment = bars["segment"].to_numpy()
    out = np.full((len(horizons), len(bars)), np.nan)
    for row, horizon in enumerate(horizons):
        last = len(bars) - horizon
        if last > 0:
            same = segment[horizon:] == segment[:last]
            out[row, :last] = np.where(same, close[horizon:] - opening[1 : last + 1], np.nan)
    return out
