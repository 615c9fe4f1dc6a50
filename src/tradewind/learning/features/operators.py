"""The words that features are written in. Each takes and gives expressions, and none can look forwards.

A window or a lag is a whole number of bars. Windows count the current bar; a value is missing until its window is full
and while the window holds a missing value.
"""

import math
from dataclasses import replace

from tradewind.errors import BadParameters
from tradewind.learning.features.expression import (
    Expression,
    Number,
    as_expression,
    binary,
    choose,
    column,
    over_window,
    recursion,
    unary,
)


class Bars:
    """The columns of a bar, as expressions."""

    open = column("open")
    high = column("high")
    low = column("low")
    close = column("close")
    volume = column("volume")
    reference_close = column("reference_close")
    market_return = column("market_return")
    market_breadth = column("market_breadth")
    market_dispersion = column("market_dispersion")
    market_rank = column("market_rank")
    share_of_day = column("share_of_day")
    share_of_week = column("share_of_week")

    @property
    def typical(self) -> Expression:
        """(high + low + close) / 3."""
        return replace((self.high + self.low + self.close) / 3, text="typical")

    @property
    def log_close(self) -> Expression:
        """log(close)."""
        return log(self.close)

    @property
    def one_bar_return(self) -> Expression:
        """Log return over one bar."""
        return replace(log_return(self.close, 1), text="r")

    @property
    def true_range(self) -> Expression:
        """The bar's range, the gap from the previous close included (Wilder 1978)."""
        before = lag(self.close, 1)
        return replace(larger(self.high, before) - smaller(self.low, before), text="true_range")

    @staticmethod
    def side(series: str) -> Expression:
        """A side series as last known at the bar's close."""
        return column(f"side:{series}")


def named(value: Expression, text: str) -> Expression:
    """The same value under a shorter name in formulas."""
    return replace(value, text=text)


def lag(value: Number, bars: int) -> Expression:
    """The value `bars` bars ago."""
    return over_window("lag", (value,), bars, "lag", reach=bars)


def change(value: Number, bars: int = 1) -> Expression:
    """The value less the value `bars` bars ago."""
    now = as_expression(value)
    return replace(now - lag(now, bars), text=f"change({now.text}, {bars})")


def log(value: Number) -> Expression:
    """Natural logarithm."""
    return unary("logarithm", value, "log({})")


def exp(value: Number) -> Expression:
    """Exponential."""
    return unary("exponential", value, "exp({})")


def sqrt(value: Number) -> Expression:
    """Square root; missing for negative numbers."""
    return unary("root", value, "sqrt({})")


def absolute(value: Number) -> Expression:
    """Distance from 0."""
    return unary("absolute", value, "abs({})")


def sign(value: Number) -> Expression:
    """-1, 0 or 1."""
    return unary("sign", value, "sign({})")


def sine(value: Number) -> Expression:
    """Sine of an angle in radians."""
    return unary("sine", value, "sin({})")


def cosine(value: Number) -> Expression:
    """Cosine of an angle in radians."""
    return unary("cosine", value, "cos({})")


def larger(left: Number, right: Number) -> Expression:
    """The larger of two values of the same bar."""
    return binary("larger", left, right, "max({}, {})")


def smaller(left: Number, right: Number) -> Expression:
    """The smaller of two values of the same bar."""
    return binary("smaller", left, right, "min({}, {})")


def ratio(above: Number, below: Number, otherwise: float = 0.0) -> Expression:
    """`above / below`, `otherwise` where `below` is 0: what has no range or no movement says nothing.

    Args:
        above: the numerator.
        below: the denominator.
        otherwise: the value where the denominator is 0.

    Returns:
        An expression; missing where either part is.
    """
    return replace(binary("ratio", above, below, "{} / {}"), numbers=(float(otherwise),))


def where(condition: Number, then: Number, otherwise: Number) -> Expression:
    """`then` where the condition is not 0, else `otherwise`; missing where the condition is.

    Args:
        condition: 0 or not, bar by bar.
        then: value where it is not 0.
        otherwise: value where it is 0.

    Returns:
        An expression.
    """
    return choose(condition, then, otherwise)


def log_return(price: Number, bars: int) -> Expression:
    """log(price / price `bars` bars ago)."""
    now = as_expression(price)
    return replace(log(now / lag(now, bars)), text=f"log_return({now.text}, {bars})")


