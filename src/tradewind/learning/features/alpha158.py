"""Qlib's Alpha158 set, for those who come from there: 9 proportions of the bar, 4 prices and 29 rolling measures.

Formulas after Qlib's handler (Yang et al. 2020, Qlib: an AI-oriented quantitative investment platform); the typical
price stands for VWAP, which bars do not have. Selected by `features.sets: [alpha158]`.
"""

from tradewind.learning.features import operators as op
from tradewind.learning.features.expression import Expression
from tradewind.learning.features.operators import Bars
from tradewind.learning.features.spec import Feature, feature

WINDOWS = (5, 10, 20, 30, 60)
EPS = 1e-12
SOURCE = "Qlib, Alpha158"


def _bar(bars: Bars) -> dict[str, Expression]:
    body, height = bars.close - bars.open, bars.high - bars.low + EPS
    top, bottom = op.larger(bars.open, bars.close), op.smaller(bars.open, bars.close)
    shift = 2 * bars.close - bars.high - bars.low
    return {
        "kmid": body / bars.open,
        "klen": (bars.high - bars.low) / bars.open,
        "kmid2": body / height,
        "kup": (bars.high - top) / bars.open,
        "kup2": (bars.high - top) / height,
        "klow": (bottom - bars.low) / bars.open,
        "klow2": (bottom - bars.low) / height,
        "ksft": shift / bars.open,
        "ksft2": shift / height,
        "open0": bars.open / bars.close,
        "high0": bars.high / bars.close,
        "low0": bars.low / bars.close,
        "vwap0": bars.typical / bars.close,
    }


def _price(bars: Bars, window: int) -> dict[str, Expression]:
    close, low, high = bars.close, op.lowest(bars.low, window), op.highest(bars.high, window)
    since_high = op.bars_since_highest(bars.high, window)
    since_low = op.bars_since_lowest(bars.low, window)
    return {
        "roc": op.lag(close, window) / close,
        "ma": op.mean(close, window) / close,
        "std": op.deviation(close, window) * (window / (window - 1)) ** 0.5 / close,
        "beta": op.slope(close, window) / close,
        "rsqr": op.trend_fit(close, window),
        "resi": op.trend_residual(close, window) / close,
        "max": high / close,
        "min": low / close,
        "qtlu": op.quantile(close, window, 0.8) / close,
        "qtld": op.quantile(close, window, 0.2) / close,
        "rank": (op.rank(close, window) * (window - 1) + 1) / window,
        "rsv": (close - low) / (high - low + EPS),
        # Qlib counts from the oldest bar of the window, starting at 1.
        "imax": (window - since_high) / window,
        "imin": (window - since_low) / window,
        "imxd": (since_low - since_high) / window,
    }


def _flow(bars: Bars, window: int) -> dict[str, Expression]:
    close, volume = bars.close, bars.volume
    change, traded = op.change(close), op.change(volume)
    growth, log_volume = close / op.lag(close, 1), op.log(volume + 1)
    path, bustle = op.total(op.absolute(change), window) + EPS, op.total(op.absolute(traded), window) + EPS
    gains, losses = op.total(op.larger(change, 0.0), window), op.total(op.larger(-change, 0.0), window)
    more, less = op.total(op.larger(traded, 0.0), window), op.total(op.larger(-traded, 0.0), window)
    rises, falls = op.mean(change > 0, window), op.mean(-change > 0, window)
    weight = op.absolute(growth - 1) * volume
    unbiased = (window / (window - 1)) ** 0.5
    return {
        "corr": op.correlation(close, log_volume, window),
        "cord": op.correlation(growth, op.log(op.ratio(volume, op.lag(volume, 1)) + 1), window),
        "cntp": rises,
        "cntn": falls,
        "cntd": rises - falls,
        "sump": gains / path,
        "sumn": losses / path,
        "sumd": (gains - losses) / path,
        "vma": op.mean(volume, window) / (volume + EPS),
        "vstd": op.deviation(volume, window) * unbiased / (volume + EPS),
        "wvma": op.deviation(weight, window) * unbiased / (op.mean(weight, window) + EPS),
        "vsump": more / bustle,
        "vsumn": less / bustle,
        "vsumd": (more - less) / bustle,
    }


@feature(tier=1, unit="ratio", source=SOURCE, naming="a158_{}")
def of_bar(bars: Bars, name: str) -> Expression:
    """A proportion of the bar in Qlib's Alpha158."""
    return _bar(bars)[name]


@feature(tier=2, unit="ratio", source=SOURCE, naming="a158_{}_{}")
def rolling(bars: Bars, name: str, window: int) -> Expression:
    """A rolling measure in Qlib's Alpha158."""
    return {**_price(bars, window), **_flow(bars, window)}[name]


def features() -> tuple[Feature, ...]:
    """All 158."""
    bars = Bars()
    names = [*_price(bars, 5), *_flow(bars, 5)]
    return (*(of_bar(name) for name in _bar(bars)), *(rolling(name, window) for name in names for window in WINDOWS))
