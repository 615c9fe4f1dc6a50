"""Bars and side series to features, and the dictionary that describes them."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tradewind.compute import ComputeRules
from tradewind.learning.features import catalogue, dictionary, of_universe, study
from tradewind.learning.features.catalogue import FeatureSelection
from tradewind.learning.labels.fixed_horizon import forward_returns
from tradewind.market.universe import Universe
from tradewind.pipelines.feature_engineering.outputs import REPORTED
from tradewind.pipelines.feature_engineering.parameters import StudyRules

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def compute_features(
    bars: Partitions, side_series: pd.DataFrame, universe: Universe, selection: FeatureSelection, compute: ComputeRules
) -> dict[str, Callable[[], pd.DataFrame]]:
    """float32 features of every symbol, by partition, each computed when it is saved.

    Args:
        bars: by partition a function that loads checked bars.
        side_series: side series as they were known.
        universe: symbols, venue, timeframe and side series.
        selection: which features.
        compute: executor and workers.

    Returns:
        By partition a function that computes its table.
    """
    return of_universe.compute_features(bars, side_series, universe, selection, compute)


def describe_features(
    features: Partitions, universe: Universe, selection: FeatureSelection
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The feature dictionary, the distribution of each feature, and both as Markdown.

    Args:
        features: by partition a function that loads them.
        universe: gives timeframe and side series.
        selection: which features.

    Returns:
        Two tables and a document.
    """
    chosen = catalogue.select(selection, universe.timeframe, universe.side_series)
    distribution = dictionary.distribution_table({name: load() for name, load in features.items()}, chosen)
    return dictionary.dictionary_table(chosen), distribution, dictionary.dictionary_text(chosen, distribution)


def study_features(
    features: Partitions, bars: Partitions, folds: pd.DataFrame, universe: Universe, rules: StudyRules
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Information coefficients by horizon, drift by year and histograms, on rows before the holdout.

    Args:
        features: by partition a function that loads them.
        bars: by partition a function that loads checked bars.
        folds: whose holdout is kept out.
        universe: symbols, venue, timeframe and side series.
        rules: horizons in bars, and the confidence of the intervals.

    Returns:
        Three tables.
    """
    holdout = folds.loc[folds["role"] == "holdout", "test_start"].min()
    tables, returns = {}, {}
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        table = features[partition]()
        ahead = forward_returns(bars[partition](), rules.horizons_bars)
        # A horizon that reaches into the holdout is left out too.
        before_holdout = (table["timestamp"] + max(rules.horizons_bars) * universe.bar < holdout).to_numpy()
        tables[symbol], returns[symbol] = table[before_holdout], ahead[:, before_holdout]
    names = [name for name in table.columns if name not in ("symbol", "timestamp")]
    coefficients = study.information_coefficients(tables, returns, names, rules.horizons_bars, rules.confidence)
    return coefficients, study.drift_by_year(tables, names), study.histograms(tables, names)


def list_report(*made: Any) -> list[str]:
    """The stage's tables in the report, once all that it makes for people has been made."""
    return list(REPORTED)
