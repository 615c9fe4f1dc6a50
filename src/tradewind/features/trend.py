"""Tier 2: trend and momentum."""

import numpy as np
from numba import njit

from tradewind.features import kernels
from tradewind.features.price import ratio
from tradewind.features.spec import Chunk, Feature, Floats, recursive, windowed


def settle(span: float) -> int:
    """Bars after which an exponential mean of this span has forgotten all but 1e-7 of its past."""
    return int(np.ceil(8.1 * (span + 1)))


def sma_distance(window: int) -> Feature:
    """Log distance of the close from its simple mean."""
    return Feature(
        name=f"sma_distance_{window}", tier=2, family="trend", formula=f"log(close / mean close of {window})",
        lookback=window - 1, unit="log-return", source="Brock, Lakonishok and LeBaron 1992",
        step=windowed(lambda bars: np.log(bars.close / kernels.rolling_mean(bars.close, window)), window - 1),
    )  # fmt: skip


def ema_distance(span: int) -> Feature:
    """Log distance of the close from its exponential mean."""

    def kernel(bars: Chunk, state: Floats) -> Floats:
        skip = 0 if state[1] == 0 else 1
        return np.log(bars.close / kernels.exponential_mean(bars.close, float(span), state, skip))

    return Feature(
        name=f"ema_distance_{span}", tier=2, family="trend", formula=f"log(close / exponential mean, span {span})",
        lookback=settle(span), unit="log-return", source="Hunter 1986", step=recursive(kernel, 2, settle(span)),
    )  # fmt: skip


