"""Books of two venues side by side: asked for over REST, or simulated with differences that jump and revert."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import NamedTuple

import numpy as np

from tradewind.data.feeds.binance import BinanceRest
from tradewind.data.feeds.book import Levels, LocalBook
from tradewind.live.across.rules import ArbitrageRules
from tradewind.trading.execution.arbitrage.markets import Market
from tradewind.trading.execution.arbitrage.timing import PairCosts
from tradewind.trading.execution.routing import VenueBook
from tradewind.trading.execution.worlds.dislocations import draw

SIMULATED = ("east", "west")  # venues
FIRST_PRICE, HALF_SPREAD_BPS, LEVEL_BPS, MOVE_BPS, LEVELS, UNITS = 30_000.0, 0.5, 0.5, 0.5, 10, 0.5
TICK = 0.01


class Pair(NamedTuple):
    """A coin and what it is priced in."""

    base: str
    quote: str

    @property
    def symbol(self) -> str:
        """As venues write it."""
        return self.base + self.quote


class Look(NamedTuple):
    """Both books at one time: bids and asks of each venue, UTC milliseconds."""

    now_ms: int
    books: Mapping[str, tuple[Levels, Levels]]


async def polled(
    venues: Mapping[str, BinanceRest], pair: Pair, rules: ArbitrageRules, now_ms: Callable[[], int]
) -> AsyncGenerator[Look, None]:
    """Ask all venues at once, again and again; a venue that does not answer is missing from that look.

    Args:
        venues: by name.
        pair: what is traded.
        rules: how often, and how many levels.
        now_ms: this machine's clock, UTC milliseconds.
    """

    async def one(name: str, rest: BinanceRest) -> tuple[str, tuple[Levels, Levels]]:
        depth = await rest.get("/api/v3/depth", symbol=pair.symbol, limit=rules.most_seen)
        bids, asks = ([(float(price), float(size)) for price, size in depth[side]] for side in ("bids", "asks"))
        return name, (bids, asks)

    while True:
        began = asyncio.get_running_loop().time()
        asked = [asyncio.create_task(one(name, rest)) for name, rest in venues.items()]
        done, late = await asyncio.wait(asked, timeout=rules.scan.max_age_s)
        for task in late:
            task.cancel()
        yield Look(now_ms(), dict(task.result() for task in done if task.exception() is None))
        await asyncio.sleep(max(rules.every_s - (asyncio.get_running_loop().time() - began), 0.0))


async def simulated(rules: ArbitrageRules, begin_ms: int) -> AsyncGenerator[Look, None]:
    """Two venues whose prices differ as `rules.market` says, as fast as they are read.

    Args:
        rules: market and seed.
        begin_ms: of the first look, UTC milliseconds.
    """
    generator = np.random.default_rng(rules.world_seed)
    differences = draw(rules.market, PairCosts(), 1, generator).quoted[0]
    middle = FIRST_PRICE * np.exp(np.cumsum(1e-4 * MOVE_BPS * generator.standard_normal(len(differences))))
    for step, (price, difference) in enumerate(zip(middle, differences, strict=True)):
        books = {
            name: _ladder(price * (1 + sign * 0.5e-4 * difference), generator)
            for name, sign in zip(SIMULATED, (1.0, -1.0), strict=True)
        }
        yield Look(begin_ms + int(1000 * rules.every_s * step), books)
        await asyncio.sleep(0)


def _ladder(middle: float, generator: np.random.Generator) -> tuple[Levels, Levels]:
    sizes = np.round(UNITS * generator.gamma(2.0, 0.5, (2, LEVELS)), 3) + 0.001
    away = 1e-4 * (HALF_SPREAD_BPS + LEVEL_BPS * np.arange(LEVELS))
    bids, asks = (
        [(round(float(middle * (1 + sign * far)), 2), float(size)) for far, size in zip(away, row, strict=True)]
        for sign, row in zip((-1.0, 1.0), sizes, strict=True)
    )
    return bids, asks


def market_of(venue: str, pair: Pair, book: LocalBook, terms: tuple[float, float, float], age_s: float) -> Market:
    """A venue's book as the scan reads it.

    Args:
        venue: its name.
        pair: what is traded.
        book: of it.
        terms: taker fee in basis points, lot and smallest quantity.
        age_s: since the book was last heard of.
    """
    sides = []
    for levels, opposite, sign in ((book.asks, book.bids, 1.0), (book.bids, book.asks, -1.0)):
        there = {price: size - book.taken.get(price, 0.0) for price, size in levels.items()}
        prices = sorted((price for price, size in there.items() if size > 0), key=lambda price: sign * price)
        best = (max(opposite) if sign > 0 else min(opposite)) if opposite else float("nan")
        sizes = np.array([there[price] for price in prices])
        sides.append(VenueBook(venue, np.array(prices), sizes, best, age_s, *terms))
    return Market(pair.base, pair.quote, sides[0], sides[1])
