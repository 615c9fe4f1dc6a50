"""What belongs to whom where several strategies share one account: one net order a symbol, and a book for each."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Book:
    """One strategy's part of the account.

    Attributes:
        cash: in account currency.
        units: by symbol.
        wanted: units that its target comes to, by symbol.
        fees: paid, in account currency.
    """

    cash: float
    units: dict[str, float] = field(default_factory=dict)
    wanted: dict[str, float] = field(default_factory=dict)
    fees: float = 0.0

    def trade(self, symbol: str, units: float, price: float, fee: float = 0.0) -> None:
        """What it bought (sold: negative).

        Args:
            symbol: that was traded.
            units: bought, or sold: negative.
            price: of a unit, in account currency.
            fee: its part of the fee.
        """
        self.units[symbol] = self.units.get(symbol, 0.0) + units
        self.cash -= units * price + fee
        self.fees += fee

    def missing(self, symbol: str) -> float:
        """Units that it still wants."""
        return self.wanted.get(symbol, 0.0) - self.units.get(symbol, 0.0)

    def equity(self, marks: Mapping[str, float]) -> float:
        """Cash and positions at the last prices."""
        return self.cash + sum(units * marks[name] for name, units in self.units.items() if units)


@dataclass
class Books:
    """All of them, by name. Their sum is the account."""

    of: dict[str, Book] = field(default_factory=dict)

    @classmethod
    def begin(cls, shares: Mapping[str, float], capital: float) -> "Books":
        """Each with its share of the capital; what no strategy trades is the first one's cash."""
        books = {name: Book(share * capital) for name, share in shares.items()}
        for book in list(books.values())[:1]:
            book.cash += capital * (1.0 - sum(shares.values()))
        return cls(books)

    def want(self, symbol: str, wanted: Mapping[str, float], price: float) -> float:
        """Set what each wants; what some would buy and others sell changes hands between them at the price, free.

        Args:
            symbol: whose units.
            wanted: units by strategy.
            price: last one, in account currency.

        Returns:
            The units that changed hands.
        """
        for name, units in wanted.items():
            self.of[name].wanted[symbol] = units
        buys = {name: book.missing(symbol) for name, book in self.of.items() if book.missing(symbol) > 0}
        sells = {name: -book.missing(symbol) for name, book in self.of.items() if book.missing(symbol) < 0}
        crossed = min(sum(buys.values()), sum(sells.values()))
        if crossed > 0:
            for side, sizes in ((1.0, buys), (-1.0, sells)):
                for name, size in sizes.items():
                    self.of[name].trade(symbol, side * crossed * size / sum(sizes.values()), price)
        return crossed

    def share_fill(self, symbol: str, units: float, price: float, fee: float) -> None:
        """Share a fill among those that want it; what nobody wants (all is being closed) among those that hold.

        Args:
            symbol: that was traded.
            units: bought, or sold: negative.
            price: of a unit, in account currency.
            fee: of the whole fill.
        """
        if not self.of:
            return
        side = 1.0 if units > 0 else -1.0
        parts = dict.fromkeys(self.of, 0.0)
        room = {name: max(side * book.missing(symbol), 0.0) for name, book in self.of.items()}
        used = min(sum(room.values()), abs(units))
        _add(parts, room, used)
        holding = {
            name: max(-side * (book.units.get(symbol, 0.0) + side * parts[name]), 0.0) for name, book in self.of.items()
        }
        _add(parts, holding if sum(holding.values()) > 0 else dict.fromkeys(self.of, 1.0), abs(units) - used)
        for name, part in parts.items():
            if part:
                self.of[name].trade(symbol, side * part, price, fee * part / abs(units))

    def pay_funding(self, symbol: str, price: float, rate: float) -> None:
        """Funding on what each holds.

        Args:
            symbol: whose settlement.
            price: that positions are valued at.
            rate: of this settlement, a share of the value.
        """
        for book in self.of.values():
            book.cash -= book.units.get(symbol, 0.0) * price * rate

    def settle(self, symbol: str) -> None:
        """Nobody wants anything of the symbol but what it holds."""
        for book in self.of.values():
            book.wanted[symbol] = book.units.get(symbol, 0.0)

    def leave(self, marks: Mapping[str, float]) -> None:
        """Everything is being closed: what is held against one another changes hands, the rest is sold or bought."""
        for symbol in sorted({name for book in self.of.values() for name in book.units}):
            self.want(symbol, dict.fromkeys(self.of, 0.0), marks[symbol])

    def to_body(self) -> dict[str, Any]:
        """As values of JSON."""
        return {name: asdict(book) for name, book in self.of.items()}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "Books":
        """The books again."""
        return cls({name: Book(**book) for name, book in body.items()})


def _add(parts: dict[str, float], sizes: Mapping[str, float], amount: float) -> None:
    """Add an amount in proportion to sizes."""
    total = sum(sizes.values())
    if total <= 0 or amount <= 0:
        return
    for name, size in sizes.items():
        parts[name] += amount * size / total
