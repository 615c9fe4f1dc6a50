"""Nodes of side series, point in time; the work is in `tradewind.data.side_data`."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from tradewind.data.files.cleaning import MarketRules
from tradewind.data.quality.daily import known_with_quality
from tradewind.data.side_data.catalogue import SERIES
from tradewind.data.side_data.collection import SideSource, collect_side_series
from tradewind.data.side_data.vintages import describe_coverage
from tradewind.learning.features import matrix
from tradewind.market.parts import SeriesRows
from tradewind.market.universe import Universe


def collect_side_vintages(
    source_side_series: SideSource, universe: Universe, rules: MarketRules
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Every published value of the series that the universe names, the rejected rows, and the row counts.

    Args:
        source_side_series: a table, or by series a function that reads its files.
        universe: symbols, venue, timeframe and side series.
        rules: the largest share of rejected rows.

    Returns:
        Three tables.

    Raises:
        BadData: the source lacks a series, or more of its rows are rejected than the rules allow.
    """
    return collect_side_series(
        source_side_series, universe.received_side_series, universe.symbols, rules.reject_share_limit
    )  # fmt: skip


def select_side_series(side_vintages: pd.DataFrame, quality_series: pd.DataFrame, universe: Universe) -> pd.DataFrame:
    """What was known of each series that the universe names, at each moment at which that changed.

    Args:
        side_vintages: every published value.
        quality_series: scores of each day's end, in the shape of side series.
        universe: symbols, venue, timeframe and side series.

    Returns:
        `schema.SideSeries`.
    """
    return known_with_quality(side_vintages, quality_series, universe)


def describe_side_series(
    side_vintages: pd.DataFrame,
    side_series: pd.DataFrame,
    bars: Mapping[str, Callable[[], pd.DataFrame]],
    universe: Universe,
) -> pd.DataFrame:
    """The coverage table: how much there is of each series, when, and at which share of the bars it is known.

    Args:
        side_vintages: every published value.
        side_series: side series as they were known.
        bars: by partition a function that loads checked bars.
        universe: symbols, venue, timeframe and side series.

    Returns:
        One row a series and symbol.
    """
    coverage = describe_coverage(side_vintages, SERIES)
    closes = {symbol: matrix.epoch_ms(bars[universe.partition(symbol)]()["timestamp"]) for symbol in universe.symbols}
    everywhere = np.concatenate(list(closes.values()))
    shares, rows = [], SeriesRows(side_series)
    for row in coverage.itertuples():
        of_series = rows.own(str(row.series), str(row.symbol))
        seen = matrix.as_known(closes.get(str(row.symbol), everywhere), of_series)
        shares.append(float(np.isfinite(seen).mean()))
    return coverage.assign(bar_share=np.array(shares, dtype=np.float64))
