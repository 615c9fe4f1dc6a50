"""Tier 2: trend and momentum. Oscillators of prices are given as shares of the price, so that symbols compare."""

import math

from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import feature


@feature(tier=2, unit="log-return", source="Brock, Lakonishok and LeBaron 1992", variants=(12, 24, 72, 168))
def sma_distance(bars: Bars, window: int) -> Expression:
    """Log distance of the close from its simple mean."""
    return op.log(bars.close / op.mean(bars.close, window))


@feature(tier=2, unit="log-return", source="Brock, Lakonishok and LeBaron 1992", variants=((12, 48), (24, 168)))
def sma_crossing(bars: Bars, fast: int, slow: int) -> Expression:
    """Log distance of a fast simple mean from a slow one."""
    return op.log(op.mean(bars.close, fast) / op.mean(bars.close, slow))


@feature(tier=2, unit="log-return", source="Hunter 1986", variants=(12, 48))
def ema_distance(bars: Bars, span: int) -> Expression:
    """Log distance of the close from its exponential mean."""
    return op.log(bars.close / op.ema(bars.close, span))


@feature(tier=2, unit="log-return", source="linearly weighted mean", variants=(24,))
def wma_distance(bars: Bars, window: int) -> Expression:
    """Log distance of the close from its linearly weighted mean."""
    return op.log(bars.close / op.linear_mean(bars.close, window))


@feature(tier=2, unit="share", source="Mulloy 1994", variants=(20,))
def dema_distance(bars: Bars, span: int) -> Expression:
    """Distance of the close from its double exponential mean."""
    once = op.ema(bars.close, span)
    return bars.close / (2 * once - op.ema(once, span)) - 1


def _macd_line(bars: Bars, fast: int, slow: int) -> Expression:
    return op.ema(bars.close, fast) - op.ema(bars.close, slow)


@feature(tier=2, unit="share", source="Appel 1979", variants=((12, 26),))
def macd_line(bars: Bars, fast: int, slow: int) -> Expression:
    """Fast less slow exponential mean, as a share of the close."""
    return _macd_line(bars, fast, slow) / bars.close


@feature(tier=2, unit="share", source="Appel 1979", variants=((12, 26, 9),))
def macd_histogram(bars: Bars, fast: int, slow: int, smooth: int) -> Expression:
    """MACD line less its own exponential mean, as a share of the close."""
    line = _macd_line(bars, fast, slow)
    return (line - op.ema(line, smooth)) / bars.close


def _gains_and_losses(bars: Bars) -> tuple[Expression, Expression]:
    change = op.change(bars.close)
    return op.larger(change, 0.0), op.larger(-change, 0.0)


@feature(tier=2, unit="index 0 to 100", source="Wilder 1978", variants=(7, 14, 28), neutral=50.0)
def rsi(bars: Bars, period: int) -> Expression:
    """Relative strength index; 50 on a price that does not move."""
    gains, losses = (op.wilder(part, period) for part in _gains_and_losses(bars))
    return 100 * op.ratio(gains, gains + losses, otherwise=0.5)


@feature(tier=2, unit="index 0 to 100", source="Cutler, after Wilder 1978", variants=(14,), neutral=50.0)
def rsi_cutler(bars: Bars, period: int) -> Expression:
    """Relative strength index with plain sums, which has an exact window."""
    gains, losses = (op.total(part, period) for part in _gains_and_losses(bars))
    return 100 * op.ratio(gains, gains + losses, otherwise=0.5)


@feature(tier=2, unit="index 0 to 1", source="Chande and Kroll 1994", variants=(14,), neutral=0.5)
def stochastic_rsi(bars: Bars, period: int) -> Expression:
    """Where the relative strength index stands between its own lowest and highest."""
    strength = rsi_cutler(period).expression
    assert strength is not None
    low = op.lowest(strength, period)
    return op.ratio(strength - low, op.highest(strength, period) - low, otherwise=0.5)


@feature(tier=2, unit="index -100 to 100", source="Chande and Kroll 1994", variants=(14,))
def chande_momentum(bars: Bars, window: int) -> Expression:
    """Sum of rises less sum of falls, as a share of both."""
    gains, losses = (op.total(part, window) for part in _gains_and_losses(bars))
    return 100 * op.ratio(gains - losses, gains + losses)


