"""All that a session remembers between two events, and its form in bytes."""

import base64
from dataclasses import dataclass, field
from typing import Any

from tradewind.learning.features.packing import pack, unpack
from tradewind.live.accounts.books import Books
from tradewind.live.accounts.gap import GapState
from tradewind.live.accounts.paper import PaperState
from tradewind.live.accounts.twin import TwinState
from tradewind.live.orders.executors import Executor, Quote
from tradewind.live.orders.states import OrderState
from tradewind.live.session.drift import DriftState, state_from_body, state_to_body
from tradewind.trading.decision.decider import Decider
from tradewind.trading.decision.state import DecisionState
from tradewind.trading.risk.states import RiskState

WHAT = "session"


@dataclass
class SessionState:
    """A session between two events. `Session.step` moves it on in place.

    Attributes:
        decision: of the decider.
        twin: the backtest going on.
        paper: the account by its fills.
        gap: why they differ.
        books: of strategies side by side; empty where there is one.
        risk: whether the account may trade.
        drift: counts of features and forecasts, by symbol and kind; empty without that guardrail.
        orders: those that are open, or belong to an executor at work, by client id.
        executors: at work, by symbol.
        weights: the target last accepted by symbol, as a share of the account.
        wanted: the units that this target came to.
        quotes: newest prices.
        seen_ms: when each symbol was last heard of.
        sent_ms: when the orders of the last minute were sent.
        traded: (instant, share of equity) of the fills of the last day.
        returns: of the account, one a timestamp.
        last_equity: at the last timestamp.
        stale: symbols whose data is doubted, and why.
        counts: of decisions, orders, fills, rejections and so on.
        now_ms: venue's time of the last event.
        skew_ms: this machine's clock minus the venue's.
        done_ms: the last timestamp that was decided on.
        side_ms: when the newest value of each side series became known, by series, blank and symbol.
        number: of executors so far.
    """

    decision: DecisionState
    twin: TwinState
    paper: PaperState
    gap: GapState = field(default_factory=GapState)
    books: Books = field(default_factory=Books)
    risk: RiskState = field(default_factory=RiskState)
    drift: DriftState = field(default_factory=dict)
    orders: dict[str, OrderState] = field(default_factory=dict)
    executors: dict[str, Executor] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    wanted: dict[str, float] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    seen_ms: dict[str, int] = field(default_factory=dict)
    sent_ms: list[int] = field(default_factory=list)
    traded: list[tuple[int, float]] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    last_equity: float = 0.0
    stale: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    now_ms: int = 0
    skew_ms: int = 0
    done_ms: int = -1
    side_ms: dict[str, int] = field(default_factory=dict)
    number: int = 0

    def published(self) -> dict[tuple[str, str], int]:
        """When the newest value of each side series became known, by series and symbol."""
        return {(name.split(" ")[0], name.partition(" ")[2]): at for name, at in self.side_ms.items()}

    def count(self, what: str, by: int = 1) -> None:
        """One more of it."""
        self.counts[what] = self.counts.get(what, 0) + by

    def to_bytes(self, decider: Decider) -> bytes:
        """The whole state under one hash."""
        head: dict[str, Any] = {
            "decision": base64.b64encode(decider.to_bytes(self.decision)).decode(),
            "paper": self.paper.to_body(), "gap": self.gap.to_body(), "books": self.books.to_body(),
            "risk": self.risk.to_body(), "drift": state_to_body(self.drift),
            "orders": {name: one.to_body() for name, one in self.orders.items()},
            "executors": {name: one.to_body() for name, one in self.executors.items()},
            "quotes": {name: list(one) for name, one in self.quotes.items()},
        }  # fmt: skip
        return pack(head | {name: getattr(self, name) for name in _PLAIN}, self.twin.to_arrays())

    @classmethod
    def from_bytes(cls, content: bytes, decider: Decider) -> "SessionState":
        """The state again.

        Raises:
            BadData: the bytes are damaged, or belong to another decider.
        """
        head, arrays = unpack(content, WHAT)
        plain = {name: head[name] for name in _PLAIN}
        plain["traded"] = [(at, value) for at, value in plain["traded"]]
        return cls(
            decision=decider.from_bytes(base64.b64decode(head["decision"])), twin=TwinState.from_arrays(arrays),
            paper=PaperState.from_body(head["paper"]), gap=GapState.from_body(head["gap"]),
            books=Books.from_body(head["books"]), risk=RiskState.from_body(head["risk"]),
            drift=state_from_body(head["drift"]),
            orders={name: OrderState.from_body(one) for name, one in head["orders"].items()},
            executors={name: Executor.from_body(one) for name, one in head["executors"].items()},
            quotes={name: Quote(*one) for name, one in head["quotes"].items()}, **plain,
        )  # fmt: skip


_PLAIN = (
    "weights", "wanted", "seen_ms", "sent_ms", "traded", "returns", "last_equity", "stale", "counts", "now_ms",
    "skew_ms", "done_ms", "side_ms", "number",
)  # fmt: skip
