"""Orders at a real venue: what was sent, what is proven of it, and what must still be asked.

An order of which no answer came is neither dead nor alive. It is asked for by its client id until the venue shows it,
or until it is proven that it cannot live: the venue does not know it, and whatever was still on its way when it was
asked would be refused there as too late (Binance's recvWindow). Nothing is sent twice unless the first try is proven
not to have been taken. Everything here runs in one thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from tradewind.data.sources.ccxt_account import CLOCK, Answer, Assets, VenueOrder, VenueTrade
from tradewind.data.sources.timing import Timing
from tradewind.errors import BadParameters, TemporaryOutage
from tradewind.live.orders.states import Report
from tradewind.live.settings import BrokerRules
from tradewind.live.venue.paper import Standing
from tradewind.operations.journal.fence import Turn
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.trading.risk.limits import Instrument

TINY = 1e-9
ENDED = ("FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # between two questions that got no answer
RATE_KEPT_S = 60.0
STANDING_TRIES = 10
IDLE_S = 0.25  # the HALT file and the heartbeat are looked at so often


class Account(Protocol):
    """What is asked at a venue (`data.sources.ccxt_account.CcxtAccount`)."""

    def resync(self) -> Answer:
        """Measure the venue's clock."""

    def venue_ms(self) -> int:
        """The venue's time."""

    def place(self, order: Mapping[str, Any]) -> Answer:
        """Send an order."""

    def cancel(self, symbol: str, client_id: str) -> Answer:
        """Take an order back."""

    def find(self, symbol: str, client_id: str) -> Answer:
        """What became of an order."""

    def trades(self, symbol: str, venue_id: str) -> Answer:
        """All trades of an order."""

    def open_orders(self, symbol: str) -> Answer:
        """Client ids of the orders that are open."""

    def balances(self) -> Answer:
        """What is held, by coin."""

    def price(self, symbol: str) -> Answer:
        """The last price of a symbol."""

    def close(self) -> None:
        """Give back connections."""


