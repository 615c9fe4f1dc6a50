"""Tier 5: the time of the close, UTC, as points on circles so that midnight is near 23:00."""

import math

from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import feature


@feature(tier=5, unit="-1 to 1")
def hour_sin(bars: Bars) -> Expression:
    """Sine of the time of the day."""
    return op.sine(2 * math.pi * bars.share_of_day)


@feature(tier=5, unit="-1 to 1")
def hour_cos(bars: Bars) -> Expression:
    """Cosine of the time of the day."""
    return op.cosine(2 * math.pi * bars.share_of_day)


@feature(tier=5, unit="-1 to 1")
def week_sin(bars: Bars) -> Expression:
    """Sine of the time of the week."""
    return op.sine(2 * math.pi * bars.share_of_week)


@feature(tier=5, unit="-1 to 1")
def week_cos(bars: Bars) -> Expression:
    """Cosine of the time of the week."""
    return op.cosine(2 * math.pi * bars.share_of_week)


@feature(tier=5, unit="0 or 1")
def is_weekend(bars: Bars) -> Expression:
    """Whether the bar closes on a Saturday or a Sunday."""
    # Monday 00:00 begins the week, so the weekend is its last two sevenths; the close at Saturday 00:00 is in it.
    return 1 - (bars.share_of_week < 5 / 7)


@feature(tier=5, unit="0 to 1")
def funding_clock(bars: Bars) -> Expression:
    """How near the close is to the next eight-hourly funding: 0 just after one, towards 1 before the next."""
    thirds = 3 * bars.share_of_day
    return thirds - ((thirds > 1 - 1e-9) + (thirds > 2 - 1e-9))
