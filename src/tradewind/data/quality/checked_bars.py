"""Received rows of a whole universe become checked and segmented bars, one symbol at a time."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from tradewind import clock
from tradewind.compute import ComputeRules, split
from tradewind.data.files import cleaning
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.cleaning import MarketRules
from tradewind.data.files.quarantine import quarantine_rows, require_all_rows, require_few_rejected
from tradewind.data.quality.counts import count_rows, join_rows
from tradewind.errors import BadData
from tradewind.market.calendars import Calendar
from tradewind.market.segments import assign_segments
from tradewind.market.universe import Universe

TableLoaders = Mapping[str, Callable[[], pd.DataFrame]]
Loaders = dict[str, Callable[[], pd.DataFrame]]


def type_bars(source_bars: TableLoaders, universe: Universe, compute: ComputeRules) -> tuple[Loaders, Loaders]:
    """The readable rows of every symbol in the universe, and the unreadable ones, each made when it is asked for.

    Args:
        source_bars: rows as received, a function each, by partition (venue/symbol/timeframe).
        universe: which partitions are wanted.
        compute: where the symbols are worked on.

    Returns:
        Typed rows and rejected rows, a function each, by partition.

    Raises:
        BadData: the source lacks a symbol, or its rows cannot be read at all.
    """
    _require_partitions(source_bars, universe)
    work = {partition: (partition, source_bars[partition], universe) for partition in universe.partitions}
    typed, unreadable = split(_typed, work, compute, results=2)
    return typed, unreadable


def check_bars(
    typed_bars: TableLoaders,
    rejected_at_typing: TableLoaders,
    universe: Universe,
    rules: MarketRules,
    compute: ComputeRules,
) -> tuple[Loaders, Loaders, Loaders]:
    """Checked and segmented bars of every symbol, its rejected rows and its row counts, each made when it is asked for.

    Args:
        typed_bars: typed rows by partition.
        rejected_at_typing: the rows that could not be typed, by partition; they count as rejected.
        universe: which partitions are wanted.
        rules: what a bar must fulfil, and how many may be rejected.
        compute: where the symbols are worked on.

    Returns:
        Bars, rejected rows and row counts, a function each, by partition.

    Raises:
        BadData: more rows are rejected than the rules allow, or none is left.
    """
    work = {
        partition: (partition, typed_bars[partition], rejected_at_typing[partition], rules, universe)
        for partition in universe.partitions
    }
    bars, rejected, counted = split(_checked, work, compute, results=3)
    return bars, rejected, counted


def _require_partitions(source_bars: TableLoaders, universe: Universe) -> None:
    missing = [partition for partition in universe.partitions if partition not in source_bars]
    if missing:
        raise BadData(
            f"the source has no bars for {missing} (venue/symbol/timeframe, from the parameters `universe`); it has "
            f"{sorted(source_bars) or 'nothing'}. Correct universe.venue, symbols or timeframe, or add the bars"
        )


def _typed(partition: str, load: Callable[[], pd.DataFrame], universe: Universe) -> tuple[pd.DataFrame, pd.DataFrame]:
    key = BarKey.from_partition(partition)
    received = load()
    typed, rejected = cleaning.type_bars(received, key)
    if key.symbol in universe.members:
        typed, rejected = _within_life(received, typed, rejected, key, universe)
    require_all_rows(key, len(received), len(typed), len(rejected))
    return typed, rejected


def _checked(
    partition: str,
    load_typed: Callable[[], pd.DataFrame],
    load_rejected: Callable[[], pd.DataFrame],
    rules: MarketRules,
    universe: Universe,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    key, calendar = BarKey.from_partition(partition), universe.trading_calendar
    typed = load_typed()
    unreadable = load_rejected()
    checked, rejected = cleaning.check_bars(typed, key, clock.now(), calendar)
    rejected = join_rows([unreadable, rejected])
    received = len(typed) + len(unreadable)
    is_fault = (rejected["reason"] != cleaning.OUTSIDE).to_numpy()
    require_few_rejected(key, received - int((~is_fault).sum()), rejected[is_fault], rules.reject_share_limit)
    if checked.empty:
        raise BadData(f"{key}: none of the {received} rows received is a bar: look into the quarantine table")
    counts = count_rows(key, received, len(checked), len(rejected))
    return _segmented(checked, calendar, rules.max_gap_bars), rejected, counts


def _within_life(
    received: pd.DataFrame, typed: pd.DataFrame, rejected: pd.DataFrame, key: BarKey, universe: Universe
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The readable and the other rows, of which those that open outside the symbol's time in the universe are no fault,
    whatever else is wrong with them: what is judged is the data that the run asked for."""
    first_ms, end_ms = universe.lifetime_ms(key.symbol)
    opened_ms = cleaning.read_open_time(received["open_time"], key)
    away = (opened_ms < first_ms) | (opened_ms >= end_ms)
    apart = away[typed["source_row"].to_numpy()]
    content = typed.drop(columns=["venue", "symbol", "timeframe", "timestamp", "source_row"])
    reason = np.where(apart, cleaning.OUTSIDE, "").astype(object)
    outside = quarantine_rows(content, key, typed["source_row"].to_numpy(), reason)
    rejected.loc[away[rejected["source_row"].to_numpy()], "reason"] = cleaning.OUTSIDE
    return typed[~apart].reset_index(drop=True), join_rows([rejected, outside])


def _segmented(checked: pd.DataFrame, calendar: Calendar, max_gap_bars: int) -> pd.DataFrame:
    opened_ms = checked["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    return checked.assign(segment=assign_segments(opened_ms, calendar.bar_ms, max_gap_bars, calendar))
