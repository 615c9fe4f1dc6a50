"""What was edited or forged is refused, and a crash leaves the stage as it was."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.operations.rollout.accounts import DAY_MS
from tests.operations.rollout.worlds import ADA, BOB, EVE, PASSED, SHIPPED, World, go, plan_of, rollout_of
from tradewind.errors import BadData, BadParameters
from tradewind.operations.journal.journal import Entry, Journal
from tradewind.operations.rollout.people import sign
from tradewind.operations.rollout.rollout import Rollout


def approve_by_both(rollout: Rollout) -> None:
    """Evidence after a passed drill, which two people let pass."""
    rollout.record_drill(ADA, PASSED)
    evidence = rollout.collect(ADA)
    for one in (ADA, BOB):
        rollout.approve(one, evidence)


def append_chained(path: Path, kind: str, body: dict[str, Any], at_ms: int) -> None:
    """What somebody who can write the file and compute a hash may add."""
    with Journal(path) as journal:
        journal.append([Entry(kind, body)], at_ms)


def test_an_edited_journal_is_refused(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    go(rollout, world)
    rollout.path.write_bytes(rollout.path.read_bytes().replace(b'"uptime":0.999', b'"uptime":1.0  '))
    with pytest.raises(BadData, match="not what was written"):
        rollout.history()


@pytest.mark.parametrize("kind", ["drill", "evidence", "approval", "advanced"])
@pytest.mark.parametrize("signature", ["none", "eve's", "of another place"])
def test_a_forged_record_is_refused(kind: str, signature: str, tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    rollout.record_drill(ADA, PASSED)
    evidence = rollout.collect(ADA)
    rollout.approve(ADA, evidence)
    rollout.approve(BOB, evidence)
    bodies: dict[str, dict[str, Any]] = {
        "drill": {"steps": PASSED, "passed": True},
        "evidence": {"stage": "paper", "plan": rollout.plan.digest, "measured": {}},
        "approval": {"evidence": evidence},
        "advanced": {"from": "paper", "to": "micro", "evidence": evidence},
    }
    body = bodies[kind] | {"by": "bob"}
    head = rollout.history().head
    if signature == "eve's":
        body["signature"] = sign(EVE, kind, body, head)
    if signature == "of another place":
        body["signature"] = sign(BOB, kind, body, (head[0] - 1, head[1]))
    append_chained(rollout.path, kind, body, world.now)
    with pytest.raises(BadData, match="it is forged"):
        rollout.history()


def test_one_person_with_a_key_cannot_write_an_advance(tmp_path: Path) -> None:
    """Bob signs what only two may order, or a step of two stages."""
    world = World()
    rollout = rollout_of(tmp_path, world)
    evidence = rollout.collect(BOB)
    rollout.approve(BOB, evidence)
    body: dict[str, Any] = {"from": "paper", "to": "micro", "evidence": evidence, "by": "bob"}
    body["signature"] = sign(BOB, "advanced", body, rollout.history().head)
    append_chained(rollout.path, "advanced", body, world.now)
    with pytest.raises(BadData, match="without evidence and two people"):
        rollout.history()


def test_a_step_back_leads_one_stage_down_alone(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    go(rollout, world)
    append_chained(rollout.path, "went_back", {"by": "eve", "reason": "x", "from": "micro", "to": "full"}, world.now)
    with pytest.raises(BadData, match="one stage back"):
        rollout.history()


def test_evidence_must_agree_with_the_account(tmp_path: Path) -> None:
    """Bob and ada sign numbers that the account's journal does not have."""
    world = World()
    rollout = rollout_of(tmp_path, world)
    rollout.record_drill(ADA, PASSED)
    found = world.measured(world.now - 30 * DAY_MS, world.now, None)._replace(uptime=1.0)
    body: dict[str, Any] = {"stage": "paper", "plan": rollout.plan.digest, "measured": found.to_body(), "by": "bob"}
    body["signature"] = sign(BOB, "evidence", body, rollout.history().head)
    append_chained(rollout.path, "evidence", body, world.now)
    evidence = rollout.history().head[1]
    for one in (ADA, BOB):
        rollout.approve(one, evidence)
    with pytest.raises(BadData, match="does not agree with the account's journal"):
        rollout.advance(ADA)
    assert rollout.history().at == -1


def test_evidence_is_of_one_plan(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    approve_by_both(rollout)
    go_rules = yaml.safe_load(SHIPPED.read_text())["go"] | {"uptime": 0.9}
    other = Rollout(tmp_path, plan_of(go=go_rules), lambda: world.now, world.measured)
    with pytest.raises(BadParameters, match="plan has changed"):
        other.advance(ADA)


def test_a_crash_at_any_byte_of_an_advance_leaves_the_stage(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    approve_by_both(rollout)
    before = rollout.path.read_bytes()
    rollout.advance(BOB)
    after = rollout.path.read_bytes()
    for size in range(len(before), len(after) + 1, 7):
        rollout.path.write_bytes(after[:size])
        assert rollout.status().stage == "paper"
    rollout.path.write_bytes(after[: len(before) + 30])
    assert rollout.advance(ADA) == "micro"  # and it can be done again
