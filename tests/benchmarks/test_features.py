"""All features at once against TA-Lib with bottleneck, pandas, Qlib's set in pandas, and TA-Lib on one live bar."""

import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradewind.datasets.parquet import write_table
from tradewind.learning.features import alpha158, catalogue, matrix, price, trend, volatility, volume
from tradewind.learning.features.bars import CLOCK, Chunk
from tradewind.learning.features.spec import Feature, FeatureFamily
from tradewind.learning.features.stream import FeatureStream, compute_batch

bn = pytest.importorskip("bottleneck", reason="pip install -e .[bench]")
talib = pytest.importorskip("talib")
pytestmark = pytest.mark.benchmark


class Peer:
    """The features of TA-Lib, bottleneck and numpy, one call each, as their users write them."""

    ta: Any = talib
    m: Any = bn

    def __init__(self, c: Chunk) -> None:
        self.o, self.h, self.l, self.c, self.v = (self.wrap(x) for x in (c.open, c.high, c.low, c.close, c.volume))
        self.logs = np.log(self.c)
        self.r = self.logs - self.back(self.logs, 1)
        self.change = self.c - self.back(self.c, 1)
        self.tr = self.ta.TRANGE(self.h, self.l, self.c)
        self.typical = self.ta.TYPPRICE(self.h, self.l, self.c)

    def wrap(self, x: np.ndarray) -> Any:
        return x

    def back(self, x: np.ndarray, lag: int) -> Any:
        return np.concatenate([np.full(lag, np.nan), x[:-lag]])

    def share(self, above: np.ndarray, below: np.ndarray) -> Any:
        return np.divide(above, below, out=np.zeros_like(above), where=below != 0)

    def rms(self, x: np.ndarray, w: int) -> Any:
        return np.sqrt(self.m.move_mean(x * x, w))


class PandasMoves:
    """bottleneck's functions by pandas."""

    move_mean = staticmethod(lambda x, w: x.rolling(w).mean())
    move_sum = staticmethod(lambda x, w: x.rolling(w).sum())
    move_std = staticmethod(lambda x, w: x.rolling(w).std(ddof=0))
    move_rank = staticmethod(lambda x, w: 2 * (x.rolling(w).rank() - 1) / (w - 1) - 1)


