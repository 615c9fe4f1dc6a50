"""Tier 4: the symbol against the reference symbol and against the market."""

from collections.abc import Callable

import numpy as np

from tradewind.features import kernels
from tradewind.features.price import ratio
from tradewind.features.spec import Chunk, Feature, Floats, windowed


def _feature(
    name: str, formula: str, source: str, lookback: int, compute: Callable[[Chunk], Floats], unit: str
) -> Feature:
    return Feature(
        name=name, tier=4, family="cross_asset", formula=formula, lookback=lookback, unit=unit, source=source,
        step=windowed(compute, lookback),
    )  # fmt: skip


def _returns(bars: Chunk) -> tuple[Floats, Floats]:
    return kernels.log_change(bars.close, 1), kernels.log_change(bars.reference_close, 1)


def beta(window: int) -> Feature:
    """Sensitivity to the reference symbol's one-bar returns."""

    def compute(bars: Chunk) -> Floats:
        both, _, variance = kernels.comoments(*_returns(bars), window)
        return ratio(both, variance)

    return _feature(
        f"beta_{window}", f"covariance with the reference's returns / their variance over {window}", "Sharpe 1964",
        window, compute, "ratio",
    )  # fmt: skip


def correlation(window: int) -> Feature:
    """Correlation with the reference symbol's one-bar returns."""

    def compute(bars: Chunk) -> Floats:
        both, own, variance = kernels.comoments(*_returns(bars), window)
        return ratio(both, np.sqrt(own * variance))

    return _feature(
        f"correlation_{window}", f"correlation with the reference's returns over {window}", "definition", window,
        compute, "correlation",
    )  # fmt: skip


def lead_lag(window: int) -> Feature:
    """Correlation of the symbol's returns with the reference's previous ones: does it follow?"""

    def compute(bars: Chunk) -> Floats:
        own, reference = _returns(bars)
        both, left, right = kernels.comoments(own, np.concatenate([[np.nan], reference[:-1]]), window)
        return ratio(both, np.sqrt(left * right))

    return _feature(
        f"lead_lag_{window}", f"correlation with the reference's returns one bar earlier over {window}",
        "Lo and MacKinlay 1990", window + 1, compute, "correlation",
    )  # fmt: skip


def relative_strength(lag: int) -> Feature:
    """Log return over the reference symbol's."""
    return _feature(
        f"relative_strength_{lag}", f"log return over {lag} less the reference's", "Jegadeesh and Titman 1993", lag,
        lambda bars: kernels.log_change(bars.close, lag) - kernels.log_change(bars.reference_close, lag), "log-return",
    )  # fmt: skip


def reference_return(lag: int) -> Feature:
    """The reference symbol's log return."""
    return _feature(
        f"reference_return_{lag}", f"the reference's log return over {lag}", "definition", lag,
        lambda bars: kernels.log_change(bars.reference_close, lag), "log-return",
    )  # fmt: skip


def market_return(window: int) -> Feature:
    """Equal-weight log return of the universe."""
    return _feature(
        f"market_return_{window}", f"sum over {window} of the universe's mean one-bar log return", "definition",
        window - 1, lambda bars: kernels.rolling_sum(bars.market_return, window), "log-return",
    )  # fmt: skip


FEATURES = (
    beta(72),
    correlation(72),
    lead_lag(72),
    relative_strength(24),
    relative_strength(168),
    reference_return(1),
    reference_return(24),
    market_return(24),
    market_return(168),
)
