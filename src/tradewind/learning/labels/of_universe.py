"""Labels of every symbol of a universe."""

import logging
from collections.abc import Callable, Mapping

import pandas as pd

from tradewind.errors import BadData
from tradewind.learning.labels import quality, rules
from tradewind.learning.labels.rules import LabelRules
from tradewind.learning.labels.weights import WeightRules
from tradewind.market.universe import Universe

Partitions = Mapping[str, Callable[[], pd.DataFrame]]
logger = logging.getLogger(__name__)
_REMEDY = "shorten horizon_bars and volatility_window of feature_engineering.labels"


def make_labels(
    bars: Partitions, universe: Universe, method: LabelRules, weights: WeightRules, seed: int
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Labels of every symbol, and per symbol how many rows have none and why, their balance and their overlap.

    A symbol may live too shortly for any label: nothing is learned from it, which is said, and the others go on.

    Args:
        bars: checked bars, a function each, by partition.
        universe: whose symbols.
        method: how rows are labelled.
        weights: how much each counts in training.
        seed: of the bootstrap in the counts.

    Raises:
        BadData: no symbol has a row with a label; the message has what they lack.
    """
    tables, counts, without = {}, [], list[str]()
    for symbol in universe.symbols:
        partition = universe.partition(symbol)
        history = bars[partition]()
        labels, outcomes = rules.make_labels(history, method, weights)
        if labels.empty:
            without.append(_unlabelled(partition, len(history), outcomes.missing(), method.horizon_bars))
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
    if len(without) == len(tables):
        raise BadData(f"{without[0]}. Provide more bars, or {_REMEDY}")
    for problem in without:
        logger.warning("%s. Nothing is learned from it: leave it out of universe.symbols, or %s", problem, _REMEDY)
    return tables, pd.DataFrame(counts)


def _unlabelled(partition: str, bars: int, missing: Mapping[str, int], horizon_bars: int) -> str:
    lacks = {
        "unlabelled_horizon": f"have no whole horizon of {horizon_bars} bars after them",
        "unlabelled_volatility": "come before the volatility is known",
        "unlabelled_side": "have no side",
    }
    counts = ", ".join(f"{count} {lacks[reason]}" for reason, count in missing.items() if count)
    return f"{partition}: none of its {bars} bars has a label: {counts}"
