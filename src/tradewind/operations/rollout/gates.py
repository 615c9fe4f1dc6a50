"""What stands between two stages. A gate of which nothing is known is closed."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tradewind.operations.rollout.plan import RolloutPlan


class Facts(NamedTuple):
    """What is known at an advance; None: nothing is.

    Attributes:
        at: position of the present stage, -1 for paper.
        days_in_stage: since it began.
        paper_days, uptime, critical, gap, drawdown: as measured, see `measuring.Measured`.
        equity: of the account.
        drill_days: since the last fault drill that passed, if none has failed after it.
        people: who have approved this very evidence.
    """

    at: int
    days_in_stage: float
    paper_days: float
    uptime: float
    critical: int
    gap: float | None
    drawdown: float | None
    equity: float | None
    drill_days: float | None
    people: frozenset[str]


class Gate(NamedTuple):
    """One gate: whether it is open, what was found and what is needed, in words."""

    name: str
    is_open: bool
    found: str
    needed: str


Check = Callable[[RolloutPlan, Facts], Gate]


def _least(name: str, found: float, needed: float, unit: str = "") -> Gate:
    return Gate(name, found >= needed, f"{found:.4g}{unit}", f"at least {needed:g}{unit}")


def _most(name: str, found: float | None, needed: float) -> Gate:
    return Gate(name, found is not None and found <= needed, "nothing" if found is None else f"{found:.4g}",
                f"at most {needed:g}")  # fmt: skip


def _days(plan: RolloutPlan, facts: Facts) -> Gate:
    needed = (plan.stages[facts.at].days or 0.0) if facts.at >= 0 else 0.0
    return _least("days_in_stage", facts.days_in_stage, needed, " days")


def _paper(plan: RolloutPlan, facts: Facts) -> Gate:
    return _least("paper_days", facts.paper_days, plan.go.paper_days, " days")


def _drill(plan: RolloutPlan, facts: Facts) -> Gate:
    return _most("drill_days", facts.drill_days, plan.go.drill_days)


def _uptime(plan: RolloutPlan, facts: Facts) -> Gate:
    return _least("uptime", facts.uptime, plan.go.uptime)


def _critical(plan: RolloutPlan, facts: Facts) -> Gate:
    return _most("critical", facts.critical, plan.go.critical)


def _gap(plan: RolloutPlan, facts: Facts) -> Gate:
    return _most("gap", facts.gap, plan.go.gap)


def _drawdown(plan: RolloutPlan, facts: Facts) -> Gate:
    return _most("drawdown", facts.drawdown, plan.go.drawdown)


def _capital(plan: RolloutPlan, facts: Facts) -> Gate:
    low = plan.capital_of(min(facts.at + 1, len(plan.stages) - 1))[0]
    found = facts.equity if facts.equity is not None else 0.0
    return Gate("capital", found >= low, f"{found:.6g}", f"at least {low:.6g}")


def _people(plan: RolloutPlan, facts: Facts) -> Gate:
    names = ", ".join(sorted(facts.people)) or "nobody"
    return Gate("people", len(facts.people) >= plan.go.people, names, f"{plan.go.people} people")


GATES: dict[str, Check] = {
    "days_in_stage": _days,
    "paper_days": _paper,
    "drill_days": _drill,
    "uptime": _uptime,
    "critical": _critical,
    "gap": _gap,
    "drawdown": _drawdown,
    "capital": _capital,
    "people": _people,
}
# Those that lead back where they are closed while a stage is at work: they are of what has happened in it.
STAY = ("critical", "gap", "drawdown")


def evaluate(plan: RolloutPlan, facts: Facts, gates: Mapping[str, Check] | None = None) -> list[Gate]:
    """Every gate to the next stage.

    Args:
        plan: what is needed.
        facts: what is known.
        gates: by name; default: `GATES`.
    """
    return [check(plan, facts) for check in (GATES if gates is None else gates).values()]
