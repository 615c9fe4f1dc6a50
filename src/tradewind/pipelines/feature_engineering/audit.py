"""The audit of the selected features on the bars that the project holds: what `kedro audit-features` runs."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pandas as pd

from tradewind.errors import BadParameters
from tradewind.learning.features import audit, catalogue, matrix
from tradewind.learning.features.audit import Finding
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.features.of_universe import series_of
from tradewind.market.parts import SeriesRows
from tradewind.market.universe import Universe

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


class Catalog(Protocol):
    """What is needed of Kedro's catalog."""

    def load(self, name: str) -> Any:
        """A dataset's content."""


def audit_selected(
    catalog: Catalog, parameters: Mapping[str, Any], symbol: str | None, n_bars: int, n_cuts: int
) -> tuple[list[Finding], tuple[str, ...]]:
    """What is found against the features that the parameters select, on the latest bars of one symbol.

    Args:
        catalog: of the environment; bars and side series are loaded from it.
        parameters: all of the environment's.
        symbol: of the universe; None takes the first that is not the reference.
        n_bars: how many of the latest bars.
        n_cuts: places to look at for each law.

    Returns:
        Findings, and the names of all features that were looked at.

    Raises:
        BadParameters: a symbol that the universe does not have.
    """
    universe = Universe.model_validate(parameters["universe"])
    selection = FeatureSelection.model_validate(parameters["feature_engineering"]["features"])
    others = [name for name in universe.symbols if name != universe.reference]
    symbol = symbol or (others[0] if others else universe.reference)
    if symbol not in universe.symbols:
        raise BadParameters(f"symbol {symbol!r} is not in universe.symbols, which are {list(universe.symbols)}")
    bars: Partitions = catalog.load("bars")
    side_series = SeriesRows(catalog.load("side_series"))
    by_symbol = {name: bars[universe.partition(name)]() for name in universe.symbols}
    latest = by_symbol[symbol].tail(n_bars).reset_index(drop=True)
    series = {name: series_of(side_series, name, symbol) for name in universe.side_series}
    market = matrix.market_table(by_symbol)
    chunk = matrix.build_chunk(latest, by_symbol[universe.reference], market, series)
    features = catalogue.select(selection, universe.timeframe, universe.side_series)
    return audit.audit(features, chunk, n_cuts), tuple(feature.name for feature in features)