def macd(fast: int, slow: int, smooth: int, part: str) -> Feature:
    """MACD line or histogram as a share of the close."""

    def kernel(bars: Chunk, state: Floats) -> Floats:
        skip = 0 if state[1] == 0 else 1
        line = kernels.exponential_mean(bars.close, float(fast), state[0:2], skip)
        line = line - kernels.exponential_mean(bars.close, float(slow), state[2:4], skip)
        signal = kernels.exponential_mean(line, float(smooth), state[4:6], skip)
        return (line if part == "line" else line - signal) / bars.close

    return Feature(
        name=f"macd_{part}_{fast}_{slow}" + (f"_{smooth}" if part == "histogram" else ""), tier=2, family="trend",
        formula=f"(EMA{fast} - EMA{slow}" + (f", less its EMA{smooth}" if part == "histogram" else "") + ") / close",
        lookback=settle(slow) + settle(smooth), unit="share", source="Appel 1979",
        step=recursive(kernel, 6, settle(slow) + settle(smooth)),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _rsi(close: Floats, period: int, state: Floats) -> Floats:
    out = np.full(len(close), np.nan)
    for row in range(1, len(close)):
        change = close[row] - close[row - 1]
        gain = kernels.wilder(max(change, 0.0), period, state, 0)
        loss = kernels.wilder(max(-change, 0.0), period, state, 2)
        if not np.isnan(gain):
            out[row] = 100 * gain / (gain + loss) if gain + loss > 0 else 50.0
    return out


def rsi(period: int) -> Feature:
    """Relative strength index, 0 to 100; 50 on a price that does not move."""
    return Feature(
        name=f"rsi_{period}", tier=2, family="trend", formula=f"100 * U / (U + D), Wilder means over {period}",
        lookback=settle(2 * period), unit="index 0 to 100", source="Wilder 1978",
        step=recursive(lambda bars, state: _rsi(bars.close, period, state), 4, settle(2 * period)),
    )  # fmt: skip


def rsi_cutler(period: int) -> Feature:
    """Relative strength index with plain means, which has an exact window."""

    def compute(bars: Chunk) -> Floats:
        change = np.concatenate([[np.nan], np.diff(bars.close)])
        gain = kernels.rolling_sum(np.maximum(change, 0.0), period)
        total = kernels.rolling_sum(np.abs(change), period)
        return np.where(total == 0, 50.0, 100 * ratio(gain, total))

    return Feature(
        name=f"rsi_cutler_{period}", tier=2, family="trend", formula=f"100 * U / (U + D), plain sums over {period}",
        lookback=period, unit="index 0 to 100", source="Cutler, after Wilder 1978", step=windowed(compute, period),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _directional(high: Floats, low: Floats, close: Floats, period: int, state: Floats) -> tuple[Floats, Floats]:
    index = np.full(len(close), np.nan)
    difference = np.full(len(close), np.nan)
    for row in range(1, len(close)):
        up, down = high[row] - high[row - 1], low[row - 1] - low[row]
        true_range = max(high[row], close[row - 1]) - min(low[row], close[row - 1])
        plus = kernels.wilder(up if up > down and up > 0 else 0.0, period, state, 0)
        minus = kernels.wilder(down if down > up and down > 0 else 0.0, period, state, 2)
        average = kernels.wilder(true_range, period, state, 4)
        if np.isnan(plus):
            continue
        difference[row] = (plus - minus) / average if average > 0 else 0.0
        strength = abs(plus - minus) / (plus + minus) if plus + minus > 0 else 0.0
        index[row] = 100 * kernels.wilder(strength, period, state, 6)
    return index, difference


def adx(period: int) -> Feature:
    """Average directional index, 0 to 100: how strong the trend is, whatever its direction."""
    return Feature(
        name=f"adx_{period}", tier=2, family="trend", formula=f"Wilder mean over {period} of |DI+ - DI-| / (DI+ + DI-)",
        lookback=settle(4 * period), unit="index 0 to 100", source="Wilder 1978",
        step=recursive(lambda b, state: _directional(b.high, b.low, b.close, period, state)[0], 8, settle(4 * period)),
    )  # fmt: skip


def directional_difference(period: int) -> Feature:
    """DI+ less DI-: the direction of the trend, -1 to 1."""
    return Feature(
        name=f"directional_difference_{period}", tier=2, family="trend", formula=f"(DI+ - DI-) / 100, period {period}",
        lookback=settle(2 * period), unit="share", source="Wilder 1978",
        step=recursive(lambda b, state: _directional(b.high, b.low, b.close, period, state)[1], 8, settle(2 * period)),
    )  # fmt: skip


def aroon_oscillator(window: int) -> Feature:
    """Bars since the low less bars since the high, -100 to 100."""

    def compute(bars: Chunk) -> Floats:
        since_high = kernels.bars_since_max(bars.high, window + 1)
        since_low = kernels.bars_since_max(-bars.low, window + 1)
        return 100 * (since_low - since_high) / window

    return Feature(
        name=f"aroon_oscillator_{window}", tier=2, family="trend",
        formula=f"100 * (bars since low - bars since high) / {window}", lookback=window, unit="index -100 to 100",
        source="Chande 1995", step=windowed(compute, window),
    )  # fmt: skip


def cci(window: int) -> Feature:
    """Commodity channel index."""

    def compute(bars: Chunk) -> Floats:
        typical = (bars.high + bars.low + bars.close) / 3
        distance = typical - kernels.rolling_mean(typical, window)
        return ratio(distance, 0.015 * kernels.mean_absolute_deviation(typical, window))

    return Feature(
        name=f"cci_{window}", tier=2, family="trend",
        formula=f"(typical price - its mean) / (0.015 * mean absolute deviation) over {window}", lookback=window - 1,
        unit="index", source="Lambert 1980", step=windowed(compute, window - 1),
    )  # fmt: skip


def trend_t_statistic(window: int) -> Feature:
    """t-statistic of a straight line through the log closes."""
    return Feature(
        name=f"trend_t_statistic_{window}", tier=2, family="trend",
        formula=f"slope / its standard error, least squares through {window} log closes, / sqrt({window})",
        lookback=window - 1, unit="t-statistic per sqrt(bar)", source="Lopez de Prado 2018, trend scanning",
        step=windowed(
            lambda bars: kernels.trend_t_statistic(np.log(bars.close), window) / np.sqrt(window), window - 1
        ),
    )  # fmt: skip


def rolling_sharpe(window: int) -> Feature:
    """Mean over deviation of one-bar log returns, times the root of the window."""

    def compute(bars: Chunk) -> Floats:
        change = kernels.log_change(bars.close, 1)
        return ratio(kernels.rolling_mean(change, window), kernels.rolling_std(change, window)) * np.sqrt(window)

    return Feature(
        name=f"rolling_sharpe_{window}", tier=2, family="trend",
        formula=f"mean / deviation of one-bar log returns over {window} * sqrt({window})", lookback=window,
        unit="standard deviations", source="Sharpe 1966", step=windowed(compute, window),
    )  # fmt: skip


FEATURES = (
    *(sma_distance(window) for window in (12, 24, 72, 168)),
    *(ema_distance(span) for span in (12, 48)),
    macd(12, 26, 9, "line"),
    macd(12, 26, 9, "histogram"),
    *(rsi(period) for period in (7, 14, 28)),
    adx(14),
    directional_difference(14),
    aroon_oscillator(25),
    cci(20),
    *(trend_t_statistic(window) for window in (24, 72, 168)),
    *(rolling_sharpe(window) for window in (24, 72, 168)),
)
