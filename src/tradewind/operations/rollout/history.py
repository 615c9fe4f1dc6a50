"""The rollout's journal read back: the stage it is at, and whether everything in it was done by who may."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tradewind.errors import BadData
from tradewind.operations.journal.records import FIRST, Record
from tradewind.operations.rollout.people import is_signed
from tradewind.operations.rollout.plan import RolloutPlan

DRILL, EVIDENCE, APPROVAL, ADVANCED = "drill", "evidence", "approval", "advanced"
WENT_BACK, REFUSED, RESUME = "went_back", "refused", "resume"
SIGNED = (DRILL, EVIDENCE, APPROVAL, ADVANCED, RESUME)


@dataclass
class History:
    """What the journal says.

    Attributes:
        at: position of the present stage, -1 for paper.
        since_ms: when it began; of paper 0.
        evidence: the newest one of this stage, None if there is none.
        approvals: of that evidence, by name: the hash of the record.
        drill: the newest one that was held.
        resumes: by name when each person last allowed the halted account to go on, milliseconds.
        last_ms: when the last record was written.
        head: its number and hash.
        reduced: whether the last change of stage was a step back.
        records: all of them.
    """

    at: int = -1
    since_ms: int = 0
    evidence: Record | None = None
    approvals: dict[str, str] = field(default_factory=dict)
    drill: Record | None = None
    resumes: dict[str, int] = field(default_factory=dict)
    last_ms: int = 0
    head: tuple[int, str] = (0, FIRST)
    reduced: bool = False
    records: list[Record] = field(default_factory=list)


def fold(records: Iterable[Record], plan: RolloutPlan, where: str) -> History:
    """The state that records lead to.

    Args:
        records: of the rollout's journal, whose chain was checked.
        plan: whose people may have signed.
        where: the file, for messages.

    Raises:
        BadData: a signature is missing or another's, or an advance is not covered by what precedes it: it is forged.
    """
    state = History()
    for record in records:
        if record.kind in SIGNED:
            _check_signature(record, state, plan, where)
        if record.kind == DRILL:
            state.drill = record
        elif record.kind == EVIDENCE:
            state.evidence, state.approvals = record, {}
        elif record.kind == APPROVAL:
            _approve(record, state, where)
        elif record.kind == ADVANCED:
            _advance(record, state, plan, where)
        elif record.kind == RESUME:
            state.resumes[str(record.body["by"])] = record.at_ms
        elif record.kind == WENT_BACK:
            _go_back(record, state, plan, where)
        state.last_ms, state.head = record.at_ms, (record.seq, record.hash)
        state.records.append(record)
    return state


def day_of(at_ms: int) -> datetime:
    """The instant of a record."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _check_signature(record: Record, state: History, plan: RolloutPlan, where: str) -> None:
    name = str(record.body.get("by"))
    person = plan.people.get(name)
    if person is None:
        raise BadData(f"{where}: record {record.seq} is by {name}, whom the plan does not name: keep those who left")
    if not is_signed(person.key, record.kind, record.body, state.head):
        raise BadData(f"{where}: record {record.seq} ({record.kind}) was not signed by {name}: it is forged")
    if day_of(record.at_ms).date() >= person.expires:
        raise BadData(f"{where}: record {record.seq} was signed by {name} with a key that had expired: it is forged")


def _approve(record: Record, state: History, where: str) -> None:
    if state.evidence is None or record.body["evidence"] != state.evidence.hash:
        raise BadData(f"{where}: record {record.seq} approves other evidence than the newest: it is forged")
    state.approvals[str(record.body["by"])] = record.hash


def _advance(record: Record, state: History, plan: RolloutPlan, where: str) -> None:
    evidence, body_of_record = state.evidence, record.body
    covered = (
        evidence is not None
        and body_of_record["evidence"] == evidence.hash
        and plan.name(state.at) == body_of_record["from"] == evidence.body["stage"]
        and state.at + 1 < len(plan.stages)
        and body_of_record["to"] == plan.name(state.at + 1)
        and len(state.approvals) >= 2
    )
    if not covered:
        raise BadData(f"{where}: record {record.seq} advances without evidence and two people: it is forged")
    state.at, state.since_ms, state.reduced = state.at + 1, record.at_ms, False
    state.evidence, state.approvals = None, {}


def _go_back(record: Record, state: History, plan: RolloutPlan, where: str) -> None:
    """A step back takes no signature: it only takes risk away. It can lead nowhere but one stage down."""
    if state.at < 0 or record.body["to"] != plan.name(state.at - 1):
        raise BadData(f"{where}: record {record.seq} does not lead one stage back: it is forged")
    state.at, state.since_ms, state.reduced = state.at - 1, record.at_ms, True
    state.evidence, state.approvals = None, {}
