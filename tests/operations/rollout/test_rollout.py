"""No stage is entered while a gate is closed, by nobody alone, on nothing that was edited or forged."""

import datetime as dt
import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from tests.operations.rollout.accounts import DAY_MS, START_MS, write_account
from tradewind.console import main as console
from tradewind.errors import BadData, BadParameters, TradewindError
from tradewind.operations.journal.journal import Entry, Journal, read
from tradewind.operations.journal.records import FIRST, line_of
from tradewind.operations.rollout import gates as gate_module
from tradewind.operations.rollout.history import day_of
from tradewind.operations.rollout.measuring import Measured, measure
from tradewind.operations.rollout.people import Forbidden, Signer, make_person, public_key, read_signer, sign
from tradewind.operations.rollout.plan import RolloutPlan, read_rollout
from tradewind.operations.rollout.rollout import Rollout

SHIPPED = Path(__file__).parents[3] / "conf/base/rollout.yml"
ADA, BOB, EVE, OLD = (Signer(name, bytes([at]) * 32) for at, name in enumerate(("ada", "bob", "eve", "old"), start=1))
PASSED = [{"name": "one", "passed": True, "detail": ""}]
GATES = tuple(gate_module.GATES)


def plan_of(**changed: Any) -> RolloutPlan:
    """The shipped plan with people; eve is not named."""
    given = yaml.safe_load(SHIPPED.read_text()) | changed
    given["people"] = {one.name: {"key": public_key(one.secret), "expires": "2030-01-01"} for one in (ADA, BOB)}
    given["people"]["old"] = {"key": public_key(OLD.secret), "expires": "2020-01-01"}
    return RolloutPlan.model_validate(given)


@functools.cache
def plan() -> RolloutPlan:
    return plan_of()


class World:
    """An account whose facts are set by hand, and a clock."""

    def __init__(self) -> None:
        self.now, self.measures = START_MS + 31 * DAY_MS, 0
        self.values: dict[str, Any] = {}
        self.seen: dict[int, dict[str, Any]] = {}
        self.good()

    def good(self) -> None:
        self.values = {"days": 40.0, "uptime": 0.999, "critical": 0, "gap": 0.01, "drawdown": 0.02, "equity": 60_000.0}

    def measured(self, begin: int, end: int, last: int | None) -> Measured:
        """What was so at the record `last`, or is now."""
        if last is None:
            self.measures += 1
            self.seen[self.measures] = dict(self.values)
        at = last or self.measures
        return Measured(seq=at, hash=f"{at:064d}", from_ms=begin, to_ms=end, **self.seen[at])


def rollout_of(folder: Path, world: World, gates: Any = None) -> Rollout:
    return Rollout(folder, plan(), lambda: world.now, world.measured, gates)


def go(rollout: Rollout, world: World, days: float = 8.0) -> str:
    """All that a good advance takes."""
    world.now += int(days * DAY_MS)
    rollout.record_drill(ADA, PASSED)
    evidence = rollout.collect(ADA)
    rollout.approve(ADA, evidence)
    rollout.approve(BOB, evidence[:16])
    return rollout.advance(BOB)


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


CLOSING: dict[str, Callable[[World], None]] = {
    "paper_days": lambda world: world.values.update(days=29.99),
    "uptime": lambda world: world.values.update(uptime=0.994),
    "critical": lambda world: world.values.update(critical=1),
    "gap": lambda world: world.values.update(gap=0.0201),
    "drawdown": lambda world: world.values.update(drawdown=0.0501),
    "capital": lambda world: world.values.update(equity=99.0),
}


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


# Histories ------------------------------------------------------------------------------------------------------


def may_advance(world: World, at: int, since: int, drill: tuple[int, bool] | None, approved: set[str]) -> bool:
    """The rules again, from what the world is and not from what was recorded."""
    value = world.values
    least = (100.0, 1000.0, 10_000.0, 50_000.0001)[at + 1]
    days = (0, 3, 4, 7)[at + 1]
    return (
        (world.now - since) / DAY_MS >= days and value["days"] >= 30 and value["uptime"] >= 0.995
        and value["critical"] == 0 and value["gap"] <= 0.02 and value["drawdown"] <= 0.05 and value["equity"] >= least
        and drill is not None and drill[1] and world.now - drill[0] <= 7 * DAY_MS
        and len(approved & {"ada", "bob"}) == 2
    )  # fmt: skip


