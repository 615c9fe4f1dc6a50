"""Tier 3: how much the price moves."""

import math

from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import feature

PER_BAR = "log-return per bar"


@feature(tier=3, unit=PER_BAR, source="Andersen and Bollerslev 1998", variants=(6, 24, 72, 168))
def realised_volatility(bars: Bars, window: int) -> Expression:
    """Root mean square of one-bar log returns."""
    return op.root_mean_square(bars.one_bar_return, window)


@feature(tier=3, unit=PER_BAR, source="RiskMetrics 1996", variants=(24,))
def ewma_volatility(bars: Bars, span: int) -> Expression:
    """Root of the exponential mean of squared one-bar log returns."""
    return op.sqrt(op.ema(bars.one_bar_return**2, span))


@feature(tier=3, unit=PER_BAR, source="Parkinson 1980", variants=(24, 72))
def parkinson(bars: Bars, window: int) -> Expression:
    """Volatility from the range of the bars."""
    return op.root_mean_square(op.log(bars.high / bars.low), window) / math.sqrt(4 * math.log(2))


@feature(tier=3, unit=PER_BAR, source="Garman and Klass 1980", variants=(24, 72))
def garman_klass(bars: Bars, window: int) -> Expression:
    """Volatility from open, high, low and close."""
    square = 0.5 * op.log(bars.high / bars.low) ** 2 - (2 * math.log(2) - 1) * op.log(bars.close / bars.open) ** 2
    return op.sqrt(op.larger(op.mean(square, window), 0.0))


def _rogers_satchell(bars: Bars) -> Expression:
    up, down, end = (op.log(price / bars.open) for price in (bars.high, bars.low, bars.close))
    return up * (up - end) + down * (down - end)


@feature(tier=3, unit=PER_BAR, source="Rogers and Satchell 1991", variants=(24, 72))
def rogers_satchell(bars: Bars, window: int) -> Expression:
    """Volatility from open, high, low and close that a drift does not bias."""
    return op.sqrt(op.larger(op.mean(_rogers_satchell(bars), window), 0.0))


@feature(tier=3, unit=PER_BAR, source="Yang and Zhang 2000", variants=(24, 72))
def yang_zhang(bars: Bars, window: int) -> Expression:
    """Volatility from gaps, opens, highs, lows and closes that neither a drift nor a gap biases."""
    k = 0.34 / (1.34 + (window + 1) / (window - 1))
    unbiased = window / (window - 1)
    gaps = op.variance(op.log(bars.open / op.lag(bars.close, 1)), window) * unbiased
    moves = op.variance(op.log(bars.close / bars.open), window) * unbiased
    inside = op.larger(op.mean(_rogers_satchell(bars), window), 0.0)
    return op.sqrt(gaps + k * moves + (1 - k) * inside)


@feature(tier=3, unit="ratio", variants=((6, 72), (24, 168)))
def volatility_ratio(bars: Bars, fast: int, slow: int) -> Expression:
    """Recent over usual volatility."""
    change = bars.one_bar_return
    return op.ratio(op.root_mean_square(change, fast), op.root_mean_square(change, slow))


@feature(tier=3, unit="standard deviations", source="volatility of volatility", variants=((6, 168),))
def volatility_z_score(bars: Bars, fast: int, window: int) -> Expression:
    """Recent volatility against its own window."""
    return op.z_score(op.root_mean_square(bars.one_bar_return, fast), window)


@feature(tier=3, unit="share", source="Barndorff-Nielsen, Kinnebrock and Shephard 2010", variants=(24, 72, 168))
def downside_share(bars: Bars, window: int) -> Expression:
    """Share of the realised variance that came from falls."""
    change = bars.one_bar_return
    falls = op.total(op.smaller(change, 0.0) ** 2, window)
    return op.ratio(falls, op.total(change**2, window))


@feature(tier=3, unit=PER_BAR, source="Barndorff-Nielsen and Shephard 2004", variants=(72,))
def bipower_volatility(bars: Bars, window: int) -> Expression:
    """Root of the bipower variation: volatility without the jumps."""
    size = op.absolute(bars.one_bar_return)
    return op.sqrt(op.mean(size * op.lag(size, 1), window) * (math.pi / 2))


