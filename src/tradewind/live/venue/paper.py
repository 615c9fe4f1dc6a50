"""The paper venue: takes orders as an exchange would, fills them against the live book, and keeps a ledger of its own.

Its ledger is not the session's journal: after a kill the two are compared, as with a real exchange.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tradewind.data.feeds.book import LocalBook
from tradewind.learning.features.assembly import Bar
from tradewind.live.orders.states import Report
from tradewind.live.settings import PaperFills
from tradewind.operations.journal.fence import Turn
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.trading.execution.costs import Costs
from tradewind.trading.risk.limits import Instrument

TINY = 1e-9


class Standing(NamedTuple):
    """What a venue holds of ours: open orders by client id, and units by symbol."""

    orders: tuple[str, ...]
    positions: dict[str, float]


class Broker(Protocol):
    """Where orders go. An answer may come later, twice or never: it is told in reports."""

    def submit(self, order: Mapping[str, Any], now_ms: int) -> None:
        """Send an order (`risk.gate.Order` as a table)."""

    def cancel(self, client_id: str, now_ms: int) -> None:
        """Take back what is not filled."""

    def beat(self, now_ms: int) -> None:
        """We live. A venue that does not hear it for long takes back what rests."""

    def poll(self) -> list[Report]:
        """What happened since the last call."""

    def standing(self) -> Standing:
        """What it holds of ours."""

    def history(self, client_id: str) -> list[Report]:
        """Everything that became of one order; one `missing` of an order that it does not know. Of a start: it may wait
        for the venue."""

    def ask(self, client_id: str) -> None:
        """Let what became of an order be told in reports."""

    def differs(self) -> Standing | None:
        """What it holds where that is not the sum of the fills that it has told; to be asked when all are polled."""


class Venue(Broker, Protocol):
    """A broker that sees what the feed shows."""

    def on_book(self, symbol: str, book: LocalBook, now_ms: int) -> None:
        """The book has changed.

        Args:
            symbol: whose book.
            book: as it is now.
            now_ms: by the venue's clock, UTC milliseconds.
        """

    def on_trade(self, symbol: str, price: float, quantity: float, now_ms: int) -> None:
        """Others traded.

        Args:
            symbol: that was traded.
            price: of the trade.
            quantity: of the trade, in units.
            now_ms: by the venue's clock, UTC milliseconds.
        """

    def on_bar(self, bar: Bar, now_ms: int) -> None:
        """A bar has closed."""

    def close(self) -> None:
        """Let another process go on."""


@dataclass
class _Resting:
    """An order that has been sent to the venue."""

    client_id: str
    symbol: str
    units: float
    price: float
    kind: str
    arrives_ms: int
    done: float = 0.0
    ahead: float = -1.0  # size before it in the queue; -1 before it has arrived

    @property
    def left(self) -> float:
        return self.units - self.done


class PaperVenue:
    """Fills orders against books and trades; with bars alone, at their prices."""

    def __init__(
        self, ledger: Path, rules: PaperFills, costs: Costs, instruments: Mapping[str, Instrument],
        turn: Turn | None = None,
    ) -> None:  # fmt: skip
        """A venue that goes on where its ledger ends.

        Args:
            ledger: its own journal.
            rules: latency and queue.
            costs: fees; with bars alone spread and slippage, too.
            instruments: what it trades.
            turn: of the process that writes, where another one may take over.
        """
        self._journal, self._rules, self._costs = Journal(ledger, turn), rules, costs
        self._instruments = dict(instruments)
        self._open: dict[str, _Resting] = {}
        self._history: dict[str, list[Report]] = {}
        self._symbols: dict[str, str] = {}
        self._positions: dict[str, float] = {}
        self._reports: list[Report] = []
        self._fills = self._heard_ms = 0
        self.books: dict[str, LocalBook] = {}
        for record in read(ledger):
            self._replay(record.kind, record.body)
            self._heard_ms = max(self._heard_ms, record.at_ms)

    def _replay(self, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "order":
            order = _Resting(**body)
            self._open[order.client_id], self._history[order.client_id] = order, []
            self._symbols[order.client_id] = order.symbol
        else:
            self._apply(Report(**body))

    def submit(self, order: Mapping[str, Any], now_ms: int) -> None:
        """Send an order; one with a client id that is known already is overlooked."""
        client_id = str(order["client_id"])
        if client_id in self._history:
            return
        resting = {
            "client_id": client_id, "symbol": order["symbol"], "units": order["units"], "price": order["price"],
            "kind": order["kind"], "arrives_ms": now_ms + self._rules.latency_ms,
        }  # fmt: skip
        self.beat(now_ms)
        self._journal.append([Entry("order", resting)], now_ms)
        self._replay("order", resting)
        instrument = self._instruments.get(str(order["symbol"]))
        if instrument is None:
            self._say([Report(client_id, "refused", now_ms, reason="unknown symbol")])
        elif abs(order["units"]) * order["price"] < instrument.min_notional:
            self._say([Report(client_id, "refused", now_ms, reason="min notional")])
        else:
            self._say([Report(client_id, "accepted", now_ms + self._rules.latency_ms)])

    def cancel(self, client_id: str, now_ms: int) -> None:
        """Take back what is not filled."""
        if client_id in self._open:
            self._say([Report(client_id, "cancelled", now_ms)])

    def beat(self, now_ms: int) -> None:
        """We live: orders stay."""
        self._heard_ms = max(self._heard_ms, now_ms)

    def _expire(self, now_ms: int) -> None:
        """Take back everything where nothing was heard of us for so long: nobody watches over it."""
        last_ms = self._heard_ms + int(self._rules.heartbeat_s * 1000)
        if self._heard_ms and now_ms > last_ms:
            self._say([Report(name, "cancelled", last_ms, reason="no heartbeat") for name in list(self._open)])

    def poll(self) -> list[Report]:
        """What happened since the last call."""
        found, self._reports = self._reports, []
        return found

    def standing(self) -> Standing:
        """What it holds of ours."""
        return Standing(tuple(self._open), {name: units for name, units in self._positions.items() if units})

    def history(self, client_id: str) -> list[Report]:
        """Everything that became of one order; one `missing` of an order that it does not know."""
        if client_id not in self._history:
            return [Report(client_id, "missing", 0)]
        return list(self._history[client_id])

    def ask(self, client_id: str) -> None:
        """Tell again what became of an order."""
        self._reports += self.history(client_id)

    def differs(self) -> Standing | None:
        """Never: its positions are its fills."""
        return None

    def on_book(self, symbol: str, book: LocalBook, now_ms: int) -> None:
        """The book has changed: orders that have arrived take what they may.

        Args:
            symbol: whose book.
            book: as it is now.
            now_ms: by the venue's clock, UTC milliseconds.
        """
        self.books[symbol] = book
        self._expire(now_ms)
        if not book.is_whole:
            return
        fills: list[Report] = []
        for order in self._arrived(symbol, now_ms):
            limit = order.price if order.kind == "limit" else None
            is_maker = order.ahead >= 0 and order.kind == "limit"
            for price, units in book.take(order.left, limit):
                # A resting order is met at its own price.
                fills.append(
                    self._fill(order, units, order.price if is_maker else price, book.middle, now_ms, is_maker)
                )
            if order.kind == "limit":
                levels = book.bids if order.units > 0 else book.asks
                there = levels.get(order.price, 0.0)
                # Never more before it than the whole level: what was taken back there was not all behind it.
                order.ahead = there * self._rules.queue_ahead if order.ahead < 0 else min(order.ahead, there)
        self._say(fills)

    def on_trade(self, symbol: str, price: float, quantity: float, now_ms: int) -> None:
        """Others traded: a resting order gets what is left behind its queue, or all where it went through.

        Args:
            symbol: that was traded.
            price: of the trade.
            quantity: of the trade, in units.
            now_ms: by the venue's clock, UTC milliseconds.
        """
        fills: list[Report] = []
        self._expire(now_ms)
        for order in self._arrived(symbol, now_ms):
            if order.kind != "limit" or order.ahead < 0:
                continue
            side = 1.0 if order.units > 0 else -1.0
            if side * price > side * order.price + TINY:
                continue
            if abs(price - order.price) <= TINY:
                passed = min(order.ahead, quantity)
                order.ahead -= passed
                quantity -= passed
            part = min(quantity, abs(order.left))
            if part > TINY:
                book = self.books.get(symbol)
                middle = book.middle if book is not None and book.is_whole else price
                fills.append(self._fill(order, side * part, order.price, middle, now_ms, True))
                quantity -= part
        self._say(fills)

    def on_bar(self, bar: Bar, now_ms: int) -> None:
        """A bar of a symbol of which there is no book: what was sent before it closed is filled within it.

        A market order pays from the open towards the bar's worse end, half the spread and slippage, and gets a share of
        the volume; a limit order is met where the bar opens at its price or trades through it.
        """
        if bar.symbol in self.books:
            return
        fills: list[Report] = []
        half = (self._costs.half_spread_bps + self._costs.slippage_bps) * 1e-4
        for order in [
            one for one in self._open.values() if one.symbol == bar.symbol and one.arrives_ms < bar.timestamp
        ]:
            side = 1.0 if order.units > 0 else -1.0
            lot = self._instruments[bar.symbol].lot_size
            most = int(self._rules.bar_participation * bar.volume / lot) * lot
            units = side * min(abs(order.left), most)
            if abs(units) <= TINY:
                continue
            if order.kind == "market":
                worse = bar.high if side > 0 else bar.low
                price = (bar.open + self._rules.bar_latency_share * (worse - bar.open)) * (1 + side * half)
                fills.append(self._fill(order, units, price, bar.open, now_ms, False))
            elif bar.open == order.price or (bar.low < order.price if side > 0 else bar.high > order.price):
                fills.append(self._fill(order, units, order.price, bar.open, now_ms, True))
        self._say(fills)

    def _arrived(self, symbol: str, now_ms: int) -> list[_Resting]:
        return [one for one in self._open.values() if one.symbol == symbol and one.arrives_ms <= now_ms]

    def _fill(self, order: _Resting, units: float, price: float, middle: float, now_ms: int, is_maker: bool) -> Report:
        bps = self._costs.maker_fee_bps if is_maker else self._costs.taker_fee_bps
        self._fills += 1
        order.done += units  # so that a second level sees what is left; `_apply` does not add it again
        fee = abs(units) * price * bps * 1e-4
        return Report(order.client_id, "fill", now_ms, units, price, fee, middle, f"f{self._fills}", "", is_maker)

    def _say(self, reports: Iterable[Report]) -> None:
        fresh = list(reports)
        if fresh:
            self._journal.append([Entry("report", one._asdict()) for one in fresh], fresh[-1].at_ms)
        for one in fresh:
            self._apply(one, is_new=True)
            self._reports.append(one)

    def _apply(self, report: Report, is_new: bool = False) -> None:
        self._history.setdefault(report.client_id, []).append(report)
        order = self._open.get(report.client_id)
        if report.what == "fill":
            number = int(report.fill_id[1:])
            self._fills = max(self._fills, number)
            symbol = self._symbols[report.client_id]
            held = self._positions.get(symbol, 0.0) + report.units
            self._positions[symbol] = 0.0 if abs(held) < TINY else held
            if order is not None:
                if not is_new:
                    order.done += report.units
                if abs(order.left) <= TINY * max(abs(order.units), 1.0):
                    self._open.pop(report.client_id)
        elif report.what in ("cancelled", "refused"):
            self._open.pop(report.client_id, None)

    def close(self) -> None:
        """Let another process go on."""
        self._journal.close()
