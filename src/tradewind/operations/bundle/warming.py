"""The state of a decider after the bars of a finished run, so that a service need not wait for its features."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tradewind.adaptive.rl.deciding import FUNDING
from tradewind.learning.features.assembly import Arrivals, Bar, SideValue
from tradewind.learning.features.market_columns import epoch_ms
from tradewind.operations.bundle.contents import Bundle
from tradewind.operations.bundle.sealing import Files
from tradewind.trading.decision.decider import decisions_of
from tradewind.trading.decision.protocols import Decision

STATE, DECISIONS = "decision.state", "decisions.json"
BARS = 5_000  # of each symbol; features say after 999 what they say after years


def warm_files(bundle: Bundle, bars: Mapping[str, pd.DataFrame], side_series: pd.DataFrame) -> Files:
    """The decider's state after the newest bars, its last decision of each symbol, and what regime each is in.

    Args:
        bundle: what decides.
        bars: checked bars by symbol.
        side_series: in long form: series, symbol, known_at, value.
    """
    decider = bundle.decider()
    arrived = [bar for symbol in bundle.spec.universe.symbols for bar in _bars(symbol, bars[symbol].iloc[-BARS:])]
    now_ms = max(bar.timestamp for bar in arrived)
    state, observed = decider.observe(
        decider.begin(), Arrivals(now_ms, tuple(arrived), _side(bundle, side_series, now_ms))
    )
    last = {one.symbol: one for one in decisions_of(observed)}
    regimes = bundle.regimes()
    if regimes is not None:
        regimes.take_in(observed)
    files = {STATE: decider.to_bytes(state), DECISIONS: json.dumps([_plain(one) for one in last.values()]).encode()}
    return files | (regimes.files() if regimes else {})


def read_decisions(content: bytes) -> dict[str, Decision]:
    """The last decision of each symbol."""
    rows = []
    for timestamp, symbol, *numbers, reasons in json.loads(content):
        down, flat, up, expected, edge, target = (np.nan if one is None else float(one) for one in numbers)
        rows.append(Decision(timestamp, symbol, down, flat, up, expected, edge, target, tuple(reasons)))
    return {one.symbol: one for one in rows}


def _plain(decision: Decision) -> list[Any]:
    return [None if isinstance(one, float) and np.isnan(one) else one for one in decision]


def _bars(symbol: str, table: pd.DataFrame) -> list[Bar]:
    opened, closed = epoch_ms(table["open_time"]).tolist(), epoch_ms(table["timestamp"]).tolist()
    values = table[["open", "high", "low", "close", "volume"]].to_numpy(dtype=np.float64).tolist()
    return [Bar(symbol, *row) for row in ([a, b, *c] for a, b, c in zip(opened, closed, values, strict=True))]


def _side(bundle: Bundle, table: pd.DataFrame, now_ms: int) -> tuple[SideValue, ...]:
    settled = (FUNDING,) if bundle.agent else ()
    wanted = table[table["series"].isin([*bundle.spec.universe.side_series, *settled])]
    known = epoch_ms(wanted["known_at"])
    rows = zip(wanted["series"], wanted["symbol"], known.tolist(), wanted["value"], strict=True)
    return tuple(SideValue(str(a), str(b), int(c), float(d)) for a, b, c, d in rows if c <= now_ms)