def live_through(folder: Path, seed: int, gates: Any = None) -> tuple[int, int, list[str]]:
    """One history of tries, with faults in most of them: stages entered, tries refused, and what went wrong."""
    rng, world, wrong = np.random.default_rng(seed), World(), []
    at, since, drill, entered, refused = -1, 0, None, 0, 0
    for _ in range(4):
        rollout = rollout_of(folder, world, gates)  # every try is another process
        world.good()
        broken = set(rng.choice(GATES, size=int(rng.integers(0, 2)), replace=False))
        for name in broken & set(CLOSING):
            CLOSING[name](world)
        needed = (0, 3, 4, 7)[min(at, 2) + 1]
        world.now += int((needed * 0.9 if "days_in_stage" in broken else needed + rng.uniform(0.1, 2)) * DAY_MS)
        if "drill_days" in broken:
            drill_passed = bool(rng.random() < 0.5)
            rollout.record_drill(ADA, [*PASSED, {"name": "two", "passed": drill_passed, "detail": ""}])
            drill = (world.now, drill_passed)
            world.now += int(7.5 * DAY_MS) if drill_passed else 0
        else:
            rollout.record_drill(ADA, PASSED)
            drill = (world.now, True)
        evidence, approved = rollout.collect(ADA), {"ada"}
        rollout.approve(ADA, evidence)
        if "people" not in broken:
            rollout.approve(BOB, evidence)
            approved.add("bob")
        if rng.random() < 0.3:  # killed while it wrote
            torn(rollout.path, rng)
            rollout = rollout_of(folder, world, gates)
            if rollout.history().at != at:
                wrong.append("a crash changed the stage")
        allowed = at < 3 and may_advance(world, at, since, drill, approved)
        try:
            rollout.advance(BOB)
            entered, at, since = entered + 1, at + 1, world.now
            if not allowed:
                wrong.append(f"entered stage {at} with {sorted(broken)} closed")
        except BadData as error:  # the record was written, and whoever reads it refuses it
            return entered, refused, [*wrong, f"entered with {sorted(broken)} closed: {error}"]
        except (BadParameters, Forbidden):
            refused += 1
            if allowed:
                wrong.append(f"refused stage {at + 1} with {sorted(broken)} closed")
        if at >= 0 and rng.random() < 0.15:
            rollout.back("ada", "a try")
            at, since = at - 1, world.now
        if rollout_of(folder, world).history().at != at:
            wrong.append("another process sees another stage")
    return entered, refused, wrong


def torn(path: Path, rng: np.random.Generator) -> None:
    """Part of a record that an advance was writing."""
    line, _ = line_of(FIRST, 1, 1, "advanced", 0, {"from": "paper", "to": "micro", "by": "ada"})
    with path.open("ab") as file:
        file.write(line[: int(rng.integers(1, len(line)))])


def through(folder: Path, count: int, gates: Any = None) -> tuple[int, int, list[str]]:
    entered, refused, wrong = 0, 0, []
    for seed in range(count):
        found = live_through(folder / str(seed), seed, gates)
        entered, refused, wrong = entered + found[0], refused + found[1], wrong + found[2]
    return entered, refused, wrong


def test_no_stage_is_entered_with_a_gate_closed(tmp_path: Path) -> None:
    entered, refused, wrong = through(tmp_path, 15)
    assert wrong == [] and entered > 15 and refused > 15


@pytest.mark.depth
def test_no_stage_is_entered_with_a_gate_closed_in_a_thousand_histories(tmp_path: Path) -> None:
    entered, refused, wrong = through(tmp_path, 1000)
    assert wrong == [] and entered > 1500 and refused > 1500


@pytest.mark.parametrize("name", GATES)
def test_a_gate_that_is_removed_is_noticed(name: str, tmp_path: Path) -> None:
    fewer = {one: check for one, check in gate_module.GATES.items() if one != name}
    for seed in itertools.count(1000):
        assert seed < 1080, f"{name} is not noticed"
        wrong = live_through(tmp_path / str(seed), seed, fewer)[2]
        # Where too few have approved, the journal itself refuses the record: that is noticed, too.
        if any("entered" in one for one in wrong):
            return


