"""Bars to labels, features and labels to model input, model input to folds."""

from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

from tradewind.errors import BadParameters
from tradewind.learning.labels import of_universe, quality
from tradewind.learning.labels.fixed_horizon import forward_returns
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.labels.weights import WeightRules
from tradewind.learning.models import model_input as model_input_rows
from tradewind.learning.models.base import HORIZON_RETURN
from tradewind.learning.models.model_input import ModelInputRules
from tradewind.learning.regimes.walk_forward import feature_columns
from tradewind.learning.splits.walk_forward import FoldPlan
from tradewind.market.universe import Universe
from tradewind.pipelines.feature_engineering.parameters import HorizonRules

Partitions = Mapping[str, Callable[[], pd.DataFrame]]


def measure_horizon_returns(
    bars: Partitions, universe: Universe, horizons: HorizonRules, method: LabelRules
) -> dict[str, pd.DataFrame]:
    """Per symbol symbol, timestamp and `forward_return_N`, the log return from the next open to the close N bars on.

    Missing where a horizon leaves the segment or the data.

    Args:
        bars: by partition a function that loads checked bars.
        universe: symbols, venue, timeframe and side series.
        horizons: bars ahead.
        method: the labelling method, whose horizon is always among them.

    Returns:
        By partition one row a bar.

    Raises:
        BadParameters: a horizon is longer than the label's.
    """
    ordered = sorted({*horizons.bars, method.horizon_bars})
    if ordered[-1] > method.horizon_bars:
        raise BadParameters(
            f"feature_engineering.horizons.bars must not be longer than the label's horizon_bars "
            f"{method.horizon_bars}, found {list(horizons.bars)}: folds are purged by that horizon alone"
        )
    tables = {}
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        history = bars[partition]()
        ahead = forward_returns(history, ordered)
        named = {f"{HORIZON_RETURN}{bars}": ahead[row] for row, bars in enumerate(ordered)}
        tables[partition] = history[["symbol", "timestamp"]].assign(**named)
    return tables


def make_labels(
    bars: Partitions, universe: Universe, method: LabelRules, weights: WeightRules, seed: int
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Labels of every symbol, and per symbol how many rows have none and why, their balance and their overlap.

    Args:
        bars: by partition a function that loads checked bars.
        universe: symbols, venue, timeframe and side series.
        method: how rows are labelled.
        weights: how labels are weighted.
        seed: of the bootstrap that measures overlap.

    Returns:
        Tables by partition, and one row a symbol.
    """
    return of_universe.make_labels(bars, universe, method, weights, seed)


def assemble_model_input(
    features: Partitions,
    labels: Partitions,
    label_counts: pd.DataFrame,
    universe: Universe,
    rules: ModelInputRules,
    method: LabelRules,
    regimes: Partitions | None = None,
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Features beside labels by symbol, and the label counts completed by what was left out.

    Args:
        features: by partition a function that loads them.
        labels: by partition a function that loads them.
        label_counts: one row a symbol.
        universe: symbols, venue, timeframe and side series.
        rules: the largest share of missing features in a row, and whether regimes join.
        method: the labelling method, for its horizon.
        regimes: by partition a function that loads its regimes; None where they do not join.

    Returns:
        Tables by partition, and one row a symbol.
    """
    columns = {name: partial(_regime_columns, load) for name, load in (regimes or {}).items()}
    return model_input_rows.assemble_model_input(features, labels, label_counts, universe, rules, method, columns)


def _regime_columns(load: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return feature_columns(load())


def make_folds(model_input: Partitions, universe: Universe, plan: FoldPlan, method: LabelRules) -> pd.DataFrame:
    """Walk-forward folds and the holdout, over the time that the universe covers.

    Args:
        model_input: by partition a function that loads its model-input rows.
        universe: gives the length of a bar.
        plan: how many folds, the holdout and the embargo.
        method: the labelling method, whose horizon is purged.

    Returns:
        `schema.Folds`, the holdout last.

    Raises:
        BadParameters: the history is too short for the plan.
    """
    return model_input_rows.make_folds(model_input, universe, plan, method)


def compare_folds(labels: Partitions, folds: pd.DataFrame) -> pd.DataFrame:
    """The classes' shares of each symbol in each walk-forward test, and how far they move, where it has labels."""
    parts = []
    for table in (load() for load in labels.values()):
        if table.empty:
            continue
        parts.append(quality.stability(table, folds).assign(symbol=table["symbol"].iloc[0]))
    return pd.concat(parts, ignore_index=True).astype({"symbol": "str"})
