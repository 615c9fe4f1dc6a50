"""The labelling methods by name, and labels made by any of them."""

from typing import Annotated

import pandas as pd
from pydantic import Field, RootModel

from tradewind.learning.labels.fixed_horizon import FixedHorizon
from tradewind.learning.labels.meta_label import MetaLabel
from tradewind.learning.labels.outcome import Outcomes, label_table
from tradewind.learning.labels.trend_scanning import TrendScanning
from tradewind.learning.labels.triple_barrier import TripleBarrier
from tradewind.learning.labels.weights import WeightRules, sample_weights

Method = Annotated[TripleBarrier | FixedHorizon | TrendScanning | MetaLabel, Field(discriminator="method")]


class LabelRules(RootModel[Method]):
    """One method with its parameters (`params:feature_engineering.labels`).

    `method` is triple_barrier, fixed_horizon, trend_scanning or meta_label. A new method is a class with a `method`
    of its own, `horizon_bars` and `outcomes`, added to `Method`.
    """

    @property
    def horizon_bars(self) -> int:
        """How many bars after its row a label may look at."""
        return self.root.horizon_bars

    @property
    def labels_every_bar(self) -> bool:
        """Whether a bar without a label lacks only what its label looks at; a meta-label is for bars with a side."""
        return not isinstance(self.root, MetaLabel)

    def outcomes(self, bars: pd.DataFrame) -> Outcomes:
        """What became of each bar of one symbol."""
        return self.root.outcomes(bars)


def make_labels(bars: pd.DataFrame, rules: LabelRules, weights: WeightRules) -> tuple[pd.DataFrame, Outcomes]:
    """Labels of one symbol (`schema.Labels`), and what became of every row.

    `forward_return` is the log return from the next open to the close at the end of the horizon. A row whose horizon
    leaves its segment or the data has no label, nor has one for which the method lacks a volatility or a side.

    Args:
        bars: one symbol's checked bars, oldest first.
        rules: of one labelling method.
        weights: the scheme of the sample weights and their half-life.

    Returns:
        The labels, and one outcome a bar.
    """
    outcomes = rules.outcomes(bars)
    return label_table(bars, outcomes, sample_weights(bars, outcomes, weights)), outcomes