@feature(tier=2, unit="index 0 to 100", source="Lane 1984", variants=((14, 3),), neutral=50.0)
def stochastic_slow(bars: Bars, window: int, smooth: int) -> Expression:
    """Mean of the close's position in the range of the window."""
    low = op.lowest(bars.low, window)
    return 100 * op.mean(op.ratio(bars.close - low, op.highest(bars.high, window) - low, otherwise=0.5), smooth)


def _directional(bars: Bars, period: int) -> tuple[Expression, Expression, Expression]:
    """Wilder's means of the upward and the downward movement, and of the true range."""
    up, down = op.change(bars.high), -op.change(bars.low)
    plus = op.where((up > down) * (up > 0), up, 0.0)
    minus = op.where((down > up) * (down > 0), down, 0.0)
    plus, minus = op.named(plus, "up_move"), op.named(minus, "down_move")
    return op.wilder(plus, period), op.wilder(minus, period), op.wilder(bars.true_range, period)


@feature(tier=2, unit="index 0 to 100", source="Wilder 1978", variants=(14,))
def adx(bars: Bars, period: int) -> Expression:
    """Average directional index: how strong the trend is, whatever its direction."""
    plus, minus, _ = _directional(bars, period)
    return 100 * op.wilder(op.ratio(op.absolute(plus - minus), plus + minus), period)


@feature(tier=2, unit="share", source="Wilder 1978", variants=(14,))
def directional_difference(bars: Bars, period: int) -> Expression:
    """DI+ less DI-: the direction of the trend, -1 to 1."""
    plus, minus, true_range = _directional(bars, period)
    return op.ratio(plus - minus, true_range)


@feature(tier=2, unit="share", source="Botes and Siepman 2010", variants=(14,))
def vortex(bars: Bars, window: int) -> Expression:
    """Upward less downward vortex movement over the sum of true ranges."""
    up = op.absolute(bars.high - op.lag(bars.low, 1))
    down = op.absolute(bars.low - op.lag(bars.high, 1))
    return op.ratio(op.total(up, window) - op.total(down, window), op.total(bars.true_range, window))


@feature(tier=2, unit="index -100 to 100", source="Chande 1995", variants=(25, 72))
def aroon_oscillator(bars: Bars, window: int) -> Expression:
    """Bars since the low less bars since the high."""
    since_low = op.bars_since_lowest(bars.low, window + 1)
    return (since_low - op.bars_since_highest(bars.high, window + 1)) * (100 / window)


@feature(tier=2, unit="index", source="Lambert 1980", variants=(20,))
def cci(bars: Bars, window: int) -> Expression:
    """Commodity channel index: distance of the typical price from its mean, in mean absolute deviations."""
    distance = bars.typical - op.mean(bars.typical, window)
    return op.ratio(distance, 0.015 * op.mean_absolute_deviation(bars.typical, window))


@feature(tier=2, unit="share per bar", source="Hutson 1983", variants=(15,))
def trix(bars: Bars, span: int) -> Expression:
    """One-bar change of the triple exponential mean."""
    third = op.ema(op.ema(op.ema(bars.close, span), span), span)
    return third / op.lag(third, 1) - 1


@feature(tier=2, unit="index", source="Blau 1991", variants=((25, 13),))
def true_strength(bars: Bars, slow: int, fast: int) -> Expression:
    """Twice smoothed change over twice smoothed absolute change, -100 to 100."""
    change = op.change(bars.close)
    above = op.ema(op.ema(change, slow), fast)
    return 100 * op.ratio(above, op.ema(op.ema(op.absolute(change), slow), fast))


@feature(tier=2, unit="index 0 to 100", source="Williams 1985", variants=((7, 14, 28),), neutral=0.0)
def ultimate_oscillator(bars: Bars, fast: int, middle: int, slow: int) -> Expression:
    """Buying pressure over true range on three windows, weighted 4, 2 and 1."""
    pressure = bars.close - op.smaller(bars.low, op.lag(bars.close, 1))
    parts = [op.ratio(op.total(pressure, w), op.total(bars.true_range, w)) for w in (fast, middle, slow)]
    return 100 * (4 * parts[0] + 2 * parts[1] + parts[2]) / 7


