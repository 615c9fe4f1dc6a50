"""Features beside labels: the rows that models see, and the folds that divide them."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tradewind.errors import BadData
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.splits import walk_forward
from tradewind.learning.splits.walk_forward import FoldPlan
from tradewind.market.universe import Universe
from tradewind.parameters import Parameters

logger = logging.getLogger(__name__)
Partitions = Mapping[str, Callable[[], pd.DataFrame]]
LABEL_COLUMNS = ["symbol", "timestamp", "label", "forward_return", "exit_time", "horizon_end", "weight"]


class ModelInputRules(Parameters):
    """Which rows models see (`params:feature_engineering.model_input`), and whether regimes are among the features."""

    max_missing_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    regimes: bool = False


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
        regimes: where the rules ask for it, the same for the regimes' columns, `regime_*` beside the keys.

    Returns:
        Model input by partition (`schema.ModelInput`), and the counts with `model_rows`, `left_out_missing_features`
        (labelled rows) and `forecast_only_rows`.

    Raises:
        BadData: no labelled row of any symbol has enough features.
    """
    tables, n_rows, left_out, unlabelled = {}, [], [], []
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        labelled_rows = labels[partition]()[LABEL_COLUMNS].astype({"label": "Int8"})
        how: Literal["right", "inner"] = "right" if method.labels_every_bar else "inner"
        rows = labelled_rows.merge(features[partition](), on=["symbol", "timestamp"], how=how)
        if rules.regimes:
            rows = _with_regimes(rows, partition, regimes or {})
        values = rows.drop(columns=LABEL_COLUMNS).to_numpy()
        enough = np.isnan(values).mean(axis=1) <= rules.max_missing_share
        labelled = rows["label"].notna().to_numpy()
        tables[partition] = rows[enough].reset_index(drop=True)
        n_rows.append(int((enough & labelled).sum()))
        left_out.append(int((~enough & labelled).sum()))
        unlabelled.append(int((enough & ~labelled).sum()))
        if not n_rows[-1] and left_out[-1]:  # one without labels was told of when they were made
            logger.warning("%s. Nothing is learned from it", _too_short(partition, len(values), rules))
    if not any(n_rows):
        shortest = _too_short(universe.partition(universe.symbols[0]), label_counts["rows"].iloc[0], rules)
        raise BadData(
            f"{shortest}. Provide more bars, or leave slow features out (feature_engineering.features.exclude)"
        )
    counts = {"left_out_missing_features": left_out, "model_rows": n_rows, "forecast_only_rows": unlabelled}
    return tables, label_counts.assign(**counts)


def _too_short(partition: str, bars: int, rules: ModelInputRules) -> str:
    return (
        f"{partition}: none of its {bars} bars has a label and {1 - rules.max_missing_share:.0%} of its features: the "
        "history is shorter than their warm-up"
    )


def _with_regimes(rows: pd.DataFrame, partition: str, regimes: Partitions) -> pd.DataFrame:
    """The rows with the regimes of their bars; one without a regime has none, which is missing."""
    if partition not in regimes:
        raise BadData(f"feature_engineering.model_input.regimes is on, but {partition} has none: run the regimes stage")
    return rows.merge(regimes[partition](), on=["symbol", "timestamp"], how="left", validate="1:1")


def make_folds(model_input: Partitions, universe: Universe, plan: FoldPlan, method: LabelRules) -> pd.DataFrame:
    """Walk-forward folds and the holdout, over the time that the universe covers.

    Args:
        model_input: by symbol a function that loads its rows.
        universe: gives the length of a bar.
        plan: how many folds, the holdout and the embargo.
        method: the labelling method, whose horizon is purged.

    Returns:
        `schema.Folds`, the holdout last.

    Raises:
        BadParameters: the history is too short for the plan.
    """
    timestamp = pd.concat([load()["timestamp"] for load in model_input.values()])
    spacing = timedelta(milliseconds=universe.trading_calendar.spacing_ms)
    return walk_forward.make_folds(timestamp, plan, universe.bar, method.horizon_bars, spacing)
