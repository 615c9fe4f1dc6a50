"""What comes back of an order: proven done, proven not done, or unknown (developers.binance.com, Error Codes)."""

from typing import Any, Literal, NamedTuple

Outcome = Literal["accepted", "refused", "absent", "busy", "unknown"]
# Codes that leave open what became of the request: UNKNOWN, DISCONNECTED, SERVER_BUSY, UNEXPECTED_RESP, TIMEOUT,
# overload, SERVICE_SHUTTING_DOWN.
UNSURE = frozenset({-1000, -1001, -1004, -1006, -1007, -1008, -1016})
NO_SUCH_ORDER, CANCEL_REJECTED, CLOCK = -2013, -2011, -1021
_DUPLICATE, _UNKNOWN_ORDER = "duplicate order", "unknown order"


class VenueTrade(NamedTuple):
    """One trade of an order: units are signed, `fee` is in `coin`."""

    trade_id: str
    units: float
    price: float
    fee: float
    coin: str
    is_maker: bool


class VenueOrder(NamedTuple):
    """An order as the venue shows it: units asked for and executed are signed; trades where they came along."""

    client_id: str
    venue_id: str
    symbol: str
    status: str
    units: float
    done: float
    price: float
    kind: str
    trades: tuple[VenueTrade, ...] = ()


class Assets(NamedTuple):
    """The coins of a symbol."""

    base: str
    quote: str


class Answer(NamedTuple):
    """What came of a request.

    Attributes:
        outcome: accepted; refused: proven not done; absent: the venue knows no such order; busy: proven not taken (429,
            418), to be asked again after `wait_s`; unknown: it may or may not have been done.
        value: of an accepted request.
        code: of Binance, 0 where there is none.
        detail: in words, without secrets.
        wait_s: as the venue asks.
    """

    outcome: Outcome
    value: Any = None
    code: int = 0
    detail: str = ""
    wait_s: float = 0.0


def classify(status: int, code: int, words: str) -> Outcome:
    """What an answer that is no success proves.

    Args:
        status: of HTTP, 0 where no whole answer came.
        code: of Binance, 0 where there is none.
        words: its message.

    Returns:
        Never refused, unless it is proven that nothing was done.
    """
    text = words.lower()
    if status in (418, 429):
        return "busy"
    if not 400 <= status < 500 or code == 0 or code in UNSURE or _DUPLICATE in text:
        return "unknown"  # a duplicate says that the first one was accepted
    if code == NO_SUCH_ORDER or (code == CANCEL_REJECTED and _UNKNOWN_ORDER in text):
        return "absent"
    return "refused"
