"""What the simulated exchange shows: the simulated market's bars, with a path, trades and a book inside each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tradewind.learning.features.matrix import epoch_ms
from tradewind.market.simulation.simulator import SimulationSpec, simulate_market
from tradewind.market.timeframes import bar_duration_ms

# Moments inside a bar, as shares of it: dense after the open, where orders are filled.
MOMENTS = (0.00006, 0.0005, 0.003, 0.02, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97)
LEVELS = 8
TICK, LOT = 0.01, 0.001
HALF_SPREAD_BPS = 1.0


class Moment(NamedTuple):
    """One symbol at one instant inside a bar.

    Attributes:
        at_ms: UTC milliseconds.
        symbol: whose.
        price, quantity: of a trade.
        bids, asks: the whole book.
        bar: what the running bar looks like: open, high, low, close, volume so far.
    """

    at_ms: int
    symbol: str
    price: float
    quantity: float
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    bar: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class World:
    """A market with its past.

    Attributes:
        symbols: of the venue.
        interval: of its bars, of `bar_ms` each.
        bar_ms: in milliseconds.
        bars: rows of open_time, open, high, low, close, volume, by symbol.
        side: (known_at, series, symbol, value), oldest first.
        begin_ms: where the exchange's time begins; bars before it are the past.
        seed: of what is inside the bars.
    """

    symbols: tuple[str, ...]
    interval: str
    bar_ms: int
    bars: dict[str, np.ndarray[Any, np.dtype[np.float64]]]
    side: list[tuple[int, str, str, float]]
    begin_ms: int
    seed: int

    @property
    def end_ms(self) -> int:
        """Close of the last bar."""
        return max(int(rows[-1, 0]) for rows in self.bars.values()) + self.bar_ms

    def rows(self, symbol: str, start_ms: int, end_ms: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Bars that opened from `start_ms` on and closed by `end_ms`.

        Args:
            symbol: whose.
            start_ms: the earliest opening time, UTC milliseconds.
            end_ms: the latest closing time, UTC milliseconds.

        Returns:
            Shape (bars, columns), oldest first.
        """
        rows = self.bars[symbol]
        return np.asarray(rows[(rows[:, 0] >= start_ms) & (rows[:, 0] + self.bar_ms <= end_ms)])

    def instants(self, open_ms: int) -> list[int]:
        """UTC milliseconds of the moments inside the bar that opens at `open_ms`, whether the market is open or not."""
        return [int(open_ms + at * self.bar_ms) for at in MOMENTS]

    def moments(self, open_ms: int) -> Iterator[Moment]:
        """What happens inside the bar that opens at `open_ms`, in the order of time; the same for the same seed."""
        rng = np.random.default_rng([self.seed, open_ms // self.bar_ms])
        found = []
        for symbol in self.symbols:
            rows = self.bars[symbol]
            place = int(np.searchsorted(rows[:, 0], open_ms))
            if place < len(rows) and rows[place, 0] == open_ms:
                found += self._inside(symbol, rows[place], rng)
        return iter(sorted(found, key=lambda one: (one.at_ms, one.symbol)))

    def _inside(
        self, symbol: str, row: np.ndarray[Any, np.dtype[np.float64]], rng: np.random.Generator
    ) -> list[Moment]:
        opening, high, low, close, volume = row[1:6].tolist()
        first, second = (high, low) if rng.random() < 0.5 else (low, high)
        knots = np.sort(rng.uniform(0.05, 0.95, 2))
        path = np.interp(MOMENTS, [0.0, *knots, 1.0], [opening, first, second, close])
        share = rng.dirichlet(np.ones(len(MOMENTS)))
        moments, top, bottom, done = [], opening, opening, 0.0
        for number, at in enumerate(MOMENTS):
            price = round(float(path[number]), 2)
            quantity = round(volume * float(share[number]), 3)
            top, bottom, done = max(top, price), min(bottom, price), done + quantity
            bids, asks = self._book(price, volume, rng)
            moments.append(
                Moment(
                    int(row[0] + at * self.bar_ms), symbol, price, quantity, bids, asks,
                    (opening, top, bottom, price, done),
                )
            )  # fmt: skip
        return moments

    def _book(
        self, price: float, volume: float, rng: np.random.Generator
    ) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        half = max(round(price * HALF_SPREAD_BPS * 1e-4 / TICK), 1)
        sizes = np.round(volume * rng.uniform(0.002, 0.02, (2, LEVELS)) * np.linspace(1, 3, LEVELS), 3) + LOT
        ticks = round(price / TICK)
        bids = [(round((ticks - half - step) * TICK, 2), float(sizes[0, step])) for step in range(LEVELS)]
        asks = [(round((ticks + half + step) * TICK, 2), float(sizes[1, step])) for step in range(LEVELS)]
        return bids, asks


def simulated_world(spec: SimulationSpec, past_bars: int) -> World:
    """The market of `spec`, whose first `past_bars` bars are the past when the exchange begins.

    Bars of the simulated market are shown as they are; errors that a source would deliver are not (`inject_errors`).
    """
    market = simulate_market(spec.model_copy(update={"inject_errors": 0}))
    bars, columns = {}, ["open_time", "open", "high", "low", "close", "volume"]
    for name, table in market.bars.items():
        bars[name.split("/")[1]] = table[columns].to_numpy(dtype=np.float64)
    side = market.side_series
    known = epoch_ms(side["known_at"]).tolist()
    published = sorted(zip(known, side["series"], side["symbol"], side["value"].tolist(), strict=True))
    bar_ms = bar_duration_ms(spec.timeframe)
    start = int(pd.Timestamp(spec.start, tz="UTC").timestamp() * 1000)
    return World(spec.symbols, spec.timeframe, bar_ms, bars, published, start + past_bars * bar_ms, spec.seed)
