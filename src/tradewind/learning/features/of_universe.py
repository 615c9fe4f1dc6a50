"""Features of every symbol of a universe, each from its own bars and what it may know of the others."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from tradewind.compute import ComputeRules, lazily
from tradewind.errors import BadData
from tradewind.learning.features import catalogue, matrix
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.spec import Feature
from tradewind.market.parts import SeriesRows
from tradewind.market.universe import Universe

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
# The reference symbol's bars, the market's table, and the side series of the symbol by name.
Context = tuple[pd.DataFrame, pd.DataFrame, dict[str, pd.DataFrame]]


def compute_features(
    bars: Partitions, side_series: pd.DataFrame, universe: Universe, selection: FeatureSelection, compute: ComputeRules
) -> dict[str, Callable[[], pd.DataFrame]]:
    """float32 features of every symbol, by partition, each computed when it is asked for.

    Args:
        bars: checked bars, a function each, by partition.
        side_series: what was known when (`schema.SideSeries`).
        universe: whose symbols, and which is the reference.
        selection: which features.
        compute: where the symbols are worked on, and the threads of each.

    Raises:
        BadParameters: a selected feature does not exist or does not fit the timeframe.
        BadData: a side series has no values for a symbol.
    """
    catalogue.select(selection, universe.timeframe, universe.side_series)  # refuses what cannot be before any work
    work = {
        partition: (*known, universe, selection, compute.threads)
        for partition, known in _known_of(bars, side_series, universe).items()
    }
    return lazily(_symbol_features, work, compute)


def tables_of(
    features: Sequence[Feature], bars: Partitions, side_series: pd.DataFrame, universe: Universe, threads: int = 2
) -> dict[str, pd.DataFrame]:
    """These features of every symbol, by partition: of an idea that the catalogue does not list.

    Args:
        features: which.
        bars: checked bars, a function each, by partition.
        side_series: what was known when (`schema.SideSeries`).
        universe: whose symbols, and which is the reference.
        threads: that a symbol's features take.

    Raises:
        BadData: a side series has no values for a symbol.
    """
    return {
        partition: matrix.feature_table(symbol, matrix.build_chunk(own, *context), features, threads)
        for partition, (symbol, own, context) in _known_of(bars, side_series, universe).items()
    }


def _known_of(
    bars: Partitions, side_series: pd.DataFrame, universe: Universe
) -> dict[str, tuple[str, pd.DataFrame, Context]]:
    """By partition the symbol, its bars, and what it may know of the others: in the order of the partitions."""
    by_symbol = {symbol: bars[universe.partition(symbol)]() for symbol in universe.symbols}
    market, reference = matrix.market_table(by_symbol), by_symbol[universe.reference]
    known, rows = {}, SeriesRows(side_series)
    for symbol in sorted(universe.symbols, key=universe.partition):
        series = {name: series_of(rows, name, symbol) for name in universe.side_series}
        known[universe.partition(symbol)] = (symbol, by_symbol[symbol], (reference, market, series))
    return known


def _symbol_features(
    symbol: str,
    bars: pd.DataFrame,
    context: Context,
    universe: Universe,
    selection: FeatureSelection,
    threads: int,
) -> pd.DataFrame:
    # Selected anew where it runs: features are made of functions, which do not travel to other processes.
    features = catalogue.select(selection, universe.timeframe, universe.side_series)
    return matrix.feature_table(symbol, matrix.build_chunk(bars, *context), features, threads)


def series_of(side_series: SeriesRows, name: str, symbol: str) -> pd.DataFrame:
    """The rows of a side series that concern the symbol or all symbols.

    Args:
        side_series: what was known of all series.
        name: of the series.
        symbol: of the universe.

    Returns:
        Those rows, in their order.

    Raises:
        BadData: there are none.
    """
    rows = side_series.known(name, symbol)
    if rows.empty:
        raise BadData(
            f"side series {name!r} has no values for {symbol}: provide them, or take it out of universe.side_series"
        )
    return rows
