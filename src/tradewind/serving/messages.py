"""What clients send and get. Numbers are finite and unknown keys refused; a feature that is missing is null."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_LEVELS = 200  # of each side of a book
Name = Annotated[str, Field(min_length=1, max_length=64)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Features = dict[Name, Finite | None]


class Message(BaseModel):
    """A message: its types are taken as they are, no text for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class PriceRequest(Message):
    """Which forecast is asked for.

    `features` are values by name, or of a model over windows a list of them, oldest bar first; without them the
    service answers from the bars that it has received. `as_of_ms` is the close of the bar they are of, if known.
    """

    symbol: Name
    horizon_bars: Annotated[int, Field(ge=1, le=10_000)]
    features: Features | Annotated[list[Features], Field(min_length=1, max_length=512)] | None = None
    as_of_ms: Annotated[int, Field(ge=0, le=10**14)] | None = None


class PriceAnswer(Message):
    """A forecast over the horizon; the return is a log return. Edge, target and reasons where bars were decided on."""

    symbol: str
    horizon_bars: int
    as_of_ms: int | None
    p_down: Finite
    p_flat: Finite
    p_up: Finite
    expected_return: Finite
    edge: Finite | None
    target: Finite | None
    reasons: list[str]
    model: str
    version: int
    variant: Literal["champion", "canary"]
    overridden: str
    feature_age_s: Finite | None
    latency_ms: Finite


class RegimeRequest(Message):
    """Whose regime is asked for."""

    symbol: Name


class RegimeAnswer(Message):
    """The announced regime since `since_ms`, and the filtered probability of each; `p_leave`: that it is left within
    `horizon_bars`."""

    symbol: str
    as_of_ms: int
    regime: str
    probabilities: dict[str, Finite]
    p_leave: Finite
    horizon_bars: int
    since_ms: int
    model: str
    version: int
    overridden: str
    feature_age_s: Finite
    latency_ms: Finite


class Level(Message):
    """A price of a book and the units that stand there."""

    price: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    size: Annotated[float, Field(gt=0, le=1e18, allow_inf_nan=False)]


Levels = Annotated[list[Level], Field(min_length=1, max_length=MOST_LEVELS)]


class Book(Message):
    """What the venue offers now, best level first, and what the market did lately.

    The last three are for the forecast of the cost, over its horizon: the middle's deviation, how far it moved against
    the order, and the units that others took from the order's own side. Without all three the formula states the cost.
    """

    bids: Levels
    asks: Levels
    age_s: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    volatility_bps: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    momentum_bps: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] | None = None
    taken_quantity: Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)] | None = None


class PlanRequest(Message):
    """An order to be planned; `price` is now, quantities are in units of the instrument."""

    symbol: Name
    side: Literal["buy", "sell"]
    quantity: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
    price: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    deadline_s: Annotated[float, Field(ge=0, le=604_800, allow_inf_nan=False)]
    urgency: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0
    limit_price: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = None
    volatility_per_bar: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    bar_volume: Annotated[float, Field(gt=0, le=1e18, allow_inf_nan=False)] | None = None
    book: Book | None = None


class PlannedSlice(Message):
    """One order, so many seconds from now."""

    at_s: Finite
    venue: str
    type: Literal["market", "limit"]
    quantity: Finite
    limit_price: Finite | None


class ExpectedCost(Message):
    """In basis points of the value."""

    total: Finite
    fee: Finite
    spread: Finite
    slippage: Finite
    impact: Finite


class Interval(Message):
    """An expected value and its 90 % interval."""

    mean: Finite
    low: Finite
    high: Finite


class CostParts(Message):
    """Of one order at market, in basis points; a part that the forecast could not be taught is null."""

    total: Interval
    fee: Interval | None = None
    spread: Interval | None = None
    walk: Interval | None = None
    impact: Interval | None = None
    drift: Interval | None = None


class CostForecastAnswer(Message):
    """What one order at market now is expected to cost, and how probably one at the best price of its own side is met
    within `horizon_s`; that is null where the forecast was not taught it, and for a limit price that is not the best.
    """

    learnt_from: Literal["recordings"]
    sources: list[str]
    horizon_s: Finite
    quantity: Finite
    one_order_bps: CostParts
    fill_probability: Interval | None


class PlanAnswer(Message):
    """The slices and what they are expected to cost, by the forecast or the formula; `reasons` say why not more."""

    symbol: str
    side: Literal["buy", "sell"]
    slices: list[PlannedSlice]
    expected_cost_bps: ExpectedCost
    policy: Literal["one_order", "equal_slices", "rest_at_limit"]
    cost_by: Literal["forecast", "formula"]
    forecast: CostForecastAnswer | None
    unplanned_quantity: Finite
    reasons: list[str]


class BarMessage(Message):
    """A closed bar; instants are UTC milliseconds."""

    symbol: Name
    open_time_ms: Annotated[int, Field(ge=0, le=10**14)]
    close_time_ms: Annotated[int, Field(ge=0, le=10**14)]
    open: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    high: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    low: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    close: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    volume: Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]


class SideMessage(Message):
    """A published value of a side series; `symbol` is empty for one of all symbols."""

    series: Name
    symbol: Annotated[str, Field(max_length=64)] = ""
    known_at_ms: Annotated[int, Field(ge=0, le=10**14)]
    value: Finite


class ArrivalsRequest(Message):
    """What has arrived since the last call."""

    bars: Annotated[list[BarMessage], Field(max_length=2000)] = []
    side: Annotated[list[SideMessage], Field(max_length=2000)] = []


class OutcomesRequest(Message):
    """Settled labels of the forecasts of one bar, by symbol: -1, 0 or 1."""

    as_of_ms: Annotated[int, Field(ge=0, le=10**14)]
    labels: Annotated[dict[Name, Literal[-1, 0, 1]], Field(min_length=1, max_length=1000)]


class MoveRequest(Message):
    """Give a version the role of champion or canary; `expected` is who has it now, null for nobody."""

    version: Annotated[int, Field(ge=1, le=2**53)]
    to: Literal["champion", "canary"]
    expected: Annotated[int, Field(ge=1, le=2**53)] | None
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    override: bool = False


class RollbackRequest(Message):
    """Give the champion's role back to the last good version; `expected` is the champion now."""

    expected: Annotated[int, Field(ge=1, le=2**53)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class RolesAnswer(Message):
    """The versions of the environment after a move."""

    environment: str
    champion: int | None
    canary: int | None
    previous: int | None


class ProblemAnswer(Message):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    field: str
    remedy: str
    request_id: str


Document = dict[str, Any]
