"""Tier 3: how much the price moves."""

import numpy as np
from numba import njit

from tradewind.features import kernels
from tradewind.features.price import ratio
from tradewind.features.spec import Chunk, Feature, Floats, Step, recursive, windowed
from tradewind.features.trend import settle


def _feature(
    name: str, formula: str, source: str, lookback: int, step: Step, unit: str = "log-return per bar"
) -> Feature:
    return Feature(
        name=name, tier=3, family="volatility", formula=formula, lookback=lookback, unit=unit, source=source, step=step
    )


def realised_volatility(window: int) -> Feature:
    """Root mean square of one-bar log returns, per bar."""
    return _feature(
        f"realised_volatility_{window}", f"rms of {window} one-bar log returns", "Andersen and Bollerslev 1998", window,
        windowed(lambda bars: kernels.root_mean_square(kernels.log_change(bars.close, 1), window), window),
    )  # fmt: skip


def parkinson(window: int) -> Feature:
    """Volatility from the range of the bars, per bar."""

    def compute(bars: Chunk) -> Floats:
        return kernels.root_mean_square(np.log(bars.high / bars.low), window) / np.sqrt(4 * np.log(2))

    return _feature(
        f"parkinson_{window}", f"sqrt(mean log(high / low)^2 / (4 log 2)) over {window}", "Parkinson 1980", window - 1,
        windowed(compute, window - 1),
    )  # fmt: skip


def garman_klass(window: int) -> Feature:
    """Volatility from open, high, low and close, per bar."""

    def compute(bars: Chunk) -> Floats:
        variance = 0.5 * np.log(bars.high / bars.low) ** 2 - (2 * np.log(2) - 1) * np.log(bars.close / bars.open) ** 2
        return np.sqrt(np.maximum(kernels.rolling_mean(variance, window), 0.0))

    return _feature(
        f"garman_klass_{window}", f"sqrt(mean of log(h/l)^2 / 2 - (2 log 2 - 1) log(c/o)^2) over {window}",
        "Garman and Klass 1980", window - 1, windowed(compute, window - 1),
    )  # fmt: skip


def rogers_satchell(window: int) -> Feature:
    """Volatility from open, high, low and close that a drift does not bias, per bar."""

    def compute(bars: Chunk) -> Floats:
        up, down, close = np.log(bars.high / bars.open), np.log(bars.low / bars.open), np.log(bars.close / bars.open)
        variance = kernels.rolling_mean(up * (up - close) + down * (down - close), window)
        return np.sqrt(np.maximum(variance, 0.0))

    return _feature(
        f"rogers_satchell_{window}", f"sqrt(mean of u(u - c) + d(d - c)) over {window}, logs from the open",
        "Rogers and Satchell 1991", window - 1, windowed(compute, window - 1),
    )  # fmt: skip


def volatility_ratio(fast: int, slow: int) -> Feature:
    """Recent over usual volatility."""

    def compute(bars: Chunk) -> Floats:
        change = kernels.log_change(bars.close, 1)
        return ratio(kernels.root_mean_square(change, fast), kernels.root_mean_square(change, slow))

    return _feature(
        f"volatility_ratio_{fast}_{slow}", f"rms return of {fast} / rms return of {slow}", "definition", slow,
        windowed(compute, slow), "ratio",
    )  # fmt: skip


def downside_share(window: int) -> Feature:
    """Share of the realised variance that came from falls."""

    def compute(bars: Chunk) -> Floats:
        change = kernels.log_change(bars.close, 1)
        falls = kernels.rolling_sum(np.minimum(change, 0.0) ** 2, window)
        return ratio(falls, kernels.rolling_sum(change**2, window))

    return _feature(
        f"downside_share_{window}", f"sum of squared negative / all squared returns over {window}",
        "Barndorff-Nielsen, Kinnebrock and Shephard 2010", window, windowed(compute, window), "share",
    )  # fmt: skip


def jump_share(window: int) -> Feature:
    """Share of the realised variance beyond bipower variation: what came in jumps; 0 where nothing moved."""

    def compute(bars: Chunk) -> Floats:
        change = np.abs(kernels.log_change(bars.close, 1))
        before = np.concatenate([[np.nan], change[:-1]])
        bipower = np.pi / 2 * kernels.rolling_sum(change * before, window)
        variance = kernels.rolling_sum(change**2, window)
        return np.where(variance == 0, 0.0, np.clip(1 - ratio(bipower, variance), 0.0, 1.0))

    return _feature(
        f"jump_share_{window}", f"max(0, 1 - bipower / realised variance) over {window}",
        "Barndorff-Nielsen and Shephard 2004", window + 1, windowed(compute, window + 1), "share",
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _average_true_range(high: Floats, low: Floats, close: Floats, period: int, state: Floats) -> Floats:
    out = np.full(len(close), np.nan)
    for row in range(1, len(close)):
        true_range = max(high[row], close[row - 1]) - min(low[row], close[row - 1])
        out[row] = kernels.wilder(true_range, period, state, 0)
    return out


def atr(period: int) -> Feature:
    """Average true range as a share of the close."""

    def kernel(bars: Chunk, state: Floats) -> Floats:
        return _average_true_range(bars.high, bars.low, bars.close, period, state) / bars.close

    return _feature(
        f"atr_{period}", f"Wilder mean of the true range over {period} / close", "Wilder 1978", settle(2 * period),
        recursive(kernel, 2, settle(2 * period)), "share of price",
    )  # fmt: skip


def bollinger_position(window: int) -> Feature:
    """Distance of the close from its mean, in standard deviations."""

    def compute(bars: Chunk) -> Floats:
        distance = bars.close - kernels.rolling_mean(bars.close, window)
        return ratio(distance, kernels.rolling_std(bars.close, window))

    return _feature(
        f"bollinger_position_{window}", f"(close - mean) / deviation over {window}", "Bollinger 2001", window - 1,
        windowed(compute, window - 1), "standard deviations",
    )  # fmt: skip


def bollinger_width(window: int) -> Feature:
    """Width of the two-deviation band as a share of its middle."""

    def compute(bars: Chunk) -> Floats:
        return 4 * kernels.rolling_std(bars.close, window) / kernels.rolling_mean(bars.close, window)

    return _feature(
        f"bollinger_width_{window}", f"4 * deviation / mean over {window}", "Bollinger 2001", window - 1,
        windowed(compute, window - 1), "share of price",
    )  # fmt: skip


FEATURES = (
    *(realised_volatility(window) for window in (6, 24, 72, 168)),
    parkinson(24),
    garman_klass(24),
    rogers_satchell(24),
    volatility_ratio(6, 72),
    volatility_ratio(24, 168),
    downside_share(72),
    jump_share(72),
    atr(14),
    bollinger_position(20),
    bollinger_width(20),
)