def total(value: Number, window: int) -> Expression:
    """Sum over the window."""
    return over_window("window_sum", (value,), window, "sum")


def mean(value: Number, window: int) -> Expression:
    """Mean over the window."""
    inner = total(value, window)
    return replace(inner * (1 / window), text=inner.text.replace("sum(", "mean(", 1))


def variance(value: Number, window: int) -> Expression:
    """Population variance over the window; exactly 0 where all its values are equal."""
    return over_window("window_moments", (value,), window, "variance", output=1)


def deviation(value: Number, window: int) -> Expression:
    """Population standard deviation over the window; exactly 0 where all its values are equal."""
    inner = variance(value, window)
    return replace(sqrt(inner), text=inner.text.replace("variance(", "deviation(", 1))


def root_mean_square(value: Number, window: int) -> Expression:
    """Root of the mean square over the window."""
    inner = as_expression(value)
    return replace(sqrt(mean(inner**2, window)), text=f"rms({inner.text}, {window})")


def z_score(value: Number, window: int) -> Expression:
    """Distance from the window's mean in its standard deviations; 0 where all its values are equal."""
    inner = as_expression(value)
    centre = over_window("window_moments", (inner,), window, "mean")
    return replace(ratio(inner - centre, deviation(inner, window)), text=f"z_score({inner.text}, {window})")


def skewness(value: Number, window: int) -> Expression:
    """Third standardised moment over the window; 0 where all its values are equal."""
    return over_window("window_shape", (value,), window, "skewness")


def kurtosis(value: Number, window: int) -> Expression:
    """Fourth standardised moment over the window, less 3; 0 where all its values are equal."""
    return over_window("window_shape", (value,), window, "kurtosis", output=1)


def highest(value: Number, window: int) -> Expression:
    """Largest of the window."""
    return over_window("window_max", (value,), window, "highest")


def lowest(value: Number, window: int) -> Expression:
    """Smallest of the window."""
    return over_window("window_min", (value,), window, "lowest")


def bars_since_highest(value: Number, window: int) -> Expression:
    """Bars since the window's latest maximum."""
    return over_window("bars_since_max", (value,), window, "bars_since_highest")


def bars_since_lowest(value: Number, window: int) -> Expression:
    """Bars since the window's latest minimum."""
    return over_window("bars_since_min", (value,), window, "bars_since_lowest")


def covariance(left: Number, right: Number, window: int) -> Expression:
    """Population covariance over the window.

    Args:
        left: an expression or a constant.
        right: the same.
        window: bars, the present one included.

    Returns:
        In units of one times units of the other.
    """
    return over_window("window_comoments", (left, right), window, "covariance")


def beta(value: Number, on: Number, window: int) -> Expression:
    """Covariance with `on` over the variance of `on`; 0 where that does not move.

    Args:
        value: what is explained.
        on: what explains it.
        window: bars, the present one included.

    Returns:
        The least-squares slope of `value` on `on`.
    """
    spread = over_window("window_comoments", (value, on), window, "variance", output=2)
    both = covariance(value, on, window)
    return replace(ratio(both, spread), text=both.text.replace("covariance(", "beta(", 1))


def correlation(left: Number, right: Number, window: int) -> Expression:
    """Pearson correlation over the window; 0 where either side does not move.

    Args:
        left: an expression or a constant.
        right: the same.
        window: bars, the present one included.

    Returns:
        From -1 to 1, but for rounding.
    """
    both = covariance(left, right, window)
    one = over_window("window_comoments", (left, right), window, "variance", output=1)
    other = over_window("window_comoments", (left, right), window, "variance", output=2)
    return replace(ratio(both, sqrt(one) * sqrt(other)), text=both.text.replace("covariance(", "correlation(", 1))


def slope(value: Number, window: int) -> Expression:
    """Least-squares slope a bar through the window's values."""
    return over_window("window_trend", (value,), window, "slope")


def trend_residual(value: Number, window: int) -> Expression:
    """The last value less the straight line through the window's values."""
    inner = as_expression(value)
    centre = over_window("window_trend", (inner,), window, "mean", output=1)
    line = centre + slope(inner, window) * ((window - 1) / 2)
    return replace(inner - line, text=f"trend_residual({inner.text}, {window})")


