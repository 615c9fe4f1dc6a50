"""Markets that are scanned, what a gain must cover, and what is found."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from tradewind.parameters import Parameters
from tradewind.trading.execution.routing import VenueBook

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Market(NamedTuple):
    """One market of one venue.

    Attributes:
        base: the coin that is traded.
        quote: the coin in which it is priced.
        asks: what is offered, with the venue's name, fee, lot, minimum and the age of the book.
        bids: what is asked for, of the same book.
        is_perpetual: a contract without end, with funding.
        funding_bps: what a long position is expected to pay at a settlement; negative where it is paid.
    """

    base: str
    quote: str
    asks: VenueBook
    bids: VenueBook
    is_perpetual: bool = False
    funding_bps: float = 0.0

    @property
    def name(self) -> str:
        """Venue and pair."""
        kind = " perpetual" if self.is_perpetual else ""
        return f"{self.asks.venue} {self.base}/{self.quote}{kind}"


class ScanRules(Parameters):
    """What a gain must cover besides fees and the walk of the books.

    Attributes:
        max_age_s: an older book is not traded on.
        latency_s: until an order arrives.
        volatility_bps: of the price over a second, by which it may move until then.
        latency_deviations: how many standard deviations of that a gain must leave room for.
        transfer_bps: to bring coins back from where a route between venues leaves them.
        settlements: how many settlements of funding a perpetual is held for against spot.
        basis_bps: by how much the perpetual is expected to be above spot when both are closed.
        max_value: at most so much of the coin that a route begins with.
    """

    max_age_s: NotNegative = 2.0
    latency_s: NotNegative = 0.2
    volatility_bps: NotNegative = 1.0
    latency_deviations: NotNegative = 2.0
    transfer_bps: NotNegative = 2.0
    settlements: Annotated[int, Field(ge=0, le=10_000)] = 21
    basis_bps: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    max_value: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10_000.0


class LegPlan(NamedTuple):
    """One order of a route: what is bought or sold, units of the base coin, and the worst price it may reach."""

    market: str
    buys: bool
    quantity: float
    limit_price: float


class Opportunity(NamedTuple):
    """A route that gains after everything.

    Attributes:
        kind: of the route.
        legs: its orders.
        coin: in which it begins and ends.
        value: of that coin, spent.
        gain: of that coin, after fees, depth, and the allowances for latency, transfer, funding and closing.
        gain_bps: of the value.
    """

    kind: Literal["spot", "perpetual", "triangle"]
    legs: tuple[LegPlan, ...]
    coin: str
    value: float
    gain: float
    gain_bps: float
