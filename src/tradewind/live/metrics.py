"""What Prometheus reads of a paper account, on a port of its own.

Counters follow every batch that was journalled; gauges are set once a second by the account's own loop, so that the
thread that answers Prometheus touches no state of the account. What must be seen while the loop stands still
(heartbeat, a write that does not return) is computed when it is asked for.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from tradewind.errors import BadParameters
from tradewind.live.accounts.gap import PARTS
from tradewind.live.orders.states import UNKNOWN
from tradewind.live.runtime import STEPS, Runtime
from tradewind.live.session.events import REPORT, Event, Output
from tradewind.live.session.trading import used_of_limits
from tradewind.operations.prometheus.labels import OTHER, Labels
from tradewind.operations.prometheus.watched import WatchedModel
from tradewind.trading.risk.gate import CHECKS, GATE_ERROR
from tradewind.trading.risk.states import ACTIVE, HALTED, REDUCING

logger = logging.getLogger(__name__)
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
LOOK_S = 1.0
UNSCRAPED_S = 60.0  # then it is said in the log: whoever should watch does not
STATES = (ACTIVE, REDUCING, HALTED, "PAUSED", "FLATTENING")
REPORTED = {"accepted": "accepted", "refused": "refused", "cancelled": "cancelled", "missing": "missing"}
OUTCOMES = ("sent", "accepted", "filled", "refused", "cancelled", "missing", "unknown", "rejected", OTHER)


class AccountMetrics:
    """The figures of one account. Nothing that goes wrong in here reaches the account: it is counted."""

    def __init__(self, runtime: Runtime, bar_s: float, watched: Path | None = None) -> None:
        """Follow `runtime`, whose `observe` is taken.

        Args:
            runtime: the account's one writer.
            bar_s: seconds of this machine's time between two decisions of a symbol.
            watched: the monitoring pipeline's summary, where there may be one.
        """
        self.runtime, self.registry = runtime, CollectorRegistry()
        self.heard = self.decided = self._turned = self._looked = time.monotonic()
        self._asked, self._is_warned = 0.0, False
        symbols, limits = runtime.session.symbols, used_of_limits(runtime.session, runtime.state)
        self._labels = Labels(
            self.registry, symbol=symbols, code=(*CHECKS, GATE_ERROR), limit=limits, outcome=OUTCOMES
        )  # fmt: skip
        self._make_counters(symbols)
        self._make_gauges(bar_s)
        ProcessCollector(registry=self.registry)
        if watched is not None:
            self.registry.register(WatchedModel(watched))
        self.look()
        runtime.observe = self.observe

    def _make_counters(self, symbols: Sequence[str]) -> None:
        kept: dict[str, Any] = {"registry": self.registry}
        self.decisions = Counter("tradewind_decisions", "Decisions.", ["symbol", "acts"], **kept)
        self.orders = Counter("tradewind_orders", "Orders by what became of them; a fill is one of any size.",
                              ["outcome"], **kept)  # fmt: skip
        self.rejections = Counter("tradewind_rejections", "Orders that the risk gate did not let pass.", ["code"],
                                  **kept)  # fmt: skip
        self.tripped = Counter("tradewind_limits_tripped", "Loss limits that were broken.", ["limit"], **kept)
        self.quarantined = Counter("tradewind_quarantined", "Bars and prices that cannot be.", **kept)
        self.seconds = Histogram("tradewind_step_seconds", "Time of a step of a batch.", ["step"], buckets=BUCKETS,
                                 **kept)  # fmt: skip
        self.errors = Counter("tradewind_metrics_errors", "Failures of these figures themselves.", **kept)
        # A counter that appears with its first event has no increase that Prometheus could see.
        for symbol in symbols:
            for acts in ("true", "false"):
                self.decisions.labels(symbol, acts)
        for outcome in OUTCOMES[:-1]:
            self.orders.labels(outcome)
        for code in (*CHECKS, GATE_ERROR):
            self.rejections.labels(code)
        for limit in ("daily_loss", "drawdown"):
            self.tripped.labels(limit)
        for step in STEPS:
            self.seconds.labels(step)

    def _make_gauges(self, bar_s: float) -> None:
        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(f"tradewind_{name}", what, list(labels), registry=self.registry)

        def since(name: str, what: str, read: Callable[[], float]) -> None:
            gauge(name, what).set_function(read)

        self.feed_age = gauge("feed_age_seconds", "Since a symbol was last heard of, venue's time.", "symbol")
        self.limits = gauge("limit_used_ratio", "Used share of a limit; 1 is all of it.", "limit")
        self.equity = gauge("equity", "Of the account, in its currency.")
        self.twin = gauge("twin_equity", "Of the backtest going on, in the account's currency.")
        self.gap = gauge("gap", "Account minus twin, by cause, in the account's currency.", "part")
        self.gap_ratio = gauge("gap_ratio", "Account minus twin, as a share of the starting capital.")
        self.drawdown = gauge("drawdown_ratio", "Loss since the highest equity.")
        self.state = gauge("trading_state", "1 for the state that the account is in.", "state")
        self.open = gauge("open_orders", "Orders that may still be filled.")
        self.unknown = gauge("unknown_orders", "Orders of which the venue says nothing.")
        self.queue = gauge("queued_bars", "Closed bars that wait for those of other symbols.")
        self.lag = gauge("loop_lag_seconds", "How late the account's loop came to its last turn.")
        self.records = gauge("journal_records", "Number of the journal's last record.")
        self.speed = gauge("bar_seconds", "Seconds between two decisions of a symbol, as they should be.")
        self.speed.set(bar_s)
        # Ages are of this machine's monotonic clock: setting the clock makes no alarm and hides none.
        since("decision_age_seconds", "Since something was decided last.", lambda: time.monotonic() - self.decided)
        since("feed_silence_seconds", "Since the feed last sent something.", lambda: time.monotonic() - self.heard)
        since("heartbeat_age_seconds", "Since the account's loop last turned.", self._heartbeat)
        since("journal_lag_seconds", "How long the oldest event is not on the disk.", self._journal_lag)

    def observe(self, events: Sequence[Event], outputs: Sequence[Output], steps: Mapping[str, float]) -> None:
        """Count what was journalled.

        Args:
            events: that came.
            outputs: what followed.
            steps: seconds of each step.
        """
        self._guarded(self._observe, events, outputs, steps)

    def _observe(self, events: Sequence[Event], outputs: Sequence[Output], steps: Mapping[str, float]) -> None:
        for step, seconds in steps.items():
            self.seconds.labels(step).observe(seconds)
        for event in events:
            if event.kind == REPORT:
                what = str(event.body["what"])
                if what != "whole":  # its fills are counted
                    self._outcome("filled" if what == "fill" else REPORTED.get(what, what))
        for one in outputs:
            if one.kind == "decision":
                symbol = self._labels.of("symbol", str(one.body["symbol"]))
                self.decisions.labels(symbol, "true" if one.body["acts"] else "false").inc()
                self.decided = time.monotonic()
            elif one.kind == "intent":
                self._outcome("sent")
            elif one.kind == "ask":
                self._outcome("unknown")
            elif one.kind == "risk_rejected":
                self._outcome("rejected")
                self.rejections.labels(self._labels.of("code", str(one.body["code"]))).inc()
            elif one.kind == "limit_tripped":
                self.tripped.labels(self._labels.of("limit", str(one.body["limit"]))).inc()
            elif one.kind == "quarantined":
                self.quarantined.inc()

    def _outcome(self, outcome: str) -> None:
        self.orders.labels(self._labels.of("outcome", outcome)).inc()

    def turn(self, expected_s: float = 0.0) -> None:
        """The account's loop has come round; to be called often, with how long it was to sleep."""
        now = time.monotonic()
        lag, self._turned = max(now - self._turned - expected_s, 0.0), now
        if now - self._looked >= LOOK_S:
            self._looked = now
            self.lag.set(lag)
            self.look()
            self._warn_if_unscraped(now)

    def look(self) -> None:
        """Set the gauges from the account's state."""
        self._guarded(self._look)

    def _look(self) -> None:
        runtime, state = self.runtime, self.runtime.state
        capital = runtime.session.capital
        for symbol, at_ms in state.seen_ms.items():
            if at_ms:
                self.feed_age.labels(self._labels.of("symbol", symbol)).set((state.now_ms - at_ms) / 1000)
        for limit, (used, allowed) in used_of_limits(runtime.session, state).items():
            self.limits.labels(self._labels.of("limit", limit)).set(used / allowed if allowed > 0 else 0.0)
        self.equity.set(state.paper.equity)
        self.twin.set(state.twin.equity * capital)
        for part in PARTS:
            self.gap.labels(part).set(state.gap.parts[part])
        self.gap_ratio.set(state.gap.total / capital)
        self.drawdown.set(max(1.0 - state.paper.equity / state.risk.peak, 0.0) if state.risk.peak > 0 else 0.0)
        found = {state.risk.mode: True, "PAUSED": state.risk.paused, "FLATTENING": state.risk.flattening}
        for name in STATES:
            self.state.labels(name).set(float(found.get(name, False)))
        self.open.set(sum(one.is_open for one in state.orders.values()))
        self.unknown.set(sum(one.status == UNKNOWN for one in state.orders.values()))
        self.queue.set(len(state.decision.assembly.pending))
        self.records.set(runtime.journal.head[0])

    def _guarded(self, act: Callable[..., None], *given: Any) -> None:
        try:
            act(*given)
        except Exception:  # an account is not stopped by the figures about it
            if not self.errors._value.get():
                logger.exception("the figures for Prometheus fail; the account goes on")
            self.errors.inc()

    def _heartbeat(self) -> float:
        self._asked = time.monotonic()
        return self._asked - self._turned

    def _journal_lag(self) -> float:
        began = self.runtime.writing_since
        return time.monotonic() - began if began else 0.0

    def _warn_if_unscraped(self, now: float) -> None:
        """The local alarm: nobody else can say that nobody looks any more."""
        is_late = bool(self._asked) and now - self._asked > UNSCRAPED_S
        if is_late and not self._is_warned:
            logger.error("ALARM: Prometheus has not asked for %.0f s; the account goes on unwatched", UNSCRAPED_S)
        elif self._is_warned and not is_late:
            logger.warning("Prometheus asks again")
        self._is_warned = is_late

    def serve(self, host: str, port: int) -> tuple[Callable[[], None], int]:
        """Answer Prometheus from a thread of its own; how to end that, and the port.

        Raises:
            BadParameters: the port cannot be opened.
        """
        try:
            server, thread = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise BadParameters(
                f"port {port} for Prometheus cannot be opened ({error.strerror}): end what uses it, or choose another "
                "(paper.metrics_port)"
            ) from error

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join(5)

        return end, int(server.server_port)
