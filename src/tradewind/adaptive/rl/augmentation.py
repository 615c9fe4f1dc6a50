"""Data augmentation of the training market: scaled volatility, and bootstrap paths."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tradewind.adaptive.rl.market import TradingMarket

PRICES = slice(0, 4)  # open, high, low, close
VOLATILITY = 5
Rows = NDArray[np.int64]


def scale_volatility(market: TradingMarket, volatility: float) -> TradingMarket:
    """The same market with all log returns, and the volatility known, multiplied.

    Within each run of bars prices move away from its first close by a power: their order in a bar stays as it was.
    """
    if volatility == 1.0:
        return market
    bars = market.bars.copy()
    for first, last in market.runs:
        first_close = bars[3, first]
        bars_of_run = slice(first, last + 1)
        bars[PRICES, bars_of_run] = first_close * (bars[PRICES, bars_of_run] / first_close) ** volatility
    bars[VOLATILITY] *= volatility
    return replace(market, bars=bars)


def add_bootstrap_path(
    market: TradingMarket, share: float, mean_block_bars: float, rng: np.random.Generator
) -> TradingMarket:
    """The market, and after it one path more: blocks of its bars in another order.

    The stationary bootstrap (Politis and Romano 1994): blocks begin anywhere and are `mean_block_bars` long on average
    (geometrically), none crosses the end of a run. A bar brings its features, volume, volatility and funding along, and
    its prices relative to the close before it, so that it is the same candle at another height. What a bar's features
    say of the bars after it stays true within a block, and nothing is learned of what comes where two blocks meet. The
    path has `share` times the bars that can be acted on, in one run.

    Args:
        market: the bars and features to draw from.
        share: the path's length as a share of the bars that can be acted on.
        mean_block_bars: the mean length of a block.
        rng: draws the blocks.
    """
    count = int(share * (market.runs[:, 1] - market.runs[:, 0]).sum())
    if count < 3:
        return market
    source = _blocks(market.runs, count, mean_block_bars, rng)
    before = market.bars[3, source - 1]
    bars = market.bars[:, source].copy()
    growth = bars[3] / before
    level = np.exp(np.cumsum(np.log(growth))) / growth  # the close before each bar
    height = market.bars[3, source[0] - 1] * level / before
    bars[PRICES] *= height
    bars[4] /= height  # volume in units: as much money as before
    bars[6] /= height
    path = TradingMarket(bars, market.features[source], np.array([[0, count - 1]], dtype=np.int64))
    return TradingMarket.joined([market, path])


def _blocks(runs: Rows, count: int, mean_bars: float, rng: np.random.Generator) -> Rows:
    """Rows of the market, each the bar after another one of its run, in blocks."""
    length = runs[:, 1] - runs[:, 0]
    edges = np.concatenate([[0], np.cumsum(length)])
    parts, total = [], 0
    while total < count:
        place = int(rng.integers(edges[-1]))
        run = int(np.searchsorted(edges, place, side="right")) - 1
        first = int(runs[run, 0]) + 1 + place - int(edges[run])
        block = np.arange(first, min(first + int(rng.geometric(1.0 / mean_bars)), int(runs[run, 1]) + 1))
        parts.append(block)
        total += len(block)
    return np.concatenate(parts)[:count]
