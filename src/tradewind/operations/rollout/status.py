"""Where a rollout stands: what `tradewind rollout status` prints and the account's page Rollout shows."""

from collections.abc import Callable
from typing import NamedTuple

from tradewind.operations.rollout.gates import Facts, Gate
from tradewind.operations.rollout.history import ADVANCED, REFUSED, RESUME, WENT_BACK, History
from tradewind.operations.rollout.measuring import Measured
from tradewind.operations.rollout.plan import RolloutPlan

EVIDENCE_HOURS = 24  # older evidence is measured anew
MOVES = (ADVANCED, WENT_BACK, REFUSED, RESUME)


class Evidence(NamedTuple):
    """The newest evidence of the stage.

    Attributes:
        seq, hash, at_ms, by: number and hash of its record, when it was collected and by whom.
        is_fresh: whether it may still be approved.
        gates: to the next stage, on what it says.
    """

    seq: int
    hash: str
    at_ms: int
    by: str
    is_fresh: bool
    gates: list[Gate]


class Approval(NamedTuple):
    """Who has approved the evidence, by which record, when."""

    name: str
    seq: int
    at_ms: int


class Move(NamedTuple):
    """A change of stage, a try that was refused, or leave for a halted account to go on.

    Attributes:
        seq, at_ms: number of its record, and when it was written.
        kind: advanced, went_back, refused or resume.
        by: who.
        before, after: the stages; empty where none was changed.
        why: the reason, the evidence's hash, or what it was refused for.
    """

    seq: int
    at_ms: int
    kind: str
    by: str
    before: str
    after: str
    why: str


class Status(NamedTuple):
    """Where a rollout stands.

    Attributes:
        stage: its name.
        since_ms: when it began, 0 for paper.
        days: in it; of paper since the run's first record.
        capital: least and most of the stage; None for paper, which has none.
        symbols: so many, the account's first ones; None: all.
        run: folder whose journal is measured.
        next_stage: empty at the last one.
        gates: to the next stage, as things are now.
        sources: by gate: the records that it was found in.
        evidence: None where none was collected in this stage.
        approvals: of that evidence, by name.
        moves: the oldest first.
        at_ms: when this was so.
    """

    stage: str
    since_ms: int
    days: float
    capital: tuple[float, float] | None
    symbols: int | None
    run: str
    next_stage: str
    gates: list[Gate]
    sources: dict[str, str]
    evidence: Evidence | None
    approvals: tuple[Approval, ...]
    moves: tuple[Move, ...]
    at_ms: int


def standing(
    plan: RolloutPlan, state: History, found: Measured, now_ms: int,
    facts_of: Callable[[Measured], Facts], gates_of: Callable[[Facts], list[Gate]],
) -> Status:  # fmt: skip
    """Where a rollout stands.

    Args:
        plan: its stages.
        state: its journal, folded.
        found: what is measured now.
        now_ms: the time it is.
        facts_of: what was measured to what the gates are asked with.
        gates_of: all gates to the next stage.
    """
    following = plan.name(state.at + 1) if state.at + 1 < len(plan.stages) else ""
    symbols = plan.stages[state.at].symbols if state.at >= 0 else "all"
    facts = facts_of(found)

    def gates(on: Facts) -> list[Gate]:
        return gates_of(on) if following else []

    newest, evidence = state.evidence, None
    if newest is not None:
        fresh = now_ms - newest.at_ms <= EVIDENCE_HOURS * 3_600_000
        said = gates(facts_of(Measured(**newest.body["measured"])))
        evidence = Evidence(newest.seq, newest.hash, newest.at_ms, str(newest.body["by"]), fresh, said)
    return Status(
        plan.name(state.at), state.since_ms, facts.days_in_stage, plan.capital_of(state.at) if state.at >= 0 else None,
        None if symbols == "all" else symbols, plan.run, following, gates(facts), _sources(state, found), evidence,
        _approvals(state), _moves(state), now_ms,
    )  # fmt: skip


def _sources(state: History, found: Measured) -> dict[str, str]:
    account = f"account's journal, up to record {found.seq} ({found.hash[:12]})"
    entered = [one.seq for one in state.records if one.kind in (ADVANCED, WENT_BACK)]
    approvals = [str(one.seq) for one in _approvals(state)]
    numbers = f"record{'s' if len(approvals) > 1 else ''} {', '.join(approvals)}"
    drill = "no drill was held"
    if state.drill is not None:
        outcome = "passed" if state.drill.body["passed"] is True else "failed"
        drill = f"rollout's journal, record {state.drill.seq}: {outcome}"
    return {
        **dict.fromkeys(("paper_days", "uptime", "critical", "gap", "drawdown", "capital"), account),
        "days_in_stage": f"rollout's journal, record {entered[-1]}" if state.at >= 0 else account,
        "drill_days": drill,
        "people": f"rollout's journal, {numbers}" if approvals else "no approval is recorded",
    }


def _approvals(state: History) -> tuple[Approval, ...]:
    by_hash = {one.hash: one for one in state.records}
    found = ((name, by_hash[digest]) for name, digest in sorted(state.approvals.items()))
    return tuple(Approval(name, record.seq, record.at_ms) for name, record in found)


def _moves(state: History) -> tuple[Move, ...]:
    made = []
    for one in state.records:
        if one.kind in MOVES:
            said = one.body
            if one.kind == ADVANCED:
                why = f"evidence {said['evidence'][:12]}"
            else:
                why = str(said["reason"]) if one.kind in (WENT_BACK, RESUME) else f"{said['what']}: {said['why']}"
            before, after = str(said.get("from", "")), str(said.get("to", ""))
            made.append(Move(one.seq, one.at_ms, one.kind, str(said["by"]), before, after, why))
    return tuple(made)
