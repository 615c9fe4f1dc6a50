"""Whether a bet that a simple rule proposes would have paid: meta-labels (Lopez de Prado 2018, section 3.6)."""

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from tradewind.learning.labels.outcome import LOWER, NO_SIDE, NO_VOLATILITY, UPPER, VERTICAL, Outcomes
from tradewind.learning.labels.triple_barrier import TripleBarrier
from tradewind.parameters import Parameters


class MetaLabel(Parameters):
    """The rule whose bets are judged, and their barriers (`params:feature_engineering.labels`, `method: meta_label`).

    The primary rule bets in the direction of the last `primary_window` bars (`momentum`) or against it (`reversal`).
    The label is the bet's side where it reaches its profit before its stop, or ends its horizon with more than
    `cost_bps`; 0 where it does not pay. So the model's probability of a side is that of the bet paying.
    """

    method: Literal["meta_label"] = "meta_label"
    primary: Literal["momentum", "reversal"] = "momentum"
    primary_window: Annotated[int, Field(ge=1, le=10_000)] = 24
    horizon_bars: Annotated[int, Field(ge=1, le=10_000)] = 24
    profit_multiple: Annotated[float, Field(gt=0, le=20)] = 0.75
    stop_multiple: Annotated[float, Field(gt=0, le=20)] = 0.75
    volatility_window: Annotated[int, Field(ge=2, le=10_000)] = 72
    cost_bps: Annotated[float, Field(ge=0, le=1000)] = 0.0

    def outcomes(self, bars: pd.DataFrame) -> Outcomes:
        """The side where the bet pays, else 0; no label where the rule has no side."""
        return judge_bets(bars, primary_side(bars, self.primary, self.primary_window), self)


def primary_side(bars: pd.DataFrame, primary: str, window: int) -> NDArray[np.int8]:
    """The side of the rule's bet at each close: the sign of the return over `window` bars, or its opposite.

    0 where the segment has no such return yet or the price has not moved.

    Args:
        bars: one symbol's checked bars, oldest first.
        primary: "momentum" bets on the sign, any other name on its opposite.
        window: bars of the return.

    Returns:
        1, -1 or 0, shape (bars,); known at each close.
    """
    logs, segment = np.log(bars["close"].to_numpy(dtype=np.float64)), bars["segment"].to_numpy()
    side = np.zeros(len(bars), dtype=np.int8)
    if len(bars) > window:
        is_same_segment = segment[window:] == segment[:-window]
        side[window:] = np.where(is_same_segment, np.sign(logs[window:] - logs[:-window]), 0)
    return side if primary == "momentum" else -side


def judge_bets(bars: pd.DataFrame, side: NDArray[np.int8], rules: MetaLabel) -> Outcomes:
    """Meta-labels for bets of any origin.

    Args:
        bars: one symbol's checked bars, oldest first.
        side: 1, -1 or 0 (no bet), shape (bars,), known at each close.
        rules: horizon, profit and stop in units of volatility, and the cost in basis points.

    Returns:
        The label is the bet's side where it paid more than its cost, otherwise 0.
    """
    barriers = TripleBarrier(
        horizon_bars=rules.horizon_bars, upper_multiple=rules.profit_multiple, lower_multiple=rules.stop_multiple,
        volatility_window=rules.volatility_window, cost_bps=rules.cost_bps,
    )  # fmt: skip
    touched = barriers.touched(bars, side)
    opening, close = (np.log(bars[name].to_numpy(dtype=np.float64)) for name in ("open", "close"))
    entry = np.append(opening[1:], np.nan)
    with np.errstate(invalid="ignore"):
        pays_at_end = side * (close[touched.last_row] - entry) > rules.cost_bps / 1e4
    paid = np.select(
        [touched.ending == VERTICAL, touched.ending == UPPER, touched.ending == LOWER],
        [pays_at_end, side > 0, side < 0],
        False,
    )
    ending = np.where((side == 0) & (touched.ending != NO_VOLATILITY), NO_SIDE, touched.ending).astype(np.int8)
    return Outcomes(ending, np.where(paid, side, 0).astype(np.int8), touched.exit_row, touched.last_row)
