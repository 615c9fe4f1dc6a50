"""An order from its intent to its end. One of which nothing is heard is neither dead nor alive: it is asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

# sent: on its way; unknown: no answer in time.
SENT, WORKING, FILLED, CANCELLED, REFUSED, UNKNOWN = "sent", "working", "filled", "cancelled", "refused", "unknown"
OPEN = (SENT, WORKING, UNKNOWN)
TINY = 1e-9


@dataclass
class OrderState:
    """An order as far as we know.

    Attributes:
        client_id, symbol, units, price, kind: as sent.
        purpose: what it is for, such as target or stop.
        decided: the middle of the book when it was decided.
        sent_ms: when.
        status: sent, working, filled, cancelled, refused or unknown.
        done: units filled so far, signed.
        fill_ids: of the venue, so that a fill told twice counts once.
    """

    client_id: str
    symbol: str
    units: float
    price: float
    kind: str
    purpose: str
    decided: float
    sent_ms: int
    status: str = SENT
    done: float = 0.0
    fill_ids: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Units not filled, signed."""
        return self.units - self.done

    @property
    def is_open(self) -> bool:
        """Whether something may still come of it."""
        return self.status in OPEN

    def to_body(self) -> dict[str, Any]:
        """As values of JSON."""
        return asdict(self)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "OrderState":
        """The order again."""
        return cls(**body)


def open_units(orders: Iterable[OrderState]) -> tuple[dict[str, float], dict[str, float]]:
    """Units that open orders may still buy and may still sell, by symbol, both positive."""
    buying: dict[str, float] = {}
    selling: dict[str, float] = {}
    for order in orders:
        if order.is_open and order.left:
            side = buying if order.left > 0 else selling
            side[order.symbol] = side.get(order.symbol, 0.0) + abs(order.left)
    return buying, selling


class Report(NamedTuple):
    """What a venue says of an order.

    Attributes:
        client_id: ours.
        what: accepted, refused, fill, cancelled, missing (the venue has no such order, and it can no longer come),
            unknown (no answer that proves anything), or whole (all of it was filled, though fees left fewer units).
        at_ms: venue's time.
        units, price, fee, middle, fill_id: of a fill; middle is that of the book.
        reason: of a refusal; of a fill, what its fee was paid in.
        is_maker: whether the fill was of a resting order.
    """

    client_id: str
    what: str
    at_ms: int
    units: float = 0.0
    price: float = 0.0
    fee: float = 0.0
    middle: float = 0.0
    fill_id: str = ""
    reason: str = ""
    is_maker: bool = False


def apply_report(order: OrderState, report: Report) -> float:
    """Bring the order up to date; the units that this report newly fills (0 for a report that came before)."""
    if report.what == "fill":
        if report.fill_id in order.fill_ids:
            return 0.0
        order.fill_ids.append(report.fill_id)
        order.done += report.units
        # A fill proves that it lived, whatever was said or not said before.
        is_whole = abs(order.left) <= TINY * max(abs(order.units), 1.0)
        ended = order.status in (CANCELLED, REFUSED)
        order.status = FILLED if is_whole else (order.status if ended else WORKING)
        return report.units
    if report.what == "accepted" and order.status in (SENT, UNKNOWN):
        order.status = WORKING
    elif report.what == "refused" and order.status in (SENT, UNKNOWN):
        order.status = REFUSED
    elif report.what in ("cancelled", "missing") and order.is_open:
        order.status = CANCELLED
    elif report.what == "unknown" and order.status == SENT:
        order.status = UNKNOWN
    elif report.what == "whole" and order.is_open:
        order.status = FILLED
    return 0.0
