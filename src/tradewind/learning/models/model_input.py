"""Features beside labels: the rows that models see, and the folds that divide them."""

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.errors import BadData
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.splits import walk_forward
from tradewind.learning.splits.walk_forward import FoldPlan
from tradewind.market.universe import Universe
from tradewind.parameters import Parameters

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
LABEL_COLUMNS = ["symbol", "timestamp", "label", "forward_return", "exit_time", "horizon_end", "weight"]


class ModelInputRules(Parameters):
    """Which rows models see (`params:feature_engineering.model_input`)."""

    max_missing_share: Annotated[float, Field(ge=0, lt=1)] = 0.5


def assemble_model_input(
    features: Partitions, labels: Partitions, label_counts: pd.DataFrame, universe: Universe, rules: ModelInputRules
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Features beside labels by symbol, and the label counts completed by what was left out.

    A row is left out where more than `max_missing_share` of its features are missing (warm-up); it is counted.

    Args:
        features: float32 features, a function each, by partition.
        labels: labels, a function each, by partition.
        label_counts: a row for each symbol, in the universe's order.
        universe: whose symbols.
        rules: how many features may be missing.

    Raises:
        BadData: no row of a symbol has enough features.
    """
    tables, kept, left_out = {}, [], []
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        rows = labels[partition]()[LABEL_COLUMNS].merge(features[partition](), on=["symbol", "timestamp"], how="inner")
        values = rows.drop(columns=LABEL_COLUMNS).to_numpy()
        enough = np.isnan(values).mean(axis=1) <= rules.max_missing_share
        tables[partition] = rows[enough].reset_index(drop=True)
        kept.append(int(enough.sum()))
        left_out.append(int((~enough).sum()))
        if not kept[-1]:
            raise BadData(f"{partition}: no row has enough features; the history is shorter than their warm-up")
    return tables, label_counts.assign(left_out_missing_features=left_out, model_rows=kept)


def make_folds(model_input: Partitions, universe: Universe, plan: FoldPlan, method: LabelRules) -> pd.DataFrame:
    """Walk-forward folds and the holdout, over the time that the universe covers."""
    timestamp = pd.concat([load()["timestamp"] for load in model_input.values()])
    return walk_forward.make_folds(timestamp, plan, universe.bar, method.horizon_bars)
