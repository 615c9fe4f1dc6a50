"""One event to what follows from it: `step(state, event)` gives the outputs, and asks no clock, no file, no network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tradewind.errors import BadParameters
from tradewind.learning.features.assembly import Arrivals, Bar, SideValue
from tradewind.live.accounts.books import Books
from tradewind.live.accounts.gap import PaperFill, split_bar
from tradewind.live.accounts.paper import PaperState
from tradewind.live.accounts.twin import Twin, TwinStep
from tradewind.live.orders.executors import Quote
from tradewind.live.orders.states import CANCELLED, Report, apply_report
from tradewind.live.session import trading
from tradewind.live.session.drift import References, count, hold_back
from tradewind.live.session.events import (
    FAULT,
    FEED,
    MARKET,
    OPERATOR,
    RECONCILED,
    REPORT,
    STAGE,
    Event,
    Output,
    side_values,
)
from tradewind.live.session.guardrails import Account as Guarded
from tradewind.live.session.guardrails import Action, guard, lent
from tradewind.live.session.state import SessionState
from tradewind.live.settings import LiveRules
from tradewind.operations.journal.records import plain
from tradewind.trading.decision.decider import Decider, decisions_of
from tradewind.trading.decision.protocols import Account, Decision, Observed
from tradewind.trading.risk import states as risk
from tradewind.trading.risk.limits import Instrument
from tradewind.trading.risk.stages import within_stage
from tradewind.trading.setup import TradingSetup

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Session:
    """Everything that stays the same while a session runs.

    Attributes:
        run: name of the run; part of every client id.
        decider: closed bars to targets.
        setup: costs and order rules, as of the backtest.
        rules: limits, guardrails, executors.
        instruments: of the venue, by symbol.
        bars_per_year: of the universe.
        ends: by symbol the close (ms) after which it has no bars, as far as delistings are stated.
        references: of drift, by symbol and kind, where that guardrail is on.
    """

    run: str
    decider: Decider
    setup: TradingSetup
    rules: LiveRules
    instruments: dict[str, Instrument]
    bars_per_year: float
    ends: Mapping[str, int] = field(default_factory=dict)
    references: References = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a guardrail that could never act.

        Raises:
            BadParameters: drift is to be guarded against, and a symbol has nothing to be compared with.
        """
        lacking = [name for name in self.symbols if not self.references.get(name)]
        if self.rules.guardrails.drift is not None and lacking:
            names = ", ".join(lacking)
            raise BadParameters(f"live.guardrails.drift has no reference of {names}: deploy the model again")

    @property
    def symbols(self) -> tuple[str, ...]:
        """Of the universe."""
        return self.decider.assembly.symbols

    @property
    def twin(self) -> Twin:
        """The backtest going on."""
        return Twin(self.symbols, self.setup.costs, self.setup.execution, self.bars_per_year, self.ends)

    @property
    def capital(self) -> float:
        """Both accounts begin with it."""
        return self.setup.execution.capital

    def begin(self, past: Sequence[Bar] = (), side: Sequence[SideValue] = (), now_ms: int = 0) -> SessionState:
        """A session without positions that has seen the past, and traded nothing in it.

        Args:
            past: closed bars before the session.
            side: values published before it.
            now_ms: venue's time at the beginning.
        """
        decision = self.decider.begin()
        if past:
            decision, _ = self.decider.advance(decision, Arrivals(now_ms, tuple(past), tuple(side)))
        state = SessionState(decision, self.twin.begin(), PaperState(self.capital), last_equity=self.capital)
        state.now_ms, state.done_ms = now_ms, decision.assembly.done_ms
        state.books = Books.begin(getattr(self.decider.policy, "shares", {}), self.capital)
        state.risk, _ = risk.read_equity(state.risk, self.capital, now_ms, self.rules.limits)
        for value in side:
            key = f"{value.series} {value.symbol}"
            state.side_ms[key] = max(state.side_ms.get(key, -1), value.known_at)
        for bar in past:
            state.paper.marks[bar.symbol] = state.gap.closes[bar.symbol] = bar.close
        return state

    def step(self, state: SessionState, event: Event) -> list[Output]:
        """What follows from the event; `state` is moved on in place. The same state and event give the same outputs."""
        handlers: dict[str, Callable[[SessionState, Event, list[Output]], None]] = {
            MARKET: self._market, REPORT: self._report, OPERATOR: self._operator, FEED: self._feed,
            RECONCILED: self._reconciled, FAULT: self._fault, STAGE: self._stage,
        }  # fmt: skip
        outputs: list[Output] = []
        before = (state.risk.mode, state.risk.paused, state.risk.flattening)
        state.now_ms = max(state.now_ms, event.now_ms)
        handlers[event.kind](state, event, outputs)
        if state.risk.flattening and not before[2]:
            state.weights, state.wanted = (dict.fromkeys(self.symbols, 0.0) for _ in range(2))
            state.books.leave(state.paper.marks)
            trading.cancel_all(state, outputs)
        trading.work(self, state, outputs)
        if state.risk.flattening and not trading.can_be_reduced(self, state) and not state.executors:
            state.risk = risk.positions_closed(state.risk, state.now_ms)
        if (state.risk.mode, state.risk.paused, state.risk.flattening) != before:
            body = {name: state.risk.to_body()[name] for name in ("mode", "paused", "flattening", "reason", "who")}
            outputs.append(Output("state_changed", {**body, "before": before[0]}))
            if state.risk.mode == risk.HALTED or state.risk.paused:
                trading.cancel_all(state, outputs)
        return outputs

    def _market(self, state: SessionState, event: Event, outputs: list[Output]) -> None:
        self._clock(state, int(event.body["skew_ms"]), outputs)
        for symbol, numbers in event.body["quotes"].items():
            self._quote(state, symbol, Quote(*numbers), outputs)
        bars, side = self._accepted(state, event, outputs)
        shares = Account(state.paper.equity, state.paper.shares())
        state.decision, observed = self.decider.observe(
            state.decision, Arrivals(state.now_ms, tuple(bars), tuple(side)), shares
        )
        decisions = decisions_of(observed)
        share = 1.0 / len(self.symbols)
        weights = {one.seen.symbol: one.steps.target * share for one in observed}
        for step in self.twin.advance(state.twin, observed, side, weights):
            self._close(state, step, observed, decisions, outputs)
        if event.body["quotes"] and not decisions:
            self._read_equity(state, outputs)

    def _clock(self, state: SessionState, skew_ms: int, outputs: list[Output]) -> None:
        """Two readings in a row beyond the limit halt; one alone lets no order pass."""
        limit = self.rules.limits.max_clock_skew_s * 1000
        if abs(skew_ms) > limit:
            outputs.append(Output("clock", {"skew_ms": skew_ms}))
            state.count("clock_faults")
            if abs(state.skew_ms) > limit:
                state.risk = risk.fault(state.risk, f"the clocks are {skew_ms / 1000:.0f} s apart", state.now_ms)
        state.skew_ms = skew_ms

    def _quote(self, state: SessionState, symbol: str, quote: Quote, outputs: list[Output]) -> None:
        mark = state.paper.marks.get(symbol, quote.middle)
        is_sane = 0.0 < quote.bid <= quote.ask and np.isfinite(quote.ask) and 0.2 * mark < quote.middle < 5.0 * mark
        is_sane = is_sane and 0.2 * mark < quote.last < 5.0 * mark
        if not is_sane:
            outputs.append(Output("quarantined", {"symbol": symbol, "what": "quote", "value": plain(list(quote))}))
            state.count("quarantined")
            return
        state.quotes[symbol], state.seen_ms[symbol] = quote, quote.at_ms
        state.paper.marks[symbol] = quote.middle

    def _accepted(self, state: SessionState, event: Event, outputs: list[Output]) -> tuple[list[Bar], list[SideValue]]:
        """The bars that can be; those that cannot are put aside with the reason."""
        done, pending, bars = state.decision.assembly.done_ms, state.decision.assembly.pending, []
        kept = {(one.symbol, one.timestamp) for one in pending}
        for row in event.body["bars"]:
            bar = Bar(*row)
            prices = (bar.open, bar.high, bar.low, bar.close)
            last = state.gap.closes.get(bar.symbol, 0.0)
            fault = ""
            if bar.symbol not in self.symbols:
                fault = "unknown symbol"
            elif bar.timestamp > state.now_ms:
                fault = "not closed yet"
            elif bar.timestamp <= done:
                fault = "too late: its timestamp is decided"
            elif (bar.symbol, bar.timestamp) in kept:
                fault = "delivered twice"
            elif not all(np.isfinite(prices)) or min(prices) <= 0 or not 0 <= bar.volume < 1e15:
                fault = "a price or volume that cannot be"
            elif not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
                fault = "high and low do not hold open and close"
            elif last and not 0.2 * last < bar.close < 5.0 * last:
                fault = "the price is five times away from the last one"
            if fault:
                outputs.append(Output("quarantined", {"symbol": bar.symbol, "what": fault, "value": plain(list(bar))}))
                state.count("quarantined")
                continue
            kept.add((bar.symbol, bar.timestamp))
            bars.append(bar)
            state.seen_ms[bar.symbol] = max(state.seen_ms.get(bar.symbol, 0), bar.timestamp)
        return bars, self._published(state, side_values(event.body["side"]), outputs)

    def _published(self, state: SessionState, values: Sequence[SideValue], outputs: list[Output]) -> list[SideValue]:
        """Values that are newer than all of their series and symbol, each as of when it could be used."""
        done, kept = state.decision.assembly.done_ms, []
        for value in values:
            key, row = f"{value.series} {value.symbol}", plain(list(value))
            if value.known_at <= state.side_ms.get(key, -1):
                body = {"symbol": value.symbol, "what": "it or a newer one was published", "series": value.series}
                outputs.append(Output("quarantined", body | {"value": row}))
                state.count("quarantined")
                continue
            state.side_ms[key] = value.known_at
            if value.known_at <= done:
                # Decisions that should have known it are made: it counts from now on, in the twin's backtest, too.
                outputs.append(Output("late_side", {"value": row, "counts_from": done + 1}))
                state.count("late_side")
                value = value._replace(known_at=done + 1)
            kept.append(value)
        return kept

    def _close(
        self, state: SessionState, step: TwinStep, observed: Sequence[Observed], decisions: Sequence[Decision],
        outputs: list[Output],
    ) -> None:  # fmt: skip
        """One timestamp: the accounts are marked and compared, then the targets of its decisions are set."""
        taker = self.setup.costs.taker_fee_bps * 1e-4
        funding = step.funding * self.capital
        for one in observed:
            place = np.flatnonzero(one.seen.chunk.timestamp == step.timestamp)
            if not len(place):
                continue
            symbol, row = one.seen.symbol, int(place[0])
            self._watch_drift(state, one, row, outputs)
            opening, close = float(one.seen.chunk.open[row]), float(one.seen.chunk.close[row])
            rate = step.rates.get(symbol, 0.0)
            if rate and state.paper.units.get(symbol):
                paid = state.paper.pay_funding(symbol, opening, rate)
                state.gap.parts["funding"] -= paid
                state.books.pay_funding(symbol, opening, rate)
                outputs.append(Output("funding", {"symbol": symbol, "rate": rate, "paid": paid}))
            split_bar(state.gap, symbol, opening, close, step.bars[symbol], self.capital, taker)
            state.paper.marks[symbol] = close
        state.gap.parts["funding"] += funding
        state.done_ms = step.timestamp
        now = [decision for decision in decisions if decision.timestamp == step.timestamp]
        equity = state.paper.equity
        state.returns = [*state.returns, equity / state.last_equity - 1.0][-2000:] if state.last_equity > 0 else []
        state.last_equity = equity
        self._read_equity(state, outputs)
        targets = {decision.symbol: decision.target / len(self.symbols) for decision in now}
        kept = {name: one for name, one in state.weights.items() if name not in targets}
        targets, drifted = hold_back(
            targets, state.weights, state.paper.shares(), state.drift, self.rules.guardrails.drift
        )
        guarded, others = guard(
            kept | targets, Guarded(state.paper.shares(), state.traded, state.returns, state.now_ms),
            self.rules.guardrails,
        )  # fmt: skip
        actions = (*drifted, *others)
        staged = within_stage(guarded, state.risk, equity)
        if staged != guarded:
            allowed = state.risk.stage_capital if state.risk.stage_capital is not None else float(len(staged))
            actions = (*actions, Action("stage", equity, allowed, f"targets as {state.risk.stage} allows"))
            guarded = staged
        guarded, short = lent(guarded, self.instruments)
        actions = (*actions, *short)
        for action in actions:
            outputs.append(Output("guardrail", action._asdict()))
            state.count("guardrails")
        parts = _parts_at(observed, step.timestamp)
        for decision in now:
            seen = trading.Guarded(guarded[decision.symbol], bool(actions), parts.get(decision.symbol, {}))
            trading.decide(self, state, decision, seen, outputs)
        books = {name: book.equity(state.paper.marks) for name, book in state.books.of.items()}
        outputs.append(Output("account", ({"books": books} if books else {}) | {
            "timestamp": step.timestamp, "equity": equity, "twin": state.twin.equity * self.capital,
            "cash": state.paper.cash, "units": {name: one for name, one in state.paper.units.items() if one},
            "gap": dict(state.gap.parts),
        }))  # fmt: skip

    def _watch_drift(self, state: SessionState, one: Observed, row: int, outputs: list[Output]) -> None:
        """Count a bar; what has drifted is recorded at each look, also where no target is changed by it."""
        rules = self.rules.guardrails.drift
        for found in count(state.drift, self.references, one, row) if rules is not None else ():
            if rules is not None and found.over > rules.above:
                outputs.append(Output("drift", plain({"symbol": one.seen.symbol, **found._asdict()})))

    def _read_equity(self, state: SessionState, outputs: list[Output]) -> None:
        state.risk, broken = risk.read_equity(state.risk, state.paper.equity, state.now_ms, self.rules.limits)
        for name in broken:
            found = {"limit": name, "allowed": getattr(self.rules.limits, name), "equity": state.paper.equity}
            outputs.append(Output("limit_tripped", plain(found)))
            state.count("limits_tripped")

    def _report(self, state: SessionState, event: Event, outputs: list[Output]) -> None:
        report = Report(**event.body)
        order = state.orders.get(report.client_id)
        if order is None:
            outputs.append(Output("unknown_order", {"client_id": report.client_id, "what": report.what}))
            state.count("unknown_orders")
            if report.what == "fill":
                state.risk = risk.fault(state.risk, f"a fill of an unknown order {report.client_id}", state.now_ms)
            return
        units = apply_report(order, report)
        if report.what == "unknown":
            state.count("unknown")
        if report.what == "refused":
            state.count("refused")
            state.gap.refused[order.symbol] = True
        if units:
            state.paper.fill(order.symbol, units, report.price, report.fee)
            state.books.share_fill(order.symbol, units, report.price, report.fee)
            fill = PaperFill(units, report.price, report.fee, order.decided, report.middle)
            state.gap.fills.setdefault(order.symbol, []).append(fill)
            state.gap.refused[order.symbol] = False
            state.count("fills")
            if state.paper.equity > 0:
                state.traded.append((state.now_ms, abs(units) * report.price / state.paper.equity))
            state.traded = [one for one in state.traded if one[0] > state.now_ms - DAY_MS]
        elif report.what == "fill":
            state.count("fills_told_twice")

    def _operator(self, state: SessionState, event: Event, outputs: list[Output]) -> None:
        body = event.body
        try:
            state.risk = risk.operate(
                state.risk, body["action"], body["who"], body["reason"], state.now_ms, body["detail"]
            )
        except BadParameters as error:
            outputs.append(Output("refused_operator", {"action": body["action"], "why": str(error)}))
            return

    def _stage(self, state: SessionState, event: Event, outputs: list[Output]) -> None:
        """From the next bar on targets are those of the stage; orders beyond it are refused at once."""
        state.risk = risk.enter_stage(state.risk, event.body, state.now_ms)
        state.count("stages")

    def _feed(self, state: SessionState, event: Event, outputs: list[Output]) -> None:
        names = (event.body["symbol"],) if event.body["symbol"] else self.symbols
        for name in names:
            if event.body["what"] in ("stale", "gap"):
                state.stale[name] = event.body["detail"]
                if event.body["what"] == "stale":  # nobody watches over what rests
                    trading.take_back_resting(state, name, outputs)
            elif event.body["what"] == "fresh":
                state.stale.pop(name, None)
        state.count(f"feed_{event.body['what']}")

    def _reconciled(self, state: SessionState, event: Event, outputs: list[Output]) -> None:
        """What the venue holds against what we think; a position that is not ours is not touched: it halts."""
        living = set(event.body["orders"])
        for order in state.orders.values():
            if order.is_open and order.client_id not in living:
                order.status = CANCELLED
                outputs.append(Output("order_missing", {"client_id": order.client_id, "symbol": order.symbol}))
        for symbol in self.symbols:
            here, there = state.paper.units.get(symbol, 0.0), float(event.body["positions"].get(symbol, 0.0))
            if abs(here - there) > self.instruments[symbol].lot_size / 2:
                why = f"the venue holds {there:g} {symbol}, the account {here:g}"
                outputs.append(Output("position_differs", {"symbol": symbol, "venue": there, "account": here}))
                state.risk = risk.fault(state.risk, why, state.now_ms)

    def _fault(self, state: SessionState, event: Event, outputs: list[Output]) -> None:
        state.count("faults")
        state.risk = risk.fault(state.risk, str(event.body["reason"]), state.now_ms)


def _parts_at(observed: Sequence[Observed], timestamp: int) -> dict[str, dict[str, float]]:
    """By symbol what each of several policies adds to the target at a timestamp."""
    found: dict[str, dict[str, float]] = {}
    for one in observed:
        place = np.flatnonzero(one.seen.chunk.timestamp == timestamp)
        if len(place) and one.steps.parts:
            found[one.seen.symbol] = {name: float(part[place[0]]) for name, part in one.steps.parts.items()}
    return found
