"""Orders to a real venue behind the same protocol as the paper venue: nothing here makes the session's loop wait.

One thread has the account. The loop hands orders over in order and takes reports when it comes by; at a start alone it
waits for answers, and no longer than it is told to.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradewind.data.feeds.book import LocalBook
from tradewind.data.sources.ccxt_account import Access, CcxtAccount, Keys
from tradewind.data.sources.order_answers import Assets
from tradewind.data.sources.timing import Timing
from tradewind.errors import BadData, BadParameters, TemporaryOutage, TradewindError
from tradewind.extras import require
from tradewind.learning.features.assembly import Bar
from tradewind.live.orders.states import Report
from tradewind.live.settings import BrokerRules
from tradewind.live.venue.order_ledger import OrderLedger
from tradewind.live.venue.order_recovery import VenueOrders
from tradewind.live.venue.paper import Standing
from tradewind.live.venue.sent_orders import Terms
from tradewind.operations.journal.fence import Turn
from tradewind.operations.journal.halt_file import is_halted
from tradewind.trading.risk.limits import Instrument

MARGIN_S = 30.0  # an answer that is given up at a start is waited for so much longer than its own limit


@dataclass(frozen=True)
class _Job:
    """What the thread is to do; an order has its body and when it was handed over."""

    what: str
    client_id: str = ""
    order: Mapping[str, Any] | None = None
    at_s: float = 0.0
    answer: "Future[Any] | None" = None


class CcxtBroker:
    """A broker whose thread runs from its making to `close`."""

    def __init__(self, make: Callable[[Callable[[Sequence[Report]], None]], VenueOrders]) -> None:
        """Start the thread.

        Args:
            make: the orders, given who takes their reports; called here, so that what is wrong is said at once.
        """
        self._reports: deque[Report] = deque()
        self._middles: dict[str, float] = {}
        self._orders = make(self._on_reports)
        self._rules, self._timing = self._orders.terms.rules, self._orders.terms.timing
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._failure: TradewindError | None = None
        self._looks_after = self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="orders at the venue", daemon=True)
        self._thread.start()

    # Called by the session's loop

    def submit(self, order: Mapping[str, Any], now_ms: int) -> None:
        """Hand an order over; it is sent in the order of the calls."""
        self.beat(now_ms)
        self._put(_Job("send", str(order["client_id"]), dict(order), self._timing.elapsed()))

    def cancel(self, client_id: str, now_ms: int) -> None:
        """Take back what is not filled; an order that still waits is not sent."""
        self.beat(now_ms)
        self._orders.unwanted.add(client_id)
        self._put(_Job("look"))

    def beat(self, now_ms: int) -> None:
        """We live."""
        self._require_alive()
        self._looks_after = True
        self._orders.heard = self._timing.elapsed()
        self._orders.clock_ms = max(self._orders.clock_ms, now_ms)

    def poll(self) -> list[Report]:
        """What happened since the last call.

        Raises:
            TradewindError: the thread has ended: nothing is sent or told any more.
        """
        found = []
        while self._reports:
            report = self._reports.popleft()
            if report.what == "fill":
                symbol = report.fill_id.rpartition("-")[0]
                report = report._replace(middle=self._middles.get(symbol, report.middle))
            found.append(report)
        if not found:
            self._require_alive()
        return found

    def ask(self, client_id: str) -> None:
        """Nothing: an order that may live is asked for again and again."""

    def differs(self) -> Standing | None:
        """What the account holds where that is not the sum of the fills told; None, too, while some are not polled."""
        found = self._orders.differs
        if found is None or self._reports:
            return None
        self._orders.differs = None
        return found

    def standing(self) -> Standing:
        """What the venue holds of ours; waits for its answers."""
        found: Standing = self._wait_for("standing")
        return found

    def history(self, client_id: str) -> list[Report]:
        """Everything that became of an order; waits until it is proven."""
        found: list[Report] = self._wait_for("history", client_id)
        return found

    def on_book(self, symbol: str, book: LocalBook, now_ms: int) -> None:
        """The middle of the book stands beside a fill.

        Args:
            symbol: whose book.
            book: as it is now.
            now_ms: is not used.
        """
        if book.is_whole:
            self._middles[symbol] = book.middle

    def on_trade(self, symbol: str, price: float, quantity: float, now_ms: int) -> None:
        """Nothing: the venue says what was filled.

        Args:
            symbol: is not used.
            price: is not used.
            quantity: is not used.
            now_ms: is not used.
        """

    def on_bar(self, bar: Bar, now_ms: int) -> None:
        """Nothing: the venue says what was filled."""

    def close(self) -> None:
        """Take back what is open, as far as the venue answers in time, and end the thread."""
        self._is_closing = True
        self._jobs.put(_Job("close"))
        self._thread.join(self._rules.close_s + self._rules.answer_s + 1.0)

    def _put(self, job: _Job) -> None:
        self._require_alive()
        self._jobs.put(job)

    def _require_alive(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _wait_for(self, what: str, client_id: str = "") -> Any:
        answer: Future[Any] = Future()
        self._put(_Job(what, client_id, answer=answer))
        try:
            return answer.result(self._rules.start_s + self._rules.answer_s + MARGIN_S)
        except TimeoutError:
            raise TemporaryOutage("the venue does not answer in time: start again") from None

    # In the thread

    def _on_reports(self, reports: Sequence[Report]) -> None:
        self._reports.extend(reports)

    def _run(self) -> None:
        try:
            waiting: _Job | None = None
            while True:
                wait_s = self._orders.look() if self._looks_after else 1.0
                job = waiting or self._next(wait_s)
                waiting = None
                if job is None:
                    continue
                if job.what == "close":
                    break
                if job.what == "send" and job.order is not None:
                    if not self._orders.send(job.order, job.at_s):
                        waiting = job
                        self._timing.wait(min(max(wait_s, 0.05), 0.25))
                elif job.answer is not None:
                    self._answer(job, job.answer)
                if self._is_closing and waiting is not None:
                    break
            self._end()
        except TradewindError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop must learn that nothing is sent any more
            # Its text may hold what the account was asked with.
            self._failure = BadData(f"the thread of the orders ended ({type(error).__name__}): start again")
        finally:
            self._orders.close()

    def _next(self, wait_s: float) -> _Job | None:
        try:
            return self._jobs.get(timeout=wait_s) if wait_s > 0 else self._jobs.get_nowait()
        except queue.Empty:
            return None

    def _answer(self, job: _Job, answer: "Future[Any]") -> None:
        try:
            found = self._orders.standing() if job.what == "standing" else self._orders.history(job.client_id)
            answer.set_result(found)
        except TradewindError as error:
            answer.set_exception(error)
        except BaseException:
            answer.set_exception(BadData("the thread of the orders ended: start again"))
            raise

    def _end(self) -> None:
        """Binance's spot market takes nothing back by itself when we are gone."""
        last = self._timing.elapsed() + self._rules.close_s
        while not self._orders.take_all_back() and self._timing.elapsed() < last:
            wait_s = self._orders.look()
            if wait_s > 0:
                self._timing.wait(min(wait_s, 0.1))