def trend_fit(value: Number, window: int) -> Expression:
    """Share of the window's variance that a straight line explains, 0 to 1; 0 where nothing moves."""
    spread = (window * window - 1) / 12
    steep, around = slope(value, window), over_window("window_trend", (value,), window, "variance", output=2)
    text = steep.text.replace("slope(", "trend_fit(", 1)
    return replace(ratio(steep**2 * spread, around), text=text)


def trend_t_statistic(value: Number, window: int) -> Expression:
    """t-statistic of the slope through the window's values; 0 where nothing moves.

    It is at most 1e6 in size: a straight line without any error has no error to divide by.
    """
    if window < 3:
        raise BadParameters(f"trend_t_statistic needs a window of at least 3 bars, found {window}")
    steep, fit = slope(value, window), trend_fit(value, window)
    unexplained = larger(1 - fit, (window - 2) * 1e-12)
    size = sqrt(fit * (window - 2) / unexplained)
    return replace(sign(steep) * size, text=steep.text.replace("slope(", "trend_t_statistic(", 1))


def rank(value: Number, window: int) -> Expression:
    """Share of the window's other values that lie below its last, ties counted half."""
    if window < 2:
        raise BadParameters(f"rank needs a window of at least 2 bars, found {window}")
    return over_window("window_rank", (value,), window, "rank")


def quantile(value: Number, window: int, share: float) -> Expression:
    """The `share` quantile of the window, by linear interpolation.

    Args:
        value: an expression or a constant.
        window: bars, the present one included.
        share: of the values that lie below, from 0 to 1.

    Returns:
        In units of the value.

    Raises:
        BadParameters: the share lies outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise BadParameters(f"quantile needs a share from 0 to 1, found {share}")
    inner = over_window("window_quantile", (value,), window, "quantile")
    return replace(inner, numbers=(float(share),), text=f"{inner.text[:-1]}, {share:g})")


def mean_absolute_deviation(value: Number, window: int) -> Expression:
    """Mean distance to the window's mean; 0 where all its values are equal."""
    return over_window("window_deviation", (value,), window, "mean_absolute_deviation")


def weighted(value: Number, weights: tuple[float, ...], label: str) -> Expression:
    """Sum of the last values times `weights`, the oldest first.

    Args:
        value: an expression or a constant.
        weights: one a bar, the oldest first; so many bars the window has.
        label: the name in the formula.

    Returns:
        In units of the value times those of the weights.
    """
    inner = over_window("window_filter", (value,), len(weights), label)
    return replace(inner, numbers=tuple(float(weight) for weight in weights))


def linear_mean(value: Number, window: int) -> Expression:
    """Mean with weights that rise linearly towards the newest bar."""
    total_weight = window * (window + 1) / 2
    return weighted(value, tuple((at + 1) / total_weight for at in range(window)), "linear_mean")


def fractional_weights(order: float, window: int) -> tuple[float, ...]:
    """Weights of a difference of fractional order, the oldest first (Hosking 1981)."""
    weights = [1.0]
    for step in range(1, window):
        weights.append(-weights[-1] * (order - step + 1) / step)
    return tuple(reversed(weights))


def fractional_difference(value: Number, order: float, window: int) -> Expression:
    """Difference of a fractional order, truncated to the window (Hosking 1981; Lopez de Prado 2018, chapter 5).

    Args:
        value: an expression or a constant.
        order: of the difference; 1 is the plain one, 0 the value itself.
        window: bars of the filter, the present one included.

    Returns:
        In units of the value.
    """
    inner = weighted(value, fractional_weights(order, window), "fractional_difference")
    return replace(inner, text=f"{inner.text[:-1]}, order {order:g})")


def ema(value: Number, span: int) -> Expression:
    """Exponential mean with weight 2 / (span + 1), seeded by the first value."""
    return recursion("exponential_mean", value, span, "ema", settling=span)


def wilder(value: Number, period: int) -> Expression:
    """Wilder's mean: a plain mean of the first `period` values, then weight 1 / period."""
    return recursion("wilder_mean", value, period, "wilder", settling=2 * period - 1)


def entropy(probabilities: tuple[Expression, ...], label: str) -> Expression:
    """Shannon entropy of shares that sum to 1, over the largest it can be: 0 (certain) to 1 (even)."""
    parts: Expression | None = None
    for share in probabilities:
        part = where(share > 0, share * log(larger(share, 1e-300)), 0.0)
        parts = part if parts is None else parts + part
    if parts is None:
        raise BadParameters("entropy needs at least one probability")
    return replace(parts / -math.log(len(probabilities)), text=label)
