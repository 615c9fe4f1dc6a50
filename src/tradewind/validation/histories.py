"""Histories that are the same until a cut and other after it: what a run that knows no future cannot tell apart."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from tradewind.market.timeframes import bar_duration_ms
from tradewind.validation.research_run import Sources

History = Literal["truncated", "changed", "mirrored", "outage"]
HISTORIES: tuple[History, ...] = ("changed", "mirrored", "truncated", "outage")
PRICES, AMOUNTS = ("open", "high", "low", "close"), ("volume", "quote_volume", "trades")
OUTAGE_BARS = 40  # longer than a gap that is bridged, and than the life of a label


def truncated(sources: Sources, cut: pd.Timestamp) -> Sources:
    """What had been received at the cut, and no more."""
    side = sources.side_series
    bars = {name: table[~_is_later(table, sources, cut)].reset_index(drop=True) for name, table in sources.bars.items()}
    return replace(sources, bars=bars, side_series=side[side["known_at"] <= cut].reset_index(drop=True))


def changed(sources: Sources, cut: pd.Timestamp) -> Sources:
    """The same until the cut; after it every price, amount and side value is another one, but for the first open: it is
    the price of what was decided at the cut, and no more must be known to fill it."""
    rng = np.random.default_rng(int(cut.timestamp()))
    bars = {}
    for name, table in sources.bars.items():
        later = _is_later(table, sources, cut)
        price = np.exp(rng.normal(0.0, 0.1, len(table)))
        amount = np.exp(rng.normal(0.0, 1.0, len(table)))
        other = table.copy()
        for column in [*PRICES, *AMOUNTS]:
            if column in table:
                factor = price if column in PRICES else amount
                values = pd.to_numeric(table[column], errors="coerce") * factor
                # What is no number stays as it was received.
                other[column] = table[column].where(~later | values.isna(), values)
        bars[name] = _with_first_open(other, table, later)
    side = sources.side_series
    moved = side["value"].where(side["known_at"] <= cut, -1.7 * side["value"] + rng.normal(0, 1e-4, len(side)))
    return replace(sources, bars=bars, side_series=side.assign(value=moved))


def mirrored(sources: Sources, cut: pd.Timestamp) -> Sources:
    """The same until the cut; after it prices rise where they fell. Whatever was learned from what follows, such as
    which parameters do best, is now the opposite."""
    bars = {}
    for name, table in sources.bars.items():
        later = _is_later(table, sources, cut)
        price = table[list(PRICES)].apply(pd.to_numeric, errors="coerce")
        known = price.loc[~later, "close"].dropna()
        about = float(known.iloc[-1]) ** 2 if len(known) else 1.0
        other = table.copy()
        for column, source in zip(PRICES, ("open", "low", "high", "close"), strict=True):
            values = about / price[source]
            other[column] = table[column].where(~later | values.isna() | (price[source] <= 0), values)
        bars[name] = other
    return replace(sources, bars=bars)


def _with_first_open(other: pd.DataFrame, table: pd.DataFrame, later: pd.Series) -> pd.DataFrame:
    if not later.any():
        return other
    at = later.idxmax()
    row = pd.to_numeric(other.loc[at, list(PRICES)], errors="coerce")
    opened = pd.to_numeric(table.loc[at, "open"], errors="coerce")
    if row.notna().all() and pd.notna(opened):
        other.loc[at, ["open", "high", "low"]] = [opened, max(row["high"], opened), min(row["low"], opened)]
    return other


def _is_later(table: pd.DataFrame, sources: Sources, cut: pd.Timestamp) -> pd.Series:
    opened = table["open_time"]
    if isinstance(opened.dtype, pd.DatetimeTZDtype):
        return opened + sources.universe.bar > cut
    closed = pd.to_numeric(opened, errors="coerce") + bar_duration_ms(sources.universe.timeframe)
    return closed > cut.timestamp() * 1000


def outage(sources: Sources, cut: pd.Timestamp) -> Sources:
    """The same, but that the exchange is down after the cut: no bar of any symbol, and no side value, for a while."""
    bar = sources.universe.bar
    end = cut + OUTAGE_BARS * bar
    bars = {
        name: table[~_is_later(table, sources, cut) | _is_later(table, sources, end)].reset_index(drop=True)
        for name, table in sources.bars.items()
    }
    side = sources.side_series
    down = (side["known_at"] > cut) & (side["known_at"] <= end)
    return replace(sources, bars=bars, side_series=side[~down].reset_index(drop=True))


MAKERS: Mapping[History, Callable[[Sources, pd.Timestamp], Sources]] = {
    "truncated": truncated, "changed": changed, "mirrored": mirrored, "outage": outage,
}  # fmt: skip
