"""TA-Lib agrees on every indicator that it has and we do; differences of definition are stated."""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from tradewind.features import price, trend, volatility, volume
from tradewind.features.bars import Chunk, Floats
from tradewind.features.spec import Feature

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
    "mfi": (volume.money_flow_index(14), lambda b: talib.MFI(b.high, b.low, b.close, b.volume, 14)),
    "sma": (trend.sma_distance(24), lambda b: np.log(b.close / talib.SMA(b.close, 24))),
    "ema": (trend.ema_distance(12), lambda b: np.log(b.close / talib.EMA(b.close, 12))),
    "macd": (trend.macd(12, 26, 9, "line"), lambda b: talib.MACD(b.close, 12, 26, 9)[0] / b.close),
    "macd histogram": (trend.macd(12, 26, 9, "histogram"), lambda b: talib.MACD(b.close, 12, 26, 9)[2] / b.close),
    "stochastic": (price.position_in_range(24), lambda b: talib.STOCHF(b.high, b.low, b.close, 24, 1)[0] / 100),
    "bollinger": (
        volatility.bollinger_position(20),
        lambda b: (b.close - talib.SMA(b.close, 20)) / talib.STDDEV(b.close, 20),
    ),
    "return": (price.log_return(6), lambda b: np.log1p(talib.ROC(b.close, 6) / 100)),
}


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