class PandasIndicators:
    """TA-Lib's functions by pandas, as its users write them."""

    SMA = staticmethod(lambda x, w: x.rolling(w).mean())
    EMA = staticmethod(lambda x, w: x.ewm(span=w, adjust=False).mean())
    MAX = staticmethod(lambda x, w: x.rolling(w).max())
    MIN = staticmethod(lambda x, w: x.rolling(w).min())
    STDDEV = staticmethod(lambda x, w: x.rolling(w).std(ddof=0))
    CORREL = staticmethod(lambda x, y, w: x.rolling(w).corr(y))
    MIDPRICE = staticmethod(lambda h, lo, w: (h.rolling(w).max() + lo.rolling(w).min()) / 2)
    TYPPRICE = staticmethod(lambda h, lo, c: (h + lo + c) / 3)
    wilder = staticmethod(lambda x, w: x.ewm(alpha=1 / w, adjust=False).mean())

    def TRANGE(self, h: pd.Series, lo: pd.Series, c: pd.Series) -> pd.Series:
        return np.maximum(h, c.shift()) - np.minimum(lo, c.shift())

    def ATR(self, h: pd.Series, lo: pd.Series, c: pd.Series, w: int) -> pd.Series:
        return self.wilder(self.TRANGE(h, lo, c), w)

    def DEMA(self, x: pd.Series, w: int) -> pd.Series:
        once = self.EMA(x, w)
        return 2 * once - self.EMA(once, w)

    def TRIX(self, x: pd.Series, w: int) -> pd.Series:
        return 100 * self.EMA(self.EMA(self.EMA(x, w), w), w).pct_change()

    def MACD(self, x: pd.Series, fast: int, slow: int, smooth: int) -> tuple[pd.Series, pd.Series, pd.Series]:
        line = self.EMA(x, fast) - self.EMA(x, slow)
        signal = self.EMA(line, smooth)
        return line, signal, line - signal

    def RSI(self, x: pd.Series, w: int) -> pd.Series:
        change = x.diff()
        up, down = (self.wilder(part, w) for part in (change.clip(lower=0), -change.clip(upper=0)))
        return 100 * up / (up + down)

    def STOCH(self, h: pd.Series, lo: pd.Series, c: pd.Series, w: int, smooth: int, _: int) -> tuple[pd.Series]:
        lowest = lo.rolling(w).min()
        return ((100 * (c - lowest) / (h.rolling(w).max() - lowest)).rolling(smooth).mean(),)

    def _directional(self, h: pd.Series, lo: pd.Series, c: pd.Series, w: int) -> tuple[pd.Series, pd.Series]:
        up, down = h.diff(), -lo.diff()
        true_range = self.wilder(self.TRANGE(h, lo, c), w)
        plus = self.wilder(up.where((up > down) & (up > 0), 0.0), w)
        minus = self.wilder(down.where((down > up) & (down > 0), 0.0), w)
        return 100 * plus / true_range, 100 * minus / true_range

    def PLUS_DI(self, *args: Any) -> pd.Series:
        return self._directional(*args)[0]

    def MINUS_DI(self, *args: Any) -> pd.Series:
        return self._directional(*args)[1]

    def ADX(self, h: pd.Series, lo: pd.Series, c: pd.Series, w: int) -> pd.Series:
        plus, minus = self._directional(h, lo, c, w)
        return self.wilder(100 * (plus - minus).abs() / (plus + minus), w)

    def ULTOSC(self, h: pd.Series, lo: pd.Series, c: pd.Series, *windows: int) -> pd.Series:
        pressure, true_range = c - np.minimum(lo, c.shift()), self.TRANGE(h, lo, c)
        parts = [pressure.rolling(w).sum() / true_range.rolling(w).sum() for w in windows]
        return 100 * (4 * parts[0] + 2 * parts[1] + parts[2]) / 7

    def MFI(self, h: pd.Series, lo: pd.Series, c: pd.Series, v: pd.Series, w: int) -> pd.Series:
        typical = self.TYPPRICE(h, lo, c)
        flow, change = typical * v, typical.diff()
        up, down = (flow.where(side, 0.0).rolling(w).sum() for side in (change > 0, change < 0))
        return 100 * up / (up + down)


class PandasPeer(Peer):
    """The same features by pandas."""

    ta = PandasIndicators()
    m = PandasMoves

    def wrap(self, x: np.ndarray) -> Any:
        return pd.Series(x)

    def back(self, x: Any, lag: int) -> Any:
        return x.shift(lag)

    def share(self, above: Any, below: Any) -> Any:
        return (above / below).where(below != 0, 0.0)


