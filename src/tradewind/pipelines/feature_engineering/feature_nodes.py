"""Bars and side series to features, and the dictionary that describes them."""

from collections.abc import Callable, Mapping

import pandas as pd

from tradewind.compute import track
from tradewind.errors import BadData
from tradewind.features import catalogue, dictionary, matrix
from tradewind.features.catalogue import FeatureSelection
from tradewind.market.universe import Universe

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def compute_features(
    bars: Partitions, side_series: pd.DataFrame, universe: Universe, selection: FeatureSelection
) -> dict[str, pd.DataFrame]:
    """float32 features of every symbol, by partition."""
    features = catalogue.select(selection, universe.timeframe, universe.side_series)
    by_symbol = {symbol: bars[universe.partition(symbol)]() for symbol in universe.symbols}
    market = matrix.market_table(by_symbol)
    reference = by_symbol[universe.reference]
    tables = {}
    for symbol in track(universe.symbols, "features by symbol"):
        series = {name: _series_of(side_series, name, symbol) for name in universe.side_series}
        chunk = matrix.build_chunk(by_symbol[symbol], reference, market, series)
        tables[universe.partition(symbol)] = matrix.feature_table(symbol, chunk, features)
    return tables


def _series_of(side_series: pd.DataFrame, name: str, symbol: str) -> pd.DataFrame:
    rows = side_series[(side_series["series"] == name) & side_series["symbol"].isin(["", symbol])]
    if rows.empty:
        raise BadData(
            f"side series {name!r} has no values for {symbol}: provide them, or take it out of universe.side_series"
        )
    return rows


def describe_features(
    features: Partitions, universe: Universe, selection: FeatureSelection
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The feature dictionary, the distribution of each feature, and both as Markdown."""
    chosen = catalogue.select(selection, universe.timeframe, universe.side_series)
    distribution = dictionary.distribution_table({name: load() for name, load in features.items()}, chosen)
    return dictionary.dictionary_table(chosen), distribution, dictionary.dictionary_text(chosen, distribution)
