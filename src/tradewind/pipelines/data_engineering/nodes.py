"""Nodes of the stage that makes bars; the work is in `tradewind.market`."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure

from tradewind import clock
from tradewind.compute import track
from tradewind.errors import BadData
from tradewind.market import cleaning, quality
from tradewind.market.bar_key import BarKey
from tradewind.market.cleaning import MarketRules
from tradewind.market.quarantine import require_all_rows, require_few_rejected
from tradewind.market.segments import assign_segments
from tradewind.market.timeframes import bar_duration_ms
from tradewind.market.universe import Universe
from tradewind.reports.gaps import gap_heatmap

TableLoaders = Mapping[str, Callable[[], pd.DataFrame]]
Tables = dict[str, pd.DataFrame]


def type_bars(source_bars: TableLoaders, universe: Universe) -> tuple[Tables, pd.DataFrame]:
    """The readable rows of every symbol in the universe, and the unreadable ones.

    Raises:
        BadData: the source lacks a symbol, or its rows cannot be read at all.
    """
    _require_partitions(source_bars, universe)
    typed, unreadable = {}, []
    for partition in track(universe.partitions, "typing bars"):
        key = BarKey.from_partition(partition)
        received = source_bars[partition]()
        typed[partition], refused = cleaning.type_bars(received, key)
        require_all_rows(key, len(received), len(typed[partition]), len(refused))
        unreadable.append(refused)
    return typed, quality.join_rows(unreadable)


def check_bars(
    typed_bars: TableLoaders, unreadable_rows: pd.DataFrame, universe: Universe, rules: MarketRules
) -> tuple[Tables, pd.DataFrame, pd.DataFrame]:
    """Checked and segmented bars of every symbol, all refused rows, and the row counts.

    Raises:
        BadData: more rows are refused than the rules allow, or none is left.
    """
    bars, quarantine, counts = {}, [], []
    for partition in track(universe.partitions, "checking bars"):
        key = BarKey.from_partition(partition)
        typed = typed_bars[partition]()
        checked, refused = cleaning.check_bars(typed, key, clock.now())
        refused = quality.join_rows([_of(unreadable_rows, key), refused])
        received = len(typed) + len(_of(unreadable_rows, key))
        require_few_rejected(key, received, refused, rules.reject_share_limit)
        if checked.empty:
            raise BadData(f"{key}: none of the {received} rows received is a bar: look into the quarantine table")
        bars[partition] = _segmented(checked, key, rules.max_gap_bars)
        quarantine.append(refused)
        counts.append(quality.count_rows(key, received, len(checked), len(refused)))
    return bars, quality.join_rows(quarantine), quality.join_rows(counts)


def describe_quality(
    bars: TableLoaders, row_counts: pd.DataFrame, quarantine: pd.DataFrame
) -> tuple[pd.DataFrame, Figure]:
    """The quality table, one row a symbol, and the heat-map of missing bars by month."""
    described, gaps = [], []
    for partition, load in bars.items():
        key = BarKey.from_partition(partition)
        table = load()
        described.append(quality.describe_bars(table, _of(row_counts, key), _of(quarantine, key)))
        gaps.append(quality.missing_by_month(table))
    return quality.join_rows(described), gap_heatmap(quality.join_rows(gaps))


def _require_partitions(source_bars: TableLoaders, universe: Universe) -> None:
    missing = [partition for partition in universe.partitions if partition not in source_bars]
    if missing:
        raise BadData(
            f"the source has no bars for {missing} (venue/symbol/timeframe, from the parameters `universe`); it has "
            f"{sorted(source_bars) or 'nothing'}. Correct universe.venue, symbols or timeframe, or add the bars"
        )


def _of(table: pd.DataFrame, key: BarKey) -> pd.DataFrame:
    """The rows of one symbol."""
    is_key = np.logical_and.reduce([table[name] == value for name, value in key.model_dump().items()])
    return table.loc[is_key].reset_index(drop=True)


def _segmented(checked: pd.DataFrame, key: BarKey, max_gap_bars: int) -> pd.DataFrame:
    opened_ms = checked["open_time"].to_numpy("datetime64[ms]").astype(np.int64)
    return checked.assign(segment=assign_segments(opened_ms, bar_duration_ms(key.timeframe), max_gap_bars))