@feature(tier=3, unit="share", source="Barndorff-Nielsen and Shephard 2004", variants=(72, 168))
def jump_share(bars: Bars, window: int) -> Expression:
    """Share of the realised variance beyond bipower variation: what came in jumps."""
    change = bars.one_bar_return
    size = op.absolute(change)
    smooth = op.total(size * op.lag(size, 1), window) * (math.pi / 2)
    return op.larger(1 - op.ratio(smooth, op.total(change**2, window), otherwise=1.0), 0.0)


@feature(tier=3, unit="standard deviations", source="Lee and Mykland 2008", variants=(72,))
def last_jump(bars: Bars, window: int) -> Expression:
    """The last return over the bipower volatility of the bars before it."""
    size = op.absolute(bars.one_bar_return)
    usual = op.sqrt(op.mean(size * op.lag(size, 1), window) * (math.pi / 2))
    return op.ratio(bars.one_bar_return, op.lag(usual, 1))


@feature(tier=3, unit="share of price", source="Wilder 1978", variants=(14,))
def atr(bars: Bars, period: int) -> Expression:
    """Average true range as a share of the close."""
    return op.wilder(bars.true_range, period) / bars.close


@feature(tier=3, unit="standard deviations", source="Bollinger 2001", variants=(20, 72))
def bollinger_position(bars: Bars, window: int) -> Expression:
    """Distance of the close from its mean, in standard deviations."""
    return op.z_score(bars.close, window)


@feature(tier=3, unit="share of price", source="Bollinger 2001", variants=(20,))
def bollinger_width(bars: Bars, window: int) -> Expression:
    """Width of the two-deviation band as a share of its middle."""
    return 4 * op.deviation(bars.close, window) / op.mean(bars.close, window)


@feature(tier=3, unit="ranges", source="Keltner 1960, in Raschke's form", variants=(20,))
def keltner_position(bars: Bars, span: int) -> Expression:
    """Distance of the close from its exponential mean, in average true ranges."""
    return op.ratio(bars.close - op.ema(bars.close, span), op.wilder(bars.true_range, span))


@feature(tier=3, unit="share of price", source="Donchian 1960", variants=(20, 72))
def donchian_width(bars: Bars, window: int) -> Expression:
    """Highest high less lowest low, as a share of the close."""
    return (op.highest(bars.high, window) - op.lowest(bars.low, window)) / bars.close


@feature(tier=3, unit="log-return", source="Donchian 1960", variants=(20, 72))
def donchian_breakout(bars: Bars, window: int) -> Expression:
    """How far the close stands beyond the channel of the bars before it; 0 within."""
    above = op.larger(op.log(bars.close / op.lag(op.highest(bars.high, window), 1)), 0.0)
    return above + op.smaller(op.log(bars.close / op.lag(op.lowest(bars.low, window), 1)), 0.0)


@feature(tier=3, unit="index 0 to 100", source="Dreiss 1993", variants=(14,))
def choppiness(bars: Bars, window: int) -> Expression:
    """Log of the path of true ranges over the channel it stayed in: high in a sideways market."""
    channel = op.highest(bars.high, window) - op.lowest(bars.low, window)
    paths = op.ratio(op.total(bars.true_range, window), channel, otherwise=1.0)
    return op.log(op.larger(paths, 1e-12)) * (100 / math.log(window))


@feature(tier=3, unit="ratio", source="Dorsey 1992", variants=((9, 25),), neutral=0.0)
def mass_index(bars: Bars, span: int, window: int) -> Expression:
    """Sum of the once over the twice smoothed range: it swells before a reversal."""
    once = op.ema(bars.high - bars.low, span)
    return op.total(op.ratio(once, op.ema(once, span)), window)


@feature(tier=3, unit="log-return", variants=((72, 0.05), (72, 0.95)))
def return_quantile(bars: Bars, window: int, share: float) -> Expression:
    """A quantile of the window's one-bar log returns."""
    return op.quantile(bars.one_bar_return, window, share)
