"""The ledger of orders at a real venue: on the disk before anything is sent, and what was told of them after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradewind.data.sources.timing import Timing
from tradewind.errors import BadParameters
from tradewind.live.orders.states import Report
from tradewind.operations.journal.fence import Turn
from tradewind.operations.journal.journal import Entry, Journal, read

ENDS = ("cancelled", "refused", "missing", "whole")


@dataclass
class SentOrder:
    """An order as far as it is proven.

    Attributes:
        client_id, symbol, units, price, kind: as it is sent.
        sent_ms: when it was signed the last time, venue's time; 0: it was not sent.
        venue_id: of the venue, once asked for here; `was_shown` holds also where an earlier process has seen it.
        waits: its last try is proven not to have been taken; it is to be sent again.
        is_timed_anew: whether the venue's clock was measured for it, since it was called too late or too early.
        gross, net: executed units of the trades that were told; net of fees in the coin itself.
        trades: their ids.
        has_ended: nothing more may come of it.
        is_unwanted: to be taken back.
        due: when it is looked at next, by the monotonic clock.
        tries: questions without an answer since the last one.
    """

    client_id: str
    symbol: str
    units: float
    price: float
    kind: str
    sent_ms: int = 0
    venue_id: str = ""
    was_shown: bool = False
    waits: bool = False
    is_timed_anew: bool = False
    gross: float = 0.0
    net: float = 0.0
    trades: set[str] = field(default_factory=set)
    has_ended: bool = False
    is_unwanted: bool = False
    due: float = 0.0
    tries: int = 0

    @property
    def may_live(self) -> bool:
        """Whether it has been sent, and something may still come of it."""
        return bool(self.sent_ms) and not self.has_ended and not self.waits


class OrderLedger:
    """All orders of a run, what was told of each, and the positions that follow."""

    def __init__(self, path: Path, network: str, timing: Timing, turn: Turn | None = None) -> None:
        """Go on where the file ends.

        Args:
            path: of the file.
            network: that orders go to.
            timing: the time of records.
            turn: of the process that writes, where another one may take over.

        Raises:
            BadParameters: the run was begun at another network.
        """
        self.orders: dict[str, SentOrder] = {}
        self.positions: dict[str, float] = {}
        self.baseline: dict[str, float] | None = None  # what the account held before the run
        self._network, self._timing = network, timing
        self._known: set[tuple[str, str, str]] = set()
        self._journal = Journal(path, turn)
        try:
            for record in read(path):
                self._replay(record.kind, record.body)
        except BaseException:
            self._journal.close()
            raise

    def _replay(self, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "opened":
            if self._network != body["network"]:
                raise BadParameters(
                    f"the run was begun at {body['network']}, and {self._network} is configured: start with --new-run"
                )
            self.baseline = dict(body["balances"])
        elif kind == "order":
            self.orders[body["client_id"]] = SentOrder(**body)
        elif kind == "again":
            self.orders[body["client_id"]].sent_ms = body["sent_ms"]
        else:
            report = Report(**{name: value for name, value in body.items() if name != "gross"})
            self._account_for(report)
            if (order := self.orders.get(report.client_id)) is not None and report.what in ("accepted", "fill"):
                order.was_shown = True
            if order is not None and report.what == "fill":
                order.gross, order.net = order.gross + body["gross"], order.net + report.units
                order.trades.add(report.fill_id.rpartition("-")[2])

    def begin(self, held: Mapping[str, float]) -> None:
        """A new run: what the account holds now, by coin, is not the run's."""
        self._write([Entry("opened", {"network": self._network, "balances": dict(held)})])
        self.baseline = dict(held)

    def sending(self, order: SentOrder, is_first: bool) -> None:
        """It is about to be sent; on the disk when this returns."""
        if is_first:
            names = ("client_id", "symbol", "units", "price", "kind", "sent_ms")
            self._write([Entry("order", {name: getattr(order, name) for name in names})])
        else:
            self._write([Entry("again", {"client_id": order.client_id, "sent_ms": order.sent_ms})])

    def record(self, report: Report, gross: float = 0.0) -> Report:
        """What is told, once; of a fill the units before fees, too. Gives the report back."""
        key = (report.client_id, report.what, report.fill_id)
        if key not in self._known:
            self._write([Entry("report", report._asdict() | ({"gross": gross} if gross else {}))])
            self._account_for(report)
        return report

    def _account_for(self, report: Report) -> None:
        self._known.add((report.client_id, report.what, report.fill_id))
        order = self.orders.get(report.client_id)
        if order is not None and report.what == "fill":
            self.positions[order.symbol] = self.positions.get(order.symbol, 0.0) + report.units
        elif order is not None and report.what in ENDS:
            order.has_ended = True

    def living(self) -> list[SentOrder]:
        """Orders of which something may still come, oldest first."""
        return [one for one in self.orders.values() if one.may_live]

    def _write(self, entries: Sequence[Entry]) -> None:
        self._journal.append(entries, self._timing.now_ms)

    def close(self) -> None:
        """Let another process go on."""
        self._journal.close()
