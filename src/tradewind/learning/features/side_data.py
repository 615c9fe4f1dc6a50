"""Tier 5: side series as they were known at each bar; every series of the universe gets each of these."""

from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import Feature, feature
from tradewind.market.series import QUALITY_SERIES

SOURCE = "side series, joined backwards on known_at"


@feature(tier=5, unit="as the series", source=SOURCE, naming="{}_level")
def level(bars: Bars, series: str) -> Expression:
    """The latest published value."""
    return bars.side(series)


@feature(tier=5, unit="as the series", source=SOURCE, naming="{}_mean_{}")
def mean(bars: Bars, series: str, window: int) -> Expression:
    """Mean of the latest published values."""
    return op.mean(bars.side(series), window)


@feature(tier=5, unit="as the series", source=SOURCE, naming="{}_change_{}")
def change(bars: Bars, series: str, lag: int) -> Expression:
    """Change of the latest published value."""
    return op.change(bars.side(series), lag)


@feature(tier=5, unit="standard deviations", source=SOURCE, naming="{}_z_score_{}")
def z_score(bars: Bars, series: str, window: int) -> Expression:
    """The latest published value against its window."""
    return op.z_score(bars.side(series), window)


def features_of(series: str) -> tuple[Feature, ...]:
    """The features of one side series; a quality score is a mean of 30 days already, so its level says it all."""
    if series in QUALITY_SERIES:
        return (level(series),)
    return (level(series), mean(series, 72), change(series, 24), z_score(series, 168), z_score(series, 336))