@dataclass
class SentOrder:
    """An order as far as it is proven.

    Attributes:
        client_id, symbol, units, price, kind: as it is sent.
        sent_ms: when it was signed the last time, venue's time; 0: it was not sent.
        venue_id: of the venue, once asked for here; `was_shown` holds also where an earlier process has seen it.
        waits: its last try is proven not to have been taken; it is to be sent again.
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


@dataclass(frozen=True)
class Terms:
    """What stays the same.

    Attributes:
        rules: times and limits.
        assets: coins of each symbol that is traded.
        instruments: their steps.
        timing: clock and waits.
        is_halted: whether the run's HALT file is there; asked before each order.
    """

    rules: BrokerRules
    assets: Mapping[str, Assets]
    instruments: Mapping[str, Instrument]
    timing: Timing
    is_halted: Callable[[], bool]


class SentOrders:
    """All orders of a run. What becomes of them is told to `tell`."""

    def __init__(
        self, account: Account, ledger: Path, terms: Terms, tell: Callable[[Sequence[Report]], None],
        turn: Turn | None = None,
    ) -> None:  # fmt: skip
        """Go on where the ledger ends.

        Args:
            account: at the venue.
            ledger: of what was sent and told; on the disk before anything is sent.
            terms: rules, coins, steps, clock.
            tell: takes reports, oldest first.
            turn: of the process that writes, where another one may take over.
        """
        self.account, self.terms, self._tell = account, terms, tell
        self.unwanted: set[str] = set()  # to be taken back; whoever adds one is another thread
        self.heard = terms.timing.elapsed()  # of the session's loop
        self.clock_ms = 0  # the session's time, which reports carry
        self.baseline: dict[str, float] | None = None
        self.differs: Standing | None = None
        self._orders: dict[str, SentOrder] = {}
        self._known: set[tuple[str, str, str]] = set()
        self._positions: dict[str, float] = {}
        self._rates: dict[str, tuple[float, float]] = {}
        self._held_until = self._compared = terms.timing.elapsed()
        self._doubted: dict[str, float] = {}
        self._journal = Journal(ledger, turn)
        for record in read(ledger):
            self._replay(record.kind, record.body)

    def _replay(self, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "opened":
            if (network := self.terms.rules.network) != body["network"]:
                raise BadParameters(f"the run was begun at {body['network']}, and {network} is set: --new-run")
            self.baseline = dict(body["balances"])
        elif kind == "order":
            self._orders[body["client_id"]] = SentOrder(**body)
        elif kind == "again":
            self._orders[body["client_id"]].sent_ms = body["sent_ms"]
        else:
            report = Report(**{name: value for name, value in body.items() if name != "gross"})
            self._account_for(report)
            if (order := self._orders.get(report.client_id)) is not None and report.what in ("accepted", "fill"):
                order.was_shown = True
            if order is not None and report.what == "fill":
                order.gross, order.net = order.gross + body["gross"], order.net + report.units
                order.trades.add(report.fill_id.rpartition("-")[2])

    # Money and positions as they were

    def begin(self, balances: Mapping[str, float]) -> None:
        """A new run: what the account holds now is not the run's."""
        held = {coin: balances.get(coin, 0.0) for one in self.terms.assets.values() for coin in one}
        self._write([Entry("opened", {"network": self.terms.rules.network, "balances": held})])
        self.baseline = held

    # Sending

    def send(self, body: Mapping[str, Any], queued_s: float) -> bool:
        """Send an order, or say why not; False: the venue asks to wait, and it may still be sent in time.

        Args:
            body: `risk.gate.Order` as a table.
            queued_s: when it was handed over, by the monotonic clock.
        """
        client_id = str(body["client_id"])
        order = self._orders.get(client_id)
        if order is None:
            known = {name: body[name] for name in ("symbol", "units", "price", "kind")}
            order = self._orders[client_id] = SentOrder(client_id, **known)
        elif order.has_ended or (order.sent_ms and not order.waits):
            return True  # it is known already
        refused = self._why_not(order, queued_s)
        if refused is not None:
            self._say([refused])
            return True
        if self._held_until > self.terms.timing.elapsed():
            return False
        return self._send_once(order)

    def _send_once(self, order: SentOrder, may_resync: bool = True) -> bool:
        is_first, order.sent_ms = not order.sent_ms, self.account.venue_ms()
        body = {name: getattr(order, name) for name in ("client_id", "symbol", "units", "price", "kind", "sent_ms")}
        order.waits = False  # from here on it may live
        if is_first:
            self._write([Entry("order", body)])
        else:
            self._write([Entry("again", {"client_id": order.client_id, "sent_ms": order.sent_ms})])
        answer = self.account.place(body)
        if answer.outcome == "accepted":
            self._say(self._absorb(order, answer.value))
        elif answer.outcome == "busy":
            self._hold(answer)
            order.waits = True
            return False
        elif answer.outcome == "refused" and answer.code == CLOCK and may_resync:
            self.account.resync()
            return self._send_once(order, may_resync=False)
        elif answer.outcome == "refused":
            self._say([self._report(order, "refused", reason=answer.detail)])
        else:
            self._leave_open(order, answer)
        return True

    def _leave_open(self, order: SentOrder, answer: Answer) -> None:
        """It may have been accepted: neither dead nor alive, and asked for."""
        self._say([self._report(order, "unknown", reason=answer.detail)])
        self._put_off(order)

    def _why_not(self, order: SentOrder, queued_s: float) -> Report | None:
        """A report that ends the order before it is sent."""
        rules, now = self.terms.rules, self.terms.timing.elapsed()
        if order.client_id in self.unwanted:
            return self._report(order, "cancelled", reason="taken back before it was sent")
        if self.terms.is_halted():
            return self._report(order, "refused", reason="HALT file")
        last = queued_s + rules.send_within_s
        if now > last or self._held_until > last:
            waits = f"; the venue asks to wait for {self._held_until - now:.0f} s" if self._held_until > now else ""
            return self._report(order, "refused", reason=f"not sent within {rules.send_within_s:g} s{waits}")
        return None

    # Looking after what was sent

    def look(self) -> float:
        """Do what is due; seconds until something is due again."""
        now = self.terms.timing.elapsed()
        living = [one for one in self._orders.values() if one.may_live]
        is_alone = now - self.heard > self.terms.rules.heartbeat_s
        if living and (is_alone or self.terms.is_halted()):
            self.unwanted.update(one.client_id for one in living)
        for order in living:
            if order.client_id in self.unwanted and not order.is_unwanted:
                order.is_unwanted, order.due, order.tries = True, now, 0
        if self._held_until > now:
            return min(self._held_until - now, IDLE_S)
        following = min(living, key=lambda one: one.due, default=None)
        if following is not None and following.due <= now:
            self._say(self._look_at(following))
            return 0.0
        if not living and now - self._compared >= self.terms.rules.reconcile_s:
            self._compare()
        return min(following.due - now, IDLE_S) if following is not None else IDLE_S

    def _look_at(self, order: SentOrder) -> list[Report]:
        """Take it back if that is wanted, else ask for it."""
        if order.is_unwanted:
            answer = self.account.cancel(order.symbol, order.client_id)
            if answer.outcome == "accepted":
                return self._absorb(order, answer.value)
            if answer.outcome != "absent":
                return self._unanswered(order, answer)
        answer = self.account.find(order.symbol, order.client_id)
        if answer.outcome == "accepted":
            return self._absorb(order, answer.value)
        if answer.outcome == "absent" and self._cannot_live(order):
            return [self._report(order, "missing")]
        return self._unanswered(order, answer)

    def _cannot_live(self, order: SentOrder) -> bool:
        """Whether an order that the venue does not know is proven never to live; one that it has shown is not gone."""
        last_ms = order.sent_ms + self.terms.rules.recv_window_ms + int(self.terms.rules.settle_s * 1000)
        return not order.was_shown and self.account.venue_ms() > last_ms

    def _unanswered(self, order: SentOrder, answer: Answer) -> list[Report]:
        if answer.code == CLOCK:
            self.account.resync()
        if answer.outcome == "busy":
            self._hold(answer)
        self._put_off(order)
        return []

    def _put_off(self, order: SentOrder) -> None:
        wait = min(FIRST_WAIT_S * 2.0**order.tries, LONGEST_WAIT_S)
        order.tries, order.due = order.tries + 1, self.terms.timing.elapsed() + wait

    def _hold(self, answer: Answer) -> None:
        """Nothing is sent or asked until then: the venue has asked for it."""
        until = self.terms.timing.elapsed() + max(answer.wait_s, 1.0)
        self._held_until = max(self._held_until, until)

    def _absorb(self, order: SentOrder, seen: VenueOrder) -> list[Report]:
        """What the venue's showing of an order adds; its end is told only when its trades are all there."""
        said = []
        order.venue_id, order.tries = seen.venue_id, 0
        if not order.was_shown and seen.status != "REJECTED":
            said.append(self._report(order, "accepted"))
        order.was_shown = True
        if abs(seen.done) > abs(order.gross) + TINY:
            trades: Iterable[VenueTrade] = seen.trades
            if abs(sum(one.units for one in seen.trades) - seen.done) > TINY:
                answer = self.account.trades(order.symbol, order.venue_id)
                if answer.outcome != "accepted":
                    return said + self._unanswered(order, answer)
                trades = answer.value
            said += [self._fill(order, one) for one in trades if one.trade_id not in order.trades]
        order.due = self.terms.timing.elapsed() + self.terms.rules.poll_s
        if seen.status in ENDED and abs(order.gross) >= abs(seen.done) - TINY:
            said += self._end(order, seen)
        return said

    def _end(self, order: SentOrder, seen: VenueOrder) -> list[Report]:
        order.has_ended = True
        if seen.status == "FILLED":
            is_whole = abs(order.net - order.units) <= TINY * max(abs(order.units), 1.0)
            return [] if is_whole else [self._report(order, "whole", reason="less what was taken as its fee")]
        if seen.status == "REJECTED":
            return [self._report(order, "refused", reason=seen.status)]
        return [self._report(order, "cancelled", reason="" if seen.status == "CANCELED" else seen.status)]

    def _fill(self, order: SentOrder, trade: VenueTrade) -> Report:
        """One trade; a fee in the coin itself leaves fewer units, one in a third coin is valued at its last price."""
        coins, fee, net, note = self.terms.assets[order.symbol], trade.fee, trade.units, ""
        if trade.fee and trade.coin == coins.base:
            fee, net = trade.fee * trade.price, trade.units - trade.fee
        elif trade.fee and trade.coin != coins.quote:
            rate = self._rate(trade.coin, coins.quote)
            fee = trade.fee * rate if rate is not None else 0.0
            note = f"a fee of {trade.fee:g} {trade.coin}" + (
                "" if rate is not None else ", whose price is not known: 0"
            )
        order.gross, order.net = order.gross + trade.units, order.net + net
        order.trades.add(trade.trade_id)
        said = Report(
            order.client_id, "fill", self.clock_ms, net, trade.price, fee, 0.0, f"{order.symbol}-{trade.trade_id}",
            note, trade.is_maker,
        )  # fmt: skip
        self._record(said, trade.units)
        return said

    def _rate(self, coin: str, quote: str) -> float | None:
        """What a coin is worth in the account's currency, asked for once a minute."""
        at, rate = self._rates.get(coin, (float("-inf"), 0.0))
        if self.terms.timing.elapsed() - at > RATE_KEPT_S:
            answer = self.account.price(coin + quote)
            if answer.outcome != "accepted":
                return rate or None
            rate = answer.value
            self._rates[coin] = (self.terms.timing.elapsed(), rate)
        return rate

    # Telling

    def _report(self, order: SentOrder, what: str, reason: str = "") -> Report:
        said = Report(order.client_id, what, self.clock_ms, reason=reason)
        self._record(said, 0.0)
        return said

    def _record(self, report: Report, gross: float) -> None:
        """In the ledger, once."""
        key = (report.client_id, report.what, report.fill_id)
        if key not in self._known:
            self._write([Entry("report", report._asdict() | ({"gross": gross} if gross else {}))])
            self._account_for(report)

    def _account_for(self, report: Report) -> None:
        """What a report that is new in the ledger means for order and position."""
        self._known.add((report.client_id, report.what, report.fill_id))
        order = self._orders.get(report.client_id)
        if order is None:
            return
        if report.what == "fill":
            self._positions[order.symbol] = self._positions.get(order.symbol, 0.0) + report.units
        elif report.what in ("cancelled", "refused", "missing", "whole"):
            order.has_ended = True

    def _say(self, reports: Sequence[Report]) -> None:
        if reports:
            self._tell(reports)

    def _write(self, entries: Sequence[Entry]) -> None:
        self._journal.append(entries, self.terms.timing.now_ms)

    # At a start, and between orders

    def history(self, client_id: str) -> list[Report]:
        """Everything that became of an order, also what was told before; waits until it is proven.

        Raises:
            TemporaryOutage: the venue does not say in time.
        """
        end = self.terms.timing.elapsed() + self.terms.rules.start_s
        why = ""
        while True:
            found, why = self._history_once(client_id)
            if found is not None:
                return found
            if self.terms.timing.elapsed() > end:
                raise TemporaryOutage(f"the venue does not say what became of order {client_id} ({why}): start again")
            self._wait()

    def _wait(self) -> None:
        timing = self.terms.timing
        timing.wait(max(FIRST_WAIT_S, min(self._held_until - timing.elapsed(), LONGEST_WAIT_S)))

    def _history_once(self, client_id: str) -> tuple[list[Report] | None, str]:
        """The whole history, or None and why it is not proven yet."""
        before = self._orders.get(client_id)
        was_sent = before is not None and before.sent_ms
        absent = 0
        symbols = (before.symbol,) if before is not None else tuple(self.terms.assets)
        for symbol in symbols:
            answer = self.account.find(symbol, client_id)
            if answer.outcome == "accepted":
                return self._told_anew(client_id, answer.value)
            if answer.outcome == "busy":
                self._hold(answer)
            if answer.code == CLOCK:
                self.account.resync()
            absent += answer.outcome == "absent"
        if absent < len(symbols):
            return None, answer.detail
        if before is None or not was_sent:  # it is in the ledger before it is sent
            return [Report(client_id, "missing", self.clock_ms)], ""
        if self._cannot_live(before):
            return [self._report(before, "missing")], ""
        return None, "the venue does not know it yet"

    def _told_anew(self, client_id: str, seen: VenueOrder) -> tuple[list[Report] | None, str]:
        fresh = SentOrder(client_id, seen.symbol, seen.units, seen.price, seen.kind, sent_ms=1)
        if (before := self._orders.get(client_id)) is not None:
            fresh = replace(before, was_shown=False, gross=0.0, net=0.0, trades=set(), has_ended=False)
        self._orders[client_id] = fresh
        said = self._absorb(fresh, seen)
        return (said, "") if abs(fresh.gross) >= abs(seen.done) - TINY else (None, "its trades are not all there")

    def standing(self) -> Standing:
        """Open orders and positions, read while nothing was filled; what was filled before is told.

        Raises:
            TemporaryOutage: the venue does not say in time.
        """
        why = ""
        for _ in range(STANDING_TRIES):
            before = self._refresh()
            answer = self.account.balances()
            opened = [self.account.open_orders(symbol) for symbol in self.terms.assets]
            unsaid = [one for one in (answer, *opened) if one.outcome != "accepted"]
            if not unsaid and before == self._refresh():
                open_ids = {name for one in opened for name in one.value}
                living = {one.client_id for one in self._orders.values() if one.may_live}
                return Standing(tuple(sorted(open_ids | living)), self._positions_of(answer.value))
            why = unsaid[0].detail if unsaid else "orders are being filled"
            for one in unsaid:
                if one.outcome == "busy":
                    self._hold(one)
            self._wait()
        raise TemporaryOutage(f"the venue does not say what it holds ({why}): start again")

    def _refresh(self) -> dict[str, float]:
        """Ask for every order that lives; how far each is filled."""
        for order in [one for one in self._orders.values() if one.may_live]:
            self._say(self._look_at(order))
        return {one.client_id: one.gross for one in self._orders.values()}

    def _positions_of(self, balances: Mapping[str, float]) -> dict[str, float]:
        """What is held beyond what was there at the run's beginning."""
        before = self.baseline or {}
        held = {
            name: balances.get(one.base, 0.0) - before.get(one.base, 0.0) for name, one in self.terms.assets.items()
        }
        return {name: round(units, 10) for name, units in held.items() if abs(units) > TINY}

    def _compare(self) -> None:
        """While nothing is open: what the venue holds against the sum of the fills, twice before it is told."""
        self._compared = self.terms.timing.elapsed()
        answer = self.account.balances()
        if answer.outcome == "busy":
            self._hold(answer)
        if answer.outcome != "accepted":
            return
        there = self._positions_of(answer.value)
        wrong = {
            name: there.get(name, 0.0)
            for name, one in self.terms.instruments.items()
            if abs(there.get(name, 0.0) - self._positions.get(name, 0.0)) > one.lot_size / 2
        }
        if wrong and wrong == self._doubted:
            self.differs = Standing((), there)
        self._doubted = wrong

    def take_all_back(self) -> bool:
        """Want everything back; whether nothing lives any more."""
        living = [one for one in self._orders.values() if one.may_live]
        self.unwanted.update(one.client_id for one in living)
        return not living

    def close(self) -> None:
        """Let another process go on."""
        self._journal.close()
        self.account.close()