# What pandas has only a Python function a window for; timing that would be no contest.
NOT_IN_PANDAS = {trend.cci, trend.trend_residual, trend.wma_distance, trend.aroon_oscillator}
PEERS: dict[FeatureFamily, Callable[..., np.ndarray]] = {
    price.log_return: lambda p, lag: p.logs - p.back(p.logs, lag),
    price.lagged_return: lambda p, lag: p.back(p.r, lag),
    price.bar_range: lambda p: np.log(p.h / p.l),
    price.body: lambda p: p.share(p.c - p.o, p.h - p.l),
    price.upper_shadow: lambda p: p.share(p.h - np.maximum(p.o, p.c), p.h - p.l),
    price.lower_shadow: lambda p: p.share(np.minimum(p.o, p.c) - p.l, p.h - p.l),
    price.gap: lambda p: np.log(p.o / p.back(p.c, 1)),
    price.drawdown: lambda p, w: np.log(p.c / p.ta.MAX(p.h, w)),
    price.drawup: lambda p, w: np.log(p.c / p.ta.MIN(p.l, w)),
    price.position_in_range: lambda p, w: p.share(p.c - p.ta.MIN(p.l, w), p.ta.MAX(p.h, w) - p.ta.MIN(p.l, w)),
    price.efficiency_ratio: lambda p, w: p.share(p.logs - p.back(p.logs, w), p.m.move_sum(np.abs(p.r), w)),
    price.share_of_rises: lambda p, w: p.m.move_mean(np.sign(p.r), w),
    price.return_rank: lambda p, w: (p.m.move_rank(p.r, w) + 1) / 2,
    price.close_rank: lambda p, w: (p.m.move_rank(p.c, w) + 1) / 2,
    trend.sma_distance: lambda p, w: np.log(p.c / p.ta.SMA(p.c, w)),
    trend.sma_crossing: lambda p, f, s: np.log(p.ta.SMA(p.c, f) / p.ta.SMA(p.c, s)),
    trend.ema_distance: lambda p, s: np.log(p.c / p.ta.EMA(p.c, s)),
    trend.wma_distance: lambda p, w: np.log(p.c / p.ta.WMA(p.c, w)),
    trend.dema_distance: lambda p, s: p.c / p.ta.DEMA(p.c, s) - 1,
    trend.macd_line: lambda p, f, s: p.ta.MACD(p.c, f, s, 9)[0] / p.c,
    trend.macd_histogram: lambda p, f, s, m: p.ta.MACD(p.c, f, s, m)[2] / p.c,
    trend.rsi: lambda p, w: p.ta.RSI(p.c, w),
    trend.stochastic_slow: lambda p, w, s: p.ta.STOCH(p.h, p.l, p.c, w, s, 0)[0],
    trend.adx: lambda p, w: p.ta.ADX(p.h, p.l, p.c, w),
    trend.directional_difference: lambda p, w: (
        (p.ta.PLUS_DI(p.h, p.l, p.c, w) - p.ta.MINUS_DI(p.h, p.l, p.c, w)) / 100
    ),
    trend.aroon_oscillator: lambda p, w: p.ta.AROONOSC(p.h, p.l, w),
    trend.cci: lambda p, w: p.ta.CCI(p.h, p.l, p.c, w),
    trend.trix: lambda p, w: p.ta.TRIX(p.c, w) / 100,
    trend.ultimate_oscillator: lambda p, a, b, c: p.ta.ULTOSC(p.h, p.l, p.c, a, b, c),
    trend.ichimoku_crossing: lambda p, f, s: (p.ta.MIDPRICE(p.h, p.l, f) - p.ta.MIDPRICE(p.h, p.l, s)) / p.c,
    trend.trend_residual: lambda p, w: p.logs - p.ta.LINEARREG(p.logs, w),
    trend.rolling_sharpe: lambda p, w: p.m.move_mean(p.r, w) / p.m.move_std(p.r, w) * np.sqrt(w),
    trend.skipped_momentum: lambda p, s, w: p.back(p.logs, s) - p.back(p.logs, w),
    volatility.realised_volatility: lambda p, w: p.rms(p.r, w),
    volatility.parkinson: lambda p, w: p.rms(np.log(p.h / p.l), w) / np.sqrt(4 * np.log(2)),
    volatility.garman_klass: lambda p, w: np.sqrt(
        p.m.move_mean(0.5 * np.log(p.h / p.l) ** 2 - (2 * np.log(2) - 1) * np.log(p.c / p.o) ** 2, w)
    ),
    volatility.rogers_satchell: lambda p, w: np.sqrt(
        p.m.move_mean(np.log(p.h / p.o) * np.log(p.h / p.c) + np.log(p.l / p.o) * np.log(p.l / p.c), w)
    ),
    volatility.volatility_ratio: lambda p, f, s: p.rms(p.r, f) / p.rms(p.r, s),
    volatility.downside_share: lambda p, w: p.m.move_sum(np.minimum(p.r, 0) ** 2, w) / p.m.move_sum(p.r**2, w),
    volatility.bipower_volatility: lambda p, w: np.sqrt(
        np.pi / 2 * p.m.move_mean(np.abs(p.r) * p.back(np.abs(p.r), 1), w)
    ),
    volatility.atr: lambda p, w: p.ta.ATR(p.h, p.l, p.c, w) / p.c,
    volatility.bollinger_position: lambda p, w: (p.c - p.ta.SMA(p.c, w)) / p.ta.STDDEV(p.c, w),
    volatility.bollinger_width: lambda p, w: 4 * p.ta.STDDEV(p.c, w) / p.ta.SMA(p.c, w),
    volatility.donchian_width: lambda p, w: (p.ta.MAX(p.h, w) - p.ta.MIN(p.l, w)) / p.c,
    volatility.choppiness: lambda p, w: 100
    * np.log(p.m.move_sum(p.tr, w) / (p.ta.MAX(p.h, w) - p.ta.MIN(p.l, w)))
    / np.log(w),
    volume.volume_z_score: lambda p, w: (
        (np.log1p(p.v) - p.m.move_mean(np.log1p(p.v), w)) / p.m.move_std(np.log1p(p.v), w)
    ),
    volume.relative_volume: lambda p, w: p.v / p.m.move_mean(p.v, w),
    volume.volume_trend: lambda p, f, s: p.m.move_mean(np.log1p(p.v), f) - p.m.move_mean(np.log1p(p.v), s),
    volume.signed_volume_share: lambda p, w: p.m.move_sum(np.sign(p.r) * p.v, w) / p.m.move_sum(p.v, w),
    volume.money_flow_index: lambda p, w: p.ta.MFI(p.h, p.l, p.c, p.v, w),
    volume.chaikin_money_flow: lambda p, w: p.m.move_sum(p.share(2 * p.c - p.h - p.l, p.h - p.l) * p.v, w)
    / p.m.move_sum(p.v, w),
    volume.vwap_distance: lambda p, w: np.log(p.c * p.m.move_sum(p.v, w) / p.m.move_sum(p.typical * p.v, w)),
    volume.return_volume_correlation: lambda p, w: p.ta.CORREL(p.r[1:], np.log1p(p.v)[1:], w),
}  # fmt: skip
# More windows of the same, to bring the set to the size that people use.
MORE: dict[FeatureFamily, tuple[tuple[int, ...], ...]] = {
    trend.sma_distance: ((5,), (36,), (96,), (336,)),
    trend.ema_distance: ((5,), (24,), (96,)),
    trend.rsi: ((5,), (21,)),
    trend.rolling_sharpe: ((12,), (48,), (96,)),
    trend.trend_residual: ((12,), (48,), (168,)),
    volatility.realised_volatility: ((12,), (48,), (96,), (336,)),
    volatility.parkinson: ((6,), (12,), (168,)),
    volatility.bollinger_position: ((12,), (48,), (168,)),
    volatility.atr: ((7,), (28,)),
    price.position_in_range: ((12,), (48,), (96,)),
    price.drawdown: ((12,), (48,), (336,)),
    volume.relative_volume: ((12,), (72,)),
    volume.vwap_distance: ((12,), (48,)),
    volume.chaikin_money_flow: ((12,), (48,)),
    price.share_of_rises: ((6,), (48,), (168,)),
}


