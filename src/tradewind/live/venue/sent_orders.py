"""Orders at a real venue: what was sent, what is proven of it, and what must still be asked.

An order of which no answer came is neither dead nor alive. It is asked for by its client id until the venue shows it,
or until it is proven that it cannot live: the venue does not know it, and whatever was still on its way when it was
asked would be refused there as too late (Binance's recvWindow). Nothing is sent twice unless the first try is proven
not to have been taken. Everything here runs in one thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tradewind.data.sources.order_answers import CLOCK, Answer, Assets, VenueOrder, VenueTrade
from tradewind.data.sources.timing import Timing
from tradewind.live.orders.states import Report
from tradewind.live.settings import BrokerRules
from tradewind.live.venue.order_ledger import OrderLedger, SentOrder
from tradewind.trading.risk.limits import Instrument

TINY = 1e-9
ENDED = ("FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # between two questions that got no answer
RATE_KEPT_S = 60.0
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
    """All orders of a run. What becomes of them is handed to `on_reports`."""

    def __init__(
        self, account: Account, ledger: OrderLedger, terms: Terms, on_reports: Callable[[Sequence[Report]], None]
    ) -> None:
        """Go on where the ledger ends.

        Args:
            account: at the venue.
            ledger: of what was sent and told.
            terms: rules, coins, steps, clock.
            on_reports: takes reports, oldest first.
        """
        self.account, self.ledger, self.terms, self._on_reports = account, ledger, terms, on_reports
        self.unwanted: set[str] = set()  # to be taken back; whoever adds one is another thread
        self.heard = terms.timing.elapsed()  # of the session's loop
        self.clock_ms = 0  # the session's time, which reports carry
        self._rates: dict[str, tuple[float, float]] = {}
        self._held_until = terms.timing.elapsed()

    def send(self, body: Mapping[str, Any], queued_s: float) -> bool:
        """Send an order, or say why not; False: the venue asks to wait, and it may still be sent in time.

        Args:
            body: `risk.gate.Order` as a table.
            queued_s: when it was handed over, by the monotonic clock.
        """
        client_id = str(body["client_id"])
        order = self.ledger.orders.get(client_id)
        if order is None:
            known = {name: body[name] for name in ("symbol", "units", "price", "kind")}
            order = self.ledger.orders[client_id] = SentOrder(client_id, **known)
        elif order.has_ended or (order.sent_ms and not order.waits):
            return True  # it is known already
        refused = self._why_not(order, queued_s)
        if refused is not None:
            self._say([refused])
            return True
        if self._held_until > self.terms.timing.elapsed():
            return False
        return self._send_once(order)

    def _send_once(self, order: SentOrder) -> bool:
        is_first, order.sent_ms = not order.sent_ms, self.account.venue_ms()
        self.ledger.sending(order, is_first)
        order.waits = False  # from here on it may live
        answer = self.account.place(vars(order))
        if answer.outcome == "accepted":
            self._say(self._absorb(order, answer.value))
        elif answer.outcome == "busy":
            self._heed(answer)
            order.waits = True
        elif answer.outcome == "refused" and answer.code == CLOCK and not order.is_timed_anew:
            self._heed(answer)
            order.waits = order.is_timed_anew = True
        elif answer.outcome == "refused":
            self._say([self._report(order, "refused", reason=answer.detail)])
        else:
            self._leave_open(order, answer)
        return not order.waits

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

    def look(self) -> float:
        """Do what is due; seconds until something is due again."""
        now = self.terms.timing.elapsed()
        living = self.ledger.living()
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
        if not living:
            self._idle()
        return min(following.due - now, IDLE_S) if following is not None else IDLE_S

    def _idle(self) -> None:
        """Nothing is open."""

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
        if order.was_shown or self.account.venue_ms() <= last_ms:
            return False
        # This machine's clock may have been set since the venue's was measured.
        return self.account.resync().outcome == "accepted" and self.account.venue_ms() > last_ms

    def _unanswered(self, order: SentOrder, answer: Answer) -> list[Report]:
        self._heed(answer)
        self._put_off(order)
        return []

    def _heed(self, answer: Answer) -> None:
        """Do what must be done before anything is asked again: wait, or measure the clock."""
        if answer.code == CLOCK:
            self.account.resync()
        if answer.outcome == "busy":
            self._hold(answer)

    def _put_off(self, order: SentOrder) -> None:
        wait = min(FIRST_WAIT_S * 2.0**order.tries, LONGEST_WAIT_S)
        order.tries, order.due = order.tries + 1, self.terms.timing.elapsed() + wait

    def _hold(self, answer: Answer) -> None:
        """Nothing is sent or asked until then: the venue has asked for it."""
        until = self.terms.timing.elapsed() + max(answer.wait_s, 1.0)
        self._held_until = max(self._held_until, until)

    def _absorb(self, order: SentOrder, seen: VenueOrder) -> list[Report]:
        """What the venue's showing of an order adds; its end is told only when its trades are all there."""
        reports = []
        order.venue_id, order.tries = seen.venue_id, 0
        if not order.was_shown and seen.status != "REJECTED":
            reports.append(self._report(order, "accepted"))
        order.was_shown = True
        if abs(seen.done) > abs(order.gross) + TINY:
            trades: Iterable[VenueTrade] = seen.trades
            if abs(sum(one.units for one in seen.trades) - seen.done) > TINY:
                answer = self.account.trades(order.symbol, order.venue_id)
                if answer.outcome != "accepted":
                    return reports + self._unanswered(order, answer)
                trades = answer.value
            reports += [self._fill(order, one) for one in trades if one.trade_id not in order.trades]
        order.due = self.terms.timing.elapsed() + self.terms.rules.poll_s
        if seen.status in ENDED and abs(order.gross) >= abs(seen.done) - TINY:
            reports += self._end(order, seen)
        return reports

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
        report = Report(
            order.client_id, "fill", self.clock_ms, net, trade.price, fee, trade.price,
            f"{order.symbol}-{trade.trade_id}", note, trade.is_maker,
        )  # fmt: skip
        return self.ledger.record(report, trade.units)

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

    def _report(self, order: SentOrder, what: str, reason: str = "") -> Report:
        return self.ledger.record(Report(order.client_id, what, self.clock_ms, reason=reason))

    def _say(self, reports: Sequence[Report]) -> None:
        if reports:
            self._on_reports(reports)

    def take_all_back(self) -> bool:
        """Want everything back; whether nothing lives any more."""
        living = self.ledger.living()
        self.unwanted.update(one.client_id for one in living)
        return not living

    def close(self) -> None:
        """Let another process go on."""
        self.ledger.close()
        self.account.close()
