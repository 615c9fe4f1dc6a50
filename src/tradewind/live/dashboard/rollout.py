"""The page Rollout: the stage, the gates to the next one and what they were found in, approvals, and every move."""

from collections.abc import Mapping
from typing import Any

from tradewind.live.dashboard.parts import Raw, card, instant, table, text, tile, tiles
from tradewind.live.process import Process
from tradewind.operations.rollout.status import Evidence, Status

NONE = (
    "No rollout is configured for this run: no stage limits it. Name the plan (conf/base/rollout.yml) in paper.rollout "
    "to hold the account to its stages."
)
UNREAD = "The rollout is being read: the account's whole journal is measured for it."
WORDS = {"advanced": "forward", "went_back": "back", "refused": "refused", "resume": "may go on"}


def rollout(process: Process, query: Mapping[str, str], token: str) -> str:
    """Where the account's rollout stands.

    Args:
        process: the running paper account.
        query: of the address, by name.
        token: that forms must send back.

    Returns:
        HTML of the page's body.
    """
    view = process.rollout
    if view is None:
        return card("Rollout", f"<p>{text(NONE)}</p>")
    problem = card("Not to be read", f'<p class="bad">{text(view.problem)}</p>') if view.problem else ""
    if view.status is None:
        return problem or card("Rollout", f"<p>{text(UNREAD)}</p>")
    found = view.status
    other = "" if view.is_of(process.runtime.folder) else card(
        "Another run", f'<p class="bad">The plan takes its evidence from {text(found.run)}, which is not this run.</p>'
    )  # fmt: skip
    moves = [
        (one.seq, instant(one.at_ms)[:16], WORDS[one.kind], one.before, one.after, one.by, one.why)
        for one in reversed(found.moves)
    ]
    head = ("record", "at", "move", "from", "to", "by", "why")
    return "".join((
        problem, other, _stage(process, found), card(*_gates(found)), '<div class="two">',
        card("Evidence", _evidence(found.evidence)), card("Approvals", _approvals(found)), "</div>",
        card("History", table(head, moves, "it has not moved: it began on paper")),
    ))  # fmt: skip


def _stage(process: Process, found: Status) -> str:
    risk, symbols = process.runtime.state.risk, process.runtime.session.symbols
    chosen = symbols if found.symbols is None else symbols[: found.symbols]
    capital, about = "none", "paper: no real money"
    if found.capital is not None:
        low, high = found.capital
        capital, about = f"{low:,.6g} to {high:,.6g}", "of the account's currency"
    counted = "since it began" if found.capital is not None else "since the run began"  # as the gates count them
    limit = "no limit of a stage" if risk.stage_capital is None else f"at most {risk.stage_capital:,.6g}"
    return tiles(
        tile("Stage", found.stage, f"since {instant(found.since_ms)[:16]}" if found.since_ms else "the beginning"),
        tile("Days in the stage", f"{found.days:.1f}", f"{counted}, up to {instant(found.at_ms)[:16]} UTC"),
        tile("Capital", capital, about),
        tile("Symbols", "all" if found.symbols is None else str(found.symbols), ", ".join(chosen)),
        tile("The account is held to", risk.stage or "none", limit),
        tile("Next stage", found.next_stage or "none", "" if found.next_stage else "this is the last one"),
    )  # fmt: skip


def _gates(found: Status) -> tuple[str, str]:
    if not found.next_stage:
        return "Gates", "<p>This is the last stage: no gate is left.</p>"
    evidence = {one.name: one for one in found.evidence.gates} if found.evidence else {}
    rows = [
        (one.name.replace("_", " "), one.needed, one.found, _state(one.is_open),
         found.sources.get(one.name, "not recorded"), evidence[one.name].found if one.name in evidence else None,
         _state(evidence[one.name].is_open) if one.name in evidence else "")
        for one in found.gates
    ]  # fmt: skip
    passed = sum(one.is_open for one in found.gates)
    head = ("gate", "wanted", "found now", "", "found in", "in the evidence", "")
    return f"Gates to {found.next_stage}: {passed} of {len(rows)} passed", table(head, rows)


def _state(is_open: bool) -> Raw:
    """An open gate is one that is passed; a closed one stands between the stage and the next."""
    return Raw('<b class="good">passed</b>' if is_open else '<b class="bad">closed</b>')


def _evidence(found: Evidence | None) -> str:
    if found is None:
        return "<p>None was collected in this stage: tradewind rollout collect</p>"
    age = Raw('<b class="good">may be approved</b>' if found.is_fresh else '<b class="bad">older than 24 hours</b>')
    rows: list[tuple[str, Any]] = [
        ("hash", Raw(f"<code>{text(found.hash)}</code>")), ("record", str(found.seq)), ("collected by", found.by),
        ("at", instant(found.at_ms)), ("age", age),
    ]  # fmt: skip
    return table(("what", "is"), rows)


def _approvals(found: Status) -> str:
    rows = [(one.name, instant(one.at_ms)[:16], str(one.seq)) for one in found.approvals]
    return table(("by", "at", "record"), rows, "nobody has approved the evidence")
