"""The paper account: what the fills say, marked at the last price."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class PaperState:
    """Money and positions by the fills alone.

    Attributes:
        cash: in account currency.
        units: by symbol.
        marks: the last price by symbol.
        entries: mean entry price by symbol.
        fees, funding, traded: totals in account currency.
        fills: how many.
    """

    cash: float
    units: dict[str, float] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    entries: dict[str, float] = field(default_factory=dict)
    fees: float = 0.0
    funding: float = 0.0
    traded: float = 0.0
    fills: int = 0

    @property
    def equity(self) -> float:
        """Cash and positions at the last price."""
        return self.cash + sum(units * self.marks[name] for name, units in self.units.items() if units)

    def shares(self) -> dict[str, float]:
        """Positions as signed shares of equity."""
        worth = self.equity
        return {name: units * self.marks[name] / worth for name, units in self.units.items() if units and worth > 0}

    def fill(self, symbol: str, units: float, price: float, fee: float) -> None:
        """One fill; cash, position, entry price and fees follow.

        Args:
            symbol: that was traded.
            units: bought, or sold: negative.
            price: of a unit, in account currency.
            fee: in account currency.
        """
        held = self.units.get(symbol, 0.0)
        after = held + units
        if abs(after) < 1e-9 * max(abs(held), 1e-3):
            after = 0.0
        if held == 0.0 or held * after < 0.0:
            self.entries[symbol] = price
        elif held * units > 0.0:
            self.entries[symbol] = (self.entries[symbol] * held + price * units) / after
        self.units[symbol] = after
        self.marks.setdefault(symbol, price)
        self.cash -= units * price + fee
        self.fees += fee
        self.traded += abs(units) * price
        self.fills += 1

    def pay_funding(self, symbol: str, price: float, rate: float) -> float:
        """Funding on what is held; at positive rates longs pay.

        Args:
            symbol: whose settlement.
            price: that the position is valued at.
            rate: of this settlement, a share of the value.

        Returns:
            What was paid, in account currency; received: negative.
        """
        paid = self.units.get(symbol, 0.0) * price * rate
        self.cash -= paid
        self.funding += paid
        return paid

    def to_body(self) -> dict[str, Any]:
        """As values of JSON."""
        return asdict(self)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "PaperState":
        """The account again."""
        return cls(**body)
