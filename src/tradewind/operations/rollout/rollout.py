"""A rollout: evidence is measured, people approve it, a stage is entered; what goes wrong leads one stage back."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tradewind import clock
from tradewind.errors import BadData, BadParameters
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.journal.records import plain
from tradewind.operations.rollout.gates import GATES, STAY, Check, Facts, Gate, evaluate
from tradewind.operations.rollout.history import (
    ADVANCED,
    APPROVAL,
    DRILL,
    EVIDENCE,
    REFUSED,
    RESUME,
    WENT_BACK,
    History,
    day_of,
    fold,
)
from tradewind.operations.rollout.measuring import DAY_MS, Measured, measure
from tradewind.operations.rollout.people import Forbidden, Signer, public_key, sign
from tradewind.operations.rollout.plan import RolloutPlan
from tradewind.operations.rollout.status import EVIDENCE_HOURS, Status, standing

JOURNAL = "rollout.jsonl"
Measure = Callable[[int, int, int | None], Measured]


class Rollout:
    """The rollout of one account. Its state is its journal alone."""

    def __init__(
        self, project: Path, plan: RolloutPlan, now_ms: Callable[[], int] | None = None,
        measured: Measure | None = None, gates: Mapping[str, Check] | None = None,
    ) -> None:  # fmt: skip
        """A rollout whose folders are below `project`.

        Args:
            project: the project's folder.
            plan: stages, gates and people.
            now_ms: the time it is; default: this machine's clock.
            measured: (from, to, last record) to what was measured; default: of the plan's run.
            gates: by name; default: all.
        """
        self.plan, self.path = plan, project / plan.state / JOURNAL
        self._now = now_ms or (lambda: int(clock.now().timestamp() * 1000))
        self._measure = measured or (lambda begin, end, last: measure(project / plan.run / "journal.jsonl", begin, end,
                                                                      last))  # fmt: skip
        self._gates = GATES if gates is None else gates

    def history(self) -> History:
        """The journal folded, chain and signatures checked.

        Raises:
            BadData: it is not what was written, or something in it is forged.
        """
        return fold(read(self.path), self.plan, str(self.path)) if self.path.is_file() else History()

    def status(self) -> Status:
        """Where it stands now."""
        state, now = self.history(), self._now()
        return standing(
            self.plan, state, self._measured(state, now), now, lambda found: self._facts(state, found, now),
            lambda facts: evaluate(self.plan, facts, self._gates),
        )  # fmt: skip

    def record_drill(self, signer: Signer, steps: list[Mapping[str, Any]]) -> bool:
        """Keep the outcome of a fault drill; whether all of it passed.

        Raises:
            Forbidden: the signer is not named in the plan.
        """
        passed = bool(steps) and all(one["passed"] is True for one in steps)
        self._append(signer, DRILL, lambda _: {"steps": [dict(one) for one in steps], "passed": passed})
        return passed

    def collect(self, signer: Signer) -> str:
        """Measure, and keep what was found as evidence for the next stage; its hash, which people approve."""

        def body(state: History) -> dict[str, Any]:
            found = self._measured(state, self._now())
            return {"stage": self.plan.name(state.at), "plan": self.plan.digest, "measured": found.to_body()}

        return self._append(signer, EVIDENCE, body)

    def approve(self, signer: Signer, evidence: str) -> None:
        """Approve evidence by its hash.

        Raises:
            BadParameters: it is not the newest of this stage, or is too old.
            Forbidden: the signer is not named, or the key has expired.
        """

        def body(state: History) -> dict[str, Any]:
            newest = self._fresh(state)
            if not newest.hash.startswith(evidence) or len(evidence) < 12:
                raise BadParameters(f"the newest evidence is {newest.hash[:16]}: look at it and approve that")
            return {"evidence": newest.hash}

        self._append(signer, APPROVAL, body)

    def advance(self, signer: Signer) -> str:
        """Enter the next stage; its name.

        Raises:
            Forbidden: fewer people than are needed have approved, or the signer may not.
            BadParameters: a gate is closed, or there is no next stage.
            BadData: evidence does not agree with the account's journal: it is forged, or the journal was edited.
        """

        def body(state: History) -> dict[str, Any]:
            if state.at + 1 >= len(self.plan.stages):
                raise BadParameters(f"{self.plan.name(state.at)} is the last stage")
            newest = self._fresh(state)
            now = self._now()
            # What was approved, and what has happened since.
            both = (self._proved(newest), self._measured(state, now))
            closed = [one for found in both for one in evaluate(self.plan, self._facts(state, found, now), self._gates)
                      if not one.is_open]  # fmt: skip
            if any(one.name == "people" for one in closed):
                raise Forbidden(f"{self.plan.go.people} named people must approve {newest.hash[:16]}; so far "
                                f"{', '.join(sorted(state.approvals)) or 'nobody'} has")  # fmt: skip
            if closed:
                raise BadParameters(f"{closed[0].name}: {closed[0].found}, needed is {closed[0].needed}: stay at "
                                    f"{self.plan.name(state.at)}")  # fmt: skip
            return {"from": self.plan.name(state.at), "to": self.plan.name(state.at + 1), "evidence": newest.hash}

        self._append(signer, ADVANCED, body)
        return self.plan.name(self.history().at)  # read back: what others will see

    def allow_resume(self, signer: Signer, reason: str) -> None:
        """Allow the account, which is HALTED, to go on. Beyond paper so many people must as an advance needs.

        What was allowed before a halt does not count for it: the account compares the times.

        Args:
            signer: who allows it.
            reason: why, in words; it is kept.

        Raises:
            BadParameters: no reason, or it is on paper, where one person resumes.
            Forbidden: the signer is not named, or the key has expired.
        """

        def body(state: History) -> dict[str, Any]:
            if not reason.strip():
                raise BadParameters("to let a halted account go on needs a reason: it is kept")
            if state.at < 0:
                raise BadParameters("on paper no signatures are needed: `tradewind resume` alone leads on")
            return {"reason": reason}

        self._append(signer, RESUME, body)

    def back(self, who: str, reason: str) -> str:
        """Go one stage back; the stage that it is then. Anybody may: it takes risk away.

        Raises:
            BadParameters: no reason, or it is on paper already.
        """
        if not who.strip() or not reason.strip():
            raise BadParameters("a step back needs who makes it and why: both are kept")
        with self._opened() as journal:
            state = self.history()
            if state.at < 0:
                raise BadParameters("it is on paper already: there is nothing to go back from")
            body = {"by": who, "reason": reason, "from": self.plan.name(state.at), "to": self.plan.name(state.at - 1)}
            journal.append([Entry(WENT_BACK, body)], self._later(state))
        return str(body["to"])

    def check(self) -> list[Gate]:
        """Go one stage back if what happened in the present one forbids to stay; the gates that say so."""
        state = self.history()
        if state.at < 0:
            return []
        found = self._measured(state, self._now())
        facts = self._facts(state, found, self._now())
        known = found.uptime > 0  # before the first bar of a stage nothing has happened in it
        gates = [self._gates[name](self.plan, facts) for name in STAY if name in self._gates]
        closed = [one for one in gates if not one.is_open and (known or one.name == "critical")]
        if closed:
            why = "; ".join(f"{one.name}: {one.found}, needed is {one.needed}" for one in closed)
            self.back("rollout check", why)
        return closed

    def _measured(self, state: History, now: int, last: int | None = None) -> Measured:
        begin = state.since_ms if state.at >= 0 else now - int(self.plan.go.paper_days * DAY_MS)
        return self._measure(begin, now, last)

    def _proved(self, evidence: Any) -> Measured:
        """What the evidence says, if the account's journal still says the same.

        Raises:
            BadData: it does not.
        """
        said = Measured(**evidence.body["measured"])
        if evidence.body["plan"] != self.plan.digest:
            raise BadParameters("the plan has changed since the evidence was collected: collect it anew")
        again = self._measure(said.from_ms, said.to_ms, said.seq)
        if plain(again.to_body()) != plain(said.to_body()):
            raise BadData(
                f"the evidence {evidence.hash[:16]} does not agree with the account's journal: one of them was edited; "
                "check the journal (`tradewind journal verify`), then collect evidence anew"
            )
        return said

    def _fresh(self, state: History) -> Any:
        newest = state.evidence
        if newest is None or self._now() - newest.at_ms > EVIDENCE_HOURS * 3_600_000:
            raise BadParameters("there is no evidence of the last 24 hours: `tradewind rollout collect`")
        return newest

    def _facts(self, state: History, found: Measured, now: int) -> Facts:
        drill = state.drill
        drill_days = (now - drill.at_ms) / DAY_MS if drill is not None and drill.body["passed"] is True else None
        in_stage = (now - state.since_ms) / DAY_MS if state.at >= 0 else found.days
        valid = frozenset(name for name in state.approvals if day_of(now).date() < self.plan.people[name].expires)
        return Facts(state.at, in_stage, found.days, found.uptime, found.critical, found.gap, found.drawdown,
                     found.equity, drill_days, valid)  # fmt: skip

    def _opened(self) -> Journal:
        return Journal(self.path)

    def _later(self, state: History) -> int:
        """The time it is, which is not before the last record.

        Raises:
            BadData: the clock was put back.
        """
        now = self._now()
        if now < state.last_ms:
            raise BadData(f"the clock is before the last record of {self.path}: set it right, time is a gate")
        return now

    def _append(self, signer: Signer, kind: str, make: Callable[[History], dict[str, Any]]) -> str:
        """One signed record, or a record of the refusal; the hash of the record."""
        with self._opened() as journal:
            state = self.history()
            now = self._later(state)
            try:
                self._check_signer(signer, now)
                body = plain({**make(state), "by": signer.name})
            except (Forbidden, BadParameters, BadData) as error:
                journal.append([Entry(REFUSED, {"by": signer.name, "what": kind, "why": str(error)})], now)
                raise
            body["signature"] = sign(signer, kind, body, state.head)
            return journal.append([Entry(kind, body)], now)[0].hash

    def _check_signer(self, signer: Signer, now: int) -> None:
        person = self.plan.people.get(signer.name)
        if person is None or person.key != public_key(signer.secret):
            raise Forbidden(f"the key given is not that of {signer.name} in the plan: 403")
        if day_of(now).date() >= person.expires:
            raise Forbidden(
                f"the key of {signer.name} expired on {person.expires}: make another and put it in the plan"
            )
