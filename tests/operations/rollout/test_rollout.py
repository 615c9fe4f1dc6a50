"""No stage is entered while a gate is closed, by nobody alone, on nothing that was edited or forged."""

from pathlib import Path
from typing import Any

import pytest

from tests.operations.rollout.accounts import DAY_MS
from tests.operations.rollout.worlds import ADA, BOB, CLOSING, EVE, OLD, PASSED, World, go, rollout_of
from tradewind.errors import BadData, BadParameters
from tradewind.operations.rollout.people import Forbidden, Signer
from tradewind.operations.rollout.rollout import Rollout


def test_a_whole_rollout(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    assert [go(rollout, world) for _ in range(4)] == ["micro", "small", "medium", "full"]
    with pytest.raises(BadParameters, match="full is the last stage"):
        go(rollout, world)
    assert rollout.status().next_stage == "" and rollout.status().stage == "full"
    assert rollout_of(tmp_path, world).back("anybody", "a bad feeling") == "medium"
    found = rollout.history()
    assert found.reduced and found.approvals == {} and found.evidence is None


@pytest.mark.parametrize(("name", "unknown"), [
    *((name, False) for name in CLOSING), *((name, True) for name in ("gap", "drawdown", "capital")),
])  # fmt: skip
def test_each_gate_closes(name: str, unknown: bool, tmp_path: Path) -> None:
    world = World()
    if unknown:
        world.values["equity" if name == "capital" else name] = None
    else:
        CLOSING[name](world)
    with pytest.raises(BadParameters, match=f"^{name}: .*stay at paper"):
        go(rollout_of(tmp_path, world), world)


@pytest.mark.parametrize(("days", "passes"), [(2.9, False), (3.1, True)])
def test_a_stage_lasts_its_days(days: float, passes: bool, tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    go(rollout, world)
    if passes:
        assert go(rollout, world, days) == "small"
    else:
        with pytest.raises(BadParameters, match="days_in_stage"):
            go(rollout, world, days)


@pytest.mark.parametrize(("age", "steps", "passes"), [
    (6.9, PASSED, True), (7.1, PASSED, False), (1, [*PASSED, {"name": "two", "passed": False, "detail": ""}], False),
    (1, [], False),
])  # fmt: skip
def test_a_drill_is_recent_and_whole(age: float, steps: Any, passes: bool, tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    rollout.record_drill(ADA, PASSED)
    rollout.record_drill(ADA, steps)  # the last one counts
    world.now += int(age * DAY_MS)
    evidence = rollout.collect(ADA)
    for one in (ADA, BOB):
        rollout.approve(one, evidence)
    if passes:
        assert rollout.advance(ADA) == "micro"
    else:
        with pytest.raises(BadParameters, match="drill_days"):
            rollout.advance(ADA)


def refusals(rollout: Rollout) -> list[tuple[str, str]]:
    return [(one.body["by"], one.body["what"]) for one in rollout.history().records if one.kind == "refused"]


def test_nobody_advances_alone_and_every_try_is_kept(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    rollout.record_drill(ADA, PASSED)
    evidence = rollout.collect(ADA)
    rollout.approve(ADA, evidence)
    rollout.approve(ADA, evidence)  # twice is once
    with pytest.raises(Forbidden, match="2 named people must approve .* so far ada has"):
        rollout.advance(ADA)
    with pytest.raises(Forbidden, match="403"):
        rollout.approve(EVE, evidence)
    with pytest.raises(Forbidden, match="403"):  # eve says that she is bob
        rollout.approve(Signer("bob", EVE.secret), evidence)
    with pytest.raises(Forbidden, match="expired on 2020-01-01"):
        rollout.approve(OLD, evidence)
    assert refusals(rollout) == [("ada", "advanced"), ("eve", "approval"), ("bob", "approval"), ("old", "approval")]
    assert rollout.status().stage == "paper"
    rollout.approve(BOB, evidence)
    assert rollout.advance(ADA) == "micro"


def test_who_lets_a_halted_account_go_on_is_named_and_every_try_is_kept(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    with pytest.raises(BadParameters, match="on paper no signatures are needed"):
        rollout.allow_resume(ADA, "looked at")
    go(rollout, world)
    with pytest.raises(BadParameters, match="needs a reason"):
        rollout.allow_resume(ADA, " ")
    with pytest.raises(Forbidden, match="403"):
        rollout.allow_resume(EVE, "me, too")
    with pytest.raises(Forbidden, match="expired on 2020-01-01"):
        rollout.allow_resume(OLD, "looked at")
    assert rollout.history().resumes == {}
    assert [one for one in refusals(rollout) if one[1] == "resume"] == [
        ("ada", "resume"), ("ada", "resume"), ("eve", "resume"), ("old", "resume")
    ]  # fmt: skip
    rollout.allow_resume(ADA, "looked at")
    world.now += 1000
    rollout.allow_resume(BOB, "so did I")
    rollout.allow_resume(ADA, "again")  # the newest counts
    assert rollout.history().resumes == {"ada": world.now, "bob": world.now}


def test_evidence_is_fresh_and_approved_as_it_is(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    rollout.record_drill(ADA, PASSED)
    with pytest.raises(BadParameters, match="no evidence"):
        rollout.advance(ADA)
    first = rollout.collect(ADA)
    rollout.approve(ADA, first)
    second = rollout.collect(BOB)  # approvals of the first are gone
    with pytest.raises(BadParameters, match="newest evidence is"):
        rollout.approve(BOB, first)
    rollout.approve(BOB, second)
    with pytest.raises(Forbidden, match="so far bob has"):
        rollout.advance(ADA)
    rollout.approve(ADA, second)
    world.values["critical"] = 1  # since then
    with pytest.raises(BadParameters, match="critical"):
        rollout.advance(ADA)
    world.good()
    world.now += 25 * 3_600_000
    with pytest.raises(BadParameters, match="24 hours"):
        rollout.advance(ADA)


def test_what_happens_in_a_stage_leads_back(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    assert rollout.check() == []  # on paper nothing is at stake
    go(rollout, world)
    assert rollout.check() == []
    world.values["drawdown"] = 0.06
    assert [one.name for one in rollout.check()] == ["drawdown"]
    assert (rollout.status().stage, rollout.history().reduced) == ("paper", True)
    last = rollout.history().records[-1].body
    assert last["by"] == "rollout check" and "0.06" in last["reason"]
    with pytest.raises(BadParameters, match="nothing to go back from"):
        rollout.back("ada", "again")
    with pytest.raises(BadParameters, match="who makes it and why"):
        rollout.back("ada", " ")


def test_a_clock_that_was_put_back_is_noticed(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    go(rollout, world)
    world.now -= DAY_MS
    with pytest.raises(BadData, match="the clock is before"):
        rollout.collect(ADA)
