"""The step folded over history: from targets to a per-bar account."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from tradewind.engine.step import EQUITY, UNITS, new_account, step
from tradewind.errors import BadData
from tradewind.execution.costs import Costs

Floats = NDArray[np.float64]
ACCOUNT = ["position", "gross", "cost", "funding", "net", "equity"]


@dataclass(frozen=True)
class History:
    """What the account lives through, one row a bar: prices, the volatility known at the close (per bar), the
    funding rate paid within the bar, and the segment."""

    open: Floats
    close: Floats
    volatility: Floats
    funding_rate: Floats
    segment: NDArray[np.int32]

    @classmethod
    def from_bars(cls, bars: pd.DataFrame, volatility: Floats, funding: pd.DataFrame | None = None) -> "History":
        """From one symbol's bars and its funding settlements (`known_at`, `value`), if any.

        A settlement belongs to the bar that contains it: open_time < known_at <= timestamp.
        """
        rate = np.zeros(len(bars))
        if funding is not None and len(funding):
            close_times = bars["timestamp"].to_numpy()
            place = np.searchsorted(close_times, funding["known_at"].to_numpy(), side="left")
            known = funding["known_at"].to_numpy()
            inside = place < len(bars)
            inside[inside] = bars["open_time"].to_numpy()[place[inside]] < known[inside]
            np.add.at(rate, place[inside], funding["value"].to_numpy()[inside])
        return cls(
            open=np.ascontiguousarray(bars["open"].to_numpy(dtype=np.float64)),
            close=np.ascontiguousarray(bars["close"].to_numpy(dtype=np.float64)),
            volatility=volatility,
            funding_rate=rate,
            segment=bars["segment"].to_numpy(dtype=np.int32),
        )


def backtest(history: History, target: Floats, costs: Costs) -> pd.DataFrame:
    """The account bar by bar: position (share of equity at the close), gross, cost, funding, net, equity.

    A target decided at the close of row t is filled at the open of row t + 1 + `latency_bars`, at the cost that the
    volatility known at t implies. net = gross - cost - funding, as shares of the equity before the bar;
    equity[t] = equity[t - 1] * (1 + net[t]). At the end of a segment the position is closed at the last price, at cost.

    Raises:
        BadData: targets and bars differ in length, or a target is missing or outside [-1, 1].
    """
    if len(target) != len(history.close):
        raise BadData(f"a target is needed for each bar: {len(history.close)} bars, {len(target)} targets")
    wrong = ~(np.abs(target) <= 1)  # also true of NaN
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise BadData(f"targets must lie in [-1, 1]: {int(wrong.sum())} do not, the first is row {row}: {target[row]}")
    delay = 1 + costs.latency_bars
    account = _fold(
        history.open,
        history.close,
        np.nan_to_num(history.volatility),
        history.funding_rate,
        history.segment,
        np.ascontiguousarray(target, dtype=np.float64),
        costs.fixed_share,
        costs.slippage_share_of_volatility,
        delay,
    )
    return pd.DataFrame(account, columns=ACCOUNT)


@njit(cache=True, nogil=True)
def _fold(
    opening: Floats,
    close: Floats,
    volatility: Floats,
    funding_rate: Floats,
    segment: NDArray[np.int32],
    target: Floats,
    fixed_share: float,
    slippage_share: float,
    delay: int,
) -> Floats:
    n_rows = len(close)
    out = np.zeros((n_rows, 6))
    state = new_account()
    for row in range(n_rows):
        decided = row - delay
        # Decisions of another segment are void: the account was closed when it ended.
        is_known = decided >= 0 and segment[decided] == segment[row]
        wanted = target[decided] if is_known else 0.0
        share = fixed_share + slippage_share * (volatility[decided] if is_known else 0.0)
        ends = row + 1 < n_rows and segment[row + 1] != segment[row]
        gross, cost, funding = step(state, wanted, opening[row], close[row], share, funding_rate[row], ends)
        net = gross - cost - funding
        out[row, 0] = state[UNITS] * close[row] / state[EQUITY] if state[EQUITY] > 0 else 0.0
        out[row, 1], out[row, 2], out[row, 3], out[row, 4] = gross, cost, funding, net
        out[row, 5] = state[EQUITY]
    return out
