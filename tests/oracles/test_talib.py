"""TA-Lib agrees on every indicator that it has and we do; differences of definition are stated."""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from tradewind.learning.features import price, trend, volatility, volume
from tradewind.learning.features.bars import Chunk, Floats
from tradewind.learning.features.spec import Feature


def _tema(values: Floats, span: int) -> Floats:
    return talib.EMA(values, span)


def _position(b: Chunk, window: int) -> Floats:
    low, high = talib.MIN(b.low, window), talib.MAX(b.high, window)
    return (b.close - low) / (high - low)


def _slow(b: Chunk) -> Floats:
    return talib.STOCH(b.high, b.low, b.close, fastk_period=14, slowk_period=3, slowk_matype=0)[0]


def _true_strength(b: Chunk) -> Floats:
    change = np.diff(b.close, prepend=np.nan)
    smooth = [talib.EMA(talib.EMA(part[1:], 25)[24:], 13) for part in (change, np.abs(change))]
    return 100 * np.concatenate([np.full(25, np.nan), smooth[0] / smooth[1]])


def _adosc(b: Chunk) -> Floats:
    # TA-Lib smooths the accumulated line; the difference of two means of it is ours of its changes, summed.
    return talib.ADOSC(b.high, b.low, b.close, b.volume, 3, 10)


# Ours on the left; on the right the same from TA-Lib, brought to our scale where we report a share.
PAIRS: dict[str, tuple[Feature, Callable[[Chunk], Floats]]] = {
    "rsi": (trend.rsi(14), lambda b: talib.RSI(b.close, 14)),
    "adx": (trend.adx(14), lambda b: talib.ADX(b.high, b.low, b.close, 14)),
    "directional difference": (
        trend.directional_difference(14),
        lambda b: (talib.PLUS_DI(b.high, b.low, b.close, 14) - talib.MINUS_DI(b.high, b.low, b.close, 14)) / 100,
    ),
    "atr": (volatility.atr(14), lambda b: talib.ATR(b.high, b.low, b.close, 14) / b.close),
    "cci": (trend.cci(20), lambda b: talib.CCI(b.high, b.low, b.close, 20)),
    "aroon": (trend.aroon_oscillator(25), lambda b: talib.AROONOSC(b.high, b.low, 25)),
    "cmo": (trend.rsi(14), lambda b: 50 + talib.CMO(b.close, 14) / 2),  # TA-Lib's CMO is Wilder-smoothed
    "mfi": (volume.money_flow_index(14), lambda b: talib.MFI(b.high, b.low, b.close, b.volume, 14)),
    "sma": (trend.sma_distance(24), lambda b: np.log(b.close / talib.SMA(b.close, 24))),
    "ema": (trend.ema_distance(12), lambda b: np.log(b.close / talib.EMA(b.close, 12))),
    "wma": (trend.wma_distance(24), lambda b: np.log(b.close / talib.WMA(b.close, 24))),
    "dema": (trend.dema_distance(20), lambda b: b.close / talib.DEMA(b.close, 20) - 1),
    "trix": (trend.trix(15), lambda b: talib.TRIX(b.close, 15) / 100),
    "ultimate": (trend.ultimate_oscillator(7, 14, 28), lambda b: talib.ULTOSC(b.high, b.low, b.close, 7, 14, 28)),
    "slow stochastic": (trend.stochastic_slow(14, 3), _slow),
    "true strength": (trend.true_strength(25, 13), _true_strength),
    "macd": (trend.macd_line(12, 26), lambda b: talib.MACD(b.close, 12, 26, 9)[0] / b.close),
    "macd histogram": (trend.macd_histogram(12, 26, 9), lambda b: talib.MACD(b.close, 12, 26, 9)[2] / b.close),
    "stochastic": (price.position_in_range(24), lambda b: talib.STOCHF(b.high, b.low, b.close, 24, 1)[0] / 100),
    "williams": (price.position_in_range(14), lambda b: 1 + talib.WILLR(b.high, b.low, b.close, 14) / 100),
    "channel": (price.position_in_range(72), lambda b: _position(b, 72)),
    "midpoint": (
        trend.ichimoku_crossing(9, 26),
        lambda b: (talib.MIDPRICE(b.high, b.low, 9) - talib.MIDPRICE(b.high, b.low, 26)) / b.close,
    ),
    "slope": (
        trend.trend_residual(24),
        lambda b: np.log(b.close) - talib.LINEARREG(np.log(b.close), 24),
    ),
    "bollinger": (
        volatility.bollinger_position(20),
        lambda b: (b.close - talib.SMA(b.close, 20)) / talib.STDDEV(b.close, 20),
    ),
    "bollinger width": (
        volatility.bollinger_width(20),
        lambda b: np.subtract(*talib.BBANDS(b.close, 20, 2, 2)[::2]) / talib.SMA(b.close, 20),
    ),
    "true range": (
        volatility.choppiness(14),
        lambda b: 100 * np.log(
            talib.SUM(talib.TRANGE(b.high, b.low, b.close), 14) / (talib.MAX(b.high, 14) - talib.MIN(b.low, 14))
        ) / np.log(14),
    ),
    "on-balance volume": (
        volume.signed_volume_share(24),
        lambda b: (lambda obv: obv - np.r_[np.full(24, np.nan), obv[:-24]])(talib.OBV(b.close, b.volume))
        / talib.SUM(b.volume, 24),
    ),
    "accumulation": (
        volume.chaikin_money_flow(20),
        lambda b: (lambda ad: ad - np.r_[np.full(20, np.nan), ad[:-20]])(talib.AD(b.high, b.low, b.close, b.volume))
        / talib.SUM(b.volume, 20),
    ),
    "chaikin oscillator": (
        volume.chaikin_oscillator(3, 10, 72),
        lambda b: _adosc_change(b) / talib.SMA(b.volume, 72),
    ),
    "correlation": (
        price.autocorrelation(1, 72),
        lambda b: _talib_autocorrelation(np.log(b.close), 72),
    ),
    "return": (price.log_return(6), lambda b: np.log1p(talib.ROC(b.close, 6) / 100)),
}  # fmt: skip


def _adosc_change(b: Chunk) -> Floats:
    return np.diff(_adosc(b), prepend=np.nan)


def _talib_autocorrelation(logs: Floats, window: int) -> Floats:
    change = np.diff(logs)[1:]
    before = np.diff(logs)[:-1]
    return np.concatenate([np.full(2, np.nan), talib.CORREL(change.copy(), before.copy(), window)])


@pytest.mark.parametrize("name", PAIRS)
def test_talib_agrees(name: str, chunk: Chunk) -> None:
    feature, oracle = PAIRS[name]
    bars = chunk.rows(0, 1000)
    ours, theirs = feature.advance(None, bars)[1], oracle(bars)
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.sum() > 400
    # Recursions are seeded differently (by a mean there, by the first value here); that has died out when ours begin.
    np.testing.assert_allclose(ours[both], theirs[both], rtol=1e-5, atol=1e-6)


def test_a_wrong_period_would_be_noticed(chunk: Chunk) -> None:
    bars = chunk.rows(0, 1000)
    ours, theirs = trend.rsi(14).advance(None, bars)[1], talib.RSI(bars.close, 15)
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert not np.allclose(ours[both], theirs[both], rtol=1e-5)
