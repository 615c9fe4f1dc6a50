"""The stages of a rollout, what each may risk, and what must be shown before the next one (`conf/base/rollout.yml`)."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from tradewind.operations.journal.records import canonical
from tradewind.operations.typed_yaml import WrongAt, read_yaml
from tradewind.parameters import Parameters

PAPER = "paper"  # where every rollout begins: no capital
NAME = r"[a-z][a-z0-9_-]{0,31}"


def _between(low: float, high: float) -> Any:
    """A limit that can fail: outside these bounds everything would pass it, or nothing."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"a gate with this limit cannot fail, or cannot be passed: choose {low:g} to {high:g}")
        return value

    return AfterValidator(check)


class Go(Parameters):
    """What must be shown before a stage is entered. Every one of them must be there.

    Attributes:
        paper_days: days since the account's run began.
        drill_days: the last fault drill passed at most so many days ago.
        uptime: share of the bars since the stage began (on paper: of the last `paper_days`) that were decided.
        critical: faults, and halts or reductions by a limit, in that time.
        gap: largest difference of the account from its twin that came in that time, as a share of equity.
        drawdown: largest loss from a peak in that time, as a share of it.
        people: how many named people must approve.
    """

    paper_days: Annotated[float, _between(1, 3650)]
    drill_days: Annotated[float, _between(0.01, 90)]
    uptime: Annotated[float, _between(0.5, 1.0)]
    critical: Annotated[int, _between(0, 10)]
    gap: Annotated[float, _between(0.0001, 0.5)]
    drawdown: Annotated[float, _between(0.001, 0.5)]
    people: Annotated[int, _between(2, 10)]


class Stage(Parameters):
    """One stage.

    Attributes:
        stage: its name.
        capital: least and most of the account's currency; `target`: up to `target_capital`.
        symbols: so many of the account's, the first ones; `all`.
        days: at least so long before the next stage; none for the last one.
    """

    whole: ClassVar[frozenset[str]] = frozenset({"capital"})

    stage: Annotated[str, Field(pattern=NAME)]
    capital: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | Literal["target"]
    symbols: Annotated[int, Field(ge=1)] | Literal["all"]
    days: Annotated[float, Field(gt=0, le=365)] | None = None


class Person(Parameters):
    """Who may sign: a public key (`tradewind rollout person`), and until when new signatures of it are taken."""

    key: Annotated[str, Field(pattern=r"[0-9a-f]{64}")]
    expires: dt.date


class RolloutPlan(Parameters):
    """The whole plan.

    Attributes:
        run: folder of the account's run, whose journal is the evidence.
        state: folder of the rollout's own journal.
        target_capital: what the last stage may use.
        go: see `Go`.
        stages: in order; each begins above the one before.
        people: by name. One who has left stays in the list, expired, so that what was signed can be checked.
    """

    run: str
    state: str
    target_capital: Annotated[float, Field(gt=0)]
    go: Go
    stages: Annotated[tuple[Stage, ...], Field(min_length=2)]
    people: dict[Annotated[str, Field(pattern=NAME)], Person]

    @model_validator(mode="after")
    def _stages_follow_each_other(self) -> "RolloutPlan":
        most, symbols, names = 0.0, 0.0, {PAPER}
        for at, one in enumerate(self.stages):
            low, high = self.capital_of(at)
            if one.stage in names:
                raise WrongAt(f"there is a stage {one.stage} already: give each its own name", ("stages", at, "stage"))
            if not most < low <= high:
                raise WrongAt(
                    f"{low:g} to {high:g} overlaps the stage before, which goes to {most:g}: begin above it",
                    ("stages", at, "capital"),
                )
            if self.count_of(at) < symbols:
                raise WrongAt("fewer symbols than the stage before: a later stage has more", ("stages", at, "symbols"))
            if (one.days is None) != (at == len(self.stages) - 1):
                raise WrongAt(
                    "every stage but the last one has days, the last one none: otherwise its gate cannot fail",
                    ("stages", at, "stage" if one.days is None else "days"),
                )
            most, symbols = high, self.count_of(at)
            names.add(one.stage)
        keys = [one.key for one in self.people.values()]
        if len(set(keys)) != len(keys):
            raise WrongAt("two people have one key: each makes an own one", ("people",))
        return self

    def capital_of(self, at: int) -> tuple[float, float]:
        """Least and most capital of a stage; the last one begins just above the one before."""
        capital = self.stages[at].capital
        if capital != "target":
            return capital
        before = self.stages[at - 1].capital if at else (0.0, 0.0)
        return (before[1] * (1 + 1e-9) if before != "target" else self.target_capital), self.target_capital

    def count_of(self, at: int) -> float:
        """How many symbols a stage may trade."""
        symbols = self.stages[at].symbols
        return float("inf") if symbols == "all" else symbols

    def place(self, name: str) -> int:
        """The position of a stage; -1 for paper.

        Raises:
            KeyError: there is none of this name.
        """
        names = [PAPER, *(one.stage for one in self.stages)]
        if name not in names:
            raise KeyError(name)
        return names.index(name) - 1

    def name(self, at: int) -> str:
        """The name of a stage by its position."""
        return PAPER if at < 0 else self.stages[at].stage

    @property
    def digest(self) -> str:
        """Of stages and gates: evidence is for one plan alone. People may come and go."""
        said = self.model_dump(mode="json", exclude={"people"})
        return hashlib.sha256(canonical(said)).hexdigest()


def read_rollout(path: Path) -> RolloutPlan:
    """The plan of a file.

    Raises:
        BadParameters: an unknown key, stages that overlap, a gate that cannot fail, or anything else; with the line.
    """
    return read_yaml(path, RolloutPlan)