def _middle(bars: Bars, window: int) -> Expression:
    return (op.highest(bars.high, window) + op.lowest(bars.low, window)) / 2


@feature(tier=2, unit="share", source="Hosoda 1969, Ichimoku", variants=((9, 26),))
def ichimoku_crossing(bars: Bars, fast: int, slow: int) -> Expression:
    """Conversion line less base line, as a share of the close."""
    return (_middle(bars, fast) - _middle(bars, slow)) / bars.close


@feature(tier=2, unit="share", source="Hosoda 1969, Ichimoku without its forward shift", variants=((9, 26, 52),))
def ichimoku_cloud(bars: Bars, fast: int, slow: int, lead: int) -> Expression:
    """Distance of the close from the middle of the cloud that stands over this bar, drawn one base line ago."""
    first = (_middle(bars, fast) + _middle(bars, slow)) / 2
    return bars.close / op.lag((first + _middle(bars, lead)) / 2, slow) - 1


@feature(tier=2, unit="t-statistic per sqrt(bar)", source="Lopez de Prado 2018, trend scanning", variants=(24, 72, 168))
def trend_t_statistic(bars: Bars, window: int) -> Expression:
    """t-statistic of a straight line through the log closes, over the root of the window."""
    return op.trend_t_statistic(bars.log_close, window) / math.sqrt(window)


@feature(tier=2, unit="share", source="least squares", variants=(24, 72))
def trend_fit(bars: Bars, window: int) -> Expression:
    """Share of the log closes' variance that a straight line explains."""
    return op.trend_fit(bars.log_close, window)


@feature(tier=2, unit="log-return", source="least squares", variants=(24, 72))
def trend_residual(bars: Bars, window: int) -> Expression:
    """Log close less the straight line through the window."""
    return op.trend_residual(bars.log_close, window)


@feature(tier=2, unit="standard deviations", source="Sharpe 1966", variants=(24, 72, 168))
def rolling_sharpe(bars: Bars, window: int) -> Expression:
    """Mean over deviation of one-bar log returns, times the root of the window."""
    change = bars.one_bar_return
    return op.ratio(op.mean(change, window), op.deviation(change, window)) * math.sqrt(window)


@feature(
    tier=2,
    unit="exponent",
    source="Hurst 1951; Peters 1994, by the variance of aggregated returns",
    variants=((8, 168),),
    neutral=0.0,
)
def hurst(bars: Bars, lag: int, window: int) -> Expression:
    """Growth of the deviation of returns with their span: 0.5 a random walk, above it a trend, below it a return."""
    long = op.deviation(op.log_return(bars.close, lag), window)
    short = op.deviation(bars.one_bar_return, window)
    growth = op.ratio(long, short)
    return op.where(growth > 0, op.log(op.larger(growth, 1e-12)) / math.log(lag), 0.0)


@feature(tier=2, unit="ratio", source="Lo and MacKinlay 1988", variants=((4, 72), (24, 168)))
def variance_ratio(bars: Bars, lag: int, window: int) -> Expression:
    """Variance of returns over several bars, per bar, over that of one-bar returns: 1 on a random walk."""
    long = op.variance(op.log_return(bars.close, lag), window)
    return op.ratio(long, op.variance(bars.one_bar_return, window) * lag)


@feature(
    tier=2, unit="log-return", source="momentum less its recent part; Jegadeesh and Titman 1993", variants=((24, 168),)
)
def skipped_momentum(bars: Bars, skip: int, window: int) -> Expression:
    """Log return of the window without its last bars."""
    return op.log(op.lag(bars.close, skip) / op.lag(bars.close, window))


@feature(tier=2, unit="log-return per bar", source="second difference", variants=(12, 48))
def acceleration(bars: Bars, lag: int) -> Expression:
    """Return of the last bars less the return of as many before, per bar."""
    now = op.log_return(bars.close, lag)
    return (now - op.lag(now, lag)) / lag
