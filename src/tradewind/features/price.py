"""Tier 1: what the price did."""

import numpy as np

from tradewind.features import kernels
from tradewind.features.spec import Chunk, Feature, Floats, windowed

SOURCE_MOMENTS = "Cont 2001, Empirical properties of asset returns"


def log_return(lag: int) -> Feature:
    """Log return over the last `lag` bars."""
    return Feature(
        name=f"log_return_{lag}", tier=1, family="price", formula=f"log(close / close[{lag} bars ago])", lookback=lag,
        unit="log-return", source="definition", step=windowed(lambda bars: kernels.log_change(bars.close, lag), lag),
    )  # fmt: skip


def scaled_return(lag: int, window: int) -> Feature:
    """Log return over `lag` bars in units of what is usual for so many bars."""

    def compute(bars: Chunk) -> Floats:
        usual = kernels.root_mean_square(kernels.log_change(bars.close, 1), window) * np.sqrt(lag)
        return ratio(kernels.log_change(bars.close, lag), usual)

    return Feature(
        name=f"scaled_return_{lag}", tier=1, family="price",
        formula=f"log(close / close[{lag} bars ago]) / (rms one-bar return over {window} * sqrt({lag}))",
        lookback=max(lag, window), unit="standard deviations", source="Moskowitz, Ooi and Pedersen 2012",
        step=windowed(compute, max(lag, window)),
    )  # fmt: skip


def bar_shape(name: str) -> Feature:
    """One of the proportions of the last bar."""
    shapes = {
        "range": ("log(high / low)", "log-return", lambda bars: np.log(bars.high / bars.low)),
        "body": ("(close - open) / (high - low)", "share", lambda b: ratio(b.close - b.open, b.high - b.low)),
        "upper_shadow": (
            "(high - max(open, close)) / (high - low)", "share",
            lambda b: ratio(b.high - np.maximum(b.open, b.close), b.high - b.low),
        ),
        "lower_shadow": (
            "(min(open, close) - low) / (high - low)", "share",
            lambda b: ratio(np.minimum(b.open, b.close) - b.low, b.high - b.low),
        ),
    }  # fmt: skip
    formula, unit, compute = shapes[name]
    return Feature(
        name=f"{name}_1", tier=1, family="price", formula=formula, lookback=0, unit=unit, source="definition",
        step=windowed(compute, 0),
    )  # fmt: skip


def gap() -> Feature:
    """Log distance from the previous close to this bar's open."""

    def compute(bars: Chunk) -> Floats:
        out = np.full(len(bars), np.nan)
        out[1:] = np.log(bars.open[1:] / bars.close[:-1])
        return out

    return Feature(
        name="gap_1", tier=1, family="price", formula="log(open / previous close)", lookback=1, unit="log-return",
        source="definition", step=windowed(compute, 1),
    )  # fmt: skip


def drawdown(window: int) -> Feature:
    """Log distance from the highest high of the window down to the close."""
    return Feature(
        name=f"drawdown_{window}", tier=1, family="price", formula=f"log(close / highest high of {window})",
        lookback=window - 1, unit="log-return", source="definition",
        step=windowed(lambda bars: np.log(bars.close / kernels.rolling_max(bars.high, window)), window - 1),
    )  # fmt: skip


def position_in_range(window: int) -> Feature:
    """Where the close stands between the lowest low (0) and the highest high (1) of the window."""

    def compute(bars: Chunk) -> Floats:
        low, high = -kernels.rolling_max(-bars.low, window), kernels.rolling_max(bars.high, window)
        return ratio(bars.close - low, high - low)

    return Feature(
        name=f"position_in_range_{window}", tier=1, family="price",
        formula=f"(close - lowest low) / (highest high - lowest low) over {window}", lookback=window - 1, unit="share",
        source="Lane 1984, stochastics (%K)", step=windowed(compute, window - 1),
    )  # fmt: skip


def return_moment(order: int, window: int) -> Feature:
    """Skewness (order 3) or excess kurtosis (order 4) of one-bar log returns; 0 where nothing moved."""
    name = {3: "skewness", 4: "kurtosis"}[order]

    def compute(bars: Chunk) -> Floats:
        change = kernels.log_change(bars.close, 1)
        deviation = kernels.rolling_std(change, window)
        standardised = ratio(kernels.central_moment(change, window, order), deviation**order)
        return np.where(deviation == 0, 0.0, standardised - (3.0 if order == 4 else 0.0))

    return Feature(
        name=f"{name}_{window}", tier=1, family="price", formula=f"{name} of {window} one-bar log returns",
        lookback=window, unit="ratio", source=SOURCE_MOMENTS, step=windowed(compute, window),
    )  # fmt: skip


def autocorrelation(window: int) -> Feature:
    """Correlation of one-bar log returns with the ones before."""

    def compute(bars: Chunk) -> Floats:
        change = kernels.log_change(bars.close, 1)
        before = np.concatenate([[np.nan], change[:-1]])
        both, left, right = kernels.comoments(change, before, window)
        return ratio(both, np.sqrt(left * right))

    return Feature(
        name=f"autocorrelation_{window}", tier=1, family="price",
        formula=f"correlation of one-bar log returns with the previous ones over {window}", lookback=window + 1,
        unit="correlation", source=SOURCE_MOMENTS, step=windowed(compute, window + 1),
    )  # fmt: skip


def return_rank(window: int) -> Feature:
    """Rank of the last one-bar return among those of the window."""
    return Feature(
        name=f"return_rank_{window}", tier=1, family="price",
        formula=f"share of the last {window} one-bar returns below the latest", lookback=window, unit="share",
        source="definition",
        step=windowed(lambda bars: kernels.rank_of_last(kernels.log_change(bars.close, 1), window), window),
    )  # fmt: skip


def efficiency_ratio(window: int) -> Feature:
    """Net move over the length of the path."""

    def compute(bars: Chunk) -> Floats:
        path = kernels.rolling_sum(np.abs(kernels.log_change(bars.close, 1)), window)
        return ratio(kernels.log_change(bars.close, window), path)

    return Feature(
        name=f"efficiency_ratio_{window}", tier=1, family="price",
        formula=f"log return over {window} / sum of absolute one-bar log returns", lookback=window, unit="share",
        source="Kaufman 1995", step=windowed(compute, window),
    )  # fmt: skip


def ratio(above: Floats, below: Floats) -> Floats:
    """`above / below`, 0 where `below` is 0: a bar without range or a window without movement says nothing."""
    safe = np.where(below == 0, 1.0, below)
    return np.where(below == 0, 0.0, above / safe)


FEATURES = (
    *(log_return(lag) for lag in (1, 2, 3, 6, 12, 24, 48, 96, 168)),
    *(scaled_return(lag, 168) for lag in (1, 24, 96)),
    *(bar_shape(name) for name in ("range", "body", "upper_shadow", "lower_shadow")),
    gap(),
    *(drawdown(window) for window in (24, 168)),
    *(position_in_range(window) for window in (24, 72, 168)),
    return_moment(3, 72),
    return_moment(4, 72),
    autocorrelation(72),
    return_rank(168),
    *(efficiency_ratio(window) for window in (24, 96)),
)
