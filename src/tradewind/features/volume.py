"""Tier 3: volume, and what it says of liquidity and of who pressed."""

import numpy as np

from tradewind.features import kernels
from tradewind.features.price import ratio
from tradewind.features.spec import Chunk, Feature, Floats, windowed


def _feature(name: str, formula: str, source: str, lookback: int, compute: object, unit: str) -> Feature:
    return Feature(
        name=name, tier=3, family="volume", formula=formula, lookback=lookback, unit=unit, source=source,
        step=windowed(compute, lookback),  # type: ignore[arg-type]
    )  # fmt: skip


def volume_z_score(window: int) -> Feature:
    """Log volume against its window, in standard deviations."""

    def compute(bars: Chunk) -> Floats:
        logs = np.log1p(bars.volume)
        return ratio(logs - kernels.rolling_mean(logs, window), kernels.rolling_std(logs, window))

    return _feature(
        f"volume_z_score_{window}", f"(log(1 + volume) - mean) / deviation over {window}", "definition", window - 1,
        compute, "standard deviations",
    )  # fmt: skip


def relative_volume(window: int) -> Feature:
    """Volume as a multiple of its mean over the window."""
    return _feature(
        f"relative_volume_{window}", f"volume / mean volume of {window}", "definition", window - 1,
        lambda bars: ratio(bars.volume, kernels.rolling_mean(bars.volume, window)), "ratio",
    )  # fmt: skip


def signed_volume_share(window: int) -> Feature:
    """Volume of rising bars less that of falling bars, as a share: on-balance volume made comparable."""

    def compute(bars: Chunk) -> Floats:
        signed = np.sign(kernels.log_change(bars.close, 1)) * bars.volume
        return ratio(kernels.rolling_sum(signed, window), kernels.rolling_sum(bars.volume, window))

    return _feature(
        f"signed_volume_share_{window}", f"sum of sign(return) * volume / sum of volume over {window}",
        "Granville 1963, on-balance volume", window, compute, "share",
    )  # fmt: skip


def money_flow_index(window: int) -> Feature:
    """Share of the money that flowed on rising typical prices, 0 to 100; 50 where none flowed."""

    def compute(bars: Chunk) -> Floats:
        typical = (bars.high + bars.low + bars.close) / 3
        flow = typical * bars.volume
        change = np.concatenate([[np.nan], np.diff(typical)])
        rising = kernels.rolling_sum(np.where(change > 0, flow, change * 0), window)
        falling = kernels.rolling_sum(np.where(change < 0, flow, change * 0), window)
        return np.where(rising + falling == 0, 50.0, 100 * ratio(rising, rising + falling))

    return _feature(
        f"money_flow_index_{window}", f"100 * rising / (rising + falling) money flow over {window}",
        "Quong and Soudack 1989", window, compute, "index 0 to 100",
    )  # fmt: skip


def chaikin_money_flow(window: int) -> Feature:
    """Volume weighted by where in its range each bar closed, -1 to 1."""

    def compute(bars: Chunk) -> Floats:
        place = ratio(2 * bars.close - bars.high - bars.low, bars.high - bars.low)
        return ratio(kernels.rolling_sum(place * bars.volume, window), kernels.rolling_sum(bars.volume, window))

    return _feature(
        f"chaikin_money_flow_{window}", f"sum of (2c - h - l) / (h - l) * volume / sum of volume over {window}",
        "Chaikin 1996", window - 1, compute, "share",
    )  # fmt: skip


def vwap_distance(window: int) -> Feature:
    """Log distance of the close from the volume-weighted typical price; 0 where nothing traded."""

    def compute(bars: Chunk) -> Floats:
        typical = (bars.high + bars.low + bars.close) / 3
        traded = kernels.rolling_sum(bars.volume, window)
        average = kernels.rolling_sum(typical * bars.volume, window) / np.where(traded > 0, traded, 1.0)
        return np.where(traded > 0, np.log(bars.close / np.where(traded > 0, average, bars.close)), traded)

    return _feature(
        f"vwap_distance_{window}", f"log(close / volume-weighted typical price of {window})", "Berkowitz et al. 1988",
        window - 1, compute, "log-return",
    )  # fmt: skip


def amihud(window: int) -> Feature:
    """Illiquidity: absolute return for the money traded, against its own longer mean."""

    def compute(bars: Chunk) -> Floats:
        impact = ratio(np.abs(kernels.log_change(bars.close, 1)), bars.volume * bars.close)
        short, long = kernels.rolling_mean(impact, window), kernels.rolling_mean(impact, 7 * window)
        return ratio(short, long)

    return _feature(
        f"amihud_{window}", f"mean |return| / money traded over {window}, / the same over {7 * window}", "Amihud 2002",
        7 * window, compute, "ratio",
    )  # fmt: skip


def roll_spread(window: int) -> Feature:
    """Effective spread from the bounce between bid and ask; 0 where returns do not bounce."""

    def compute(bars: Chunk) -> Floats:
        change = kernels.log_change(bars.close, 1)
        both, _, _ = kernels.comoments(change, np.concatenate([[np.nan], change[:-1]]), window)
        return 2 * np.sqrt(np.maximum(-both, 0.0))

    return _feature(
        f"roll_spread_{window}", f"2 sqrt(max(0, -covariance of successive returns)) over {window}", "Roll 1984",
        window + 1, compute, "log-return",
    )  # fmt: skip


def corwin_schultz(window: int) -> Feature:
    """Spread from the highs and lows of pairs of bars."""

    def compute(bars: Chunk) -> Floats:
        square = np.log(bars.high / bars.low) ** 2
        high, low = kernels.rolling_max(bars.high, 2), -kernels.rolling_max(-bars.low, 2)
        beta, gamma = kernels.rolling_sum(square, 2), np.log(high / low) ** 2
        scale = 3 - 2 * np.sqrt(2)
        alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / scale - np.sqrt(gamma / scale)
        spread = np.maximum(2 * np.expm1(alpha) / (1 + np.exp(alpha)), 0.0)
        return kernels.rolling_mean(spread, window)

    return _feature(
        f"corwin_schultz_{window}", f"mean of the high-low spread of two bars over {window}", "Corwin and Schultz 2012",
        window, compute, "share of price",
    )  # fmt: skip


FEATURES = (
    volume_z_score(24),
    volume_z_score(168),
    relative_volume(24),
    signed_volume_share(24),
    signed_volume_share(72),
    money_flow_index(14),
    chaikin_money_flow(20),
    vwap_distance(24),
    vwap_distance(72),
    amihud(24),
    roll_spread(72),
    corwin_schultz(24),
)
