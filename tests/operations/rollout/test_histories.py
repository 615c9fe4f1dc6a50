"""Random histories of a rollout against the rules written again: no stage is entered with a gate closed."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.operations.rollout.accounts import DAY_MS
from tests.operations.rollout.worlds import ADA, BOB, CLOSING, GATES, PASSED, World, rollout_of
from tradewind.errors import BadData, BadParameters
from tradewind.operations.journal.records import FIRST, line_of
from tradewind.operations.rollout import gates as gate_module
from tradewind.operations.rollout.people import Forbidden


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
