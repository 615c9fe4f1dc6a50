"""Bars and side series to features, and the dictionary that describes them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from tradewind.compute import ComputeRules, lazily
from tradewind.errors import BadData
from tradewind.learning.features import catalogue, dictionary, matrix, study
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.labels.fixed_horizon import forward_returns
from tradewind.market.universe import Universe
from tradewind.parameters import Parameters

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
# The stage's tables in the report and on the page of features.
REPORTED = (
    "feature_dictionary", "feature_distribution", "feature_coefficients", "feature_drift", "feature_histograms",
    "label_quality", "label_stability",
)  # fmt: skip


class StudyRules(Parameters):
    """How features are studied (`params:feature_engineering.study`): over which horizons, in bars."""

    horizons_bars: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1, 4, 12, 24, 96)
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9


def compute_features(
    bars: Partitions, side_series: pd.DataFrame, universe: Universe, selection: FeatureSelection, compute: ComputeRules
) -> dict[str, Callable[[], pd.DataFrame]]:
    """float32 features of every symbol, by partition, each computed when it is saved."""
    catalogue.select(selection, universe.timeframe, universe.side_series)  # refuses what cannot be before any work
    by_symbol = {symbol: bars[universe.partition(symbol)]() for symbol in universe.symbols}
    market = matrix.market_table(by_symbol)
    reference = by_symbol[universe.reference]
    work = {}
    for symbol in sorted(universe.symbols, key=universe.partition):
        series = {name: series_of(side_series, name, symbol) for name in universe.side_series}
        context = (reference, market, series)
        work[universe.partition(symbol)] = (symbol, by_symbol[symbol], context, universe, selection, compute.threads)
    return lazily(_symbol_features, work, compute)


def _symbol_features(
    symbol: str,
    bars: pd.DataFrame,
    context: tuple[pd.DataFrame, pd.DataFrame, dict[str, pd.DataFrame]],
    universe: Universe,
    selection: FeatureSelection,
    threads: int,
) -> pd.DataFrame:
    # Selected anew where it runs: features are made of functions, which do not travel to other processes.
    features = catalogue.select(selection, universe.timeframe, universe.side_series)
    return matrix.feature_table(symbol, matrix.build_chunk(bars, *context), features, threads)


def series_of(side_series: pd.DataFrame, name: str, symbol: str) -> pd.DataFrame:
    """The rows of a side series that concern the symbol or all symbols.

    Raises:
        BadData: there are none.
    """
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


def study_features(
    features: Partitions, bars: Partitions, folds: pd.DataFrame, universe: Universe, rules: StudyRules
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Information coefficients by horizon, drift by year and histograms, on rows before the holdout."""
    holdout = folds.loc[folds["role"] == "holdout", "test_start"].min()
    tables, returns = {}, {}
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        table = features[partition]()
        ahead = forward_returns(bars[partition](), rules.horizons_bars)
        # A horizon that reaches into the holdout is left out too.
        known = (table["timestamp"] + max(rules.horizons_bars) * universe.bar < holdout).to_numpy()
        tables[symbol], returns[symbol] = table[known], ahead[:, known]
    names = [name for name in table.columns if name not in ("symbol", "timestamp")]
    coefficients = study.information_coefficients(tables, returns, names, rules.horizons_bars, rules.confidence)
    return coefficients, study.drift_by_year(tables, names), study.histograms(tables, names)


def list_report(*made: Any) -> list[str]:
    """The stage's tables in the report, once all that it makes for people has been made."""
    return list(REPORTED)
