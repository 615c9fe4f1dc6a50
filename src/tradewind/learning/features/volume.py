"""Tier 3: volume, and what it says of liquidity and of who pressed."""

import math

from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import feature


def _log_volume(bars: Bars) -> Expression:
    return op.log(1 + bars.volume)


def _bulk_classified(bars: Bars, window: int) -> Expression:
    """Volume bought less volume sold, by the size of the return against what is usual."""
    z = op.ratio(bars.one_bar_return, op.root_mean_square(bars.one_bar_return, window))
    # tanh(0.8 z) is within 0.02 of 2 * normal(z) - 1 and needs one exponential.
    grown = op.exp(1.6 * op.larger(op.smaller(z, 10.0), -10.0))
    return op.named(bars.volume * (grown - 1) / (grown + 1), f"volume * tanh(0.8 r / rms(r, {window}))")


def _money(bars: Bars) -> Expression:
    return bars.volume * bars.close


@feature(tier=3, unit="standard deviations", variants=(24, 168))
def volume_z_score(bars: Bars, window: int) -> Expression:
    """Log volume against its window."""
    return op.z_score(_log_volume(bars), window)


@feature(tier=3, unit="ratio", variants=(24, 168), neutral=1.0)
def relative_volume(bars: Bars, window: int) -> Expression:
    """Volume as a multiple of its mean over the window."""
    return op.ratio(bars.volume, op.mean(bars.volume, window))


@feature(tier=3, unit="log-ratio", variants=((12, 72),))
def volume_trend(bars: Bars, fast: int, slow: int) -> Expression:
    """Mean log volume of the recent bars less that of the longer window."""
    return op.mean(_log_volume(bars), fast) - op.mean(_log_volume(bars), slow)


@feature(tier=3, unit="share", source="Granville 1963, on-balance volume over a window", variants=(24, 72))
def signed_volume_share(bars: Bars, window: int) -> Expression:
    """Volume of rising bars less that of falling bars, as a share of all."""
    signed = op.sign(bars.one_bar_return) * bars.volume
    return op.ratio(op.total(signed, window), op.total(bars.volume, window))


@feature(
    tier=3, unit="share", source="Easley, Lopez de Prado and O'Hara 2012, bulk volume classification", variants=(24, 72)
)
def bulk_volume_imbalance(bars: Bars, window: int) -> Expression:
    """Volume signed by how large each return was against the window's deviation, as a share of all."""
    return op.ratio(op.total(_bulk_classified(bars, window), window), op.total(bars.volume, window))


@feature(tier=3, unit="share", source="Easley, Lopez de Prado and O'Hara 2012, VPIN on bars of time", variants=(72,))
def flow_toxicity(bars: Bars, window: int) -> Expression:
    """Mean absolute imbalance of volume, as a share of all."""
    imbalance = op.absolute(_bulk_classified(bars, window))
    return op.ratio(op.total(imbalance, window), op.total(bars.volume, window))


@feature(tier=3, unit="index 0 to 100", source="Quong and Soudack 1989", variants=(14, 72), neutral=50.0)
def money_flow_index(bars: Bars, window: int) -> Expression:
    """Share of the money that flowed on rising typical prices; 50 where none flowed."""
    flow, change = bars.typical * bars.volume, op.change(bars.typical)
    rising = op.total(op.where(change > 0, flow, 0.0), window)
    falling = op.total(op.where(-change > 0, flow, 0.0), window)
    return 100 * op.ratio(rising, rising + falling, otherwise=0.5)


def _place(bars: Bars) -> Expression:
    return op.ratio(2 * bars.close - bars.high - bars.low, bars.high - bars.low)


@feature(tier=3, unit="share", source="Chaikin 1996", variants=(20, 72))
def chaikin_money_flow(bars: Bars, window: int) -> Expression:
    """Volume weighted by where in its range each bar closed."""
    return op.ratio(op.total(_place(bars) * bars.volume, window), op.total(bars.volume, window))


@feature(tier=3, unit="ratio", source="Chaikin 1996", variants=((3, 10, 72),))
def chaikin_oscillator(bars: Bars, fast: int, slow: int, window: int) -> Expression:
    """Fast less slow exponential mean of accumulated volume flow, over the window's mean volume."""
    flow = _place(bars) * bars.volume
    return op.ratio(op.ema(flow, fast) - op.ema(flow, slow), op.mean(bars.volume, window))


