"""What a replay with our own orders takes and gives."""

from typing import NamedTuple

from tradewind.data.order_book.replay import Floats, Ints

# What is done at an instant.
ARRIVE, POST, LAND, CANCEL, TAKE, END = range(6)
# What became of an execution.
DONE, NOT_OPEN, NOT_WHOLE, STALE, HOLE, PENDING = range(6)
REASONS = {
    NOT_OPEN: "a side of the book was empty, or it was crossed",
    NOT_WHOLE: "the book was not whole: no snapshot yet, or an update was lost",
    STALE: "the book was stale",
    HOLE: "the recording has a hole",
}
# Columns of a result: money in parts of the value at arrival (bps), see `Replayed`.
RESULT = (
    "status", "quantity", "middle", "maker", "taker", "maker_value_bps", "taker_value_bps", "spread_bps", "walk_bps",
    "drift_bps", "opportunity_bps", "last_middle", "done_ms", "queue_ahead",
)  # fmt: skip
(STATUS, QUANTITY, MIDDLE, MAKER, TAKER, MAKER_VALUE, TAKER_VALUE, SPREAD, WALK, DRIFT, OPPORTUNITY, LAST_MIDDLE,
 DONE_MS, AHEAD) = range(len(RESULT))  # fmt: skip
# What the book looks like at arrival: quantities at the touch, of our side and of the other, and near it; and what
# walking the book with the whole order would cost beyond the best price (bps).
SEEN = ("own_qty", "other_qty", "own_near", "other_near", "half_spread_bps", "walk_now_bps", "fillable")
OWN_QTY, OTHER_QTY, OWN_NEAR, OTHER_NEAR, HALF_SPREAD, WALK_NOW, FILLABLE = range(len(SEEN))
NEAR_BPS = 5.0


class Trades(NamedTuple):
    """Trades in the order of their numbers, (trades,) each: UTC milliseconds, price, quantity."""

    time_ms: Ints
    price: Floats
    qty: Floats


class Actions(NamedTuple):
    """What our executions do, in order of time, (actions,) each.

    Attributes:
        time_ms: when it happens at the venue; an event of the recording with that stamp comes after it.
        what: `ARRIVE` fixes the quantity and the price to be judged by; `POST` fixes a limit price, the best of our
            side as it is seen then, and `LAND` brings that order to the book; `CANCEL` takes it back; `TAKE` is an
            order that takes what it finds; `END` is the deadline.
        number: of the execution.
        share: of the quantity, of `POST` and `TAKE`; whatever is left where it is more than that.
    """

    time_ms: Ints
    what: Ints
    number: Ints
    share: Floats


class Executions(NamedTuple):
    """Executions side by side, (executions,): 1 buys, -1 sells; and their value in quote currency."""

    side: Ints
    value: Floats


class Venue(NamedTuple):
    """What is known of the venue and how its book is read.

    Attributes:
        contiguous: whether updates are numbered without a hole, so that a hole is a lost update.
        needs_snapshot: whether the book counts only from a snapshot on.
        contract: quote value of a contract; 0 where quantities are of the base asset.
        queue_ahead: share of a level that stands before an order that joins it.
        max_age_ms: of the last event, for the book to be believed.
    """

    contiguous: bool
    needs_snapshot: bool
    contract: float
    queue_ahead: float
    max_age_ms: int


class Replayed(NamedTuple):
    """What became of executions, (executions, columns): `RESULT` and `SEEN`.

    Filled quantities `maker` and `taker` are in units; `*_value_bps` are their values in bps of the value at arrival,
    on which fees are due. `spread_bps` is what fills paid against the middle up to the best price (a maker: less than
    nothing), `walk_bps` beyond it, `drift_bps` what the middle moved between arrival and fill, `opportunity_bps` what
    it moved until the deadline for what was not filled (Perold 1988).
    """

    result: Floats
    seen: Floats
