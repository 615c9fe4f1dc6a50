"""Tier 5: side series as they were known at each bar."""

from collections.abc import Callable

import numpy as np

from tradewind.features import kernels
from tradewind.features.price import ratio
from tradewind.features.spec import Chunk, Feature, Floats, windowed


def _feature(series: str, what: str, formula: str, lookback: int, compute: Callable[[Floats], Floats]) -> Feature:
    def read(bars: Chunk) -> Floats:
        return compute(bars.side[series])

    return Feature(
        name=f"{series}_{what}", tier=5, family="side_data", formula=formula, lookback=lookback,
        unit=f"as {series}" if what != f"z_score_{lookback + 1}" else "standard deviations",
        source="side series, joined backwards on known_at", step=windowed(read, lookback), needs=series,
    )  # fmt: skip


def level(series: str) -> Feature:
    """The latest published value."""
    return _feature(series, "level", f"latest published {series}", 0, lambda values: values)


def change(series: str, lag: int) -> Feature:
    """Change of the latest published value over `lag` bars."""

    def compute(values: Floats) -> Floats:
        out = np.full(len(values), np.nan)
        out[lag:] = values[lag:] - values[: max(len(values) - lag, 0)]
        return out

    return _feature(series, f"change_{lag}", f"{series} less {series} {lag} bars ago", lag, compute)


def mean(series: str, window: int) -> Feature:
    """Mean of the latest published values over the window."""
    return _feature(
        series, f"mean_{window}", f"mean of {series} over {window} bars", window - 1,
        lambda values: kernels.rolling_mean(values, window),
    )  # fmt: skip


def z_score(series: str, window: int) -> Feature:
    """The latest published value against its window."""

    def compute(values: Floats) -> Floats:
        return ratio(values - kernels.rolling_mean(values, window), kernels.rolling_std(values, window))

    return _feature(
        series, f"z_score_{window}", f"({series} - mean) / deviation over {window} bars", window - 1, compute
    )


FEATURES = (
    level("funding"),
    mean("funding", 72),
    change("funding", 24),
    z_score("funding", 168),
    level("sentiment"),
    mean("sentiment", 168),
    change("sentiment", 24),
    z_score("sentiment", 336),
)