# Forgery --------------------------------------------------------------------------------------------------------


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
    rollout.record_drill(ADA, PASSED)
    evidence = rollout.collect(ADA)
    for one in (ADA, BOB):
        rollout.approve(one, evidence)
    go_rules = yaml.safe_load(SHIPPED.read_text())["go"] | {"uptime": 0.9}
    other = Rollout(tmp_path, plan_of(go=go_rules), lambda: world.now, world.measured)
    with pytest.raises(BadParameters, match="plan has changed"):
        other.advance(ADA)


def test_a_crash_at_any_byte_of_an_advance_leaves_the_stage(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    rollout.record_drill(ADA, PASSED)
    evidence = rollout.collect(ADA)
    for one in (ADA, BOB):
        rollout.approve(one, evidence)
    before = rollout.path.read_bytes()
    rollout.advance(BOB)
    after = rollout.path.read_bytes()
    for size in range(len(before), len(after) + 1, 7):
        rollout.path.write_bytes(after[:size])
        assert rollout.status().stage == "paper"
    rollout.path.write_bytes(after[: len(before) + 30])
    assert rollout.advance(ADA) == "micro"  # and it can be done again


# The account's journal -------------------------------------------------------------------------------------------


def test_what_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    equity = [10_000.0, 10_100.0, 9_898.0, 10_000.0]
    write_account(path, equity, [10_000.0, 10_050.0, 9_950.0, 10_000.0], skipped=(5,), events={2: [("fault", {})]})
    end = START_MS + 6 * 3_600_000
    found = measure(path, START_MS, end)
    assert (found.critical, found.equity, found.uptime) == (1, 10_000.0, 4 / 6)
    assert found.drawdown == pytest.approx(0.02) and found.gap == pytest.approx(102 / 10_000 / 2, rel=0.03)
    assert found.days == pytest.approx(0.25)
    assert measure(path, START_MS, end, found.seq) == found
    assert measure(path, START_MS + 3 * 3_600_000, end).critical == 0
    with pytest.raises(BadData, match="its end was cut off"):
        measure(path, START_MS, end, found.seq + 1)
    write_account(tmp_path / "none.jsonl", [], [])
    nothing = measure(tmp_path / "none.jsonl", START_MS, end)
    assert (nothing.gap, nothing.drawdown, nothing.uptime) == (None, None, 0.0)


def test_halts_by_limits_are_critical_and_those_of_people_are_not(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    events = {1: [("state_changed", {"who": "ada"})], 2: [("state_changed", {"who": "limit"})]}
    write_account(path, [1.0] * 4, [1.0] * 4, events=events)
    assert measure(path, START_MS, START_MS + DAY_MS).critical == 1


# Words ----------------------------------------------------------------------------------------------------------


def changed(old: str, new: str) -> str:
    text = SHIPPED.read_text()
    assert old in text
    return text.replace(old, new)


SMALL = "- {stage: small, capital: [1000, 5000], symbols: 2, days: 4}"
MEDIUM = "- {stage: medium, capital: [10000, 50000], symbols: 4, days: 7}"
FULL = "- {stage: full, capital: target, symbols: all}"
LINES = {text.split("#")[0].strip(): at for at, text in enumerate(SHIPPED.read_text().splitlines(), start=1)}


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("  uptime: 0.995", "  uptimes: 0.995", "go:", "go.uptime: is missing"),
        ("  critical: 0 ", "  critical: 99 ", "critical: 0", "cannot fail"),
        ("  uptime: 0.995", "  uptime: 0.0", "uptime: 0.995", "cannot fail"),
        ("  gap: 0.02 ", "  gap: 9.0 ", "gap: 0.02", "cannot fail"),
        ("  drawdown: 0.05", "  drawdown: 1.0", "drawdown: 0.05", "cannot fail"),
        ("  people: 2", "  people: 1", "people: 2", "cannot fail"),
        ("  paper_days: 30.0", "  paper_days: 0.0", "paper_days: 30.0", "cannot fail"),
        ("  drill_days: 7.0", "  drill_days: 1e9", "drill_days: 7.0", "cannot fail"),
        ("[1000, 5000]", "[400, 5000]", SMALL,
         "overlaps the stage before"),
        (", days: 4}", "}", SMALL, "cannot fail"),
        ("symbols: 4", "symbols: 1", MEDIUM, "fewer symbols"),
        ("stage: medium", "stage: small", MEDIUM,
         "a stage small already"),
        ("symbols: all}", "symbols: all, days: 3}", FULL, "the last one none"),
        ("target_capital:", "target:", "run: data/09_paper/run", "target_capital: is missing"),
        ("  people: 2", "  people: 2\n  luck: 1", "people: 2", "luck: there is no such key"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused_with_line_and_remedy(
    old: str, new: str, line: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rollout.yml"
    path.write_text(changed(old, new))
    with pytest.raises(BadParameters) as told:
        read_rollout(path)
    at = LINES[line] + ("\n" in new)
    assert any(f"{path} line {at}: " in part and message in part for part in str(told.value).split("; ")), told.value


def test_the_shipped_plan_has_the_stages_that_were_asked_for() -> None:
    plan = read_rollout(SHIPPED)
    stages = [(one.stage, one.days, one.symbols) for one in plan.stages]
    assert stages == [("micro", 3, 1), ("small", 4, 2), ("medium", 7, 4), ("full", None, "all")]
    assert [plan.capital_of(at)[1] for at in range(4)] == [500, 5000, 50_000, 100_000]


def test_a_key_of_a_person(tmp_path: Path) -> None:
    key = make_person(tmp_path / "ada.key")
    signer = read_signer("ada", tmp_path / "ada.key")
    assert public_key(signer.secret) == key
    (tmp_path / "ada.key").chmod(0o644)
    with pytest.raises(BadParameters, match="chmod 600"):
        read_signer("ada", tmp_path / "ada.key")
    with pytest.raises(BadParameters, match="choose another name"):
        make_person(tmp_path / "ada.key")


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner()
    keys = {}
    for name in ("ada", "bob"):
        told = run.invoke(console, ["rollout", "person", str(tmp_path / f"{name}.key")])
        keys[name] = {"key": told.output.strip(), "expires": "2999-01-01"}
    given = yaml.safe_load(SHIPPED.read_text())
    (tmp_path / "rollout.yml").write_text(json.dumps(given | {"people": keys}))
    parts = {"paper": {"kind": "run", "path": given["run"]}}
    (tmp_path / "backup.yml").write_text(json.dumps({"key": str(tmp_path / "b.key"), "parts": parts}))
    run.invoke(console, ["backup-key", str(tmp_path / "b.key")])
    now = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    flat = [10_000.0] * (31 * 24)
    write_account(tmp_path / given["run"] / "journal.jsonl", flat, flat, begin_ms=now - 31 * DAY_MS)
    where = ["--plan", str(tmp_path / "rollout.yml"), "--project", str(tmp_path)]

    def signed(name: str, *words: str) -> Any:
        return run.invoke(console, ["rollout", *words, "--as", name, "--key", str(tmp_path / f"{name}.key"), *where])

    drill = signed("ada", "drill", "--backup-plan", str(tmp_path / "backup.yml"))
    assert drill.exit_code == 0 and drill.output.count("passed") == 5, drill.output
    evidence = signed("bob", "collect").output.strip()
    assert signed("ada", "approve", evidence[:12]).exit_code == 0
    alone = signed("ada", "advance")
    assert alone.exit_code == 1 and "so far ada has" in alone.output
    assert "CLOSED  people" in run.invoke(console, ["rollout", "status", *where]).output
    signed("bob", "approve", evidence)
    assert signed("ada", "advance").output == "stage micro\n"
    assert run.invoke(console, ["rollout", "check", *where]).exit_code == 0
    told = run.invoke(console, ["rollout", "status", *where]).output
    assert "stage micro since" in told and "CLOSED  days_in_stage" in told
    assert run.invoke(console, ["rollout", "back", "--reason", "a try", *where]).output == "stage paper\n"
    kinds = [one.kind for one in read(tmp_path / given["state"] / "rollout.jsonl")]
    assert kinds == ["drill", "evidence", "approval", "refused", "approval", "advanced", "went_back"]


def test_a_failed_drill_closes_the_gate(tmp_path: Path) -> None:
    world = World()
    rollout = rollout_of(tmp_path, world)
    assert not rollout.record_drill(ADA, [{"name": "one", "passed": "yes", "detail": ""}])
    assert next(one for one in rollout.status().gates if one.name == "drill_days").is_open is False
    with pytest.raises(TradewindError):
        rollout.advance(ADA)
    assert day_of(START_MS).year == 2026
