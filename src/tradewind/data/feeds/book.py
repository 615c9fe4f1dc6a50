"""One symbol's order book as the venue shows it, and how much of it we have already taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Levels = Sequence[tuple[float, float]]


@dataclass
class LocalBook:
    """Levels by price, and what we took of each: a level gives it back only when the venue shows a change there.

    Attributes:
        bids, asks: size by price.
        taken: by price, what our own paper fills have used up.
        at_ms: venue's time of the last change.
    """

    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    taken: dict[float, float] = field(default_factory=dict)
    at_ms: int = 0

    def replace(self, bids: Levels, asks: Levels, at_ms: int) -> None:
        """The whole book anew.

        Args:
            bids: price and quantity of each level; a quantity of 0 is left out.
            asks: the same, of the other side.
            at_ms: the exchange's time of the book, UTC milliseconds.
        """
        self._forget(self.bids, dict(bids))
        self._forget(self.asks, dict(asks))
        self.bids = {price: size for price, size in bids if size > 0}
        self.asks = {price: size for price, size in asks if size > 0}
        self.at_ms = at_ms

    def update(self, bids: Levels, asks: Levels, at_ms: int) -> None:
        """Change levels; a quantity of 0 removes one.

        Args:
            bids: price and new quantity of each changed level.
            asks: the same, of the other side.
            at_ms: the exchange's time of the change, UTC milliseconds.
        """
        for levels, changes in ((self.bids, bids), (self.asks, asks)):
            for price, size in changes:
                if levels.get(price, 0.0) != size:
                    self.taken.pop(price, None)
                if size > 0:
                    levels[price] = size
                else:
                    levels.pop(price, None)
        self.at_ms = at_ms

    def _forget(self, before: Mapping[float, float], after: Mapping[float, float]) -> None:
        for price in {*before, *after}:
            if before.get(price) != after.get(price):
                self.taken.pop(price, None)

    @property
    def is_whole(self) -> bool:
        """Whether it has both sides and they do not cross."""
        return bool(self.bids) and bool(self.asks) and max(self.bids) < min(self.asks)

    @property
    def best(self) -> tuple[float, float]:
        """The best bid and ask of a whole book."""
        return max(self.bids), min(self.asks)

    @property
    def middle(self) -> float:
        """Half way between them."""
        bid, ask = self.best
        return (bid + ask) / 2

    def take(self, units: float, limit: float | None) -> list[tuple[float, float]]:
        """Take up to `units` (bought; sold: negative) from the levels as far as the limit: (price, units) of each."""
        is_buy, left, parts = units > 0, abs(units), []
        if limit is not None and (min(self.asks) > limit if is_buy else max(self.bids) < limit):
            return []  # it rests: nothing need be sorted
        levels = sorted(self.asks.items()) if is_buy else sorted(self.bids.items(), reverse=True)
        for price, size in levels:
            if limit is not None and (price > limit if is_buy else price < limit):
                break
            there = size - self.taken.get(price, 0.0)
            if there <= 0:
                continue
            part = min(left, there)
            self.taken[price] = self.taken.get(price, 0.0) + part
            parts.append((price, part if is_buy else -part))
            left -= part
            if left <= 1e-12:
                break
        return parts
