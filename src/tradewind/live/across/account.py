"""An account over two venues: what its fills say, by market, and what the risk gate is shown of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tradewind.live.accounts.paper import PaperState
from tradewind.live.orders.states import UNKNOWN, OrderState, open_units
from tradewind.trading.risk.gate import RiskView
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.risk.states import RiskState

MINUTE_MS = 60_000


@dataclass
class PairAccount:
    """Units are what was traded since the beginning: the stocks of coins that lay at the venues then are not in it.

    Attributes:
        money: cash of both venues in the quote coin, units and fees, by the fills; a market at a venue is a symbol
            of its own, marked at the middle of its book.
        orders: of the run, by client id.
        seen_ms: when each market was last heard of.
        sent_ms: when orders of the last minute were sent.
        risk: whether it may trade.
        spent: by order, with fees (received: negative).
    """

    money: PaperState
    orders: dict[str, OrderState] = field(default_factory=dict)
    seen_ms: dict[str, int] = field(default_factory=dict)
    sent_ms: list[int] = field(default_factory=list)
    risk: RiskState = field(default_factory=RiskState)
    spent: dict[str, float] = field(default_factory=dict)

    @property
    def equity(self) -> float:
        """Cash, and units at the middle of their books."""
        return self.money.equity

    def book_fill(self, key: str, market: str, units: float, price: float, fee: float) -> None:
        """Count a fill.

        Args:
            key: of its order.
            market: where.
            units: bought (sold: negative).
            price: of a unit.
            fee: in the quote coin.
        """
        self.money.fill(market, units, price, fee)
        self.spent[key] = self.spent.get(key, 0.0) + units * price + fee

    def view(self, now_ms: int, instruments: Mapping[str, Instrument]) -> RiskView:
        """What the gate is shown.

        Args:
            now_ms: UTC milliseconds.
            instruments: by market.
        """
        buying, selling = open_units(self.orders.values())
        self.sent_ms = [at for at in self.sent_ms if at > now_ms - MINUTE_MS]
        return RiskView(
            now_ms=now_ms, mode=self.risk.mode, equity=self.equity, day_start=self.risk.day_start,
            peak=self.risk.peak, positions={name: units for name, units in self.money.units.items() if units},
            prices=dict(self.money.marks), seen_ms=dict(self.seen_ms), instruments=instruments, buying=buying,
            selling=selling, sent_ms=tuple(self.sent_ms), known_ids=frozenset(self.orders),
            frozen=frozenset(one.symbol for one in self.orders.values() if one.status == UNKNOWN),
            paused=self.risk.paused, flattening=self.risk.flattening,
        )  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """For people: equity, fees, units by market, and the state."""
        held = {name: round(units, 10) for name, units in self.money.units.items() if units}
        return {"equity": self.equity, "fees": self.money.fees, "units": held, "mode": self.risk.mode}