@pytest.fixture(scope="module")
def chunk(minute_bars: pd.DataFrame) -> Chunk:
    return matrix.build_chunk(minute_bars, minute_bars, matrix.market_table({"SIM1": minute_bars}), {})


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Feature, FeatureFamily, Callable[[Peer], np.ndarray]]]:
    def bound(function: Callable[..., np.ndarray], parameters: tuple[Any, ...]) -> Callable[[Peer], np.ndarray]:
        return lambda peer: function(peer, *parameters)

    found = []
    for family, function in PEERS.items():
        for parameters in (*family.variants, *MORE.get(family, ())):
            found.append((family(*parameters), family, bound(function, parameters)))
    assert len(found) >= 128
    return found


def assert_equal_features(pairs: list, chunk: Chunk, peer: Peer) -> None:
    for values, (feature, _, function) in zip(compute_batch([f for f, _, _ in pairs], chunk), pairs, strict=True):
        theirs = np.asarray(function(peer))
        theirs = np.concatenate([np.full(len(chunk) - len(theirs), np.nan), theirs])
        rows = np.isfinite(values) & np.isfinite(theirs)
        rows[:3000] = False  # TA-Lib seeds its recursions by a mean
        assert rows.mean() > 0.8, feature.name
        scale = np.abs(values[rows]).max()
        np.testing.assert_allclose(values[rows], theirs[rows], rtol=1e-3, atol=1e-4 * scale, err_msg=feature.name)


