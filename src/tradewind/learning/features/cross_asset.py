"""Tier 4: the symbol against the reference symbol and against the market."""

from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import feature


def _reference_return(bars: Bars) -> Expression:
    return op.log_return(bars.reference_close, 1)


@feature(tier=4, unit="ratio", source="Sharpe 1964", variants=(72, 168))
def beta(bars: Bars, window: int) -> Expression:
    """Sensitivity to the reference symbol's one-bar returns."""
    return op.beta(bars.one_bar_return, _reference_return(bars), window)


@feature(tier=4, unit="correlation", variants=(72, 168))
def correlation(bars: Bars, window: int) -> Expression:
    """Correlation with the reference symbol's one-bar returns."""
    return op.correlation(bars.one_bar_return, _reference_return(bars), window)


@feature(tier=4, unit="correlation", source="Lo and MacKinlay 1990", variants=(72,))
def lead_lag(bars: Bars, window: int) -> Expression:
    """Correlation with the reference's returns one bar earlier: does it follow?"""
    return op.correlation(bars.one_bar_return, op.lag(_reference_return(bars), 1), window)


@feature(tier=4, unit="log-return", source="Jegadeesh and Titman 1993", variants=(24, 168))
def relative_strength(bars: Bars, lag: int) -> Expression:
    """Log return over the reference symbol's."""
    return op.log_return(bars.close, lag) - op.log_return(bars.reference_close, lag)


@feature(tier=4, unit="log-return", variants=(1, 24))
def reference_return(bars: Bars, lag: int) -> Expression:
    """The reference symbol's log return."""
    return op.log_return(bars.reference_close, lag)


@feature(tier=4, unit="standard deviations", source="Gatev, Goetzmann and Rouwenhorst 2006", variants=(168,))
def ratio_z_score(bars: Bars, window: int) -> Expression:
    """Log price relative to the reference symbol, against its window."""
    return op.z_score(op.log(bars.close / bars.reference_close), window)


@feature(tier=4, unit="standard deviations", source="Ang, Hodrick, Xing and Zhang 2006", variants=(72,))
def residual_volatility_share(bars: Bars, window: int) -> Expression:
    """Share of the variance that the reference symbol's returns do not explain."""
    fit = op.correlation(bars.one_bar_return, _reference_return(bars), window)
    return op.where(op.variance(bars.one_bar_return, window) > 0, 1 - fit**2, 0.0)


@feature(tier=4, unit="log-return", variants=(24, 168))
def market_return(bars: Bars, window: int) -> Expression:
    """Sum of the universe's mean one-bar log returns."""
    return op.total(bars.market_return, window)


@feature(tier=4, unit="log-return", source="Jegadeesh and Titman 1993", variants=(24,))
def excess_return(bars: Bars, window: int) -> Expression:
    """Log return over the universe's mean."""
    return op.total(bars.one_bar_return - bars.market_return, window)


@feature(tier=4, unit="share", source="share of symbols that rose", variants=(1, 24), neutral=0.5)
def market_breadth(bars: Bars, window: int) -> Expression:
    """Mean share of the universe's symbols that rose."""
    return op.mean(bars.market_breadth, window)


@feature(tier=4, unit="log-return", source="cross-sectional deviation", variants=(1, 24))
def market_dispersion(bars: Bars, window: int) -> Expression:
    """Mean deviation of one-bar returns across the universe."""
    return op.mean(bars.market_dispersion, window)


@feature(tier=4, unit="share", source="Asness, Moskowitz and Pedersen 2013", variants=(1, 24), neutral=0.5)
def market_rank(bars: Bars, window: int) -> Expression:
    """Mean share of the other symbols whose one-bar return was lower."""
    return op.mean(bars.market_rank, window)
