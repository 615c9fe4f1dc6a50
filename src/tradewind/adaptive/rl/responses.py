"""How an agent responds to costs, price jumps, trends and volatility; out of sample."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.adaptive.rl.episodes import STEP_FIELDS
from tradewind.adaptive.rl.market import TradingMarket
from tradewind.adaptive.rl.policies import Rollout

MULTIPLES = (1.0, 0.0, 2.0, 4.0)  # of the costs; the first is what is traded
TREND_BARS, JUMP_DEVIATIONS, AROUND_BARS = 72, 4.0, 12
THIRDS = ("low", "middle", "high")
MEASURES = ["exposure", "side", "turnover", "gross", "cost", "net"]
Floats = NDArray[np.float64]


def responses(market: TradingMarket, rollouts: Sequence[Rollout]) -> pd.DataFrame:
    """kind, level, bars, and the means a bar of exposure (absolute target), side (target), turnover, gross, cost, net.

    - cost: level is what multiplied the costs (`MULTIPLES`) under the same policy, which sees its account;
    - trend: thirds of the return over the last 72 bars, as known at the decision;
    - volatility: thirds of the volatility known at the decision;
    - shock: the 12 bars after a jump (a return beyond four deviations), the 12 before it, and all others.

    A decision stands beside the bar that it leads to.

    Args:
        market: the test market.
        rollouts: of one policy over the market, one for each of `MULTIPLES`.
    """
    rows = []
    for multiple, rollout in zip(MULTIPLES, rollouts, strict=True):
        is_decision, measures = _decisions(market, rollout)
        rows.append(_row("cost", f"{multiple:g}", measures[is_decision[:-1]]))
    is_decision, measures = _decisions(market, rollouts[0])
    for kind, levels in (("trend", _thirds(_trend(market))), ("volatility", _thirds(market.bars[5]))):
        for number, name in enumerate(THIRDS):
            rows.append(_row(kind, name, measures[(is_decision & (levels == number))[:-1]]))
    around = _around(market)
    for number, name in enumerate(("calm", "before", "after")):
        rows.append(_row("shock", name, measures[(is_decision & (around == number))[:-1]]))
    return pd.DataFrame(rows).astype({"kind": "str", "level": "str", "bars": "int64"})


def _decisions(market: TradingMarket, rollout: Rollout) -> tuple[NDArray[np.bool_], Floats]:
    """Rows that a bar of the same run follows, and `MEASURES` of each row's decision (rows - 1, 6)."""
    is_decision = np.zeros(len(rollout.targets), dtype=np.bool_)
    for first, last in market.runs:
        is_decision[first:last] = True
    after = {name: rollout.steps[1:, STEP_FIELDS.index(name)] for name in ("turnover", "gross", "cost", "net")}
    target = rollout.targets[:-1]
    return is_decision, np.column_stack([np.abs(target), target, *after.values()])


def _row(kind: str, level: str, measures: Floats) -> dict[str, object]:
    means = measures.mean(axis=0) if len(measures) else np.zeros(len(MEASURES))
    return {"kind": kind, "level": level, "bars": len(measures), **dict(zip(MEASURES, means.tolist(), strict=True))}


def _trend(market: TradingMarket) -> Floats:
    """The log return over the last bars of each row's own run; missing at its beginning, or in all of a shorter run."""
    close, out = np.log(market.bars[3]), np.full(market.bars.shape[1], np.nan)
    for first, last in market.runs:
        if last - first >= TREND_BARS:  # a shorter run has none; its slice would end before the array begins
            here = close[first : last + 1]
            out[first + TREND_BARS : last + 1] = here[TREND_BARS:] - here[:-TREND_BARS]
    return out


def _thirds(values: Floats) -> NDArray[np.int64]:
    """0, 1 or 2 by the values' terciles; -1 where there is none."""
    is_finite = np.isfinite(values)
    if not is_finite.any():
        return np.full(len(values), -1)
    edges = np.quantile(values[is_finite], (1 / 3, 2 / 3))
    return np.where(is_finite, np.searchsorted(edges, np.nan_to_num(values), side="right"), -1)


def _around(market: TradingMarket) -> NDArray[np.int64]:
    """0 in calm, 1 shortly before a price jump, 2 shortly after one."""
    out = np.zeros(market.bars.shape[1], dtype=np.int64)
    for first, last in market.runs:
        close, volatility = market.bars[3, first : last + 1], market.bars[5, first : last + 1]
        jumps = first + 1 + np.flatnonzero(np.abs(np.diff(np.log(close))) > JUMP_DEVIATIONS * volatility[:-1])
        for at in jumps:
            before = slice(max(at - AROUND_BARS, first), at)
            out[before] = np.where(out[before] == 2, 2, 1)
        for at in jumps:
            out[at : min(at + AROUND_BARS, last + 1)] = 2
    return out
