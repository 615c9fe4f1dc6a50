"""Input events of a session and its outputs, in values of JSON: both are in the journal."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.live.orders.executors import Quote
from tradewind.live.orders.states import Report
from tradewind.operations.journal.records import plain

# Input events of a session.
MARKET, REPORT, OPERATOR, FEED, RECONCILED, FAULT = "market", "report", "operator", "feed", "reconciled", "fault"
STAGE = "stage"
EVENTS = (MARKET, REPORT, OPERATOR, FEED, RECONCILED, FAULT, STAGE)


class Event(NamedTuple):
    """One event: its kind, the venue's time (UTC milliseconds), and what happened."""

    kind: str
    now_ms: int
    body: Mapping[str, Any]

    def to_body(self) -> dict[str, Any]:
        """As it stands in the journal."""
        return {"now_ms": self.now_ms, **self.body}

    @classmethod
    def from_record(cls, kind: str, body: Mapping[str, Any]) -> "Event":
        """The event of a record."""
        rest = {name: value for name, value in body.items() if name != "now_ms"}
        return cls(kind, body["now_ms"], rest)


class Output(NamedTuple):
    """One thing that a session says of an event: a decision, an order to send, a change of state."""

    kind: str
    body: Mapping[str, Any]


def market_event(
    now_ms: int, bars: Sequence[Bar] = (), side: Sequence[SideValue] = (), quotes: Mapping[str, Quote] | None = None,
    skew_ms: int = 0,
) -> Event:  # fmt: skip
    """Closed bars, published values and prices.

    Args:
        now_ms: the venue's time.
        bars: that have closed.
        side: that were published.
        quotes: newest prices by symbol.
        skew_ms: this machine's clock minus the venue's.
    """
    body = {
        "bars": [list(one) for one in bars], "side": [plain(list(one)) for one in side],
        "quotes": {name: list(one) for name, one in (quotes or {}).items()}, "skew_ms": skew_ms,
    }  # fmt: skip
    return Event(MARKET, now_ms, body)


def side_values(rows: Sequence[Sequence[Any]]) -> list[SideValue]:
    """Side values as they stand in the journal, where a missing value is None."""
    return [
        SideValue(series, symbol, known, math.nan if value is None else value) for series, symbol, known, value in rows
    ]


def report_event(report: Report) -> Event:
    """What a venue says of an order."""
    return Event(REPORT, report.at_ms, report._asdict())


def operator_event(now_ms: int, action: str, who: str, reason: str, detail: Mapping[str, Any] | None = None) -> Event:
    """What an operator orders.

    Args:
        now_ms: the venue's time.
        action: one of `risk.states.ACTIONS`.
        who: the operator.
        reason: in words.
        detail: see `risk.states.operate`.
    """
    return Event(OPERATOR, now_ms, {"action": action, "who": who, "reason": reason, "detail": dict(detail or {})})


class StageLimits(NamedTuple):
    """What a stage of a rollout allows.

    Attributes:
        stage: its name.
        capital: at most; None: no limit.
        symbols: the first so many; None: all.
        reduces: whether it was entered by a step back.
        people: so many must allow the account to leave HALTED.
        allowed: who has, each with the time in UTC milliseconds.
    """

    stage: str
    capital: float | None
    symbols: int | None
    reduces: bool
    people: int = 0
    allowed: tuple[tuple[str, int], ...] = ()


def stage_event(now_ms: int, limits: StageLimits, symbols: Sequence[str]) -> Event:
    """A rollout's stage.

    Args:
        now_ms: the venue's time.
        limits: of the stage.
        symbols: of the session, in order.
    """
    chosen = None if limits.symbols is None else list(symbols[: limits.symbols])
    body = {"stage": limits.stage, "capital": limits.capital, "symbols": chosen, "reduces": limits.reduces}
    return Event(STAGE, now_ms, body)


def feed_event(now_ms: int, symbol: str, what: str, detail: str) -> Event:
    """Something about the data of a symbol ("" for all): gap, stale, fresh, quarantined, resubscribed, backfilled.

    Args:
        now_ms: the venue's time.
        symbol: whose data.
        what: the short word.
        detail: in words.
    """
    return Event(FEED, now_ms, {"symbol": symbol, "what": what, "detail": detail})
