"""Nodes of the stage that makes bars; the work is in `tradewind.data.quality.checked_bars`."""

from collections.abc import Callable, Mapping

import pandas as pd

from tradewind.compute import ComputeRules
from tradewind.data import quality
from tradewind.data.files.cleaning import MarketRules
from tradewind.data.quality import checked_bars
from tradewind.market.universe import Universe

TableLoaders = Mapping[str, Callable[[], pd.DataFrame]]
Loaders = dict[str, Callable[[], pd.DataFrame]]


def type_bars(source_bars: TableLoaders, universe: Universe, compute: ComputeRules) -> tuple[Loaders, Loaders]:
    """The readable rows of every symbol in the universe, and the unreadable ones, each made when it is saved.

    Args:
        source_bars: by partition a function that loads the rows of the source.
        universe: symbols, venue, timeframe and side series.
        compute: executor and workers.

    Returns:
        Typed rows, and rejected ones, by partition.
    """
    return checked_bars.type_bars(source_bars, universe, compute)


def check_bars(
    typed_bars: TableLoaders,
    rejected_at_typing: TableLoaders,
    universe: Universe,
    rules: MarketRules,
    compute: ComputeRules,
) -> tuple[Loaders, Loaders, Loaders]:
    """Checked and segmented bars of every symbol, its rejected rows and its row counts, each made when it is saved.

    Args:
        typed_bars: by partition a function that loads typed rows.
        rejected_at_typing: by partition a function that loads the unreadable rows.
        universe: symbols, venue, timeframe and side series.
        rules: the largest gap within a segment, and the largest share of rejected rows.
        compute: executor and workers.

    Returns:
        Three mappings by partition.
    """
    return checked_bars.check_bars(typed_bars, rejected_at_typing, universe, rules, compute)


def collect_rejected(rejected_rows: TableLoaders, counted_rows: TableLoaders) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The quarantine and the row counts of all symbols."""
    return (
        quality.join_rows([load() for load in rejected_rows.values()]),
        quality.join_rows([load() for load in counted_rows.values()]),
    )
