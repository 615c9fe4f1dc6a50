"""Tier 1: what the price did."""

import math

from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import feature

MOMENTS = "Cont 2001, Empirical properties of asset returns"


@feature(tier=1, unit="log-return", variants=(1, 2, 3, 6, 12, 24, 48, 96, 168))
def log_return(bars: Bars, lag: int) -> Expression:
    """Log return over the last bars."""
    return op.log_return(bars.close, lag)


@feature(tier=1, unit="log-return", variants=(1, 2, 3, 6, 12, 24))
def lagged_return(bars: Bars, lag: int) -> Expression:
    """One-bar log return of some bars ago."""
    return op.lag(bars.one_bar_return, lag)


@feature(
    tier=1,
    unit="standard deviations",
    source="Moskowitz, Ooi and Pedersen 2012",
    variants=((1, 168), (24, 168), (96, 168)),
)
def scaled_return(bars: Bars, lag: int, window: int) -> Expression:
    """Log return in units of what is usual for so many bars."""
    usual = op.root_mean_square(bars.one_bar_return, window) * math.sqrt(lag)
    return op.ratio(op.log_return(bars.close, lag), usual)


@feature(tier=1, unit="log-return")
def bar_range(bars: Bars) -> Expression:
    """Log range of the bar."""
    return op.log(bars.high / bars.low)


@feature(tier=1, unit="share")
def body(bars: Bars) -> Expression:
    """Move from open to close as a share of the bar's range."""
    return op.ratio(bars.close - bars.open, bars.high - bars.low)


@feature(tier=1, unit="share")
def upper_shadow(bars: Bars) -> Expression:
    """Range above the body as a share of the bar's range."""
    return op.ratio(bars.high - op.larger(bars.open, bars.close), bars.high - bars.low)


@feature(tier=1, unit="share")
def lower_shadow(bars: Bars) -> Expression:
    """Range below the body as a share of the bar's range."""
    return op.ratio(op.smaller(bars.open, bars.close) - bars.low, bars.high - bars.low)


@feature(tier=1, unit="log-return")
def gap(bars: Bars) -> Expression:
    """Log distance from the previous close to this bar's open."""
    return op.log(bars.open / op.lag(bars.close, 1))


@feature(tier=1, unit="log-return", variants=(24, 72, 168))
def drawdown(bars: Bars, window: int) -> Expression:
    """Log distance from the highest high of the window down to the close."""
    return op.log(bars.close / op.highest(bars.high, window))


@feature(tier=1, unit="log-return", variants=(24, 168))
def drawup(bars: Bars, window: int) -> Expression:
    """Log distance from the lowest low of the window up to the close."""
    return op.log(bars.close / op.lowest(bars.low, window))


@feature(tier=1, unit="share", source="Lane 1984, stochastics (%K)", variants=(14, 24, 72, 168), neutral=0.5)
def position_in_range(bars: Bars, window: int) -> Expression:
    """Where the close stands between the lowest low (0) and the highest high (1) of the window."""
    low = op.lowest(bars.low, window)
    return op.ratio(bars.close - low, op.highest(bars.high, window) - low, otherwise=0.5)


@feature(tier=1, unit="ratio", source=MOMENTS, variants=(24, 72, 168))
def skewness(bars: Bars, window: int) -> Expression:
    """Skewness of one-bar log returns."""
    return op.skewness(bars.one_bar_return, window)


@feature(tier=1, unit="ratio", source=MOMENTS, variants=(72, 168))
def kurtosis(bars: Bars, window: int) -> Expression:
    """Excess kurtosis of one-bar log returns."""
    return op.kurtosis(bars.one_bar_return, window)


@feature(tier=1, unit="correlation", source=MOMENTS, variants=((1, 72), (2, 72), (24, 168)))
def autocorrelation(bars: Bars, lag: int, window: int) -> Expression:
    """Correlation of one-bar log returns with earlier ones."""
    return op.correlation(bars.one_bar_return, op.lag(bars.one_bar_return, lag), window)


@feature(tier=1, unit="correlation", source="Ding, Granger and Engle 1993", variants=((1, 72),))
def volatility_clustering(bars: Bars, lag: int, window: int) -> Expression:
    """Correlation of absolute one-bar returns with earlier ones."""
    size = op.absolute(bars.one_bar_return)
    return op.correlation(size, op.lag(size, lag), window)


@feature(tier=1, unit="share", variants=(72, 168), neutral=0.5)
def return_rank(bars: Bars, window: int) -> Expression:
    """Rank of the last one-bar return among those of the window."""
    return op.rank(bars.one_bar_return, window)


@feature(tier=1, unit="share", variants=(72,), neutral=0.5)
def close_rank(bars: Bars, window: int) -> Expression:
    """Rank of the close among those of the window."""
    return op.rank(bars.close, window)


@feature(tier=1, unit="share", source="Kaufman 1995", variants=(10, 24, 96))
def efficiency_ratio(bars: Bars, window: int) -> Expression:
    """Net move over the length of the path."""
    path = op.total(op.absolute(bars.one_bar_return), window)
    return op.ratio(op.log_return(bars.close, window), path)


@feature(tier=1, unit="share", variants=(12, 24, 72))
def share_of_rises(bars: Bars, window: int) -> Expression:
    """Share of the window's bars that closed higher, less the share that closed lower."""
    return op.mean(op.sign(bars.one_bar_return), window)


@feature(tier=1, unit="share", source="Shannon 1948, on the signs of successive returns", variants=(72,))
def sign_entropy(bars: Bars, window: int) -> Expression:
    """How evenly pairs of successive rises and falls are spread: 0 always the same, 1 no pattern."""
    up, before = bars.one_bar_return > 0, op.lag(bars.one_bar_return > 0, 1)
    pairs = (up * before, up * (1 - before), (1 - up) * before, (1 - up) * (1 - before))
    return op.entropy(tuple(op.mean(pair, window) for pair in pairs), f"entropy of sign pairs over {window}")


@feature(
    tier=1, unit="log-price", source="Hosking 1981; Lopez de Prado 2018, chapter 5", variants=((0.3, 64), (0.5, 64))
)
def fractional_difference(bars: Bars, order: float, window: int) -> Expression:
    """Fractional difference of the log close against its start of the window: stationary, with a memory."""
    # The weights of a truncated filter do not sum to 0: without the second term the level itself would shine through.
    sum_of_weights = sum(op.fractional_weights(order, window))
    return op.fractional_difference(bars.log_close, order, window) - sum_of_weights * op.lag(bars.log_close, window - 1)