@dataclass(frozen=True)
class Opening:
    """What a broker is opened with.

    Attributes:
        rules: of the broker; None: fills are simulated.
        keys: of the account; None: they are missing.
        folder: of the run, with its HALT file and the ledger.
        instruments: of the venue, by symbol.
        capital: that a new run begins with.
    """

    rules: BrokerRules | None
    keys: Keys | None
    folder: Path
    instruments: Mapping[str, Instrument]
    capital: float


def open_broker(opening: Opening, ledger: Path, turn: Turn | None = None, timing: Timing | None = None) -> CcxtBroker:
    """Reach the account and go on with its orders; it holds what a new run needs, or the run does not begin.

    Args:
        opening: account, run and instruments.
        ledger: of the orders.
        turn: of the process that writes, where another one may take over.
        timing: clock and waits.

    Raises:
        MissingExtra: ccxt is not installed.
        BadParameters: keys are missing or refused, the account holds too little, or symbols share a coin.
        TemporaryOutage: the venue does not answer.
    """
    require("exchanges", "paper.broker")
    rules = opening.rules or BrokerRules()
    if opening.keys is None:
        raise BadParameters(
            f"paper.broker needs the keys of {rules.account}: api_key and api_secret in conf/local/credentials.yml, "
            f"or a file {rules.account}.json that systemd hands over (docs/howto/live_orders.md)"
        )
    access = Access(
        network=rules.network, base_url=rules.base_url or None, recv_window_ms=rules.recv_window_ms,
        answer_s=rules.answer_s,
    )  # fmt: skip
    timing = timing or Timing()
    account = CcxtAccount(access, opening.keys, timing)
    try:
        assets = account.open(tuple(opening.instruments))
        _require_own_coins(assets)
        terms = Terms(rules, assets, opening.instruments, timing, lambda: is_halted(opening.folder))

        def make(on_reports: Callable[[Sequence[Report]], None]) -> VenueOrders:
            orders = VenueOrders(account, OrderLedger(ledger, rules.network, timing, turn), terms, on_reports)
            try:
                if orders.ledger.baseline is None:
                    orders.begin(_balances(account, assets, opening.capital))
            except BaseException:
                orders.close()
                raise
            return orders

        return CcxtBroker(make)
    except BaseException:
        account.close()
        raise


def _require_own_coins(assets: Mapping[str, Assets]) -> None:
    """Positions are read from balances: each symbol must have a coin of its own, and all the same money."""
    bases, quotes = [one.base for one in assets.values()], {one.quote for one in assets.values()}
    shared = sorted({one for one in bases if bases.count(one) > 1 or one in quotes})
    if shared or len(quotes) > 1:
        raise BadParameters(
            f"symbols of one account need a coin of their own and the same currency: {', '.join(assets)} share "
            f"{', '.join(shared) or 'none'}, and are in {', '.join(sorted(quotes))}"
        )


def _balances(account: CcxtAccount, assets: Mapping[str, Assets], capital: float) -> dict[str, float]:
    answer = account.balances()
    if answer.outcome in ("refused", "absent"):
        raise BadParameters(f"the venue refuses to say what the account holds: {answer.detail}")
    if answer.outcome != "accepted":
        raise TemporaryOutage(f"the venue does not say what the account holds: {answer.detail}")
    quote = next(iter(assets.values())).quote
    held: float = answer.value.get(quote, 0.0)
    if held < capital:
        raise BadParameters(
            f"the account holds {held:g} {quote}, and trading.execution.capital is {capital:g}: begin with less, "
            f"--params trading.execution.capital={held:g}"
        )
    found: dict[str, float] = answer.value
    return found
