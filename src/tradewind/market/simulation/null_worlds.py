"""Markets without an edge made of real candles: their volatility, tails and volume, and nothing to find."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tradewind.errors import BadData

DAY_MS = 86_400_000
PRICES = ("open", "high", "low", "close")
Tables = Mapping[str, pd.DataFrame]


def sign_flipped(bars: Tables, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Every bar kept or mirrored by the toss of a coin, the same for all symbols of an instant.

    A bar is its open, high, low and close as simple returns on the close before; mirrored, the returns change their
    sign and high and low their places. The expected simple return of every bar, given all that came before, is zero:
    whatever the rule, it earns nothing before costs. Size, volume and their dependence stay as they were. Rows as a
    source delivers them.
    """
    common = _common(bars)
    coin = rng.choice([-1.0, 1.0], len(common))
    order = np.arange(len(common))
    return {name: _rebuilt(_on(table, common), coin, order, centred=False) for name, table in bars.items()}


def block_shuffled(bars: Tables, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Whole days in another order, the same for all symbols, without drift.

    What lasts longer than a day (trends, momentum, seasons, regimes) is gone; what happens within a day is the real
    market's own, so a rule that knows it may earn. Days that are not whole stay where they are.
    """
    common = _common(bars)
    day = common // DAY_MS
    starts = np.flatnonzero(np.r_[True, day[1:] != day[:-1]])
    lengths = np.diff(np.r_[starts, len(common)])
    whole = np.flatnonzero(lengths == lengths.max())
    source = np.arange(len(common))
    for place, taken in zip(whole, rng.permutation(whole), strict=True):
        source[starts[place] : starts[place] + lengths[place]] = starts[taken] + np.arange(lengths[taken])
    same = np.ones(len(common))
    return {name: _rebuilt(_on(table, common), same, source, centred=True) for name, table in bars.items()}


def _common(bars: Tables) -> np.ndarray:
    """Opening times, in epoch milliseconds, of the bars that every symbol has."""
    opened = [_opened_ms(table) for table in bars.values()]
    common = opened[0]
    for other in opened[1:]:
        common = np.intersect1d(common, other, assume_unique=True)
    if len(common) < 2:
        raise BadData(f"{sorted(bars)} have no two bars at the same time: a null world needs a common history")
    return common


def _opened_ms(table: pd.DataFrame) -> np.ndarray:
    return np.asarray(table["open_time"].to_numpy("datetime64[ms]").astype(np.int64))


def _on(table: pd.DataFrame, common: np.ndarray) -> pd.DataFrame:
    return table.iloc[np.searchsorted(_opened_ms(table), common)]


def _rebuilt(table: pd.DataFrame, sign: np.ndarray, source: np.ndarray, centred: bool) -> pd.DataFrame:
    """Bar `source[i]`, its returns times `sign[i]`, on the time and after the close of bar i."""
    price = table[list(PRICES)].to_numpy(dtype=np.float64)
    before = np.r_[price[0, 0], price[:-1, 3]]
    returns = (price / before[:, None] - 1.0)[source]
    if centred:
        returns -= returns[:, 3].mean()
    returns *= sign[:, None]
    # The mirrored high is the low.
    returns = np.column_stack([returns[:, 0], returns.max(axis=1), returns.min(axis=1), returns[:, 3]])
    if (returns <= -1.0).any():
        raise BadData("a bar that more than doubles its price has no mirror image: leave its symbol or its years out")
    close = price[0, 0] * np.cumprod(1.0 + returns[:, 3])
    rebuilt = (1.0 + returns) * np.r_[price[0, 0], close[:-1]][:, None]
    volume = table["volume"].to_numpy(dtype=np.float64)[source]
    out = pd.DataFrame({"open_time": _opened_ms(table), **dict(zip(PRICES, rebuilt.T, strict=True)), "volume": volume})
    for name in ("quote_volume", "trades"):
        if name in table and table[name].notna().all():
            out[name] = table[name].to_numpy(dtype=np.float64)[source]
    if "quote_volume" in out:
        out["quote_volume"] = volume * (out["high"] + out["low"] + out["close"]) / 3
    return out
