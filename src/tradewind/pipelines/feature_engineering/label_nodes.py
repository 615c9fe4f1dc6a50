"""Bars to labels, features and labels to model input, model input to folds."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.errors import BadData, BadParameters
from tradewind.learning.labels import quality, rules
from tradewind.learning.labels.fixed_horizon import forward_returns
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.labels.weights import WeightRules
from tradewind.learning.models.base import HORIZON_RETURN
from tradewind.learning.splits import walk_forward
from tradewind.learning.splits.walk_forward import FoldPlan
from tradewind.market.universe import Universe
from tradewind.parameters import Parameters

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
LABEL_COLUMNS = ["symbol", "timestamp", "label", "forward_return", "exit_time", "horizon_end", "weight"]


class ModelInputRules(Parameters):
    """Which rows models see (`params:feature_engineering.model_input`)."""

    max_missing_share: Annotated[float, Field(ge=0, lt=1)] = 0.5


class HorizonRules(Parameters):
    """Over how many bars models that forecast several horizons look (`params:feature_engineering.horizons`).

    None may be longer than the label's own, by which folds are purged; that one is always among them.
    """

    bars: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(min_length=1)] = (1, 4, 12, 24)


def measure_horizon_returns(
    bars: Partitions, universe: Universe, horizons: HorizonRules, method: LabelRules
) -> dict[str, pd.DataFrame]:
    """Per symbol symbol, timestamp and `forward_return_N`, the log return from the next open to the close N bars on.

    Missing where a horizon leaves the segment or the data.

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
    """Labels of every symbol, and per symbol how many rows have none and why, their balance and their overlap."""
    tables, counts = {}, []
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        history = bars[partition]()
        labels, outcomes = rules.make_labels(history, method, weights)
        if labels.empty:
            raise BadData(f"{partition}: no row of {len(history)} has a whole horizon of {method.horizon_bars} bars")
        counts.append(
            {
                "symbol": symbol,
                "rows": len(history),
                "labelled": len(labels),
                **outcomes.missing(),
                **quality.describe_labels(labels, outcomes, seed),
            }
        )
        tables[partition] = labels
    return tables, pd.DataFrame(counts)


def assemble_model_input(
    features: Partitions,
    labels: Partitions,
    label_counts: pd.DataFrame,
    universe: Universe,
    rules: ModelInputRules,
    method: LabelRules,
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Features beside labels by symbol, and the label counts completed by what was left out.

    A row without a label stays, to be forecast: which rows have none is known only after the horizon (a gap, the end of
    the data), so that leaving them out would tell a strategy to be flat before every outage. Its label, forward return,
    weight and instants are missing; `horizon_end` is what every split asks for, so that nothing learns from it. Under
    meta-labels only rows with a label stay: the others have no side to judge.

    Args:
        features: by partition a function that loads the features.
        labels: the same for the labels.
        label_counts: one row a symbol.
        universe: the symbols.
        rules: a row is left out, and counted, where more than `max_missing_share` of its features are missing.
        method: how the labels were made.

    Returns:
        Model input by partition (`schema.ModelInput`), and the counts with `model_rows`, `left_out_missing_features`
        (labelled rows) and `forecast_only_rows`.

    Raises:
        BadData: no labelled row of a symbol has enough features.
    """
    tables, kept, left_out, unlabelled = {}, [], [], []
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        known = labels[partition]()[LABEL_COLUMNS].astype({"label": "Int8"})
        how: Literal["right", "inner"] = "right" if method.labels_every_bar else "inner"
        rows = known.merge(features[partition](), on=["symbol", "timestamp"], how=how)
        values = rows.drop(columns=LABEL_COLUMNS).to_numpy()
        enough = np.isnan(values).mean(axis=1) <= rules.max_missing_share
        labelled = rows["label"].notna().to_numpy()
        tables[partition] = rows[enough].reset_index(drop=True)
        kept.append(int((enough & labelled).sum()))
        left_out.append(int((~enough & labelled).sum()))
        unlabelled.append(int((enough & ~labelled).sum()))
        if not kept[-1]:
            raise BadData(f"{partition}: no row has enough features; the history is shorter than their warm-up")
    counts = {"left_out_missing_features": left_out, "model_rows": kept, "forecast_only_rows": unlabelled}
    return tables, label_counts.assign(**counts)


def make_folds(model_input: Partitions, universe: Universe, plan: FoldPlan, method: LabelRules) -> pd.DataFrame:
    """Walk-forward folds and the holdout, over the time that the universe covers."""
    timestamp = pd.concat([load()["timestamp"] for load in model_input.values()])
    return walk_forward.make_folds(timestamp, plan, universe.bar, method.horizon_bars)


def compare_folds(labels: Partitions, folds: pd.DataFrame) -> pd.DataFrame:
    """The classes' shares of each symbol in each walk-forward test, and how far they move."""
    parts = []
    for load in labels.values():
        table = load()
        parts.append(quality.stability(table, folds).assign(symbol=table["symbol"].iloc[0]))
    return pd.concat(parts, ignore_index=True).astype({"symbol": "str"})