def all_by_peer(kind: type[Peer], pairs: list, chunk: Chunk) -> None:
    peer, out = kind(chunk), np.empty((len(pairs), len(chunk)), dtype=np.float32)
    for row, (_, _, function) in enumerate(pairs):
        values = function(peer)
        out[row, len(chunk) - len(values) :] = values


def test_equal_features_against_talib_and_bottleneck(chunk: Chunk, pairs: list, compare: Callable[..., None]) -> None:
    part = chunk.rows(0, 20_000)
    assert_equal_features(pairs, part, Peer(part))
    features = [feature for feature, _, _ in pairs]
    case = f"{len(pairs)} equal features x {len(chunk):,} bars, two threads, TA-Lib + bottleneck"
    compare(
        case, lambda: compute_batch(features, chunk, 2), lambda: all_by_peer(Peer, pairs, chunk), goal=0.40, same=False
    )


def test_equal_features_against_pandas(chunk: Chunk, pairs: list, compare: Callable[..., None]) -> None:
    pairs = [pair for pair in pairs if pair[1] not in NOT_IN_PANDAS]
    part = chunk.rows(0, 20_000)
    assert_equal_features(pairs, part, PandasPeer(part))
    features = [feature for feature, _, _ in pairs]
    compare(
        f"{len(features)} equal features x {len(chunk):,} bars, two threads, pandas",
        lambda: compute_batch(features, chunk, 2), lambda: all_by_peer(PandasPeer, pairs, chunk), goal=0.12,
        rounds=3, same=False,
    )  # fmt: skip


def test_alpha158_against_its_formulas_in_pandas(
    chunk: Chunk, minute_bars: pd.DataFrame, compare: Callable[..., None]
) -> None:
    """The rolling 145 at full size; pyqlib itself does not run on this Python, so these are its formulas."""
    features = [one for one in alpha158.features() if one.name.count("_") == 2]
    x, v = (pd.Series(minute_bars[name].to_numpy()) for name in ("close", "volume"))
    h, lo = (pd.Series(minute_bars[name].to_numpy()) for name in ("high", "low"))

    def formulas() -> list[np.ndarray]:
        from numpy.lib.stride_tricks import sliding_window_view

        d, dv, growth, lv = x.diff(), v.diff(), x / x.shift(), np.log(v + 1)
        table: dict[str, list[Any]] = {name.split("_")[1]: [] for name in (one.name for one in features)}
        for w in alpha158.WINDOWS:
            at = np.arange(w) - (w - 1) / 2
            view = sliding_window_view(x.to_numpy(), w)
            slope = np.concatenate([np.full(w - 1, np.nan), view @ at / (at @ at)])
            m, s = x.rolling(w).mean(), x.rolling(w).std()
            weight = (growth - 1).abs() * v
            imax, imin = h.rolling(w).apply(np.argmax, raw=True) + 1, lo.rolling(w).apply(np.argmin, raw=True) + 1
            path, bustle = d.abs().rolling(w).sum(), dv.abs().rolling(w).sum()
            up, more = d.clip(lower=0).rolling(w).sum(), dv.clip(lower=0).rolling(w).sum()
            row = {
                "roc": x.shift(w) / x, "ma": m / x, "std": s / x, "beta": slope / x,
                "rsqr": slope**2 * (at @ at) / (s**2 * (w - 1)), "resi": (x - m - slope * (w - 1) / 2) / x,
                "max": h.rolling(w).max() / x, "min": lo.rolling(w).min() / x,
                "qtlu": x.rolling(w).quantile(0.8) / x, "qtld": x.rolling(w).quantile(0.2) / x,
                "rank": x.rolling(w).rank(pct=True),
                "rsv": (x - lo.rolling(w).min()) / (h.rolling(w).max() - lo.rolling(w).min() + 1e-12),
                "imax": imax / w, "imin": imin / w, "imxd": (imax - imin) / w,
                "corr": x.rolling(w).corr(lv), "cord": growth.rolling(w).corr(np.log(v / v.shift() + 1)),
                "cntp": (d > 0).rolling(w).mean(), "cntn": (d < 0).rolling(w).mean(),
                "cntd": (d > 0).rolling(w).mean() - (d < 0).rolling(w).mean(),
                "sump": up / (path + 1e-12), "sumn": 1 - up / (path + 1e-12), "sumd": 2 * up / (path + 1e-12) - 1,
                "vma": v.rolling(w).mean() / (v + 1e-12), "vstd": v.rolling(w).std() / (v + 1e-12),
                "wvma": weight.rolling(w).std() / (weight.rolling(w).mean() + 1e-12),
                "vsump": more / (bustle + 1e-12), "vsumn": 1 - more / (bustle + 1e-12),
                "vsumd": 2 * more / (bustle + 1e-12) - 1,
            }  # fmt: skip
            for name, values in row.items():
                table[name].append(np.asarray(values, dtype=np.float64))
        return [values for name in table for values in table[name]]

    ours, theirs = compute_batch(features, chunk, 2), formulas()
    for feature, mine, peer in zip(features, ours, theirs, strict=True):
        rows = np.isfinite(mine) & np.isfinite(peer)
        off = ~np.isclose(mine[rows], peer[rows], rtol=1e-3, atol=1e-3)
        assert rows.mean() > 0.95 and off.mean() < 1e-3, (feature.name, off.mean())
    case = f"Alpha158's rolling 145 x {len(chunk):,} bars, its formulas in pandas"
    compare(case, lambda: compute_batch(features, chunk, 2), formulas, goal=0.10, rounds=2, same=False)


