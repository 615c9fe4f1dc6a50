"""An account whose facts are set by hand, people with keys, and all that a good advance takes."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.operations.rollout.accounts import DAY_MS, START_MS
from tradewind.operations.rollout import gates as gate_module
from tradewind.operations.rollout.measuring import Measured
from tradewind.operations.rollout.people import Signer, public_key
from tradewind.operations.rollout.plan import RolloutPlan
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


CLOSING: dict[str, Callable[[World], None]] = {
    "paper_days": lambda world: world.values.update(days=29.99),
    "uptime": lambda world: world.values.update(uptime=0.994),
    "critical": lambda world: world.values.update(critical=1),
    "gap": lambda world: world.values.update(gap=0.0201),
    "drawdown": lambda world: world.values.update(drawdown=0.0501),
    "capital": lambda world: world.values.update(equity=99.0),
}
