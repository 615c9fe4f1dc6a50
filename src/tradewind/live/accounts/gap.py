"""Why the paper account is not its twin, in parts that add up to the difference."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from tradewind.live.accounts.twin import TwinBar

PARTS = ("fee", "spread", "drift", "latency", "missed", "rejected", "funding")


class PaperFill(NamedTuple):
    """A fill as the difference sees it: the middle of the book when it was decided, and when it was filled."""

    units: float
    price: float
    fee: float
    decided: float
    middle: float


@dataclass
class GapState:
    """What the difference carries from bar to bar.

    Attributes:
        parts: sums by the names of `PARTS`, in account currency; positive: the paper account is better off.
        closes: last close by symbol.
        held: the paper account's units at that close.
        fills: of each symbol since then.
        refused: symbols whose last order was refused by a limit, a guardrail or the account's state.
    """

    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    closes: dict[str, float] = field(default_factory=dict)
    held: dict[str, float] = field(default_factory=dict)
    fills: dict[str, list[PaperFill]] = field(default_factory=dict)
    refused: dict[str, bool] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The difference of the two accounts."""
        return sum(self.parts.values())

    def to_body(self) -> dict[str, Any]:
        """As values of JSON."""
        return asdict(self)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "GapState":
        """The state again."""
        fills = {name: [PaperFill(*one) for one in rows] for name, rows in body["fills"].items()}
        return cls(body["parts"], body["closes"], body["held"], fills, body["refused"])


def split_bar(
    state: GapState, symbol: str, opening: float, close: float, twin: TwinBar, capital: float, taker_share: float
) -> None:
    """Add one bar of one symbol to the parts.

    With R the bar's open, P0 and P1 the closes before and of it, an account earns u0 (R - P0) + u1 (P1 - R) minus
    q (p - R) for each fill of q at p, minus fees. What differs by the units is missed or rejected; q (p - R) of the
    paper account is spread (price from the middle of the book), latency (the middle moved from decision to fill) and
    drift (the middle at the decision from R). The twin's costs beyond its fee are its spread.

    Args:
        state: moved on in place.
        symbol: whose bar.
        opening: its open.
        close: its close.
        twin: what the twin did.
        capital: starting capital, in account currency.
        taker_share: the twin's fee, as a share of the value traded.
    """
    parts, fills = state.parts, state.fills.pop(symbol, [])
    before = state.held.get(symbol, 0.0)
    after = before + sum(one.units for one in fills)
    last = state.closes.get(symbol, opening)
    holding = (before - twin.before * capital) * (opening - last) + (after - twin.after * capital) * (close - opening)
    parts["rejected" if state.refused.get(symbol) else "missed"] += holding
    for one in fills:
        parts["fee"] -= one.fee
        parts["spread"] -= one.units * (one.price - one.middle)
        parts["latency"] -= one.units * (one.middle - one.decided)
        parts["drift"] -= one.units * (one.decided - opening)
    for units, price, cost in twin.fills:
        fee = abs(units) * price * taker_share
        parts["fee"] += fee * capital
        parts["spread"] += (cost - fee) * capital
        parts["drift"] += units * (price - opening) * capital
    state.closes[symbol], state.held[symbol] = close, after
