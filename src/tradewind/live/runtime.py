"""The one writer: journals every event with what follows from it, then acts. Start is recovery."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradewind import clock
from tradewind.atomic import write_bytes
from tradewind.errors import BadData, BadParameters, TradewindError
from tradewind.learning.features.assembly import Bar, SideValue
from tradewind.live import origin
from tradewind.live.orders.states import OPEN, Report
from tradewind.live.session.events import (
    EVENTS,
    FAULT,
    FEED,
    MARKET,
    RECONCILED,
    Event,
    Output,
    StageLimits,
    operator_event,
    report_event,
    side_values,
    stage_event,
)
from tradewind.live.session.session import Session
from tradewind.live.session.state import SessionState
from tradewind.live.venue.paper import Broker, Standing
from tradewind.operations.journal.anchors import drop_anchor
from tradewind.operations.journal.fence import Turn
from tradewind.operations.journal.halt_file import HALT_FILE, halt_reason, is_halted
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.journal.records import Record, canonical, plain
from tradewind.trading.risk.states import HALTED, lacks_people

JOURNAL, SNAPSHOTS, ANCHORS = "journal.jsonl", "snapshots", "anchors.jsonl"
STARTED, PAST, RECOVERED, ENDED, ALARM = "run_started", "past", "recovered", "run_ended", "alarm"
UPDATED = "program_updated"
KEPT_SNAPSHOTS = 3
KEPT_RECORDS = 4000
STEPS = ("decide", "journal", "act")
Observer = Callable[[Sequence[Event], Sequence[Output], Mapping[str, float]], None]


@dataclass
class Timing:
    """How long it took from an event to its durable outputs, in milliseconds: wall, and CPU without the disk."""

    durable: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass
class Start:
    """What a run starts from, all of it in its first records.

    Attributes:
        about: model, code, venue, universe: what people want to know.
        past: closed bars before the session.
        side: values published before it.
        now_ms: the venue's time.
        is_updated: whether a run goes on with other code than it was begun with, where every command of it comes out
            the same; the whole run is replayed then.
    """

    about: Mapping[str, Any]
    past: Sequence[Bar] = ()
    side: Sequence[SideValue] = ()
    now_ms: int = 0
    is_updated: bool = False


class Runtime:
    """A session with its journal and its broker."""

    def __init__(
        self, folder: Path, session: Session, broker: Broker, start: Start, anchors: Path | None = None,
        turn: Turn | None = None,
    ) -> None:  # fmt: skip
        """Open the run in `folder`: begin it, or go on where it ended.

        Args:
            folder: of the run: journal, snapshots, HALT file.
            session: what is run.
            broker: where orders go.
            start: what a new run starts from; of a run that goes on only `now_ms` and `is_updated` are read.
            anchors: a file in another place, for heads of the journal.
            turn: of this process, where another one may take over.

        Raises:
            BadData: the journal is not what was written, or replaying it gives other commands.
            BadParameters: the run was begun with another configuration or other code, or is in use.
        """
        self.folder, self.session, self.broker = folder, session, broker
        self.turn = turn
        self.journal = Journal(folder / JOURNAL, turn)
        self.anchors = anchors or folder / "anchors" / ANCHORS
        self.timing, self.recent = Timing(), list[Record]()
        self.stage: Callable[[], StageLimits] | None = None  # of the rollout that the account is in
        self.observe: Observer | None = None  # gets every batch that was journalled, with the seconds of `STEPS`
        self.writing_since = 0.0  # `time.monotonic` of a write under way
        self.recovered = self.journal.head[0] > 0
        self._bars_since_snapshot, self._anchored_ms = 0, 0
        try:
            if self.recovered:
                self.about, self.state = self._recover(start)
                self._reconcile(start.now_ms)
            else:
                self.about, self.state = dict(start.about), self._begin(start)
        except BaseException:
            self.journal.close()
            raise

    def _begin(self, start: Start) -> SessionState:
        about = {
            **start.about, "run": self.session.run, "fingerprint": origin.fingerprint_of(self.session),
            "settings": origin.settings_of(self.session), origin.CODE: origin.code_of(self.session),
        }  # fmt: skip
        self._append([Entry(STARTED, plain(about)), Entry(PAST, _past_of(start))])
        return self.session.begin(start.past, start.side, start.now_ms)

    def _recover(self, start: Start) -> tuple[dict[str, Any], SessionState]:
        """The state after the last record: the newest snapshot that fits, and what came after it once more."""
        records = list(read(self.folder / JOURNAL))
        about = dict(records[0].body)
        if len(records) == 1 and records[0].kind == STARTED:  # killed within the very first write
            records += self._append([Entry(PAST, _past_of(start))])
        if [one.kind for one in records[:2]] != [STARTED, PAST]:
            raise BadData(f"{self.folder / JOURNAL} does not begin as a run does: choose another folder")
        origin.require_same(self.session, about, self.folder)
        changed = origin.changed_code(self.session, about, [one.body for one in records if one.kind == UPDATED])
        if not start.is_updated:
            origin.require_same_code(changed, self.folder)
        after, state = (0, None) if changed else self._snapshot(records)
        if state is None:
            body = records[1].body
            state = self.session.begin([Bar(*one) for one in body["bars"]], side_values(body["side"]), body["now_ms"])
        self._replay(state, records, after)
        self.recent = [one for one in records if one.kind != PAST][-KEPT_RECORDS:] + self.recent
        body = {"records": len(records), "torn_bytes": self.journal.torn_bytes, "from_snapshot": after,
                "turn": self.turn.epoch if self.turn else 0}  # fmt: skip
        updated = [Entry(UPDATED, {"changed": changed, origin.CODE: origin.code_of(self.session)})] if changed else []
        self._append([*updated, Entry(RECOVERED, body)])
        return about, state

    def _snapshot(self, records: Sequence[Record]) -> tuple[int, SessionState | None]:
        for path in sorted((self.folder / SNAPSHOTS).glob("*.state"), reverse=True):
            seq, _, digest = path.stem.partition("-")
            if int(seq) > len(records) or not records[int(seq) - 1].hash.startswith(digest):
                continue
            try:
                return int(seq), SessionState.from_bytes(path.read_bytes(), self.session.decider)
            except BadData:
                continue  # a torn snapshot: an older one, or the beginning, does as well
        return 0, None

    def _replay(self, state: SessionState, records: Sequence[Record], after: int) -> None:
        followed: dict[int, list[Output]] = {}
        for record in records[after:]:
            if record.cause and record.kind not in EVENTS:
                followed.setdefault(record.cause, []).append(Output(record.kind, record.body))
        last = max((record.seq for record in records if record.kind in EVENTS), default=0)
        may_lack = bool(records) and last in (records[-1].seq, records[-1].cause)
        for record in records[after:]:
            if record.kind not in EVENTS:
                continue
            outputs = self.session.step(state, Event.from_record(record.kind, record.body))
            here = [(one.kind, canonical(plain(one.body))) for one in outputs]
            there = [(one.kind, canonical(one.body)) for one in followed.get(record.seq, [])]
            if may_lack and record.seq == last and here != there == here[: len(there)]:
                # A kill within the write of the last batch: nobody has acted on it, and the venue is asked below.
                self._append([Entry(one.kind, plain(one.body), record.seq) for one in outputs[len(there) :]])
            elif here != there:
                raise BadData(
                    f"replaying record {record.seq} of {self.folder / JOURNAL} gives other commands than are recorded: "
                    "code or data changed under the run; start with --new-run"
                )

    def _reconcile(self, now_ms: int) -> None:
        """Ask the venue for what became of every open order, then compare what it holds with the account."""
        now_ms = max(now_ms, self.state.now_ms)
        for order in list(self.state.orders.values()):
            if order.status in OPEN:
                for report in self.broker.history(order.client_id):
                    self.handle(report_event(report._replace(at_ms=max(report.at_ms, self.state.now_ms))))
        there = self.broker.standing()
        self.drain()  # what was filled before
        self.handle(_reconciled(now_ms, there))

    def handle(self, event: Event) -> list[Output]:
        """Journal an event with what follows from it, then act; the outputs of this event alone.

        Raises:
            TemporaryOutage: the journal cannot be written. Nothing was sent; the run must be started again.
        """
        if event.kind == MARKET:
            self.broker.beat(event.now_ms)
        outputs = self._several([event])
        self.drain()
        return outputs

    def drain(self) -> None:
        """Take over what the broker has to tell."""
        while reports := self.broker.poll():
            self._several([report_event(one) for one in reports])

    def watch_broker(self) -> None:
        """Take over what the broker has to tell, and what it holds where that is not what it has told."""
        self.drain()
        there = self.broker.differs()
        if there is not None:
            # What was sent meanwhile is not what the broker looked at.
            living = tuple(one.client_id for one in self.state.orders.values() if one.is_open)
            self.handle(_reconciled(self.state.now_ms, there._replace(orders=living)))

    def _several(self, events: Sequence[Event]) -> list[Output]:
        """Events with all that follows from them in one write; only then anything is sent."""
        started, cpu = time.perf_counter(), time.process_time()
        entries: list[Entry] = []
        outputs: list[Output] = []
        for event in events:
            entries.append(Entry(event.kind, plain(event.to_body())))
            cause, found = -len(entries), self.session.step(self.state, event)
            entries += [Entry(one.kind, plain(one.body), cause) for one in found]
            outputs += found
        spent = (time.process_time() - cpu) * 1000
        decided = time.perf_counter()
        self._append(entries)
        written = time.perf_counter()
        if any(one.kind == "decision" for one in outputs):
            self.timing.durable.append((time.perf_counter() - started) * 1000)
            self.timing.cpu.append(spent)
            limit = self.session.rules.slow_decision_ms
            if spent > limit:
                detail = f"{spent:.0f} ms of CPU for a decision, {limit:g} are allowed"
                self.alarm("slow_decision", detail)
        self._act(outputs)
        if self.observe is not None:
            took = (decided - started, written - decided, time.perf_counter() - written)
            self.observe(events, outputs, dict(zip(STEPS, took, strict=True)))
        self._bars_since_snapshot += sum(one.kind == "account" for one in outputs)
        if self._bars_since_snapshot >= self.session.rules.snapshot_every_bars:
            self.snapshot()
        if self.state.now_ms - self._anchored_ms >= self.session.rules.anchor_every_s * 1000:
            self.anchor()
        return outputs

    def _act(self, outputs: Sequence[Output]) -> None:
        for one in outputs:
            if one.kind == "intent":
                if self.is_halted_by_file():
                    self._halted_before(one.body)
                    continue
                self.broker.submit(one.body, self.state.now_ms)
            elif one.kind == "cancel":
                self.broker.cancel(one.body["client_id"], self.state.now_ms)
            elif one.kind == "ask":
                self.broker.ask(one.body["client_id"])

    def _halted_before(self, order: Mapping[str, Any]) -> None:
        """The HALT file was there before the order was sent: it is not."""
        now_ms = self.state.now_ms
        events = [report_event(Report(order["client_id"], "refused", now_ms, reason="HALT file"))]
        if self.state.risk.mode != HALTED:
            events.append(operator_event(now_ms, "halt", "HALT file", halt_reason(self.folder)))
        self._several(events)

    def is_halted_by_file(self) -> bool:
        """Whether someone has put a HALT file into the run's folder."""
        return is_halted(self.folder)

    def watch_halt_file(self) -> None:
        """Halt if the file is there; to be called often."""
        if self.is_halted_by_file() and self.state.risk.mode != HALTED:
            self.handle(operator_event(self.state.now_ms, "halt", "HALT file", halt_reason(self.folder)))

    def watch_stage(self) -> None:
        """Take over the rollout's stage where it has changed; halt if its journal is not to be believed."""
        if self.stage is None:
            return
        try:
            event = stage_event(self.state.now_ms, self.stage(), self.session.symbols)
        except TradewindError as error:
            if self.state.risk.mode != HALTED:
                self.fault(str(error))
            return
        risk, body = self.state.risk, event.body
        symbols = None if risk.stage_symbols is None else list(risk.stage_symbols)
        if (body["stage"], body["capital"], body["symbols"]) != (risk.stage, risk.stage_capital, symbols):
            self.handle(event)

    def operate(self, action: str, who: str, reason: str, detail: Mapping[str, Any] | None = None) -> str:
        """What an operator orders; "" or why it was refused. To resume, the HALT file must be gone.

        Args:
            action: one of `risk.states.ACTIONS`.
            who: the operator.
            reason: in words.
            detail: see `risk.states.operate`.
        """
        given = dict(detail or {})
        if action == "resume":
            try:
                given |= self._people()
            except TradewindError as error:  # a rollout that is not to be believed lets nothing go on
                return str(error)
            if self.is_halted_by_file() and not lacks_people(self.state.risk, given):
                return f"remove {self.folder / HALT_FILE} first"
        outputs = self.handle(operator_event(self.state.now_ms, action, who, reason, given))
        return next((one.body["why"] for one in outputs if one.kind == "refused_operator"), "")

    def may_resume(self) -> bool:
        """Whether as many people as the rollout's stage asks for have allowed the account to leave HALTED."""
        try:
            return not lacks_people(self.state.risk, self._people())
        except TradewindError:
            return False

    def _people(self) -> dict[str, Any]:
        """How many people must let the account leave HALTED, and who has since it was halted."""
        if self.stage is None or self.state.risk.mode != HALTED:
            return {}
        limits, since = self.stage(), self.state.risk.since_ms
        return {"people": limits.people, "allowed": [name for name, at in limits.allowed if at >= since]}

    def fault(self, reason: str) -> None:
        """Halt because something failed that must not be traded through."""
        self.handle(Event(FAULT, self.state.now_ms, {"reason": reason}))

    def alarm(self, what: str, detail: str) -> None:
        """Record what people should see; nothing follows from it."""
        self._append([Entry(ALARM, {"what": what, "detail": detail})])

    def feed(self, event: Event) -> None:
        """Something about the data."""
        if event.kind != FEED:
            raise BadParameters(f"an event of the feed is needed, not {event.kind}")
        self.handle(event)

    def _append(self, entries: Sequence[Entry]) -> list[Record]:
        now_ms = int(clock.now().timestamp() * 1000)
        self.writing_since = time.monotonic()
        records = self.journal.append(entries, now_ms)
        self.writing_since = 0.0
        self.recent += [one for one in records if one.kind != PAST]
        if len(self.recent) > 2 * KEPT_RECORDS:
            self.recent = self.recent[-KEPT_RECORDS:]
        return records

    def snapshot(self) -> Path:
        """Write the state beside the journal; older ones but two are removed."""
        seq, digest = self.journal.head
        path = self.folder / SNAPSHOTS / f"{seq:012d}-{digest[:16]}.state"
        write_bytes(path, self.state.to_bytes(self.session.decider))
        for old in sorted(path.parent.glob("*.state"))[:-KEPT_SNAPSHOTS]:
            old.unlink(missing_ok=True)
        self._bars_since_snapshot = 0
        return path

    def anchor(self) -> None:
        """Keep the journal's head in the second place."""
        drop_anchor(self.anchors, self.journal.head, int(clock.now().timestamp() * 1000))
        self._anchored_ms = self.state.now_ms

    def end(self, reason: str) -> tuple[int, str]:
        """Record the end of this process, snapshot and anchor; the journal's head."""
        self.snapshot()
        self._append([Entry(ENDED, {"reason": reason})])
        self.anchor()
        if self.turn is not None:
            self.turn.release()
        head = self.journal.head
        self.close()
        return head

    def close(self) -> None:
        """Let another process go on."""
        self.journal.close()


def _reconciled(now_ms: int, there: Standing) -> Event:
    return Event(RECONCILED, now_ms, {"orders": list(there.orders), "positions": there.positions})


def _past_of(start: Start) -> dict[str, Any]:
    return {
        "bars": [list(one) for one in start.past], "side": [plain(list(one)) for one in start.side],
        "now_ms": start.now_ms,
    }  # fmt: skip