@feature(tier=3, unit="ratio", source="Elder 1993", variants=((13, 72),))
def force_index(bars: Bars, span: int, window: int) -> Expression:
    """Exponential mean of return times volume, over its usual size."""
    force = bars.one_bar_return * bars.volume
    return op.ratio(op.ema(force, span), op.mean(op.absolute(force), window))


@feature(tier=3, unit="log-return", source="Berkowitz, Logue and Noser 1988", variants=(24, 72, 168))
def vwap_distance(bars: Bars, window: int) -> Expression:
    """Log distance of the close from the volume-weighted typical price; 0 where nothing traded."""
    traded = op.total(bars.volume, window)
    average = op.ratio(op.total(bars.typical * bars.volume, window), traded)
    return op.where(traded > 0, op.log(op.where(traded > 0, bars.close / average, 1.0)), 0.0)


@feature(tier=3, unit="share", source="volume profile", variants=((72, 0.01),), neutral=1.0)
def volume_near_price(bars: Bars, window: int, width: float) -> Expression:
    """Share of the window's volume that traded within a distance of the window's volume-weighted price."""
    traded = op.total(bars.volume, window)
    average = op.ratio(op.total(bars.typical * bars.volume, window), traded)
    near = op.where(op.absolute(op.ratio(bars.typical - average, average)) > width, 0.0, bars.volume)
    return op.ratio(op.total(near, window), traded)


@feature(tier=3, unit="share", source="Herfindahl 1950", variants=(72,))
def volume_concentration(bars: Bars, window: int) -> Expression:
    """Sum of the squared shares of volume, times the window: 1 where every bar traded the same."""
    square = op.total(bars.volume**2, window)
    return op.ratio(square, op.total(bars.volume, window) ** 2) * window - op.where(square > 0, 1.0, 0.0)


@feature(tier=3, unit="correlation", source="Karpoff 1987", variants=(72,))
def return_volume_correlation(bars: Bars, window: int) -> Expression:
    """Correlation of one-bar returns with log volume."""
    return op.correlation(bars.one_bar_return, _log_volume(bars), window)


@feature(tier=3, unit="ratio", source="Amihud 2002", variants=(24,))
def amihud(bars: Bars, window: int) -> Expression:
    """Absolute return for the money traded, against its own mean over seven windows."""
    impact = op.ratio(op.absolute(bars.one_bar_return), _money(bars))
    return op.ratio(op.mean(impact, window), op.mean(impact, 7 * window))


@feature(tier=3, unit="ratio", source="Kyle 1985, by regression on signed money", variants=(72,))
def kyle_lambda(bars: Bars, window: int) -> Expression:
    """Return for signed money traded, in units of the window's volatility and mean money."""
    flow = op.sign(bars.one_bar_return) * _money(bars)
    usual = op.ratio(op.mean(_money(bars), window), op.root_mean_square(bars.one_bar_return, window))
    return op.beta(bars.one_bar_return, flow, window) * usual


@feature(tier=3, unit="log-return", source="Roll 1984", variants=(72,))
def roll_spread(bars: Bars, window: int) -> Expression:
    """Effective spread from the bounce between bid and ask; 0 where returns do not bounce."""
    change = bars.one_bar_return
    return 2 * op.sqrt(op.larger(-op.covariance(change, op.lag(change, 1), window), 0.0))


@feature(tier=3, unit="share of price", source="Corwin and Schultz 2012", variants=(24,))
def corwin_schultz(bars: Bars, window: int) -> Expression:
    """Spread from the highs and lows of pairs of bars."""
    scale = 3 - 2 * math.sqrt(2)
    beta = op.total(op.log(bars.high / bars.low) ** 2, 2)
    gamma = op.log(op.highest(bars.high, 2) / op.lowest(bars.low, 2)) ** 2
    alpha = (math.sqrt(2) - 1) / scale * op.sqrt(beta) - op.sqrt(gamma / scale)
    grown = op.exp(alpha)
    return op.mean(op.larger(2 * (grown - 1) / (1 + grown), 0.0), window)


@feature(tier=3, unit="share of price", source="Abdi and Ranaldo 2017", variants=(24,))
def abdi_ranaldo(bars: Bars, window: int) -> Expression:
    """Spread from closes and the middles of ranges."""
    middle = (op.log(bars.high) + op.log(bars.low)) / 2
    before = op.lag(bars.log_close, 1)
    square = 4 * (before - op.lag(middle, 1)) * (before - middle)
    return op.sqrt(op.larger(op.mean(square, window), 0.0))
