"""What a start asks a venue, and whether it holds what it has told: the orders of a run with their recovery."""

from collections.abc import Mapping
from dataclasses import replace

from tradewind.data.sources.order_answers import VenueOrder
from tradewind.errors import TemporaryOutage
from tradewind.live.orders.states import Report
from tradewind.live.venue import sent_orders
from tradewind.live.venue.order_ledger import SentOrder
from tradewind.live.venue.paper import Standing
from tradewind.live.venue.sent_orders import LONGEST_WAIT_S, TINY, SentOrders

STANDING_TRIES = 10


class VenueOrders(SentOrders):
    """All orders of a run, with what is asked at a start and between orders."""

    differs: Standing | None = None  # what the account holds where that is not the sum of the fills
    _compared: float | None = None  # when that was looked at last; None before the first time
    _doubted: Mapping[str, float] = {}

    def begin(self, balances: Mapping[str, float]) -> None:
        """A new run: what the account holds now is not the run's."""
        self.ledger.begin({coin: balances.get(coin, 0.0) for one in self.terms.assets.values() for coin in one})

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
        timing.wait(max(sent_orders.FIRST_WAIT_S, min(self._held_until - timing.elapsed(), LONGEST_WAIT_S)))

    def _history_once(self, client_id: str) -> tuple[list[Report] | None, str]:
        """The whole history, or None and why it is not proven yet."""
        before = self.ledger.orders.get(client_id)
        was_sent = before is not None and before.sent_ms
        absent = 0
        symbols = (before.symbol,) if before is not None else tuple(self.terms.assets)
        for symbol in symbols:
            answer = self.account.find(symbol, client_id)
            if answer.outcome == "accepted":
                return self._reports_anew(client_id, answer.value)
            self._heed(answer)
            absent += answer.outcome == "absent"
        if absent < len(symbols):
            return None, answer.detail
        if before is None or not was_sent:  # it is in the ledger before it is sent
            return [Report(client_id, "missing", self.clock_ms)], ""
        if self._cannot_live(before):
            return [self._report(before, "missing")], ""
        return None, "the venue does not know it yet"

    def _reports_anew(self, client_id: str, seen: VenueOrder) -> tuple[list[Report] | None, str]:
        fresh = SentOrder(client_id, seen.symbol, seen.units, seen.price, seen.kind, sent_ms=1)
        if (before := self.ledger.orders.get(client_id)) is not None:
            fresh = replace(before, was_shown=False, gross=0.0, net=0.0, trades=set(), has_ended=False)
        self.ledger.orders[client_id] = fresh
        reports = self._absorb(fresh, seen)
        return (reports, "") if abs(fresh.gross) >= abs(seen.done) - TINY else (None, "its trades are not all there")

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
            unanswered = [one for one in (answer, *opened) if one.outcome != "accepted"]
            if not unanswered and before == self._refresh():
                open_ids = {name for one in opened for name in one.value}
                living = {one.client_id for one in self.ledger.orders.values() if one.may_live}
                return Standing(tuple(sorted(open_ids | living)), self._positions_of(answer.value))
            why = unanswered[0].detail if unanswered else "orders are being filled"
            for one in unanswered:
                self._heed(one)
            self._wait()
        raise TemporaryOutage(f"the venue does not say what it holds ({why}): start again")

    def _refresh(self) -> dict[str, float]:
        """Ask for every order that lives; how far each is filled."""
        for order in self.ledger.living():
            self._say(self._look_at(order))
        return {one.client_id: one.gross for one in self.ledger.orders.values()}

    def _positions_of(self, balances: Mapping[str, float]) -> dict[str, float]:
        """What is held beyond what was there at the run's beginning."""
        before = self.ledger.baseline or {}
        held = {
            name: balances.get(one.base, 0.0) - before.get(one.base, 0.0) for name, one in self.terms.assets.items()
        }
        return {name: round(units, 10) for name, units in held.items() if abs(units) > TINY}

    def _idle(self) -> None:
        """While nothing is open: what the venue holds against the sum of the fills, twice before it is told."""
        if self._compared is None:
            self._compared = self.terms.timing.elapsed()
        if self.terms.timing.elapsed() - self._compared < self.terms.rules.reconcile_s:
            return
        self._compared = self.terms.timing.elapsed()
        answer = self.account.balances()
        self._heed(answer)
        if answer.outcome != "accepted":
            return
        there = self._positions_of(answer.value)
        wrong = {
            name: there.get(name, 0.0)
            for name, one in self.terms.instruments.items()
            if abs(there.get(name, 0.0) - self.ledger.positions.get(name, 0.0)) > one.lot_size / 2
        }
        if wrong and wrong == self._doubted:
            self.differs = Standing((), there)
        self._doubted = wrong