def test_one_live_bar_against_talib_over_a_window(chunk: Chunk, pairs: list, results: list) -> None:
    """All features of the default set, warm, against TA-Lib on the last 500 bars for the equal set."""
    features = catalogue.select(catalogue.FeatureSelection(slower_timeframes=("1h", "4h")), "1m", ())
    stream = FeatureStream(features)
    stream.advance(chunk.rows(0, 20_000))
    names = [name for name in stream.columns if name not in CLOCK]
    ours, theirs = [], []
    columns = chunk.rows(0, 24_000).matrix(names)
    for row in range(20_000, 24_000):
        bar = dict(zip(names, columns[:, row].tolist(), strict=True))
        bar |= {"open_time": int(chunk.open_time[row]), "timestamp": int(chunk.timestamp[row]), "segment": 0}
        start = perf_counter()
        stream.push(bar)
        ours.append(perf_counter() - start)
        if row % 4 == 0:
            part = chunk.rows(row - 499, row + 1)
            start = perf_counter()
            peer = Peer(part)
            for _, _, function in pairs:
                function(peer)
            theirs.append(perf_counter() - start)
    for text, mine, their in (
        ("median", statistics.median(ours), statistics.median(theirs)),
        ("99th percentile", np.quantile(ours, 0.99), np.quantile(theirs, 0.99)),
    ):
        results.append(
            {
                "case": f"one live bar, {len(features)} features against {len(pairs)} of TA-Lib over 500 bars, {text}",
                "ours": float(mine), "peer": float(their), "unit": "s", "ratio": float(mine / their), "goal": 0.10,
                "rounds": len(ours),
            }
        )  # fmt: skip


def test_writing_the_feature_table(chunk: Chunk, tmp_path: Path, compare: Callable[..., None], results: list) -> None:
    features = catalogue.select(catalogue.FeatureSelection(), "1m", ())[:150]
    table = matrix.feature_table("SIM1", chunk, features)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    ours, peer = tmp_path / "ours.parquet", tmp_path / "peer.parquet"

    def write_ours() -> None:
        write_table(table, ours, ours)

    compare(
        f"writing 150 features x {len(chunk):,} bars, pyarrow defaults with zstd", write_ours,
        lambda: pq.write_table(arrow, peer, compression="zstd"), goal=0.30, rounds=3, same=False,
    )  # fmt: skip
    sizes = [path.stat().st_size for path in (ours, peer)]
    results.append(
        {
            "case": "size of the same table", "ours": sizes[0] / 1e6, "peer": sizes[1] / 1e6, "unit": "MB",
            "ratio": sizes[0] / sizes[1], "goal": 0.70, "rounds": 1,
        }
    )  # fmt: skip
