"""How an agent answers: to costs, to leaps of the price, to trends and volatility; out of sample."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tradewind.adaptive.rl.episodes import TOLD
from tradewind.adaptive.rl.market import TradingMarket
from tradewind.adaptive.rl.policies import Life

MULTIPLES = (1.0, 0.0, 2.0, 4.0)  # of the costs; the first is what is traded
TREND_BARS, LEAP_DEVIATIONS, AROUND_BARS = 72, 4.0, 12
THIRDS = ("low", "middle", "high")
MEASURES = ["exposure", "side", "turnover", "gross", "cost", "net"]
Floats = NDArray[np.float64]


def responses(market: TradingMarket, lives: Sequence[Life]) -> pd.DataFrame:
    """kind, level, bars, and the means a bar of exposure (absolute target), side (target), turnover, gross, cost, net.

    - cost: level is what multiplied the costs (`MULTIPLES`) under the same policy, which sees its account;
    - trend: thirds of the return over the last 72 bars, as known at the decision;
    - volatility: thirds of the volatility known at the decision;
    - shock: the 12 bars after a leap (a return beyond four deviations), the 12 before it, and all others.

    `lives` are those of one policy over the market, one a multiple. A decision is set beside the bar that it leads to.
    """
    rows = []
    for multiple, life in zip(MULTIPLES, lives, strict=True):
        acted, told = _acted(market, life)
        rows.append(_row("cost", f"{multiple:g}", told[acted[:-1]]))
    acted, told = _acted(market, lives[0])
    for kind, levels in (("trend", _thirds(_trend(market))), ("volatility", _thirds(market.bars[5]))):
        for number, name in enumerate(THIRDS):
            rows.append(_row(kind, name, told[(acted & (levels == number))[:-1]]))
    around = _around(market)
    for number, name in enumerate(("calm", "before", "after")):
        rows.append(_row("shock", name, told[(acted & (around == number))[:-1]]))
    return pd.DataFrame(rows).astype({"kind": "str", "level": "str", "bars": "int64"})


def _acted(market: TradingMarket, life: Life) -> tuple[NDArray[np.bool_], Floats]:
    """Rows that a bar of the same run follows, and `MEASURES` of each row's decision (rows - 1, 6)."""
    acted = np.zeros(len(life.targets), dtype=np.bool_)
    for first, last in market.runs:
        acted[first:last] = True
    after = {name: life.told[1:, TOLD.index(name)] for name in ("turnover", "gross", "cost", "net")}
    target = life.targets[:-1]
    return acted, np.column_stack([np.abs(target), target, *after.values()])


def _row(kind: str, level: str, told: Floats) -> dict[str, object]:
    means = told.mean(axis=0) if len(told) else np.zeros(len(MEASURES))
    return {"kind": kind, "level": level, "bars": len(told), **dict(zip(MEASURES, means.tolist(), strict=True))}


def _trend(market: TradingMarket) -> Floats:
    """The log return over the last bars of each row's own run; missing at its beginning."""
    close, out = np.log(market.bars[3]), np.full(market.bars.shape[1], np.nan)
    for first, last in market.runs:
        out[first + TREND_BARS : last + 1] = close[first + TREND_BARS : last + 1] - close[first : last + 1 - TREND_BARS]
    return out


def _thirds(values: Floats) -> NDArray[np.int64]:
    """0, 1 or 2 by the values' terciles; -1 where there is none."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), -1)
    edges = np.quantile(values[known], (1 / 3, 2 / 3))
    return np.where(known, np.searchsorted(edges, np.nan_to_num(values), side="right"), -1)


def _around(market: TradingMarket) -> NDArray[np.int64]:
    """0 in calm, 1 shortly before a leap of the price, 2 shortly after one."""
    out = np.zeros(market.bars.shape[1], dtype=np.int64)
    for first, last in market.runs:
        close, volatility = market.bars[3, first : last + 1], market.bars[5, first : last + 1]
        leaps = first + 1 + np.flatnonzero(np.abs(np.diff(np.log(close))) > LEAP_DEVIATIONS * volatility[:-1])
        for at in leaps:
            before = slice(max(at - AROUND_BARS, first), at)
            out[before] = np.where(out[before] == 2, 2, 1)
        for at in leaps:
            out[at : min(at + AROUND_BARS, last + 1)] = 2
    return out
