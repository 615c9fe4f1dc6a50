"""Bars to labels, features and labels to model input, model input to folds."""

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from tradewind.errors import BadData
from tradewind.labels import triple_barrier
from tradewind.labels.triple_barrier import TripleBarrier
from tradewind.market.universe import Universe
from tradewind.splits import walk_forward
from tradewind.splits.walk_forward import FoldPlan

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
LABEL_COLUMNS = ["symbol", "timestamp", "label", "forward_return", "exit_time", "horizon_end", "weight"]


class ModelInputRules(BaseModel):
    """Which rows models see (`params:feature_engineering.model_input`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_missing_share: Annotated[float, Field(ge=0, lt=1)] = 0.5


def make_labels(
    bars: Partitions, universe: Universe, barriers: TripleBarrier
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Triple-barrier labels of every symbol, and per symbol how many rows have none and why."""
    tables, counts = {}, []
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        history = bars[partition]()
        labels, missing = triple_barrier.make_labels(history, barriers)
        if labels.empty:
            raise BadData(f"{partition}: no row of {len(history)} has a whole horizon of {barriers.horizon_bars} bars")
        shares = labels["label"].value_counts(normalize=True)
        counts.append(
            {
                "symbol": symbol,
                "rows": len(history),
                "labelled": len(labels),
                **missing,
                "share_down": float(shares.get(-1, 0.0)),
                "share_flat": float(shares.get(0, 0.0)),
                "share_up": float(shares.get(1, 0.0)),
                "share_ambiguous": float((labels["barrier"] == "ambiguous").mean()),
                "mean_uniqueness": float(labels["weight"].mean()),
            }
        )
        tables[partition] = labels
    return tables, pd.DataFrame(counts)


def assemble_model_input(
    features: Partitions, labels: Partitions, label_counts: pd.DataFrame, universe: Universe, rules: ModelInputRules
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Features beside labels by symbol, and the label counts completed by what was left out.

    A row is left out where more than `max_missing_share` of its features are missing (warm-up); it is counted.
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


def make_folds(model_input: Partitions, universe: Universe, plan: FoldPlan, barriers: TripleBarrier) -> pd.DataFrame:
    """Walk-forward folds and the holdout, over the time that the universe covers."""
    timestamp = pd.concat([load()["timestamp"] for load in model_input.values()])
    return walk_forward.make_folds(timestamp, plan, universe.bar, barriers.horizon_bars)
