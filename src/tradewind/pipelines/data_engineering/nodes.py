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
    """The readable rows of every symbol in the universe, and the unreadable ones, each made when it is saved."""
    return checked_bars.type_bars(source_bars, universe, compute)


def check_bars(
    typed_bars: TableLoaders,
    unreadable_rows: TableLoaders,
    universe: Universe,
    rules: MarketRules,
    compute: ComputeRules,
) -> tuple[Loaders, Loaders, Loaders]:
    """Checked and segmented bars of every symbol, its refused rows and its row counts, each made when it is saved."""
    return checked_bars.check_bars(typed_bars, unreadable_rows, universe, rules, compute)


def collect_refused(refused_rows: TableLoaders, counted_rows: TableLoaders) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The quarantine and the row counts of all symbols."""
    return (
        quality.join_rows([load() for load in refused_rows.values()]),
        quality.join_rows([load() for load in counted_rows.values()]),
    )
